"""Labelled tables with one row per image and finding (VinBigData, boxes, RLE masks), made into one row per image."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ltml_dataset.errors import UserError

IMAGE_NAMES = ("image_id", "imageid", "image", "image_index", "dicom_id", "filename", "file_name", "image_path", "path")
LABEL_NAMES = ("class_name", "finding_label", "finding", "label", "class", "category", "pathology", "disease", "labels")


@dataclass(frozen=True)
class LongColumns:
    """Columns of a table with one finding per row."""

    image_id: str
    label: str


def find_label_column(path: Path, table: pa.Table, label: str | None, image_id: str | None) -> LongColumns | None:
    """The image and finding columns of a table in which images repeat; None where each image has one row.

    Args:
        path: The table, for messages.
        table: Its columns.
        label: The user's column of findings; then the table must be such a one.
        image_id: The user's column of image ids.

    Raises:
        UserError: A named column is missing, or no column of image ids is there.
    """
    found = {_plain(name): name for name in reversed(table.column_names)}
    if label is not None and label not in table.column_names:
        raise UserError(f"`{path}` has no column `{label}` as --label-column says.")
    image = image_id or next((found[name] for name in IMAGE_NAMES if name in found), None)
    if image is None or image not in table.column_names:
        if label is not None:
            raise UserError(f"`{path}` has no column of image ids such as `image_id`; name it with --id-column.")
        return None
    if label is not None:
        return LongColumns(image, label)
    if len(pc.unique(table[image])) == table.num_rows:
        return None
    words = (found[name] for name in LABEL_NAMES if name in found and found[name] != image)
    chosen = next((name for name in words if pa.types.is_string(table.schema.field(name).type)), None)
    return None if chosen is None else LongColumns(image, chosen)


def one_row_per_image(table: pa.Table, columns: LongColumns) -> pa.Table:
    """The first row of each image, in order, with the list of all its findings in the place of one."""
    encoded = table[columns.image_id].combine_chunks().dictionary_encode()
    if encoded.null_count:
        raise UserError(f"column `{columns.image_id}` is blank in {encoded.null_count:,} rows; fill it or remove them.")
    codes = encoded.indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    findings = table[columns.label].combine_chunks().cast(pa.string())
    order = np.argsort(codes, kind="stable")
    bounds = np.append(np.flatnonzero(np.diff(codes[order], prepend=-1)), len(order))
    lists = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), findings.take(pa.array(order)))
    place = table.column_names.index(columns.label)
    return table.take(pa.array(first)).set_column(place, columns.label, lists)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
