"""Rows of CSV files, by the block, with a check that no quote was left open."""

import csv as csv_module
import io
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import IO

import pyarrow as pa

from ltml_dataset.errors import UserError
from ltml_dataset.sources.table_file import BadRow, TableFile, open_bytes

_CSV_LARGEST_BLOCK = 1 << 30
_END_MARK = b"the end of the table"


def csv_names(file: TableFile) -> list[str]:
    """Names of the columns.

    Raises:
        UserError: The file is not CSV.
    """
    with _open_csv(file, None, []) as reader:
        return list(reader.schema.names)


def csv_batches(
    file: TableFile, columns: Sequence[str], bad_rows: list[BadRow], end: bytes = b""
) -> Iterator[pa.RecordBatch]:
    """The wanted columns as binary, block by block; rows with a wrong number of fields are noted and left out.

    Args:
        file: The table.
        columns: Columns to read.
        bad_rows: Receives the rows left out.
        end: Text of a last row put behind the file's own.
    """
    with _open_csv(file, columns, bad_rows, end) as reader:
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


def check_csv(file: TableFile, columns: Sequence[str]) -> TableFile:
    """The same CSV with a block in which every row fits (a 10 MB report needs a larger one), read once to the end.

    Raises:
        UserError: A row is larger than a gigabyte, or a quoted field never ends and would swallow the rest.
    """
    while True:
        last: pa.RecordBatch | None = None
        try:
            for batch in csv_batches(file, columns, [], end=_END_MARK):
                last = batch if batch.num_rows else last
        except _RowTooLong:
            if file.csv_block >= _CSV_LARGEST_BLOCK:
                raise UserError(
                    f"`{file.path}` has a row of more than a gigabyte; is a quoted field left open?"
                ) from None
            file = replace(file, csv_block=file.csv_block * 4)
            continue
        if last is None or any(column[-1].as_py() != _END_MARK for column in last.columns):
            raise UserError(
                f"`{file.path}`: a quoted field is never closed, so everything behind it would be one report; "
                "close the quote (a quote inside a quoted field is written twice)."
            )
        return file


@contextmanager
def _open_csv(
    file: TableFile, columns: Sequence[str] | None, bad_rows: list[BadRow], end: bytes = b""
) -> Iterator["pa.csv.CSVStreamingReader"]:
    from pyarrow import csv

    def note(row: "csv.InvalidRow") -> str:
        number = 0 if row.number is None else row.number - 1  # the header is physical row 1
        bad_rows.append(BadRow(number, f"has {row.actual_columns} fields where {row.expected_columns} were expected"))
        return "skip"

    with closing(open_bytes(file)) as stream:
        try:
            reader = csv.open_csv(
                _WithEnd(stream, file.delimiter, end) if end else stream,
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


class _WithEnd(io.RawIOBase):
    """A CSV with one more row of marks: where it does not come out as a row, a quote was left open."""

    def __init__(self, stream: IO[bytes], delimiter: str, mark: bytes) -> None:
        self._stream = stream
        self._delimiter = delimiter
        self._mark = mark
        self._n_columns = 0
        self._left: bytes | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._left is None:
            data = self._stream.read(size)
            if not self._n_columns:
                header = data.split(b"\n", 1)[0].decode("utf-8-sig", "replace").rstrip("\r")
                self._n_columns = len(next(csv_module.reader([header], delimiter=self._delimiter), []))
            if data:
                return data
            self._left = b"\n" + self._delimiter.encode().join([self._mark] * self._n_columns) + b"\n"
        size = len(self._left) if size < 0 else size
        data, self._left = self._left[:size], self._left[size:]
        return data


class _RowTooLong(Exception):
    """A CSV row does not fit the block."""


def _csv_error(file: TableFile, error: Exception) -> Exception:
    message = " ".join(str(error).split())
    if "straddling" in message or "block boundaries" in message:
        return _RowTooLong()
    if "Empty CSV" in message:
        return UserError(f"`{file.path}` is empty; expected a CSV file with a header line.")
    return UserError(f"`{file.path}` is not a readable CSV file: {message.split(':')[0]}.")
