"""Order, errors and bounds of the local runner."""

from collections.abc import Iterator

import pytest
from worker_functions import die, refuse_three, square

from ltml_dataset.errors import UserError
from ltml_dataset.runners import run
from ltml_dataset.runners.local import UNDER_WAY_PER_WORKER


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
