"""A folder that appears whole: written under a hidden name, moved into place, manifest last."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ltml_dataset.errors import UserError
from ltml_dataset.export.manifest import MANIFEST_NAME, read_manifest, remove_stale_files
from ltml_dataset.export.parquet import writing

STAGING_NAME = ".unfinished"
LOCK_NAME = ".lock"


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yield a hidden folder inside `out`; when the block ends well, move its files into `out`.

    The block must write `manifest.json` last (`write_manifest`). While files move there is no manifest in `out`, so a
    run killed in between shows as unfinished and never as a mixture. Files of an earlier data set that the new one
    does not have are removed; files that no manifest lists stay.

    Raises:
        UserError: The operating system refuses, or another call is writing the folder.
    """
    folder = out / STAGING_NAME
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    with _alone_in(out):
        try:
            with writing(out):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            yield folder
            names = sorted(read_manifest(folder).files)
            remove_stale_files(out, keep=names)
            with writing(out):
                for name in [*names, MANIFEST_NAME]:
                    (out / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).replace(out / name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Hold the lock of an output folder; it goes with the process, however that ends."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    path = out / LOCK_NAME
    with writing(path):
        stream = path.open("w")
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another call is writing `{out}`: wait for it, or give another --out.") from None
        except OSError:  # a file system without locks
            logging.getLogger(__name__).debug("no lock on %s", path)
        yield


def check_out(out: Path, *, force: bool) -> None:
    """Refuse an output folder that holds something else than a data set of ours.

    Args:
        out: The folder to come, absent or not.
        force: Write even into a folder that holds other files; they stay.

    Raises:
        UserError: `out` is a file, or holds files and no manifest.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"`{out}` is a file: give --out a folder, new or of an earlier build.")
    if not out.is_dir() or force:
        return
    others = [path.name for path in out.iterdir() if not path.name.startswith(".")]
    if others and not (out / MANIFEST_NAME).is_file() and not (out / ".cache").is_dir():
        raise UserError(
            f"`{out}` holds `{sorted(others)[0]}` but no data set of ours: give --out a new folder, or add --force "
            "to write beside what is there."
        )
