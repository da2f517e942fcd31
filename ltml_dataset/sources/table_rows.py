"""Rows of a table file from any row on: CSV, JSON lines and Parquet, in bounded memory.

A reader only goes forward. A worker that is given the partitions in order keeps one reader open and so reads
the file once; a request for an earlier row opens it anew.
"""

import gzip
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import pyarrow as pa

from ltml_dataset.errors import UserError

Format = Literal["csv", "jsonl", "parquet"]

_CSV_BLOCK = 16 << 20
_CSV_LARGEST_BLOCK = 1 << 30
_JSON_ROWS = 1024


@dataclass(frozen=True)
class TableFile:
    """A table on disk and how to read it."""

    path: Path
    format: Format
    is_gzip: bool
    delimiter: str = ","
    csv_block: int = _CSV_BLOCK
    """Bytes of CSV parsed at once; a row must fit."""


@dataclass(frozen=True)
class BadRow:
    """A row that the reader left out."""

    number: int
    """Row in the file, from 1, the header not counted."""
    reason: str


def open_bytes(file: TableFile) -> IO[bytes]:
    """The file's bytes, unpacked.

    Raises:
        UserError: The file cannot be opened.
    """
    try:
        return gzip.open(file.path) if file.is_gzip else file.path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise UserError(f"`{file.path}` could not be opened: {error.strerror or error}.") from error


def column_names(file: TableFile) -> list[str]:
    """Names of the table's columns.

    Raises:
        UserError: The file is not such a table.
    """
    if file.format == "parquet":
        return list(_parquet(file).schema_arrow.names)
    if file.format == "jsonl":
        with closing(open_bytes(file)) as stream:
            for line in stream:
                if line.strip():
                    return list(_json_object(file, line))
        raise UserError(f"`{file.path}` is empty; expected one JSON object a line.")
    with _open_csv(file, None, []) as reader:
        return list(reader.schema.names)


