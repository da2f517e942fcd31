"""Where work runs: this process, processes of this machine, or a cluster."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ltml_dataset.config import Runner

Item = TypeVar("Item")
Result = TypeVar("Result")


def run(
    work: Callable[[Item], Result], items: Iterable[Item], *, runner: Runner = "local", workers: int | None = None
) -> Iterator[Result]:
    """Apply a picklable function to every item; results come in the order of the items, as soon as they can.

    Only a few items are under way at a time, so memory does not grow with their number.

    Args:
        work: A pure function or a picklable callable; it is sent to every worker once.
        items: Picklable items.
        runner: local, ray or spark; the last two are extras and need a cluster that sees the same folders.
        workers: Processes; 1 is this process alone, None one per core.

    Raises:
        UserError: The engine is not installed, or a worker died.
    """
    if runner == "ray":
        from ltml_dataset.runners.ray import run_on_ray

        return run_on_ray(work, items, workers)
    if runner == "spark":
        from ltml_dataset.runners.spark import run_on_spark

        return run_on_spark(work, items, workers)
    from ltml_dataset.runners.local import run_here

    return run_here(work, items, workers)
