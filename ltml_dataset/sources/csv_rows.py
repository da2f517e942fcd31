"""Rows of CSV files, by the block.

The file is cut here into blocks that end behind a row, and Arrow parses each from memory. Arrow's own stream reader
would read ahead in a thread that calls back into Python, and an interpreter that ends meanwhile is aborted.
"""

import csv as csv_module
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import IO

import pyarrow as pa

from ltml_dataset.errors import UserError, without_cells
from ltml_dataset.sources.table_file import BadRow, TableFile, open_bytes, reading

LARGEST_ROW = 256 << 20
"""Bytes of a CSV row; nothing that people write is longer, but an open quote makes such rows."""
_HEADER = 4 << 20


def csv_names(file: TableFile) -> list[str]:
    """Names of the columns.

    Raises:
        UserError: The file is not CSV.
    """
    with closing(open_bytes(file)) as stream:
        return _split_header(file, _read(file, stream, _HEADER))[0]


def csv_batches(file: TableFile, columns: Sequence[str], bad_rows: list[BadRow]) -> Iterator[pa.RecordBatch]:
    """The wanted columns as binary, block by block; rows with a wrong number of fields are noted and left out.

    Args:
        file: The table.
        columns: Columns to read.
        bad_rows: Receives the rows left out.

    Raises:
        UserError: The file is damaged, a row is too long, or a quoted field never ends and would swallow the rest.
    """
    from pyarrow import csv

    names = csv_names(file)
    convert = csv.ConvertOptions(
        include_columns=list(columns),
        column_types={name: pa.binary() for name in columns},
        strings_can_be_null=False,
        check_utf8=False,
    )
    n_rows = 0
    for block in csv_blocks(file):
        bad: list[BadRow] = []

        def note(row: "csv.InvalidRow", n_before: int = n_rows, bad: list[BadRow] = bad) -> str:
            number = n_before + (row.number or 0)
            bad.append(BadRow(number, f"has {row.actual_columns} fields where {row.expected_columns} were expected"))
            return "skip"

        try:
            table = csv.read_csv(
                pa.BufferReader(block),
                read_options=csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=names),
                parse_options=csv.ParseOptions(
                    delimiter=file.delimiter, newlines_in_values=True, invalid_row_handler=note
                ),
                convert_options=convert,
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):  # blank lines only
                continue
            raise UserError(f"`{file.path}` is not a readable CSV file: {without_cells(error)}.") from None
        bad_rows += bad
        n_rows += table.num_rows + len(bad)
        yield from table.combine_chunks().to_batches()


def csv_blocks(file: TableFile) -> Iterator[pa.Buffer]:
    """The rows behind the header as pieces of text that end behind a row.

    Raises:
        UserError: See `csv_batches`.
    """
    with closing(open_bytes(file)) as stream:
        _, start = _split_header(file, _read(file, stream, _HEADER))
    with closing(open_bytes(file)) as stream:
        _read(file, stream, start)
        quotes = _Quotes(ord(file.delimiter))
        waiting = bytearray()
        while True:
            cut = quotes.end_of_rows(waiting)
            if cut:
                yield pa.py_buffer(bytes(memoryview(waiting)[:cut]))
                del waiting[:cut]
                quotes.moved(cut)
            elif len(waiting) > LARGEST_ROW:
                raise UserError(
                    f"`{file.path}` has a row of more than {LARGEST_ROW >> 20} MB; is a quoted field left open?"
                )
            more = _read(file, stream, file.csv_block)
            if not more:
                break
            waiting += more
    if quotes.is_open_at_end(waiting):
        raise UserError(
            f"`{file.path}`: a quoted field is never closed, so everything behind it would be one report; "
            "close the quote (a quote inside a quoted field is written twice)."
        )
    if waiting.strip():
        yield pa.py_buffer(bytes(waiting))


@dataclass
class _Quotes:
    """Where quoted fields begin and end in a text that grows at its end, as Arrow's parser sees it."""

    delimiter: int
    place: int = 0
    """Everything before it is known."""
    is_open: bool = False

    def moved(self, n_bytes: int) -> None:
        """The text has lost its beginning."""
        self.place -= n_bytes

    def end_of_rows(self, text: bytearray) -> int:
        """End of the last whole row, 0 if there is none; looks at each byte once."""
        begin = self.place  # of what may hold the last row end
        last = 0
        while True:
            quote = text.find(b'"', self.place)
            if self.is_open:
                if quote < 0:
                    self.place = len(text)
                    return last
                if text[quote + 1 : quote + 2] == b'"':
                    self.place = quote + 2
                    continue
                if quote + 1 == len(text):  # whether it is doubled shows with the next byte
                    self.place = quote
                    return last
                self.is_open = False
                self.place = begin = quote + 1
                continue
            end = quote if quote >= 0 else len(text)
            row_end = max(text.rfind(b"\n", begin, end), text.rfind(b"\r", begin, end)) + 1
            last = row_end or last
            if quote < 0:
                self.place = len(text)
                return last
            before = text[quote - 1] if quote else 10
            self.is_open = before in (self.delimiter, 10, 13)
            self.place = quote + 1
            begin = quote + 1

    def is_open_at_end(self, text: bytearray) -> bool:
        """Whether the text ends within a quoted field; its last byte may be the quote that closes it."""
        return self.is_open and not (self.place == len(text) - 1 and text.endswith(b'"'))


def _split_header(file: TableFile, data: bytes) -> tuple[list[str], int]:
    """Column names, and where the rows begin."""
    start = 3 if data[:3] == b"\xef\xbb\xbf" else 0
    while data[start : start + 1] in (b"\n", b"\r"):
        start += 1
    quotes, end = False, start
    while end < len(data):
        byte = data[end]
        if byte == 34:
            quotes = not quotes
        elif byte in (10, 13) and not quotes:
            break
        end += 1
    header = decode_name(data[start:end])
    if not header.strip():
        raise UserError(f"`{file.path}` is empty; expected a CSV file with a header line.")
    csv_module.field_size_limit(max(csv_module.field_size_limit(), _HEADER))
    try:
        names = next(csv_module.reader([header], delimiter=file.delimiter))
    except (csv_module.Error, StopIteration):
        raise UserError(f"`{file.path}` is not a readable CSV file: its first line is no header.") from None
    return names, end


def decode_name(data: bytes) -> str:
    """A column name or header line, in UTF-8 or as Windows-1252."""
    from ltml_dataset.sources.base import decode_report

    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return decode_report(data)


def _read(file: TableFile, stream: IO[bytes], size: int) -> bytes:
    with reading(file.path):
        return stream.read(size)
