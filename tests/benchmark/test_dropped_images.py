"""Runs that went on without images that are not there can be scored again, tabled and compared."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_recipe import TINY

from ltml_benchmark import cli
from ltml_benchmark.data import open_folder
from ltml_benchmark.launch import run_recipe

SMALL = {**TINY, "data": {"decode_size": 32, "missing_images": "drop"}}


@pytest.fixture(scope="module")
def dropped(phantom_files, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The data, a run that lacked 3 test and 2 validation images, and one that lacked none."""
    folder, root = phantom_files
    where = tmp_path_factory.mktemp("dropped")
    images = shutil.copytree(root, where / "images")
    for name, count in (("test", 3), ("validation", 2)):
        for path in open_folder(folder).splits[name].image_path.to_pylist()[10 : 10 + count]:
            (images / path).unlink()
    lacking = run_recipe("bce", SMALL, folder, where / "lacking", images, device="cpu")[0]
    whole = run_recipe("focal", SMALL, folder, where / "whole", root, device="cpu")[0]
    return folder, lacking, whole


@pytest.mark.parametrize("decide", ["raw", "prior", "validation"])
def test_a_run_without_some_images_is_scored_again(dropped, decide: str, tmp_path: Path, capsys) -> None:
    folder, lacking, _ = dropped
    command = ["score", str(lacking), "--data", str(folder), "--replicates", "0", "--decide", decide]
    assert cli.main([*command, "--out", str(tmp_path / "metrics.json")]) == 0
    assert "3 images that are not there left out" in capsys.readouterr().out
    again = json.loads((tmp_path / "metrics.json").read_text())
    first = json.loads((lacking / "metrics.json").read_text())
    assert (first["images"], first["images_left_out"]) == (57, 3)
    assert again["decisions"] == first["decisions"]
    if decide == "raw":
        assert again == first


def test_of_unverified_images_none_is_counted(dropped, phantom_files, tmp_path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = shutil.copytree(phantom_files[0], tmp_path / "data")
    path = next((folder / "data").glob("test-*"))
    table = pq.read_table(path)
    verified = np.zeros((len(table), len(table["target"][0])), dtype=np.int8)
    verified[:12] = 1  # the images that are not there are rows 10, 11 and 12
    column = pa.FixedSizeListArray.from_arrays(pa.array(verified.reshape(-1)), verified.shape[1])
    pq.write_table(table.append_column("verified", column), path)
    images = dropped[1].parent / "images"
    run = run_recipe("bce", {**SMALL, "verified_only": True}, folder, tmp_path / "run", images, device="cpu")[0]
    command = ["score", str(run), "--data", str(folder), "--replicates", "0", "--verified-only"]
    assert cli.main([*command, "--out", str(tmp_path / "again.json")]) == 0
    first, again = (json.loads(path.read_text()) for path in (run / "metrics.json", tmp_path / "again.json"))
    assert first["images_left_out"] == 2
    assert again == first


def test_a_copy_of_scored_predictions_keeps_what_was_left_out(dropped, tmp_path: Path) -> None:
    folder, lacking, _ = dropped
    for source, out in ((lacking, tmp_path / "once"), (tmp_path / "once", tmp_path / "twice")):
        assert cli.main(["score", str(source), "--data", str(folder), "--replicates", "0", "--out", str(out)]) == 0
    assert json.loads((tmp_path / "twice" / "metrics.json").read_text())["images_left_out"] == 3


def test_tables_and_comparisons_say_what_was_left_out(dropped, capsys) -> None:
    _, lacking, whole = dropped
    assert cli.main(["table", str(lacking), str(whole)]) == 0
    assert "Scored without test images that were not there: bce: 3 of 60." in capsys.readouterr().out
    assert cli.main(["compare", str(lacking), str(whole), "--replicates", "20", "--decide", "validation"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "57 test images" in printed
    assert "3 images that a run lacked left out" in printed


def test_predictions_of_others_must_cover_all_images(dropped, tmp_path: Path, capsys) -> None:
    import pyarrow.parquet as pq

    folder, lacking, _ = dropped
    table = pq.read_table(lacking / "predictions.parquet").replace_schema_metadata(None)
    pq.write_table(table, tmp_path / "theirs.parquet")
    assert cli.main(["score", str(tmp_path / "theirs.parquet"), "--data", str(folder)]) == 1
    assert "3 of 60 test images have no prediction" in capsys.readouterr().err
