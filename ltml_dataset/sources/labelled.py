"""Tables that come with labels: PadChest, NIH ChestX-ray14, CheXpert, or anybody's own."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ltml_dataset.errors import UserError, without_cells
from ltml_dataset.schema import NOT_MENTIONED
from ltml_dataset.sources.base import decode_column
from ltml_dataset.sources.csv_rows import csv_batches, csv_names
from ltml_dataset.sources.json_rows import json_values
from ltml_dataset.sources.labelled_columns import LabelledColumns, choose_labelled_columns
from ltml_dataset.sources.labelled_long import find_label_column, one_row_per_image
from ltml_dataset.sources.table import sniff_delimiter, whole_numbers
from ltml_dataset.sources.table_columns import require_header
from ltml_dataset.sources.table_file import BadRow, TableFile, first_bytes

_IMAGE_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"II*\x00", b"MM\x00*", b"RIFF", b"\x00\x00\x00\x0cjP")
_CHEXPERT_PATH = r"patient(?P<patient>\d+)/study(?P<study>\d+)/"
_IMAGES_AT_ONCE = 64
_READ_AHEAD = 1 << 20
"""Bytes of a column that are in memory at once; without a limit Arrow holds all images of a row group."""


@dataclass(frozen=True)
class LabelledTable:
    """A labelled table without its pixels, in the order of its rows.

    Attributes:
        path: The file.
        columns: Which column was taken for what.
        label_names: The C labels.
        states: (N, C) int8: 1, 0, -1 uncertain, `NOT_MENTIONED`.
        image_ids: (N,) distinct names of images: of the table, else of studies if each has one row, else row numbers.
        patients: (N,) what must not cross splits; None where the table does not say.
        studies: (N,) study of each row; all null where the table does not say.
        views: (N,) projection; null where the table does not say.
        paths: (N,) path below an image root; null where the table does not say.
        image_column: Column with encoded images, if the file carries them.
        left_aside: Columns that could be taken for labels too, and were not.
        notes: Sentences that a user must read.
    """

    path: Path
    columns: LabelledColumns
    label_names: tuple[str, ...]
    states: npt.NDArray[np.int8]
    image_ids: pa.Array
    patients: pa.Array | None
    studies: pa.Array
    views: pa.Array
    paths: pa.Array
    image_column: str | None
    left_aside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def images(self) -> Iterator[tuple[int, pa.Array]]:
        """Encoded images (binary) with the row of the first, some hundred at a time.

        Raises:
            UserError: A row has none.
        """
        if self.image_column is None:
            return
        row = 0
        for batch in _open_parquet(self.path).iter_batches(_IMAGES_AT_ONCE, columns=[self.image_column]):
            column = batch.column(0)
            pixels = pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
            if pixels.null_count:
                missing = row + pc.index(pixels.is_null(), True).as_py() + 1
                raise UserError(
                    f"row {missing} of `{self.path}` has no image in column `{self.image_column}`; leave such rows out."
                )
            yield row, pixels.cast(pa.binary())
            row += batch.num_rows


def read_labelled(
    path: Path,
    *,
    labels: Sequence[str] | None = None,
    label_column: str | None = None,
    group: str | None = None,
    id_column: str | None = None,
    image_column: str | None = None,
) -> LabelledTable:
    """Read a labelled table: CSV (gzipped or not), JSON lines or Parquet.

    Args:
        path: The file.
        labels: Label columns, or one column that lists the labels of a row.
        label_column: Column with one finding per row, where an image has a row for each of its findings.
        group: Column of what must not cross splits, such as the patient.
        id_column: Column with image ids.
        image_column: Column with encoded images (Parquet only).

    Raises:
        UserError: The file is no such table, a column is missing, or ids are not what they should be.
    """
    if not path.is_file():
        raise UserError(f"`{path}` was not found; expected a labelled table (.parquet, .csv, .csv.gz or .jsonl).")
    table, image_column = _read(path, image_column)
    plain = {name: column.cast(column.type.value_type) for name, column in _dictionaries(table)}
    for name, column in plain.items():
        table = table.set_column(table.column_names.index(name), name, column)
    if table.num_rows == 0:
        raise UserError(f"`{path}` has no rows; expected one per image.")
    notes: list[str] = []
    finding = None if labels else find_label_column(path, table, label_column, id_column)
    if finding is not None and image_column is None:
        n_rows, name = table.num_rows, finding.image_id
        table = one_row_per_image(table, finding)
        notes.append(
            f"{n_rows:,} rows with one finding each became {table.num_rows:,} images by `{name}`; an image has every "
            f"finding that one of its rows names in `{finding.label}`."
        )
        labels, id_column = [finding.label], name
    elif label_column is not None:
        raise UserError(f"--label-column `{label_column}` cannot be used with --labels or a table of pixels.")
    named = list(zip(table.column_names, table.columns, strict=True))
    can_be_labels = [name for name, column in named if _is_state(column)]
    columns = choose_labelled_columns(
        path,
        table.column_names,
        can_be_labels,
        words=[name for name in can_be_labels if _says_yes_and_no(table[name])],
        labels=labels,
        group=group,
        image_id=id_column,
        image=image_column,
    )
    names, states = _listed(table, columns.listed) if columns.listed else _states(table, columns.labels)
    if not names:
        raise UserError(f"column `{columns.listed}` of `{path}` lists no labels.")
    missing = pa.nulls(table.num_rows, pa.string())
    patients, studies = _patients(table, columns)
    return LabelledTable(
        path=path,
        columns=columns,
        label_names=names,
        states=states,
        image_ids=_image_ids(table, columns, studies, path),
        patients=patients,
        studies=missing if studies is None else studies,
        views=_text(table[columns.view]) if columns.view else missing,
        paths=_text(table[columns.path]) if columns.path else missing,
        image_column=image_column,
        left_aside=columns.left_aside,
        notes=tuple(notes + _left_aside_note(columns)),
    )


def _left_aside_note(columns: LabelledColumns) -> list[str]:
    """What could be labels too and was left; silent where the user named the labels."""
    if not columns.left_aside:
        return []
    taken = f"`{columns.listed}`" if columns.listed else f"{len(columns.labels)} columns such as `{columns.labels[0]}`"
    shown = ", ".join(f"`{name}`" for name in columns.left_aside[:10])
    more = f" and {len(columns.left_aside) - 10:,} more" if len(columns.left_aside) > 10 else ""
    return [f"Labels were taken from {taken}; {shown}{more} could be labels too and were left: see --labels."]


def _dictionaries(table: pa.Table) -> list[tuple[str, pa.ChunkedArray]]:
    """Dictionary-encoded columns."""
    named = zip(table.column_names, table.columns, strict=True)
    return [(name, column) for name, column in named if pa.types.is_dictionary(column.type)]


def _read(path: Path, image_column: str | None) -> tuple[pa.Table, str | None]:
    """All columns but pixels, and the name of the column that holds those."""
    head, is_gzip = first_bytes(path, 4096)
    try:
        if head[:4] == b"PAR1":
            return _read_parquet(path, image_column)
        if image_column is not None:
            raise UserError(f"--image-column needs a Parquet table; `{path}` holds text.")
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if start in (b"{", b"["):
            return _read_json(TableFile(path, "jsonl", is_gzip, is_array=start == b"[")), None
        header = head.split(b"\n", 1)[0].decode("utf-8-sig", "replace")
        return _read_csv(TableFile(path, "csv", is_gzip, sniff_delimiter(header))), None
    except (pa.ArrowInvalid, OSError) as error:
        what = without_cells(error)
        raise UserError(f"`{path}` is not a readable table (.parquet, .csv, .csv.gz or .jsonl): {what}.") from error


def _read_csv(file: TableFile) -> pa.Table:
    """Every column as text, so that long numbers and leading zeros of ids survive; blanks are null."""
    names = csv_names(file)
    require_header(file.path, names)
    bad_rows: list[BadRow] = []
    batches = list(csv_batches(file, names, bad_rows))
    if bad_rows:
        more = f" ({len(bad_rows):,} such rows)" if len(bad_rows) > 1 else ""
        raise UserError(f"`{file.path}`: row {bad_rows[0].number} {bad_rows[0].reason}{more}; mend or remove it.")
    schema = pa.schema([pa.field(name, pa.string()) for name in names])
    texts = [pa.record_batch([_blank_to_null(decode_column(c)[0]) for c in batch.columns], names) for batch in batches]
    return pa.Table.from_batches(texts, schema)


_MISSING = pa.array(["", "nan", "NaN", "NA", "null", "None"])


def _blank_to_null(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_in(column, value_set=_MISSING), pa.scalar(None, pa.string()), column)


def _read_json(file: TableFile) -> pa.Table:
    """Every key of any object; values keep their kind where a column has one, else become text."""
    rows: list[dict[str, object]] = []
    for number, value in json_values(file):
        if not isinstance(value, dict):
            raise UserError(f"`{file.path}`: row {number} is no JSON object; mend or remove it.")
        rows.append(value)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [_json_column([row.get(name) for row in rows]) for name in names]
    return pa.Table.from_arrays(columns, [name.encode("utf-8", "replace").decode() for name in names])


def _json_column(values: list[object]) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        texts = (None if value is None else str(value).encode("utf-8", "replace").decode() for value in values)
        return pa.array(list(texts), pa.string())


def _open_parquet(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_AHEAD)


def _read_parquet(path: Path, image_column: str | None) -> tuple[pa.Table, str | None]:
    file = _open_parquet(path)
    schema = file.schema_arrow
    if image_column is not None and image_column not in schema.names:
        raise UserError(f"`{path}` has no column `{image_column}` as --image-column says.")
    binary = [field.name for field in schema if _holds_bytes(field.type)]
    pixels = [name for name in ([image_column] if image_column else binary) if _holds_images(file, name)]
    if image_column and not pixels:
        raise UserError(f"column `{image_column}` of `{path}` holds no encoded images (PNG, JPEG, ...).")
    if len(pixels) > 1:
        raise UserError(f"`{path}` has images in {', '.join(pixels)}; choose one with --image-column.")
    return pq.read_table(path, columns=[name for name in schema.names if name not in binary]), (pixels or [None])[0]


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _holds_images(file: pq.ParquetFile, name: str) -> bool:
    """Whether the first value of a column is an encoded image."""
    if not _holds_bytes(file.schema_arrow.field(name).type):
        return False
    batch = next(file.iter_batches(1, columns=[name]), None)
    value = batch.column(0)[0].as_py() if batch is not None and batch.num_rows else None
    data = value.get("bytes") if isinstance(value, dict) else value
    return isinstance(data, bytes) and data.startswith(_IMAGE_STARTS)


def _is_state(column: pa.ChunkedArray) -> bool:
    """Whether a column holds nothing but 1, 0, -1, true, false and nulls, and not only nulls."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return True
    if column.null_count == len(column):
        return False
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return all(_state_of(word) is not None for word in _few_words(column))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return bool(pc.all(pc.is_in(column.drop_null(), value_set=pa.array([-1, 0, 1]).cast(kind, safe=False))).as_py())
    return False