def iterate_batches(
    file: TableFile, columns: Sequence[str], bad_rows: list[BadRow], first_row: int = 0
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches of the wanted columns with the row each starts at. Left-out rows are noted and not counted.

    Text comes as string or binary; numbers keep their type in Parquet and are strings elsewhere.

    Args:
        file: The table.
        columns: Columns to read.
        bad_rows: Receives the rows that could not be read.
        first_row: Batches that end before this row may be left out.
    """
    if file.format == "parquet":
        yield from _parquet_batches(file, columns, first_row)
        return
    row = 0
    batches = _csv_batches(file, columns, bad_rows) if file.format == "csv" else _json_batches(file, columns, bad_rows)
    for batch in batches:
        yield row, batch
        row += batch.num_rows


class RowReader:
    """Ranges of rows of one table, cheapest when asked for in order."""

    def __init__(self, file: TableFile, columns: Sequence[str]) -> None:
        self._file = file
        self._columns = list(columns)
        self._batches: Iterator[tuple[int, pa.RecordBatch]] = iter(())
        self._row = -1
        self._left: pa.RecordBatch | None = None

    def read(self, start: int, stop: int) -> pa.RecordBatch:
        """Rows `start` up to `stop`."""
        if self._row < 0 or start < self._row:
            self._batches = iterate_batches(self._file, self._columns, [], start)
            self._row, self._left = 0, None
        parts: list[pa.RecordBatch] = []
        while self._row < stop:
            if self._left is None or self._left.num_rows == 0:
                following = next(self._batches, None)
                if following is None:
                    raise UserError(f"`{self._file.path}` changed while it was read; start again.")
                self._row, self._left = following
            ahead = max(0, start - self._row)
            taken = self._left.slice(ahead, max(0, stop - self._row - ahead))
            if taken.num_rows:
                parts.append(taken)
            used = min(self._left.num_rows, ahead + taken.num_rows)
            self._row += used
            self._left = self._left.slice(used)
        if len(parts) == 1:
            return parts[0]
        return pa.Table.from_batches(parts).combine_chunks().to_batches()[0] if parts else self._empty()

    def _empty(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([pa.array([], pa.string())] * len(self._columns), names=self._columns)


def find_csv_block(file: TableFile, columns: Sequence[str]) -> int:
    """Smallest block in which every row of a CSV fits (a 10 MB report needs a larger one than usual).

    Raises:
        UserError: A row is larger than a gigabyte, or a quoted field never ends.
    """
    block = file.csv_block
    while True:
        trial = TableFile(file.path, file.format, file.is_gzip, file.delimiter, block)
        try:
            for _ in _csv_batches(trial, columns, []):
                pass
        except _RowTooLong:
            if block >= _CSV_LARGEST_BLOCK:
                raise UserError(
                    f"`{file.path}` has a row of more than {_CSV_LARGEST_BLOCK >> 30} GB; is a quoted field left open?"
                ) from None
            block *= 4
        else:
            return block


class _RowTooLong(Exception):
    """A CSV row does not fit the block."""


@contextmanager
def _open_csv(
    file: TableFile, columns: Sequence[str] | None, bad_rows: list[BadRow]
) -> Iterator["pa.csv.CSVStreamingReader"]:
    from pyarrow import csv

    def note(row: "csv.InvalidRow") -> str:
        number = 0 if row.number is None else row.number - 1  # the header is physical row 1
        bad_rows.append(BadRow(number, f"has {row.actual_columns} fields where {row.expected_columns} were expected"))
        return "skip"

    with closing(open_bytes(file)) as stream:
        try:
            reader = csv.open_csv(
                stream,
                read_options=csv.ReadOptions(use_threads=False, block_size=file.csv_block),
                parse_options=csv.ParseOptions(
                    delimiter=file.delimiter, newlines_in_values=True, invalid_row_handler=note
                ),
                convert_options=csv.ConvertOptions(
                    include_columns=list(columns or ()) or None,
                    column_types={name: pa.binary() for name in columns or ()},
                    strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
        except pa.ArrowInvalid as error:
            raise _csv_error(file, error) from error
        except (OSError, EOFError) as error:
            raise UserError(f"`{file.path}` could not be read: {error}.") from error
        with closing(reader):
            yield reader


def _csv_error(file: TableFile, error: Exception) -> Exception:
    message = " ".join(str(error).split())
    if "straddling" in message or "block boundaries" in message:
        return _RowTooLong()
    if "Empty CSV" in message:
        return UserError(f"`{file.path}` is empty; expected a CSV file with a header line.")
    return UserError(f"`{file.path}` is not a readable CSV file: {message.split(':')[0]}.")


def _csv_batches(file: TableFile, columns: Sequence[str], bad_rows: list[BadRow]) -> Iterator[pa.RecordBatch]:
    with _open_csv(file, columns, bad_rows) as reader:
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except pa.ArrowInvalid as error:
                raise _csv_error(file, error) from error
            except (OSError, EOFError) as error:
                raise UserError(f"`{file.path}` is damaged or cut off: {error}.") from error
            yield batch


def _json_object(file: TableFile, line: bytes) -> dict[str, object]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise UserError(f"`{file.path}` does not hold one JSON object a line.") from error
    if not isinstance(value, dict):
        raise UserError(f"`{file.path}` does not hold one JSON object a line.")
    return value


def _json_batches(file: TableFile, columns: Sequence[str], bad_rows: list[BadRow]) -> Iterator[pa.RecordBatch]:
    rows: list[list[bytes | None]] = []
    with closing(open_bytes(file)) as stream:
        lines = iter(stream)
        number = 0
        while True:
            try:
                line = next(lines, None)
            except (OSError, EOFError) as error:
                raise UserError(f"`{file.path}` is damaged or cut off: {error}.") from error
            if line is None:
                break
            if not line.strip():
                continue
            number += 1
            try:
                rows.append(_json_row(line, columns))
            except ValueError as error:
                bad_rows.append(BadRow(number, str(error)))
            if len(rows) >= _JSON_ROWS:
                yield _json_batch(rows, columns)
                rows = []
    if rows:
        yield _json_batch(rows, columns)


def _json_row(line: bytes, columns: Sequence[str]) -> list[bytes | None]:
    from ltml_dataset.sources.base import decode_report

    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = decode_report(line)
    try:
        value = json.loads(text)
    except ValueError:
        raise ValueError("is not valid JSON") from None
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    row: list[bytes | None] = []
    for name in columns:
        cell = value.get(name)
        if isinstance(cell, (dict, list)):
            raise ValueError(f"holds no plain text in `{name}`")
        row.append(None if cell is None else str(cell).encode("utf-8", "surrogatepass"))
    return row


def _json_batch(rows: list[list[bytes | None]], columns: Sequence[str]) -> pa.RecordBatch:
    arrays = [pa.array(list(values), pa.binary()) for values in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _parquet(file: TableFile) -> "pa.parquet.ParquetFile":
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(file.path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"`{file.path}` is not a readable Parquet file: {str(error).split('.')[0]}.") from error


def _parquet_batches(file: TableFile, columns: Sequence[str], first_row: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    with closing(_parquet(file)) as table:
        row, groups = 0, list(range(table.num_row_groups))
        while groups and row + table.metadata.row_group(groups[0]).num_rows <= first_row:
            row += table.metadata.row_group(groups.pop(0)).num_rows
        if not groups:
            return
        try:
            for batch in table.iter_batches(batch_size=4096, row_groups=groups, columns=list(columns)):
                ordered = batch.select(list(columns))
                yield row, ordered
                row += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"`{file.path}` is damaged: {str(error).split('.')[0]}.") from error


def first_bytes(path: Path, count: int = 65_536) -> tuple[bytes, bool]:
    """The beginning of a file, unpacked if it is gzipped, and whether it is.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(count)
        if head[:2] != b"\x1f\x8b":
            return head, False
        with gzip.open(path) as unpacked:
            return unpacked.read1(count) if isinstance(unpacked, io.BufferedIOBase) else unpacked.read(count), True
    except (OSError, EOFError) as error:
        raise UserError(f"`{path}` could not be read: {error}.") from error
