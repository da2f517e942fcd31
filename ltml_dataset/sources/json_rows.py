"""Rows of JSON files: one object a line, or one array of objects."""

import codecs
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import IO

import pyarrow as pa

from ltml_dataset.errors import UserError
from ltml_dataset.sources.table_file import BadRow, TableFile, open_bytes, reading

BOM = b"\xef\xbb\xbf"
_JSON_ROWS = 1024
_READ = 1 << 20
_LARGEST_ROW = 256 << 20
_EXPECTED = "expected JSON lines (one JSON object a line) or one array of objects"


def json_names(file: TableFile) -> list[str]:
    """Keys of the first object.

    Raises:
        UserError: The file does not begin with a JSON object.
    """
    for _, value in json_values(file):
        if isinstance(value, dict):
            if value and all(isinstance(cell, (list, dict)) for cell in value.values()):
                raise UserError(
                    f"`{file.path}` is one JSON object of lists or objects, not a table; {_EXPECTED}, for example the "
                    f"list under one of its keys."
                )
            return [str(name) for name in value]
        raise UserError(f"`{file.path}` is no table of JSON objects; {_EXPECTED}.")
    raise UserError(f"`{file.path}` is empty; {_EXPECTED}.")


def json_batches(file: TableFile, columns: Sequence[str], bad_rows: list[BadRow]) -> Iterator[pa.RecordBatch]:
    """The wanted keys as binary; what is no object or holds no plain text there is noted and left out.

    Raises:
        UserError: The file is damaged, or an array breaks off.
    """
    rows: list[list[bytes | None]] = []
    for number, value in json_values(file):
        try:
            rows.append(_json_row(value, columns))
        except ValueError as error:
            bad_rows.append(BadRow(number, str(error)))
        if len(rows) >= _JSON_ROWS:
            yield _json_batch(rows, columns)
            rows = []
    if rows:
        yield _json_batch(rows, columns)


def json_values(file: TableFile) -> Iterator[tuple[int, object]]:
    """Number, from 1, and value of each line or element; a `ValueError` in place of what is no JSON."""
    with closing(open_bytes(file)) as stream:
        yield from _elements(file, stream) if file.is_array else _lines(file, stream)


def _lines(file: TableFile, stream: IO[bytes]) -> Iterator[tuple[int, object]]:
    number = 0
    while True:
        with reading(file.path):
            line = stream.readline(_LARGEST_ROW)
        if not line:
            return
        if len(line) == _LARGEST_ROW:
            raise UserError(f"`{file.path}` has a line of more than {_LARGEST_ROW >> 20} MB; {_EXPECTED}.")
        if not line.strip():
            continue
        number += 1
        try:  # bytes that are not UTF-8 pass through as they are
            yield (
                number,
                json.loads((line.removeprefix(BOM) if number == 1 else line).decode("utf-8", "surrogateescape")),
            )
        except RecursionError:
            yield number, ValueError("is nested too deeply")
        except ValueError:
            yield number, ValueError("is not valid JSON")


def _elements(file: TableFile, stream: IO[bytes]) -> Iterator[tuple[int, object]]:
    """Elements of one array, in memory that does not grow with their number."""
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    decoder = json.JSONDecoder()
    text, place, number, needed = "", 0, 0, 0
    is_first, is_end = True, False
    while True:
        if len(text) - place <= needed and not is_end:
            with reading(file.path):
                data = stream.read(max(_READ, needed))
            is_end = not data
            text, place = text[place:] + decode(data, final=is_end), 0
        if is_first:
            place = text.index("[") + 1
            is_first = False
        place = _skip(text, place, " \t\r\n" if number == 0 else " \t\r\n,")
        if place < len(text) and text[place] == "]":
            return
        try:
            value, place = decoder.raw_decode(text, place)
            if place == len(text) and not is_end:  # a number may go on
                raise ValueError
        except RecursionError:
            raise UserError(f"`{file.path}`: element {number + 1} is nested too deeply.") from None
        except ValueError:
            if is_end or len(text) - place > _LARGEST_ROW:
                raise UserError(
                    f"`{file.path}` breaks off or is no JSON behind element {number} of its array; {_EXPECTED}."
                ) from None
            needed = max(_READ, 2 * (len(text) - place))
            continue
        needed = 0
        number += 1
        yield number, value


def _skip(text: str, place: int, marks: str) -> int:
    while place < len(text) and text[place] in marks:
        place += 1
    return place


def _json_row(value: object, columns: Sequence[str]) -> list[bytes | None]:
    if isinstance(value, ValueError):
        raise value
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    row: list[bytes | None] = []
    for name in columns:
        cell = value.get(name)
        if isinstance(cell, (dict, list)):
            raise ValueError(f"holds no plain text in `{name}`")
        is_missing = cell is None or (isinstance(cell, float) and math.isnan(cell))
        row.append(None if is_missing else _encoded(str(cell)))
    return row


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of an escaped pair such as "\\ud83d"
        return text.encode("utf-8", "replace")


def _json_batch(rows: list[list[bytes | None]], columns: Sequence[str]) -> pa.RecordBatch:
    arrays = [pa.array(list(values), pa.binary()) for values in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))
