"""Id lists, the official split file, and the paper's image-level protocol."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from shared_data import shared

from ltml_dataset.errors import UserError
from ltml_dataset.splits import iterative_image_split, official_splits, read_ids, splits_from_ids


def test_ids_may_be_gzipped_and_unmatched_ones_are_reported(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("a\r\n\nzz\n")
    (tmp_path / "test.txt.gz").write_bytes(gzip.compress(b"c\nb\n"))
    found = splits_from_ids(["a", "b", "c", "d"], tmp_path / "val.txt", tmp_path / "test.txt.gz")
    assert found.splits.tolist() == ["validation", "test", "test", "train"]
    assert found.unmatched == {"validation": ("zz",), "test": ()}
    assert found.summary() == "Listed ids that match no image: 1 of validation."


@pytest.mark.parametrize(
    ("validation", "test", "message"),
    [
        (b"", b"b\n", "holds no image id"),
        (b"a\na\n", b"b\n", "more than once"),
        (b"a\n", b"a\nb\n", "stand in both"),
        (b"\xff\xfe\x00", b"b\n", "expected to be a text file"),
        (b"\x1f\x8bbroken", b"b\n", "expected to be a text file"),
    ],
)
def test_lists_that_cannot_be_used_are_named(validation: bytes, test: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_bytes(validation)
    (tmp_path / "test.txt").write_bytes(test)
    with pytest.raises(UserError, match=message):
        splits_from_ids(["a", "b"], tmp_path / "val.txt", tmp_path / "test.txt")


def test_a_split_that_no_image_is_left_for_is_said_aloud(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("y\n")
    (tmp_path / "test.txt").write_text("b\n")
    found = splits_from_ids(["a", "b"], tmp_path / "val.txt", tmp_path / "test.txt")
    assert found.splits.tolist() == ["train", "test"]
    assert "1 of validation. No image is left for validation" in found.summary()


def test_the_authors_lists_are_taken_as_they_are() -> None:
    validation, test = shared("data/ltml/val_ids.txt.gz"), shared("data/ltml/test_ids.txt.gz")
    ids = [*read_ids(validation)[:100], *read_ids(test)[:50], "unlisted"]
    found = splits_from_ids(ids, validation, test)
    assert found.splits.tolist() == ["validation"] * 100 + ["test"] * 50 + ["train"]
    assert (len(found.unmatched["validation"]), len(found.unmatched["test"])) == (16_519 - 100, 41_296 - 50)


SPLIT_FILE = (
    "dicom_id,study_id,subject_id,split\n"
    "x1,50000001,10000001,train\n"
    "x2,50000002,10000002,validate\n"
    "x3,50000003,10000003,test\n"
)


@pytest.mark.parametrize("gzipped", [False, True])
def test_the_official_validate_is_validation(gzipped: bool, tmp_path: Path) -> None:
    path = tmp_path / ("split.csv.gz" if gzipped else "split.csv")
    path.write_bytes(gzip.compress(SPLIT_FILE.encode()) if gzipped else SPLIT_FILE.encode())
    assert official_splits(path, ["x3", "x2", "x2", "x1"]).tolist() == ["test", "validation", "validation", "train"]
    studies = pa.array([50000002, 50000001], pa.int32())
    assert official_splits(path, studies, key="study_id").tolist() == ["validation", "train"]
    with pytest.raises(UserError, match="has no split for 1 of 2 values of dicom_id"):
        official_splits(path, ["x1", "other"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("dicom_id,fold\nx1,3\n", "lacks the column split"),
        ("dicom_id,split\nx1,dev\n", "names the splits dev"),
        ("", "could not be read"),
    ],
)
def test_other_files_are_not_taken_for_the_official_split(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        official_splits(tmp_path / "split.csv", ["x1"])


def test_the_paper_protocol_is_72_8_20_and_ignores_row_order() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((5000, 8)) < 0.3 * 0.6 ** np.arange(8)
    ids = np.array([f"{number:08x}" for number in rng.permutation(5000)])
    splits = iterative_image_split(labels, ids)
    shares = {name: float(np.mean(splits == name)) for name in ("train", "validation", "test")}
    assert shares == pytest.approx({"train": 0.72, "validation": 0.08, "test": 0.20}, abs=0.004)
    order = rng.permutation(5000)
    assert (iterative_image_split(labels[order], ids[order]) == splits[order]).all()


def test_repeated_image_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="distinct"):
        iterative_image_split([[1], [0]], ["a", "a"])
