"""Where a second engine differs from the first: the cheapest detector of noisy labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ltml_dataset.export.parquet import SplitWriter
from ltml_dataset.export.rows import SplitCodes
from ltml_dataset.official import States
from ltml_dataset.schema import NO_FINDING, NOT_MENTIONED, SPLITS, disagreement_schema
from ltml_dataset.studies import Studies


def write_disagreements(
    folder: Path, studies: Studies, first: States, second: States, split: SplitCodes
) -> dict[Path, int]:
    """Config "disagreements": one row for each label of a study on which the engines differ.

    Negated and not mentioned count as the same: both leave the label absent.

    Args:
        folder: Folder of the data set.
        studies: Ids.
        first: (N, C + 1) states of the engine that labels the data set.
        second: (N, C + 1) states of the other.
        split: (N,) split of each study.

    Returns:
        Rows of each file written.
    """
    schema = disagreement_schema(studies.id_type)
    writer = SplitWriter(folder / "disagreements", schema)
    differs = _absent(first) != _absent(second)
    names = pa.array([*studies.label_names, NO_FINDING], pa.string())
    for code, name in enumerate(SPLITS):
        rows, columns = np.nonzero(differs & (split == code)[:, None])
        taken = pa.array(rows)
        table = [
            studies.subject_ids.take(taken),
            studies.study_ids.take(taken),
            names.take(pa.array(columns)),
            _states(first[rows, columns]),
            _states(second[rows, columns]),
        ]
        writer.write(name, pa.table(table, schema=schema))
    return writer.close()


def count_disagreements(first: States, second: States, names: Sequence[str]) -> dict[str, int]:
    """Studies on which the engines differ, by label."""
    differs = (_absent(first) != _absent(second)).sum(axis=0)
    return {name: int(n) for name, n in zip(names, differs, strict=True)}


def _absent(states: States) -> States:
    return np.where(states == NOT_MENTIONED, np.int8(0), states)


def _states(values: States) -> pa.Array:
    return pa.array(np.ascontiguousarray(values), pa.int8(), mask=values == NOT_MENTIONED)
