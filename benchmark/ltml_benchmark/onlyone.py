"""One job at a time in a folder; the second is told."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ltml_benchmark.errors import UserError

LOCK_FILE = "in-use.lock"


@contextmanager
def only_one(folder: Path, doing: str) -> Iterator[None]:
    """Hold a folder while a job writes into it.

    The operating system lets go when the process ends, however it ends, so a killed job never blocks the next one.
    Of the processes of one distributed job the first holds it for all.

    Args:
        folder: Made where it is not there; removed again where the job left nothing in it.
        doing: What the other job does, for the sentence.

    Raises:
        UserError: Another job holds it.
    """
    if not is_first_of_the_job():
        yield
        return
    was_there = folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another job"
            file.close()
            raise UserError(
                f"{holder} is {doing} {folder} at this moment; wait for it, or give another --out."
            ) from error
        if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            break
        file.close()  # its holder removed the file between our opening and locking it
    file.truncate(0)
    file.write(f"Process {os.getpid()} on {socket.gethostname()}")
    file.flush()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()
        if not was_there and not any(folder.iterdir()):
            folder.rmdir()


def is_first_of_the_job() -> bool:
    """Whether this is the first process of a distributed job (or the only one), before processes know each other."""
    rank = os.environ.get("RANK")
    if rank is not None:
        return int(rank) == 0
    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    return int(os.environ.get("LOCAL_RANK", "0")) == 0 and int(node) == 0
