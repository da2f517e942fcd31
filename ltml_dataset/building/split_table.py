"""A labelled table to a data set folder: read -> targets -> split -> Parquet + card.

The same folder as `build` writes, without the configs that only reports can fill.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ltml_dataset.building.table_config import TableConfig
from ltml_dataset.config import SplitConfig, Uncertain
from ltml_dataset.errors import UserError
from ltml_dataset.export.manifest import (
    InputFile,
    Manifest,
    SplitCounts,
    group_labels,
    write_manifest,
    written_files,
)
from ltml_dataset.export.parquet import SplitWriter
from ltml_dataset.export.presentation import write_presentation
from ltml_dataset.export.rows import fixed_lists, positive_lists
from ltml_dataset.export.staging import check_out, staged
from ltml_dataset.schema import NOT_MENTIONED, SPLITS, image_schema
from ltml_dataset.sources.hashing import hash_input
from ltml_dataset.sources.labelled import LabelledTable, read_labelled
from ltml_dataset.splits import Cell, assign_splits, balance_notes, balance_table, crossing_note, splits_from_ids

Targets = npt.NDArray[np.int8]
Names = npt.NDArray[np.str_]

_ROWS_AT_ONCE = 16_384
_IMAGES_PER_GROUP = 256
_CANONICAL_INTEGER = r"^(0|[1-9][0-9]{0,9})$"
_LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True)
class SplitFolder:
    """A finished data set."""

    out: Path
    manifest: Manifest
    table: LabelledTable
    cells: list[Cell]
    """Balance of every label in every split."""


def split_table(path: Path, out: Path, config: TableConfig) -> SplitFolder:
    """Write the data set folder of a labelled table.

    Args:
        path: CSV (gzipped or not), JSON lines or Parquet with one row per image.
        out: Folder of the data set.
        config: What is in the table, and how to split it.

    Raises:
        UserError: The table is not what it should be, or the folder cannot be written.
    """
    if config.medium > config.head:
        raise UserError(f"--medium {config.medium} is above --head {config.head}: give the larger number to --head.")
    check_out(out, force=config.force, inputs=[path, *(config.split.ids or ())])
    table = read_labelled(
        path,
        labels=config.label_columns,
        label_column=config.label_column,
        group=config.group,
        id_column=config.id_column,
        image_column=config.image_column,
    )
    targets = targets_of(table.states, config.uncertain)
    groups = groups_of(table, config)
    splits, notes = split_rows(table, targets, groups, config.split)
    cells = balance_table(targets == 1, splits, table.label_names, groups, config.split.shares)
    given = config.split.ids is not None
    notes = [*table.notes, *notes] if given else [*table.notes, *notes, *balance_notes(cells)]
    manifest = describe(path, config, table, targets, splits, notes)
    shares = {name: manifest.splits[name].rows / len(splits) for name in SPLITS}
    asked = shares if given else dict(zip(SPLITS, config.split.shares, strict=True))
    with staged(out) as folder:
        rows = write_rows(folder, table, targets, splits)
        write_presentation(folder, manifest, ratios=asked, credentialed=False)
        manifest = manifest.model_copy(update={"files": written_files(folder, rows)})
        write_manifest(manifest, folder)
    return SplitFolder(out, manifest, table, cells)


def targets_of(states: Targets, uncertain: Uncertain) -> Targets:
    """(N, C) targets: 1 present, 0 absent or blank, -1 (uncertain) by policy."""
    values = np.array({"zero": [0, 0, 0, 1], "one": [0, 1, 0, 1], "ignore": [0, -1, 0, 1]}[uncertain], dtype=np.int8)
    targets: Targets = values[states - NOT_MENTIONED]
    return targets


def groups_of(table: LabelledTable, config: TableConfig) -> pa.Array | None:
    """(N,) what stays whole; None where every row may go its own way.

    Raises:
        UserError: The table does not say, or some rows do not.
    """
    unit = config.split.group_by or "subject"
    if unit == "image":
        return None
    if unit == "study":
        if table.columns.study is None and table.studies.null_count:
            raise UserError(f"`{table.path}` has no study column such as `study_id`; name one with --group.")
        patients = table.patients if table.patients is not None else pa.nulls(len(table.studies), pa.string())
        return pc.binary_join_element_wise(
            pc.fill_null(patients.cast(pa.string()), ""), pc.fill_null(table.studies, ""), "/"
        )
    if table.patients is None:
        raise UserError(
            f"`{table.path}` has no patient column such as `subject_id`; name one with --group, or say "
            "--split.group-by image if patients may cross splits."
        )
    if table.patients.null_count:
        raise UserError(
            f"column `{table.columns.patient}` of `{table.path}` is blank in {table.patients.null_count:,} rows; "
            "fill it, or name another with --group."
        )
    return table.patients


def split_rows(
    table: LabelledTable, targets: Targets, groups: pa.Array | None, options: SplitConfig
) -> tuple[Names, list[str]]:
    """Split of every row, and what a reader must know of it."""
    if options.ids is not None:
        given = splits_from_ids(table.image_ids, *options.ids)
        return given.splits, [given.summary(), *_crossing(table, given.splits)]
    return assign_splits(targets == 1, groups, options.shares, options.seed), []


def _crossing(table: LabelledTable, splits: Names) -> list[str]:
    """What to say of patients in a split that was given; nothing where the table names none."""
    if table.patients is None or table.patients.null_count:
        return []
    codes = np.select([splits == name for name in SPLITS], range(len(SPLITS))).astype(np.int8)
    patients = table.patients.dictionary_encode().indices.to_numpy().astype(np.int64)
    return [crossing_note(patients, codes)]


def describe(
    path: Path, config: TableConfig, table: LabelledTable, targets: Targets, splits: Names, notes: list[str]
) -> Manifest:
    """The manifest, but for the files."""
    positives = targets == 1
    counts = {
        name: dict(zip(table.label_names, (int(n) for n in positives[chosen].sum(axis=0)), strict=True))
        for name, chosen in (("all", splits != ""), *((name, splits == name) for name in SPLITS))
    }
    sizes = {name: _sizes(table, np.flatnonzero(splits == name)) for name in SPLITS}
    inputs = [_input("table", path)]
    inputs += [_input("split.ids", ids) for ids in config.split.ids or ()]
    return Manifest(
        config=_content(config, table),
        inputs=inputs,
        labels=list(table.label_names),
        groups=group_labels(counts["all"], config.head, config.medium),
        group_thresholds={"head": config.head, "medium": config.medium},
        counts={"images": len(splits), "studies": _sizes(table, np.arange(len(splits))).studies},
        splits=sizes,
        label_counts=counts,
        notes=notes,
    )


def _sizes(table: LabelledTable, rows: npt.NDArray[np.int64]) -> SplitCounts:
    """Rows, studies and patients; a row without study or patient counts as one."""
    chosen = pa.array(rows)
    n_patients = len(rows) if table.patients is None else len(pc.unique(table.patients.take(chosen)))
    if table.studies.null_count == len(table.studies):
        return SplitCounts(rows=len(rows), studies=len(rows), subjects=n_patients)
    keys = ["study"] if table.patients is None else ["study", "patient"]
    columns = {"study": table.studies.take(chosen)}
    if table.patients is not None:
        columns["patient"] = table.patients.take(chosen)
    n_studies = pa.table(columns).group_by(keys).aggregate([]).num_rows
    return SplitCounts(rows=len(rows), studies=n_studies, subjects=n_patients)


def _input(role: str, path: Path) -> InputFile:
    n_bytes, sha256 = hash_input(path)
    return InputFile(role=role, name=path.resolve().name, bytes=n_bytes, sha256=sha256)


def _content(config: TableConfig, table: LabelledTable) -> dict[str, Any]:
    """The resolved options, with columns as they were found."""
    split = config.split.model_dump(mode="json") | {"group_by": config.split.group_by or "subject"}
    split["ids"] = [ids.name for ids in config.split.ids] if config.split.ids else None
    columns = table.columns
    found = {
        "listed_labels": columns.listed,
        "left_aside": list(table.left_aside),
        "group": columns.patient,
        "image_id": columns.image_id,
        "study": columns.study,
        "view": columns.view,
        "image_path": columns.path,
        "image": table.image_column,
    }
    return {
        "command": "split",
        "columns": found,
        "uncertain": config.uncertain,
        "head": config.head,
        "medium": config.medium,
        "split": split,
    }


def write_rows(folder: Path, table: LabelledTable, targets: Targets, splits: Names) -> dict[Path, int]:
    """Config "images", rows of a split in the order of the table.

    Returns:
        Rows of each file, by path.
    """
    with_image = table.image_column is not None
    subjects, studies, id_type = _ids(table)
    schema = image_schema(table.label_names, id_type, with_image=with_image)
    columns = {
        "image_id": table.image_ids,
        "subject_id": subjects,
        "study_id": studies,
        "view": table.views,
        "image_path": table.paths,
    }
    groups = {"rows_per_group": _IMAGES_PER_GROUP} if with_image else {}
    writer = SplitWriter(folder / "data", schema, table.label_names, **groups)
    for start, n_rows, pixels in _blocks(table):
        for name in SPLITS:
            inside = np.flatnonzero(splits[start : start + n_rows] == name)
            if not len(inside):
                continue
            rows = start + inside
            arrays = [column.take(pa.array(rows)) for column in columns.values()]
            arrays += [positive_lists(targets[rows]), fixed_lists(targets[rows])]
            if pixels is not None:
                taken = pixels.take(pa.array(inside))
                arrays.append(pa.StructArray.from_arrays([taken, arrays[0]], names=["bytes", "path"]))
            writer.write(name, pa.table(arrays, schema=schema))
    return writer.close()


def _blocks(table: LabelledTable) -> Iterator[tuple[int, int, pa.Array | None]]:
    """First row, number of rows, and pixels of one block of the table after the other."""
    if table.image_column is None:
        n_rows = len(table.image_ids)
        for start in range(0, n_rows, _ROWS_AT_ONCE):
            yield start, min(_ROWS_AT_ONCE, n_rows - start), None
        return
    for start, pixels in table.images():
        yield start, len(pixels), pixels


def _ids(table: LabelledTable) -> tuple[pa.Array, pa.Array, pa.DataType]:
    """Subject and study ids as int32 where all of them are such numbers, else as text."""
    subjects = pa.nulls(len(table.image_ids)) if table.patients is None else table.patients
    columns = [subjects.cast(pa.string()), table.studies]
    if all(_are_int32(column) for column in columns):
        return columns[0].cast(pa.int32()), columns[1].cast(pa.int32()), pa.int32()
    return columns[0], columns[1], pa.string()


def _are_int32(column: pa.Array) -> bool:
    """Whether text can become int32 and back without a change."""
    if not pc.all(pc.match_substring_regex(column, _CANONICAL_INTEGER), min_count=0).as_py():
        return False
    return bool((pc.max(column.cast(pa.int64())).as_py() or 0) <= _LARGEST_INT32)
