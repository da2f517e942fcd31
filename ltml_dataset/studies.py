"""Study labels of a whole corpus as one array, and what becomes of them in training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ltml_dataset.config import Uncertain
from ltml_dataset.official import States
from ltml_dataset.records import Assertion
from ltml_dataset.schema import HAS_TEXT, NO_FINDING, NOT_MENTIONED


@dataclass(frozen=True)
class Studies:
    """All labelled reports in source order, one row each."""

    report_ids: pa.StringArray
    subject_ids: pa.Array
    """(N,) int32 or string, null where unknown."""
    study_ids: pa.Array
    """(N,) of the same type, never null: the report id where the source knows none."""
    states: States
    """(N, C + 1): 1, 0, -1 or `NOT_MENTIONED` for the classes in order and `No Finding`."""
    label_names: tuple[str, ...]
    """C names, without `No Finding`."""
    is_labelled: npt.NDArray[np.bool_]
    """(N,): text of the report was read, whether or not it names a class, or others labelled it; else nothing is known,
    which is not "all absent"."""
    sources: npt.NDArray[np.int8] | None = None
    """(N, C) index into `LABEL_SOURCES`: who decided each label; None where it was the machine throughout."""

    def __len__(self) -> int:
        return len(self.report_ids)

    @property
    def id_type(self) -> pa.DataType:
        """Type of subject and study ids."""
        return self.study_ids.type

    def patients(self) -> npt.NDArray[np.int64]:
        """(N,) number of the patient of each report; a report of an unknown patient is a patient of its own."""
        codes = self.subject_ids.dictionary_encode()
        known: npt.NDArray[np.int64] = pc.fill_null(codes.indices, -1).to_numpy().astype(np.int64)
        alone = known < 0
        known[alone] = len(codes.dictionary) + np.arange(np.count_nonzero(alone))
        return known

    def targets(self, uncertain: Uncertain) -> States:
        """(N, C) training targets: 1 present, 0 absent or not mentioned, uncertain by policy (`ignore` gives -1)."""
        target = self.states[:, :-1].copy()
        target[target == NOT_MENTIONED] = 0
        target[target == Assertion.UNCERTAIN] = {"zero": 0, "one": 1, "ignore": -1}[uncertain]
        return target


def collect_studies(tables: Sequence[pa.Table], label_names: Sequence[str]) -> Studies:
    """Join the label tables of all shards (`Shards.labels`), in order."""
    names = (*label_names, NO_FINDING)
    n_rows = sum(table.num_rows for table in tables)
    states = np.empty((n_rows, len(names)), dtype=np.int8)
    start = 0
    for table in tables:
        for column, name in enumerate(names):
            values = pc.fill_null(table[name], pa.scalar(NOT_MENTIONED, pa.int8()))
            states[start : start + table.num_rows, column] = values.to_numpy()
        start += table.num_rows
    ids = pa.concat_tables([table.select(["report_id", "subject_id", "study_id"]) for table in tables]).combine_chunks()
    report_ids, subject_ids, study_ids = (_array(ids[name]) for name in ids.schema.names)
    if study_ids.null_count:
        subject_ids = subject_ids.cast(pa.string())
        study_ids = pc.coalesce(study_ids.cast(pa.string()), report_ids)
    is_labelled = np.concatenate([np.zeros(0, np.bool_), *(table[HAS_TEXT].to_numpy() for table in tables)])
    return Studies(report_ids, subject_ids, study_ids, states, tuple(label_names), is_labelled)


def _array(column: pa.ChunkedArray) -> pa.Array:
    """One array out of a column of any number of chunks."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
