"""Order, errors and bounds of the local runner."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from worker_functions import die, refuse_three, square

from ltml_dataset.errors import UserError
from ltml_dataset.runners import run
from ltml_dataset.runners.local import UNDER_WAY_PER_WORKER

T = TypeVar("T")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_while_few_items_are_under_way(workers: int) -> None:
    taken = 0

    def numbers() -> Iterator[int]:
        nonlocal taken
        for number in range(1, 31):
            taken = number
            yield number

    seen = 0
    for result in run(square, numbers(), workers=workers):
        seen += 1
        assert result == seen * seen
        assert taken - seen < UNDER_WAY_PER_WORKER * workers
    assert seen == 30


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_worker_reaches_the_user(workers: int) -> None:
    with pytest.raises(UserError, match="three was not expected"):
        list(run(refuse_three, range(9), workers=workers))


def test_a_dead_worker_is_one_sentence() -> None:
    with pytest.raises(UserError, match="fewer --workers"):
        list(run(die, range(4), workers=2))


ENDLESS = """
import sys, time
from worker_functions import say_and_sleep
from ltml_dataset.runners import run

list(run(say_and_sleep, [sys.argv[1]] * 9, workers=2))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path: Path, number: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL
    )
    pids = wait_for(lambda: found if len(found := [int(path.name) for path in tmp_path.iterdir()]) == 2 else None)
    parent.send_signal(number)
    parent.wait(timeout=30)
    assert wait_for(lambda: True if not any(is_alive(pid) for pid in pids) else None)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # a process that ended and waits for its parent to notice does not count
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def wait_for(look: Callable[[], T | None], seconds: float = 30) -> T:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")
