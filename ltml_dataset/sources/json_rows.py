"""Rows of files with one JSON object a line."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing

import pyarrow as pa

from ltml_dataset.errors import UserError
from ltml_dataset.sources.table_file import BadRow, TableFile, open_bytes

BOM = b"\xef\xbb\xbf"
_JSON_ROWS = 1024


def json_names(file: TableFile) -> list[str]:
    """Keys of the first object.

    Raises:
        UserError: The file does not begin with a JSON object.
    """
    with closing(open_bytes(file)) as stream:
        for line in stream:
            if line.strip():
                return list(_json_object(file, line))
    raise UserError(f"`{file.path}` is empty; expected one JSON object a line.")


def _json_object(file: TableFile, line: bytes) -> dict[str, object]:
    try:
        value = json.loads(line.decode("utf-8-sig", "surrogateescape"))
    except ValueError as error:
        raise UserError(f"`{file.path}` does not hold one JSON object a line.") from error
    if not isinstance(value, dict):
        raise UserError(f"`{file.path}` does not hold one JSON object a line.")
    return value


def json_batches(file: TableFile, columns: Sequence[str], bad_rows: list[BadRow]) -> Iterator[pa.RecordBatch]:
    """The wanted keys as binary; lines that are no objects or hold no plain text there are noted and left out."""
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
                rows.append(_json_row(line.removeprefix(BOM) if number == 1 else line, columns))
            except ValueError as error:
                bad_rows.append(BadRow(number, str(error)))
            if len(rows) >= _JSON_ROWS:
                yield _json_batch(rows, columns)
                rows = []
    if rows:
        yield _json_batch(rows, columns)


def _json_row(line: bytes, columns: Sequence[str]) -> list[bytes | None]:
    try:
        value = json.loads(line.decode("utf-8", "surrogateescape"))  # other bytes pass through as they are
    except ValueError:
        raise ValueError("is not valid JSON") from None
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    row: list[bytes | None] = []
    for name in columns:
        cell = value.get(name)
        if isinstance(cell, (dict, list)):
            raise ValueError(f"holds no plain text in `{name}`")
        row.append(None if cell is None else _encoded(str(cell)))
    return row


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of an escaped pair such as "\\ud83d"
        return text.encode("utf-8", "replace")


def _json_batch(rows: list[list[bytes | None]], columns: Sequence[str]) -> pa.RecordBatch:
    arrays = [pa.array(list(values), pa.binary()) for values in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))
