"""A folder that appears whole: written under a hidden name, moved into place, manifest last."""

import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ltml_dataset.errors import UserError
from ltml_dataset.export.guard import check_apart
from ltml_dataset.export.manifest import FORMAT, MANIFEST_NAME, listed_files, read_manifest
from ltml_dataset.export.parquet import sync, write_text, writing

STAGING_NAME = ".unfinished"
LOCK_NAME = ".lock"
REPLACED_NAME = ".replaced.json"
"""Names of the files that leave and come while a data set is replaced."""
CARD_NAME = "README.md"


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yield a hidden folder inside `out`; when the block ends well, move its files into `out`.

    The block must write `manifest.json` last (`write_manifest`). All files of an earlier data set leave, card first,
    before the first new one comes, and the new card and manifest come last: a run killed in between shows as
    unfinished, and no reader ever sees files of both. What was to leave and to come is noted until all is done, so that
    a later call clears up. Files that no manifest lists stay.

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
            _replace(out, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _replace(out: Path, folder: Path) -> None:
    """Move a complete new data set into the place of an old one."""
    names = sorted(read_manifest(folder).files)
    note = out / REPLACED_NAME
    leaving = listed_files(out / MANIFEST_NAME) | listed_files(note)
    write_text(json.dumps({"files": dict.fromkeys(sorted(leaving | set(names)))}) + "\n", note)
    with writing(out):
        (out / MANIFEST_NAME).unlink(missing_ok=True)
        for name in sorted(leaving, key=lambda name: (name != CARD_NAME, name)):
            (out / name).unlink(missing_ok=True)
        sync(out)
        for name in sorted(names, key=lambda name: (name == CARD_NAME, name)):
            sync(folder / name)
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).replace(out / name)
        for parent in sorted({(out / name).parent for name in names}):
            sync(parent)
        sync(folder / MANIFEST_NAME)
        (folder / MANIFEST_NAME).replace(out / MANIFEST_NAME)
        note.unlink()
        sync(out)


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
        stream.write(FORMAT + "\n")  # says of a folder without manifest that it is ours
        stream.flush()
        yield


def check_out(out: Path, *, force: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse an output folder that holds something else than a data set of ours, or is read.

    Args:
        out: The folder to come, absent or not.
        force: Write even into a folder that holds other files; they stay.
        inputs: What is read.

    Raises:
        UserError: `out` is a file, is or lies in an input, or holds files and neither manifest nor mark of ours.
    """
    check_apart(out, inputs)
    if out.exists() and not out.is_dir():
        raise UserError(f"`{out}` is a file: give --out a folder, new or of an earlier build.")
    if not out.is_dir() or force:
        return
    others = [path.name for path in out.iterdir() if not path.name.startswith(".")]
    if others and not is_ours(out):
        raise UserError(
            f"`{out}` holds `{sorted(others)[0]}` but no data set of ours: give --out a new folder, or add --force "
            "to write beside what is there."
        )


def is_ours(folder: Path) -> bool:
    """Whether a folder holds a data set of ours, finished or not."""
    try:
        manifest = json.loads((folder / MANIFEST_NAME).read_bytes())
        if isinstance(manifest, dict) and str(manifest.get("format", "")).startswith("ltml-dataset/"):
            return True
    except (OSError, ValueError, RecursionError):
        pass
    try:
        return (folder / LOCK_NAME).read_text(encoding="utf-8").startswith("ltml-dataset/")
    except (OSError, ValueError):
        return False