_WORDS = {"true": 1, "false": 0, "yes": 1, "no": 0, "y": 1, "n": 0, "positive": 1, "negative": 0, "uncertain": -1}


def _state_of(word: str) -> int | None:
    """State that a cell means: 1, 0, -1 in any spelling of the number, true, yes and their opposites; None if none."""
    plain = word.strip().lower()
    if plain in _WORDS:
        return _WORDS[plain]
    try:
        number = float(plain)
    except ValueError:
        return None
    return int(number) if number in (1, 0, -1) else None


def _says_yes_and_no(column: pa.ChunkedArray) -> bool:
    """Whether a column of states is written in words, as people judge, and not in numbers."""
    return pa.types.is_string(column.type) and any(word.strip().lower() in _WORDS for word in _few_words(column))


def _few_words(column: pa.ChunkedArray) -> list[str]:
    """Distinct words of a text column, nulls aside; of a column with many kinds, only those of its beginning."""
    start: list[str] = pc.unique(column.slice(0, 1000)).drop_null().to_pylist()
    if any(_state_of(word) is None for word in start):
        return start
    return cast("list[str]", pc.unique(column).drop_null().to_pylist())


def _states(table: pa.Table, names: Sequence[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int8]]:
    states = np.empty((table.num_rows, len(names)), dtype=np.int8)
    for index, name in enumerate(names):
        column = table[name].combine_chunks()
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            encoded = column.dictionary_encode()
            numbers = pa.array([_state_of(word) for word in encoded.dictionary.to_pylist()], pa.int8())
            column = numbers.take(encoded.indices)
        states[:, index] = pc.fill_null(column.cast(pa.int8()), NOT_MENTIONED).to_numpy(zero_copy_only=False)
    return tuple(names), states


