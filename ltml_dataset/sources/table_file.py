"""A table file on disk: what it is, and its bytes."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
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
    is_array: bool = False
    """One JSON array of objects instead of one object a line."""
    csv_block: int = 16 << 20
    """Bytes of CSV parsed at once, or more where a row is longer."""


@dataclass(frozen=True)
class BadRow:
    """A row that the reader left out."""

    number: int
    """Row in the file, from 1, the header not counted."""
    reason: str


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into one sentence.

    Raises:
        UserError: The file is cut off or damaged, or the operating system refuses.
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"`{path}` is damaged or cut off ({' '.join(str(error).split())}): copy or download it again."
        ) from error
    except OSError as error:
        raise UserError(f"`{path}` could not be read: {error.strerror or error}.") from error


def require_file(path: Path) -> None:
    """Refuse what is no ordinary file, before reading it could wait for ever.

    Raises:
        UserError: The path is a pipe, a device or a socket.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UserError(f"`{path}` is a pipe or a device, not a file: write it to a file and give that.")


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
    require_file(path)
    with reading(path):
        with path.open("rb") as stream:
            head = stream.read(count)
        if head[:2] != b"\x1f\x8b":
            return head, False
        with gzip.open(path) as unpacked:
            return unpacked.read1(count), True
