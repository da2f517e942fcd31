"""Processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from ltml_dataset.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

UNDER_WAY_PER_WORKER = 3
"""Items handed out ahead, so that no worker waits for the one result that must come first."""


def n_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_here(work: Callable[[Item], Result], items: Iterable[Item], workers: int | None) -> Iterator[Result]:
    """Results in the order of the items, from this process or from a pool.

    Workers start fresh (spawn), because a forked copy of a process with Arrow's threads can hang; they end with their
    parent, even when that is killed.
    """
    workers = workers or n_cores()
    if workers == 1:
        for item in items:
            yield work(item)
        return
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(work,)
    )
    waiting: deque[Future[Any]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(_work_on, item))
            if len(waiting) >= UNDER_WAY_PER_WORKER * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise UserError(
            f"one of the {workers} worker processes ended before its work did, most often for lack of memory: repeat "
            "the call with fewer --workers; it goes on where it stopped."
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_work: Callable[[Any], Any] | None = None


def _start_worker(work: Callable[[Any], Any]) -> None:
    """Keep the function of this worker, leave Ctrl-C to the parent, and end with it."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work_on(item: Any) -> Any:
    if _work is None:
        raise RuntimeError("the worker was not started")
    return _work(item)
