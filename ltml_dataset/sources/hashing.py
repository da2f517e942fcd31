"""What identifies an input: its size and SHA-256, for a folder those of everything that is read in it."""

import hashlib
from pathlib import Path

from ltml_dataset.errors import UserError
from ltml_dataset.sources.mimic_tree import MimicTreeSource, find_report_root, read_report

_CHUNK = 1 << 20


def hash_input(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a source's input.

    For a folder: the sum of the sizes, and the SHA-256 over `<path in the folder>\\0<SHA-256>\\n` of its reports
    in the order in which they are read, so that it does not depend on how the disk lists them.

    Raises:
        UserError: A file cannot be read.
    """
    if not path.is_dir():
        return _hash_file(path)
    root = find_report_root(path)
    files = MimicTreeSource(root).report_paths() if root else sorted(path.rglob("*.xml"))
    total = 0
    digest = hashlib.sha256()
    for file in files:
        try:
            data = read_report(str(file))
        except OSError:  # named as skipped when it is read
            data = b""
        size, sha256 = len(data), hashlib.sha256(data).hexdigest()
        total += size
        digest.update(f"{file.relative_to(root or path).as_posix()}\0{sha256}\n".encode())
    return total, digest.hexdigest()


def _hash_file(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                digest.update(chunk)
    except OSError as error:
        raise UserError(f"`{path}` could not be read: {error.strerror or error}.") from error
    return size, digest.hexdigest()
