"""Rows of the three configs, written split by split without holding all of them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ltml_dataset.export.parquet import SplitWriter
from ltml_dataset.official import States
from ltml_dataset.schema import (
    FIRST_PERSON,
    LABEL_SOURCES,
    NOT_MENTIONED,
    SPLITS,
    image_schema,
    mention_schema,
    study_schema,
)
from ltml_dataset.studies import Studies

ROWS_AT_ONCE = 65_536

SplitCodes = npt.NDArray[np.int8]
"""Index into SPLITS; -1 is in no split."""


def write_images(
    folder: Path,
    images: pa.Table,
    study_rows: npt.NDArray[np.int64],
    studies: Studies,
    targets: States,
    split: SplitCodes,
) -> dict[Path, int]:
    """Config "images" of a data set.

    Args:
        folder: Folder of the data set.
        images: `image_id`, `view`, `image_path` of n images in their final order.
        study_rows: (n,) row of each image's study in `studies` and `targets`.
        studies: Ids and verified labels.
        targets: (N, C) targets of the studies.
        split: (n,) split of each image.

    Returns:
        Rows of each file written.
    """
    has_persons = studies.sources is not None and bool((studies.sources >= FIRST_PERSON).any())
    has_sources = studies.sources is not None
    schema = image_schema(studies.label_names, studies.id_type, with_verified=has_persons, with_sources=has_sources)
    writer = SplitWriter(folder / "data", schema, studies.label_names)
    for name, rows in _by_split(split):
        of_study = study_rows[rows]
        taken = images.take(pa.array(rows))
        columns = {
            "image_id": taken["image_id"],
            "subject_id": studies.subject_ids.take(pa.array(of_study)),
            "study_id": studies.study_ids.take(pa.array(of_study)),
            "view": taken["view"],
            "image_path": taken["image_path"],
            "labels": positive_lists(targets[of_study]),
            "target": fixed_lists(targets[of_study]),
        }
        if studies.sources is not None:
            sources = studies.sources[of_study]
            if has_persons:
                columns["verified"] = fixed_lists((sources >= FIRST_PERSON).astype(np.int8))
            named = pa.array(LABEL_SOURCES, pa.string()).take(pa.array(sources.reshape(-1)))
            columns["label_source"] = pa.FixedSizeListArray.from_arrays(named, sources.shape[1])
        writer.write(name, pa.table(list(columns.values()), schema=schema))
    return writer.close()


def write_studies(folder: Path, studies: Studies, split: SplitCodes) -> dict[Path, int]:
    """Config "studies": states of all reports, (N,) splits."""
    schema = study_schema(studies.label_names, studies.id_type)
    writer = SplitWriter(folder / "studies", schema)
    for name, rows in _by_split(split):
        states = studies.states[rows]
        columns = [studies.subject_ids.take(pa.array(rows)), studies.study_ids.take(pa.array(rows))]
        columns += [
            pa.array(np.ascontiguousarray(states[:, label]), mask=states[:, label] == NOT_MENTIONED)
            for label in range(states.shape[1])
        ]
        writer.write(name, pa.table(columns, schema=schema))
    return writer.close()


def write_mentions(
    folder: Path, shards: Iterable[tuple[int, pa.Table]], studies: Studies, split: SplitCodes
) -> dict[Path, int]:
    """Config "mentions", shard by shard.

    Args:
        folder: Folder of the data set.
        shards: Row in `studies` of the shard's first report, and the mentions of the shard (`Shards.mentions`).
        studies: Ids.
        split: (N,) split of each study.
    """
    schema = mention_schema(studies.id_type)
    writer = SplitWriter(folder / "mentions", schema)
    for first_row, mentions in shards:
        rows = first_row + mentions["row"].to_numpy().astype(np.int64)
        for code, name in enumerate(SPLITS):
            chosen = np.flatnonzero(split[rows] == code)
            if not len(chosen):
                continue
            taken = mentions.take(pa.array(chosen))
            of_study = pa.array(rows[chosen])
            columns = [studies.subject_ids.take(of_study), studies.study_ids.take(of_study)]
            columns += [pc.cast(taken[field.name], field.type) for field in list(schema)[2:]]
            writer.write(name, pa.table(columns, schema=schema))
    return writer.close()


def positive_lists(targets: States) -> pa.ListArray:
    """(n, C) targets as lists of the indices where they are 1."""
    rows, labels = np.nonzero(targets == 1)
    offsets = np.zeros(len(targets) + 1, dtype=np.int32)
    np.cumsum(np.bincount(rows, minlength=len(targets)), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(labels.astype(np.int64)))


def fixed_lists(values: npt.NDArray[np.int8]) -> pa.FixedSizeListArray:
    """(n, C) int8 as lists of C."""
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1])


def _by_split(split: SplitCodes) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Rows of each split in order, some at a time."""
    for code, name in enumerate(SPLITS):
        rows = np.flatnonzero(split == code)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            yield name, rows[start : start + ROWS_AT_ONCE]
