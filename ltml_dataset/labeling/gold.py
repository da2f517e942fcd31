"""Reading of label tables that people bring to be scored or compared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ltml_dataset.errors import UserError, without_cells
from ltml_dataset.schema import NO_FINDING

BLANK = 2
"""Code of "not mentioned" (null) in state arrays, beside 1, 0 and -1."""

GOLD_PREFIX = "gold39_"
"""Columns so named hold expert labels in which null means "not known", not "absent"."""

_ID_COLUMNS = ("report_id", "study_id", "study", "image_id", "id")

_ALIASES = {"Airspace Opacity": "Lung Opacity"}
"""Other people's names of our labels: MIMIC-CXR-JPG 2.1.0 renamed Lung Opacity in its gold file."""

_NOT_LABELS = {*_ID_COLUMNS, "subject_id", "dicom_id", "split", "text", "findings", "impression"}

States = npt.NDArray[np.int8]


@dataclass(frozen=True)
class LabelStates:
    """A label table as arrays: one row a report, one column a label.

    `states` is int8 (N, C) of 1 present, 0 negated, -1 uncertain, `BLANK` not mentioned.
    `blank` says what null means in the file it came from.
    """

    ids: npt.NDArray[np.object_]
    labels: tuple[str, ...]
    states: States
    blank: Literal["absent", "unknown"]

    def column(self, label: str) -> States:
        """States of one label, shape (N,)."""
        return self.states[:, self.labels.index(label)]


def read_label_states(path: Path) -> LabelStates:
    """Read a label file, or an expert's gold table.

    Three kinds are told apart by their columns: tables with `gold39_*` columns (null means that the expert did
    not say), tables with plain label columns such as our own label files, and MIMIC-CXR-JPG 2.1.0's
    `mimic-cxr-2.1.0-test-set-labeled.csv` (`study_id`, "Airspace Opacity"). In the latter two a blank means that
    the report does not mention the finding.

    Args:
        path: `.parquet`, `.csv` or `.csv.gz`.

    Returns:
        Ids as strings (a study number without its leading `s`), label names in the order of the file, states.

    Raises:
        UserError: The file is missing, has no id column, no label column, repeated ids, or other values than 1, 0, -1.
    """
    table = _read_table(path)
    id_column = next((name for name in _ID_COLUMNS if name in table.column_names), None)
    if id_column is None:
        raise UserError(f"`{path}` has no id column: one of {', '.join(_ID_COLUMNS)} was expected.")
    prefixed = [name for name in table.column_names if name.startswith(GOLD_PREFIX)]
    columns = prefixed or [name for name in table.column_names if _looks_like_label(table, name)]
    if not columns:
        raise UserError(f"`{path}` has no label columns: numeric columns named like `Cardiomegaly` were expected.")
    names = tuple(_ALIASES.get(name.removeprefix(GOLD_PREFIX), name.removeprefix(GOLD_PREFIX)) for name in columns)
    states = np.stack([_states(table[column], path, column) for column in columns], axis=1)
    ids = _ids(table[id_column])
    if len(set(ids)) != len(ids):
        raise UserError(f"`{path}` names a report twice in column `{id_column}`: one row a report was expected.")
    return LabelStates(ids, names, states, "unknown" if prefixed else "absent")


def align(one: LabelStates, other: LabelStates) -> tuple[LabelStates, LabelStates]:
    """Both tables reduced to the reports and labels they share, in the order of the first.

    Raises:
        UserError: They share no report or no label.
    """
    labels = tuple(label for label in one.labels if label in other.labels)
    if not labels:
        raise UserError("The two tables share no label column; names must match those of the label file.")
    where = {report_id: row for row, report_id in enumerate(other.ids)}
    rows_one = np.array([row for row, report_id in enumerate(one.ids) if report_id in where], dtype=np.int64)
    if not len(rows_one):
        raise UserError("The two tables share no report: their ids were compared as text, without a leading `s`.")
    rows_other = np.array([where[one.ids[row]] for row in rows_one], dtype=np.int64)
    return _take(one, rows_one, labels), _take(other, rows_other, labels)


def _take(table: LabelStates, rows: npt.NDArray[np.int64], labels: tuple[str, ...]) -> LabelStates:
    columns = [table.labels.index(label) for label in labels]
    return LabelStates(table.ids[rows], labels, table.states[rows][:, columns], table.blank)


def _read_table(path: Path) -> pa.Table:
    if not path.is_file():
        raise UserError(f"`{path}` was not found; a label table (.parquet, .csv or .csv.gz) was expected.")
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        return pyarrow.csv.read_csv(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"`{path}` could not be read as a table ({without_cells(error)}); .parquet or .csv was expected."
        ) from error


def _looks_like_label(table: pa.Table, name: str) -> bool:
    kind = table.schema.field(name).type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return (
        name not in _NOT_LABELS and (numeric or pa.types.is_null(kind)) and (name[:1].isupper() or name == NO_FINDING)
    )


def _states(column: pa.ChunkedArray, path: Path, name: str) -> States:
    values = pc.fill_null(column.cast(pa.float64()), float(BLANK)).to_numpy()
    values = np.where(np.isnan(values), float(BLANK), values)
    strange = ~np.isin(values, (1.0, 0.0, -1.0, float(BLANK)))
    if strange.any():
        raise UserError(f"`{path}`: column `{name}` holds {values[strange][0]:g}; 1, 0, -1 or blank was expected.")
    return values.astype(np.int8)


def _ids(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    texts = column.cast(pa.string()).to_pylist()
    return np.array([without_s(text or "") for text in texts], dtype=object)


def without_s(report_id: str) -> str:
    """A study name as its number (`s5xxxxxxx` -> `5xxxxxxx`); other ids as they are."""
    return report_id[1:] if report_id[:1] == "s" and report_id[1:].isdigit() else report_id
