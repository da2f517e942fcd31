"""The tables of MIMIC-CXR and MIMIC-CXR-JPG: where they are, which project they come with, what is in them.

Every file is taken gzipped or not, of version 2.0.0 or 2.1.0, from the path a user gives or anywhere below a folder.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ltml_dataset.errors import UserError, without_cells
from ltml_dataset.sources.table_file import first_bytes, reading

OFFICIAL_LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
"""The 14 labels of the official files."""

_OTHER_NAMES = {"Airspace Opacity": "Lung Opacity"}
"""Columns of the 2.1.0 test set that mean an official label under another name."""


@dataclass(frozen=True)
class MimicFile:
    """One file of a release."""

    role: str
    name: str
    """As downloaded."""
    pattern: re.Pattern[str]
    project: str
    not_in: str
    """The project in which people look for it in vain; empty if there is none."""
    flag: str
    """Option of `build` that takes it; empty if none does."""
    columns: tuple[str, ...]

    @property
    def origin(self) -> str:
        """Where the file comes from, for messages."""
        return f"it comes with {self.project}" + (f", not with {self.not_in}" if self.not_in else "")


def _file(
    role: str, name: str, pattern: str, project: str, not_in: str, flag: str = "", columns: tuple[str, ...] = ()
) -> MimicFile:
    return MimicFile(role, name, re.compile(pattern), project, not_in, flag, columns)


_V = r"mimic-cxr-\d+\.\d+\.\d+-"
_TEXT, _JPG = "MIMIC-CXR", "MIMIC-CXR-JPG"
FILES = {
    file.role: file
    for file in (
        _file("reports", "mimic-cxr-reports.zip", r"mimic-cxr-reports\.zip", _TEXT, _JPG, "REPORTS"),
        _file(
            "study list",
            "cxr-study-list.csv.gz",
            r"cxr-study-list\.csv(\.gz)?",
            _TEXT,
            _JPG,
            columns=("subject_id", "study_id", "path"),
        ),
        _file(
            "record list",
            "cxr-record-list.csv.gz",
            r"cxr-record-list\.csv(\.gz)?",
            _TEXT,
            _JPG,
            columns=("subject_id", "study_id", "dicom_id", "path"),
        ),
        _file("provider list", "cxr-provider-list.csv.gz", r"cxr-provider-list\.csv(\.gz)?", f"{_TEXT} 2.1.0", _JPG),
        _file(
            "metadata",
            "mimic-cxr-2.0.0-metadata.csv.gz",
            _V + r"metadata\.csv(\.gz)?",
            _JPG,
            _TEXT,
            "--metadata",
            ("dicom_id", "subject_id", "study_id", "ViewPosition"),
        ),
        _file(
            "official labels",
            "mimic-cxr-2.0.0-chexpert.csv.gz",
            _V + r"chexpert\.csv(\.gz)?",
            _JPG,
            _TEXT,
            "--official-labels",
            ("study_id", *OFFICIAL_LABELS),
        ),
        _file(
            "NegBio labels",
            "mimic-cxr-2.0.0-negbio.csv.gz",
            _V + r"negbio\.csv(\.gz)?",
            _JPG,
            _TEXT,
            "",
            ("study_id", *OFFICIAL_LABELS),
        ),
        _file(
            "official split",
            "mimic-cxr-2.0.0-split.csv.gz",
            _V + r"split\.csv(\.gz)?",
            _JPG,
            _TEXT,
            "--official-split",
            ("dicom_id", "split"),
        ),
        _file(
            "gold labels",
            "mimic-cxr-2.1.0-test-set-labeled.csv",
            _V + r"test-set-labeled\.csv(\.gz)?",
            f"{_JPG} 2.1.0",
            f"{_JPG} 2.0.0",
            "--gold",
            ("study_id", *OFFICIAL_LABELS),
        ),
        _file("image list", "IMAGE_FILENAMES", r"IMAGE_FILENAMES(\.txt)?(\.gz)?", _JPG, _TEXT),
    )
}


def find_file(role: str, path: Path) -> Path:
    """The file of a role: the path itself, or the one below it if it is a folder.

    Args:
        role: Key of `FILES`.
        path: What the user gave.

    Raises:
        UserError: It is not there; says with which project it comes.
    """
    file = FILES[role]
    if path.is_dir():
        found = search_files(path).get(role, [])
        if not found:
            raise UserError(f"`{file.name}` was not found in `{path}`; {file.origin}.{_hint(file)}")
        if len(found) > 1:
            raise UserError(f"`{path}` holds `{found[0].name}` more than once; name one of them.{_hint(file)}")
        return found[0]
    if not path.exists():
        raise UserError(f"`{path}` does not exist; expected `{file.name}`: {file.origin}.{_hint(file)}")
    return path


def search_files(folder: Path) -> dict[str, list[Path]]:
    """Files of a release below a folder, by role; `files/`, with its millions of entries, is not entered."""
    found: dict[str, list[Path]] = {}
    todo = [folder]
    while todo:
        try:
            entries = sorted(todo.pop().iterdir())
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir():
                if entry.name != "files" and not re.fullmatch(r"p\d+|\..*", entry.name):
                    todo.append(entry)
                continue
            for role, file in FILES.items():
                if file.pattern.fullmatch(entry.name):
                    found.setdefault(role, []).append(entry)
    return found


def read_columns(role: str, path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Columns of one of the tables, as strings, with a known other name of a column put right.

    Args:
        role: Key of `FILES`.
        path: The file, or a folder that holds it.
        columns: Wanted columns; by default those the role must have.

    Raises:
        UserError: The file is missing, cannot be read, or lacks a column.
    """
    from pyarrow import csv

    file = FILES[role]
    path = find_file(role, path)
    wanted = list(columns or file.columns)
    _, is_gzip = first_bytes(path)
    try:
        with pa.input_stream(str(path), compression="gzip" if is_gzip else None) as stream:
            names = _header(stream.read(1 << 16))
        missing = [name for name in wanted if name not in [_OTHER_NAMES.get(n, n) for n in names]]
        if missing:
            raise UserError(
                f"`{path}` has no column `{missing[0]}`; expected `{file.name}`: {file.origin}.{_hint(file)}"
            )
        chosen = [name for name in names if _OTHER_NAMES.get(name, name) in wanted]
        with pa.input_stream(str(path), compression="gzip" if is_gzip else None) as stream:
            table = csv.read_csv(
                stream,
                convert_options=csv.ConvertOptions(
                    include_columns=chosen, column_types=dict.fromkeys(chosen, pa.string()), strings_can_be_null=True
                ),
            )
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise UserError(
            f"`{path}` is not a readable CSV file ({without_cells(error)}); expected `{file.name}`."
        ) from error
    return table.rename_columns([_OTHER_NAMES.get(name, name) for name in chosen]).select(wanted)


