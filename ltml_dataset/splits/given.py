"""Splits that somebody else decided: id lists and the official split file."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ltml_dataset.errors import UserError, without_cells
from ltml_dataset.sources.table_file import require_file

OFFICIAL_NAMES = {"train": "train", "validate": "validation", "validation": "validation", "test": "test"}
"""MIMIC-CXR-JPG writes `validate`; everywhere else it is `validation`."""


@dataclass(frozen=True)
class GivenSplit:
    """A split read from files.

    Attributes:
        splits: (N,) names of splits, in the order of the images asked for.
        unmatched: By split, the listed ids that match no image, in file order.
    """

    splits: npt.NDArray[np.str_]
    unmatched: dict[str, tuple[str, ...]]

    def summary(self) -> str:
        """What became of the listed ids, without naming any: how many match no image, and which split is empty."""
        lost = {name: len(ids) for name, ids in self.unmatched.items() if ids}
        if not lost:
            return "Every listed id matches an image."
        told = "Listed ids that match no image: " + ", ".join(f"{n:,} of {name}" for name, n in lost.items()) + "."
        empty = [name for name in lost if name not in self.splits]
        if empty:
            told += f" No image is left for {' and '.join(empty)}: are these the lists of this data set?"
        return told


def crossing_patients(patients: npt.NDArray[np.int64], codes: npt.NDArray[np.int8]) -> tuple[int, int, int]:
    """How far a given split lets patients cross.

    Args:
        patients: (n,) number of each image's patient.
        codes: (n,) 0 train, 1 validation, 2 test.

    Returns:
        Patients that are in more than one split, all patients, and test images whose patient is elsewhere too.
    """
    n_patients = int(patients.max(initial=-1)) + 1
    stands = np.zeros((n_patients, 3), bool)
    stands[patients, codes] = True
    crosses = stands.sum(axis=1) > 1
    in_test = codes == 2
    return int(crosses.sum()), int(stands.any(axis=1).sum()), int(crosses[patients[in_test]].sum())


def crossing_note(patients: npt.NDArray[np.int64], codes: npt.NDArray[np.int8]) -> str:
    """One sentence on the patients of a split that others gave."""
    n_crossing, n_patients, n_test_rows = crossing_patients(patients, codes)
    if not n_crossing:
        return f"No patient is in two splits of the given ones ({n_patients:,} patients)."
    n_test = max(1, int((codes == 2).sum()))
    who = "patient is" if n_crossing == 1 else "patients are"
    return (
        f"Warning: {n_crossing:,} {who} in more than one split of the {n_patients:,}, because the split was given: "
        f"{n_test_rows:,} images ({n_test_rows / n_test:.1%}) of test are of patients who are in train or validation "
        "too."
    )


def read_ids(path: Path) -> list[str]:
    """Ids of a text file, one a line, gzipped or not; blank lines are passed over.

    Raises:
        UserError: The file cannot be read as text, holds no id, or lists one twice.
    """
    require_file(path)
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(
            f"`{path}` was expected to be a text file (or .gz) of image ids, one a line: {error}."
        ) from error
    ids = [line.strip() for line in text.splitlines() if line.strip()]
    if not ids:
        raise UserError(f"`{path}` holds no image id; one a line was expected.")
    if len(set(ids)) < len(ids):
        raise UserError(f"`{path}` lists {len(ids) - len(set(ids)):,} image ids more than once; remove the repeats.")
    return ids


def splits_from_ids(image_ids: Sequence[str] | pa.Array, validation_path: Path, test_path: Path) -> GivenSplit:
    """Images in the lists become validation and test, all others train.

    Raises:
        UserError: A file cannot be used, or an id stands in both.
    """
    column = pa.array(image_ids, pa.string()) if not isinstance(image_ids, pa.Array) else image_ids.cast(pa.string())
    splits = np.full(len(column), "train", dtype="<U10")
    unmatched: dict[str, tuple[str, ...]] = {}
    lists = {"validation": read_ids(validation_path), "test": read_ids(test_path)}
    both = set(lists["validation"]) & set(lists["test"])
    if both:
        raise UserError(f"{len(both):,} image ids stand in both `{validation_path}` and `{test_path}`.")
    for name, ids in lists.items():
        listed = pa.array(ids, pa.string())
        splits[pc.is_in(column, value_set=listed).to_numpy(zero_copy_only=False)] = name
        missing = listed.filter(pc.invert(pc.is_in(listed, value_set=column)))
        unmatched[name] = tuple(missing.to_pylist())
    return GivenSplit(splits, unmatched)


def official_splits(
    path: Path, ids: Sequence[str] | Sequence[int] | pa.Array, key: Literal["dicom_id", "study_id"] = "dicom_id"
) -> npt.NDArray[np.str_]:
    """Names of the splits that `mimic-cxr-2.0.0-split.csv` (gzipped or not) gives to images or studies.

    Args:
        path: The file of MIMIC-CXR-JPG with columns dicom_id, study_id, subject_id, split.
        ids: (N,) image ids, or study numbers where `key` is study_id.
        key: Column the ids belong to.

    Raises:
        UserError: A column is missing, a split has another name, or an id is not in the file.
    """
    try:
        convert = csv.ConvertOptions(
            column_types={"dicom_id": pa.string(), "study_id": pa.string(), "split": pa.string()}
        )
        with pa.input_stream(path, compression="gzip" if _is_gzip(path) else None) as stream:
            table = csv.read_csv(stream, convert_options=convert)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(
            f"`{path}` could not be read as the split file of MIMIC-CXR-JPG ({without_cells(error)})."
        ) from error
    absent = [name for name in (key, "split") if name not in table.column_names]
    if absent:
        raise UserError(
            f"`{path}` lacks the column {', '.join(absent)}; expected dicom_id, study_id, subject_id, split."
        )
    words = table["split"].combine_chunks()
    strange = sorted({str(word) for word in words.unique().to_pylist()} - set(OFFICIAL_NAMES))
    if strange:
        raise UserError(f"`{path}` names the splits {', '.join(strange)}; expected train, validate, test.")
    wanted = pa.array(ids).cast(pa.string())
    rows = pc.index_in(wanted, value_set=table[key].combine_chunks())
    if rows.null_count:
        raise UserError(
            f"`{path}` has no split for {rows.null_count:,} of {len(wanted):,} values of {key}; "
            "use the file of the same release as the metadata."
        )
    named = words.take(rows).dictionary_encode()
    distinct = np.array([OFFICIAL_NAMES[word] for word in named.dictionary.to_pylist()], dtype="<U10")
    return distinct[named.indices.to_numpy()] if len(named) else np.zeros(0, dtype="<U10")


def _is_gzip(path: Path) -> bool:
    """Whether the file starts as gzip does, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"