def _listed(table: pa.Table, name: str) -> tuple[tuple[str, ...], npt.NDArray[np.int8]]:
    """Labels out of one column: lists, `A|B`, or the text of a Python list; names in alphabetical order."""
    encoded = table[name].combine_chunks()
    values = encoded.to_pylist() if pa.types.is_nested(encoded.type) else None
    codes = np.arange(len(encoded))
    if values is None:
        dictionary = encoded.cast(pa.string()).dictionary_encode()
        values = [_words_of(text) for text in dictionary.dictionary.to_pylist()] + [[]]
        codes = pc.fill_null(dictionary.indices, len(values) - 1).to_numpy(zero_copy_only=False)
    sets = [{str(word).strip() for word in words or () if str(word).strip()} for words in values]
    names = tuple(sorted(set().union(*sets)))
    place = {word: index for index, word in enumerate(names)}
    rows = np.zeros((len(sets), len(names)), dtype=np.int8)
    for row, words in enumerate(sets):
        rows[row, [place[word] for word in words]] = 1
    return names, rows[codes]


def _words_of(text: str) -> list[str]:
    if text.strip().startswith("["):
        return [first or second for first, second in re.findall(r"'([^']*)'|\"([^\"]*)\"", text)]
    return text.split("|")


def _patients(table: pa.Table, columns: LabelledColumns) -> tuple[pa.Array | None, pa.Array | None]:
    """Patient and study of each row; from the path where CheXpert's own table has nothing else."""
    patients = whole_numbers(_text(table[columns.patient])) if columns.patient else None
    studies = whole_numbers(_text(table[columns.study])) if columns.study else None
    if patients is None and columns.path is not None:
        parts = pc.extract_regex(_text(table[columns.path]), pattern=_CHEXPERT_PATH)
        if parts.null_count == 0:
            return parts.field("patient"), parts.field("study") if studies is None else studies
    return patients, studies


def _image_ids(table: pa.Table, columns: LabelledColumns, studies: pa.Array | None, path: Path) -> pa.Array:
    """Names of images, checked to be distinct; those of studies, or row numbers, where the table has none."""
    if columns.image_id is None:
        if studies is not None and not studies.null_count and len(pc.unique(studies)) == len(studies):
            return studies
        width = max(7, len(str(table.num_rows)))
        return pa.array([f"{row:0{width}d}" for row in range(table.num_rows)])
    ids = _text(table[columns.image_id])
    repeats = len(ids) - len(pc.unique(ids))
    if ids.null_count or repeats:
        what = f"{ids.null_count:,} rows have none" if ids.null_count else f"{repeats:,} rows repeat one"
        raise UserError(
            f"column `{columns.image_id}` of `{path}` is no image id ({what}); name another with --id-column."
        )
    return ids


def _text(column: pa.ChunkedArray) -> pa.Array:
    """A column as text; whole floats lose their `.0`."""
    values = column.combine_chunks()
    if pa.types.is_floating(values.type) and pc.all(pc.equal(values, pc.floor(values))).as_py() is not False:
        values = values.cast(pa.int64())
    return values.cast(pa.string())
