"""A table file on disk: what it is, and its bytes."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from ltml_dataset.errors import UserError

Format = Literal["csv", "jsonl", "parquet"]


@dataclass(frozen=True)
class TableFile:
    """A table on disk and how to read it."""

    path: Path
    format: Format
    is_gzip: bool
    delimiter: str = ","
    csv_block: int = 16 << 20
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
            return unpacked.read1(count), True
    except (OSError, EOFError) as error:
        raise UserError(f"`{path}` could not be read: {error}.") from error
