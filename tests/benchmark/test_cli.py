"""Command lines: what is printed, and what a mistake gets."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ltml_benchmark import cli
from ltml_benchmark.config import load_recipe, merge, shipped_recipes
from ltml_benchmark.data import open_folder
from ltml_benchmark.phantoms import LABELS

FLAGS = [
    "--model", "tiny_cnn", "--weights", "none", "--data.decode-size", "32", "--transforms.image-size", "32",
    "--schedule.warmup-steps", "0", "--epochs", "1", "--steps-per-epoch", "2", "--batch-size", "8", "--bootstrap", "10",
    "--device", "cpu",
]  # fmt: skip


@pytest.fixture(scope="module")
def two_runs(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    out = tmp_path_factory.mktemp("runs")
    for name in ("bce", "anr-lla"):
        assert cli.main(["run", name, "--data", str(phantom_folder), "--out", str(out / name), *FLAGS]) == 0
    return out / "bce", out / "anr-lla"


def test_run_prints_its_row_and_writes_what_the_flags_said(two_runs, capsys) -> None:
    assert cli.main(["table", *map(str, two_runs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip("- ") for line in lines[:4]] == ["method", "", "bce", "anr-lla"]
    config = (two_runs[0] / "config.yaml").read_text()
    assert "steps_per_epoch: 2" in config
    assert "name: tiny_cnn" in config


@pytest.mark.parametrize("form", ["md", "latex", "csv"])
def test_the_papers_rows_stand_beside_ours_and_are_named_so(two_runs, capsys, form: str) -> None:
    assert cli.main(["table", *map(str, two_runs), "--like", "table2", "--format", form]) == 0
    out = capsys.readouterr().out
    assert "54.18" in out
    assert "paper" in out
    assert out.index("54.18") < out.index("ours") < out.index("64.84")
    if form == "csv":
        table = pyarrow.csv.read_csv(pa.BufferReader(out.encode()))
        assert table["numbers"].to_pylist() == ["paper", "ours", "paper", "paper", "paper", "paper", "ours", "paper"]
    else:
        assert "arXiv 2311.17334" in out


def test_scoring_a_runs_own_predictions_gives_its_metrics(
    two_runs, phantom_folder: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "metrics.json"
    command = ["score", str(two_runs[0] / "predictions.parquet"), "--data", str(phantom_folder), "--out", str(out)]
    assert cli.main([*command, "--replicates", "10"]) == 0
    ours, theirs = json.loads(out.read_text()), json.loads((two_runs[0] / "metrics.json").read_text())
    assert ours == theirs
    assert "Tail" in capsys.readouterr().out


def test_anybodys_table_in_any_order_is_scored_by_image_id(phantom_folder: Path, tmp_path: Path, capsys) -> None:
    split = open_folder(phantom_folder).splits["test"]
    columns = {"extra": list(range(len(split))), "image_id": split.image_id.to_pylist()}
    columns |= {name: split.target[:, place].astype(float) for place, name in enumerate(LABELS)}
    shuffled = pa.table(columns).take(np.random.default_rng(0).permutation(len(split)))
    pyarrow.csv.write_csv(shuffled, tmp_path / "perfect.csv")
    out = tmp_path / "scored"
    command = [
        "score",
        str(tmp_path / "perfect.csv"),
        "--data",
        str(phantom_folder),
        "--out",
        str(out),
        "--name",
        "oracle",
    ]
    assert cli.main(command) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["groups"]["total"]["mean"]["auc"] == 1.0
    assert "best_threshold" not in metrics
    capsys.readouterr()
    assert cli.main(["table", str(out)]) == 0
    assert "oracle" in capsys.readouterr().out


def changed(path: Path, column: str, value) -> None:
    table = pq.read_table(path)
    values = table[column].to_pylist()
    values[-1] = value if value != "first" else values[0]
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, column, pa.array(values, table.schema.field(column).type)), path)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda path: path.unlink(), "were not found"),
        (lambda path: path.write_bytes(b"x"), "no readable table"),
        (lambda path: pq.write_table(pq.read_table(path).drop_columns(["Edema"]), path), "lacks the column `Edema`"),
        (
            lambda path: pq.write_table(pq.read_table(path).slice(0, 100), path),
            "20 of 60 test images have no prediction",
        ),
        (lambda path: changed(path, "Edema", 1.5), "A prediction is 1.5"),
        (lambda path: changed(path, "image_id", "first"), "names an image twice"),
    ],
)
def test_unusable_predictions_are_one_sentence(two_runs, phantom_folder, tmp_path, capsys, spoil, named: str) -> None:
    path = Path(shutil.copy(two_runs[0] / "predictions.parquet", tmp_path / "p.parquet"))
    spoil(path)
    assert cli.main(["score", str(path), "--data", str(phantom_folder)]) == 1
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1


def test_a_run_compared_with_itself_differs_by_nothing(two_runs, capsys) -> None:
    assert cli.main(["compare", str(two_runs[0]), str(two_runs[0]), "--replicates", "20"]) == 0
    out = capsys.readouterr().out
    assert "+0.00  +0.00 to +0.00  1.000" in out


def test_comparing_needs_the_data_that_both_were_scored_on(two_runs, tmp_path, capsys) -> None:
    copy = shutil.copytree(two_runs[0], tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["data"]["manifest_sha256"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert cli.main(["compare", str(two_runs[1]), str(copy)]) == 1
    assert "another data set" in capsys.readouterr().err
    data = manifest["data"]["path"]
    assert cli.main(["compare", str(two_runs[1]), str(copy), "--data", data, "--replicates", "20"]) == 0


def test_a_cache_is_a_drop_in_for_the_image_folder(phantom_files, tmp_path: Path) -> None:
    folder, root = phantom_files
    cache = ["cache", "--data", str(folder), "--images", str(root), "--out", str(tmp_path / "cache"), "--size", "32"]
    assert cli.main(cache) == 0
    for name, images in (("a", root), ("b", tmp_path / "cache")):
        run = ["run", "bce", "--data", str(folder), "--images", str(images), "--out", str(tmp_path / name), *FLAGS]
        assert cli.main(run) == 0
    read = [pq.read_table(tmp_path / name / "predictions.parquet") for name in "ab"]
    assert read[0].equals(read[1])


def test_a_dry_run_trains_nothing(phantom_folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    command = ["run", "table2", "--data", str(phantom_folder), "--out", str(out), "--dry-run", *FLAGS]
    assert cli.main([*command, "--transforms.crop", "0.25", "--seeds", "2"]) == 0
    printed = capsys.readouterr().out
    assert not out.exists()
    assert printed.count("2 batches an epoch") == 12
    assert "# RUN/anr-lla/seed-1: 2 batches" in printed
    assert "crop: 0.25" in printed
    assert "# loss and model of every run were tried" in printed


def test_list_names_every_recipe(capsys) -> None:
    assert cli.main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in shipped_recipes())


@pytest.mark.parametrize(
    ("tokens", "code", "named"),
    [
        (["run", "bce", "--data", "x", "--out", "y", "--optimizer.lrr", "1"], 2, "--optimizer.lr"),
        (["run", "bce", "--data", "x"], 2, "--out"),
        (["run", "bce", "--data", "x", "--out", "y", "--epochs", "zero"], 2, "epochs"),
        (["run", "bce", "--data", "x", "--out", "y", "--epochs", "0"], 2, "epochs"),
        (["no-such-command"], 2, "no-such-command"),
        (["run", "no-such", "--data", "x", "--out", "y"], 1, "no recipe"),
        (["run", "bce", "--data", "no/such", "--out", "y"], 1, "manifest.json was not found"),
        (["run", "bce", "--data", "x", "--out", "y", "--seeds", "0"], 1, "--seeds"),
        (["table", "no/such"], 1, "no finished run"),
    ],
)
def test_mistakes_have_the_exit_codes_of_the_contract(tokens, code: int, named: str, capsys) -> None:
    assert cli.main(tokens) == code
    assert named in capsys.readouterr().err


def test_a_missing_extra_is_one_sentence(phantom_folder: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert cli.main(["run", "bce", "--data", str(phantom_folder), "--out", str(tmp_path / "run"), *FLAGS]) == 1
    assert "pip install 'ltml-mimic-cxr[benchmark]'" in capsys.readouterr().err


def test_listing_recipes_imports_no_torch() -> None:
    code = (
        "import sys; from ltml_benchmark.cli import main; assert main(['list']) == 0; "
        "heavy = {'torch', 'torchvision', 'matplotlib', 'pyarrow', 'scipy', 'lightning_fabric'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_short_flags_are_spelt_out() -> None:
    assert cli.expanded(["--model", "a", "--weights=b", "--data", "c"]) == [
        "--model.name", "a", "--model.weights=b", "--data", "c"
    ]  # fmt: skip
    assert load_recipe("bce", merge({}, {"model": {"name": "a"}})).model.name == "a"