def read_labels(role: str, path: Path) -> pa.Table:
    """One of the label tables (`official labels`, `NegBio labels`, `gold labels`).

    Returns:
        `study_id` (string), then `OFFICIAL_LABELS` as nullable int8: 1 present, 0 negated, -1 uncertain, null not
        mentioned.

    Raises:
        UserError: A study stands twice or a value is none of these.
    """
    path = find_file(role, path)
    if role == "gold labels":
        _refuse_automatic(path)
    table = read_columns(role, path)
    studies = plain_ids(table["study_id"])
    if pc.count_distinct(studies, mode="all").as_py() != len(studies) or studies.null_count:
        raise UserError(f"`{path}` has a study twice or a row without one; expected one row per study.")
    columns = [studies]
    for name in OFFICIAL_LABELS:
        values = table[name]
        try:
            numbers = values.cast(pa.float32())
        except pa.ArrowInvalid:
            numbers = None
        known = pa.array([1, 0, -1, None], pa.float32())
        if numbers is None or pc.all(pc.is_in(numbers, known)).as_py() is False:
            raise UserError(f"`{path}`: column `{name}` holds something other than 1, 0, -1 and blank.")
        columns.append(numbers.cast(pa.int8()))
    return pa.table(columns, names=["study_id", *OFFICIAL_LABELS])


LARGEST_GOLD = 5_000
"""Studies that people could have labelled by hand; the official set has 687."""


def _refuse_automatic(path: Path) -> None:
    """Refuse an automatic labeler's file in the place of people's labels.

    Raises:
        UserError: The file has the columns or the size of the automatic ones.
    """
    from pyarrow import csv

    _, is_gzip = first_bytes(path)
    with reading(path), pa.input_stream(str(path), compression="gzip" if is_gzip else None) as stream:
        names = _header(stream.read(1 << 16))
    told = (
        f"--gold takes labels that people decided (`{FILES['gold labels'].name}`); `{path}` "
        "{reason}: give it with --official-labels."
    )
    if {"subject_id", "Lung Opacity"} <= set(names):
        raise UserError(told.format(reason="has the columns of the automatic labels of MIMIC-CXR-JPG"))
    column = next((name for name in names if name == "study_id"), None)
    if column is None:
        return
    options = csv.ConvertOptions(include_columns=[column], column_types={column: pa.string()})
    try:
        with pa.input_stream(str(path), compression="gzip" if is_gzip else None) as stream:
            n_rows = csv.read_csv(stream, convert_options=options).num_rows
    except pa.ArrowInvalid:
        return  # told by whoever reads the labels
    if n_rows > LARGEST_GOLD:
        raise UserError(told.format(reason=f"has {n_rows:,} studies, more than people label by hand"))


def plain_ids(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Study or subject ids without a leading `s` or `p`."""
    return pc.replace_substring_regex(ids, r"^[sp](\d+)$", r"\1")


def _header(start: bytes) -> list[str]:
    line = start.decode("utf-8-sig", "replace").split("\n", 1)[0].strip("\r")
    return [name.strip('"') for name in _splitter().split(line)]


@cache
def _splitter() -> re.Pattern[str]:
    return re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')


def _hint(file: MimicFile) -> str:
    return f" Give it with {file.flag}." if file.flag.startswith("--") else ""
