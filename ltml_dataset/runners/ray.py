"""Ray: actors of one machine or a cluster, each with its own copy of the function."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from ltml_dataset.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

UNDER_WAY_PER_WORKER = 3


def run_on_ray(work: Callable[[Item], Result], items: Iterable[Item], workers: int | None) -> Iterator[Result]:
    """Results in the order of the items.

    An existing cluster (`RAY_ADDRESS`) is used; otherwise Ray starts on this machine and stops at the end. All
    machines must see the input and the output folder under the same path.

    Raises:
        UserError: Ray is not installed.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--runner ray needs Ray: install `ltml-mimic-cxr[ray]`, or use --runner local.") from None

    started_here = not ray.is_initialized()
    if started_here:
        ray.init(num_cpus=workers, include_dashboard=False, configure_logging=False, log_to_driver=False)
    try:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        n_workers = workers or max(1, int(resources.get("CPU", 1)))
        actor: Any = ray.remote(num_cpus=1)(_Worker)
        actors = [actor.remote(work) for _ in range(n_workers)]
        waiting: deque[Any] = deque()
        for index, item in enumerate(items):
            waiting.append(actors[index % n_workers].work_on.remote(item))
            if len(waiting) >= UNDER_WAY_PER_WORKER * n_workers:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())
    finally:
        if started_here:
            ray.shutdown()


class _Worker:
    """The function, kept by one Ray actor."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def work_on(self, item: Any) -> Any:
        return self._work(item)


def _result(reference: Any) -> Any:
    """The result of one item; a user's error inside a worker stays one."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
    except ray.exceptions.RayActorError:
        raise UserError(
            "a Ray worker ended before its work did, most often for lack of memory: repeat the call with fewer "
            "--workers; it goes on where it stopped."
        ) from None
