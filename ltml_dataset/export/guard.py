"""What an output may never replace: an input, a device, or what somebody else has put there."""

from collections.abc import Callable, Iterable
from pathlib import Path

from ltml_dataset.errors import UserError


def check_file(
    out: Path,
    inputs: Iterable[Path],
    *,
    flag: str = "--out",
    is_ours: Callable[[bytes], bool] | None = None,
) -> None:
    """Refuse an output file that would destroy something.

    Args:
        out: The file to come, absent or of an earlier call.
        inputs: Files and folders that are read.
        flag: The option that names it, for messages.
        is_ours: Whether the first bytes of a file that is there are of a file of this kind; anything goes without.

    Raises:
        UserError: It is an input or lies in one, is a folder, a pipe or a device, or a file of another kind.
    """
    check_apart(out, inputs, flag=flag)
    if out.is_dir():
        raise UserError(f"`{out}` is a folder: give {flag} the name of a file.")
    if out.exists() and not out.is_file():
        raise UserError(f"`{out}` is a pipe or a device: give {flag} the name of a file.")
    if is_ours is not None and out.is_file():
        try:
            with out.open("rb") as stream:
                start = stream.read(4096)
        except OSError as error:
            raise UserError(f"`{out}` could not be looked into ({error.strerror}): give another {flag}.") from error
        if start and not is_ours(start):
            raise UserError(f"`{out}` is there and is no file of this command: give another {flag}, or remove it.")


def check_apart(out: Path, inputs: Iterable[Path], *, flag: str = "--out") -> None:
    """Refuse an output that is an input, by whatever name or link, or lies inside one.

    Raises:
        UserError: See above.
    """
    place = out.resolve()
    for path in inputs:
        source = path.resolve()
        is_same = place == source or (out.exists() and path.exists() and out.samefile(path))
        if is_same or (source.is_dir() and source in place.parents):
            where = "is" if is_same else "lies in"
            raise UserError(f"`{out}` {where} `{path}`, which is read: give {flag} another place.")


def is_parquet(start: bytes) -> bool:
    """Whether a file begins as Parquet does."""
    return start.startswith(b"PAR1")
