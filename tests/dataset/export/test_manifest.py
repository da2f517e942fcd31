"""The manifest: what `verify` finds, what is refused, and folders that appear whole."""

import json
from pathlib import Path

import pytest
from small_folder import NAMES, fill

from ltml_dataset.errors import UserError
from ltml_dataset.export.loading import attach_images, load, load_labels
from ltml_dataset.export.manifest import (
    differences,
    group_labels,
    read_manifest,
    write_manifest,
    written_files,
)
from ltml_dataset.export.parquet import write_text
from ltml_dataset.export.staging import STAGING_NAME, check_out, staged


def test_a_finished_folder_is_what_its_manifest_says(tmp_path: Path) -> None:
    with staged(tmp_path / "out") as folder:
        fill(folder)
    assert differences(tmp_path / "out") == []
    assert not (tmp_path / "out" / STAGING_NAME).exists()
    manifest = read_manifest(tmp_path / "out")
    assert manifest.files["data/train-00000-of-00001.parquet"].rows == 4
    assert manifest.files["README.md"].rows is None


def test_every_change_is_found(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "README.md").write_text("# CARD\n")
    (tmp_path / "data" / "test-00000-of-00001.parquet").unlink()
    (tmp_path / "extra.txt").write_text("x")
    train = tmp_path / "data" / "train-00000-of-00001.parquet"
    train.write_bytes(train.read_bytes()[:-1])
    problems = differences(tmp_path)
    assert [problem.split(":")[0] for problem in problems] == [
        "data/test-00000-of-00001.parquet",
        "extra.txt",
        "README.md",
        "data/train-00000-of-00001.parquet",
    ]


def test_a_smaller_data_set_replaces_the_files_of_a_larger_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with staged(out) as folder:
        fill(folder)
        (folder / "figures").mkdir()
        write_text("old", folder / "figures" / "old.svg")
        write_manifest(
            read_manifest(folder).model_copy(update={"files": written_files(folder, {})}),
            folder,
        )
    (out / "mine.txt").write_text("not ours")
    assert (out / "figures" / "old.svg").exists()
    with staged(out) as folder:
        fill(folder, n_train=1)
    assert not (out / "figures" / "old.svg").exists()
    assert differences(out) == ["mine.txt: not in the manifest"]


def test_a_failed_build_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with staged(out) as folder:
        fill(folder)

    def fail() -> None:
        with staged(out) as folder:
            fill(folder, n_train=1)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert differences(out) == []
    assert read_manifest(out).splits["train"].rows == 4


def test_two_calls_cannot_write_one_folder_at_once(tmp_path: Path) -> None:
    def both() -> None:
        with staged(tmp_path / "out"), staged(tmp_path / "out"):
            pass

    with pytest.raises(UserError, match="another call is writing"):
        both()
    with staged(tmp_path / "out") as folder:
        fill(folder)
    assert differences(tmp_path / "out") == []


def test_a_manifest_cannot_name_files_outside_its_folder_for_removal(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious.txt").write_text("x")
    (out / "manifest.json").write_text(
        json.dumps({"files": {"../precious.txt": {}, str(tmp_path / "precious.txt"): {}}})
    )
    with staged(out) as folder:
        fill(folder)
    assert (tmp_path / "precious.txt").exists()


@pytest.mark.parametrize("content", ["{", '{"format": "ltml-dataset/1"}', "[]"])
def test_a_foreign_manifest_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UserError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_an_output_folder_with_other_files_is_refused_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        check_out(tmp_path, force=False)
    check_out(tmp_path, force=True)
    check_out(tmp_path / "new", force=False)
    with pytest.raises(UserError, match="is a file"):
        check_out(tmp_path / "thesis.tex", force=True)


def test_groups_at_their_thresholds() -> None:
    counts = {"a": 10_000, "b": 9_999, "c": 1_000, "d": 999, "e": 0}
    assert group_labels(counts) == {"head": ["a"], "medium": ["b", "c"], "tail": ["d", "e"]}


def test_load_gives_names_rows_and_pixels(tmp_path: Path) -> None:
    from PIL import Image

    fill(tmp_path / "set")
    dataset = load(tmp_path / "set")
    assert {split: rows.num_rows for split, rows in dataset.items()} == {"train": 4, "test": 2}
    assert dataset["train"].features["labels"].feature.names == list(NAMES)
    with pytest.raises(UserError, match="was not found"):
        load(tmp_path / "set", image_root=tmp_path)
    (tmp_path / "files").mkdir()
    for index in range(4):
        Image.new("L", (2, 2), index).save(tmp_path / "files" / f"{index}.jpg")
    for root in (tmp_path, tmp_path / "files"):
        shown = attach_images(dataset["train"], root)
        assert shown[3]["image"].size == (2, 2)
        assert shown[3]["image_id"] == "i00003"
    with pytest.raises(UserError, match="no config"):
        load(tmp_path / "set", config="notes")


def test_labels_come_as_one_array(tmp_path: Path) -> None:
    fill(tmp_path)
    labels = load_labels(tmp_path, "test")
    assert labels.image_ids.to_pylist() == ["i00100", "i00101"]
    assert labels.target.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert labels.label_names == NAMES
    with pytest.raises(UserError, match="no split"):
        load_labels(tmp_path, "val")
