"""How near to the ratios can the groups of one label, taken alone, be dealt?"""

from collections.abc import Iterable, Sequence
from fractions import Fraction

TOLERANCE = Fraction(1, 1000)
"""A cell (label, split) is out of tolerance beyond this share of the label's images, or one image if that is more."""

_MAX_STATES = 20_000

State = tuple[int, ...]


def can_balance(sizes: Sequence[int], parts: Sequence[int]) -> bool | None:
    """Whether some deal of the groups puts every part within tolerance and leaves none without a positive.

    Walks all reachable counts, largest group first; counts above the tolerance are dropped, so labels of hundreds of
    images are settled quickly.

    Args:
        sizes: Images with the label in each group that has it.
        parts: Shares of the parts as whole numbers (7, 1, 2).

    Returns:
        None where the answer would take too long; such labels have groups enough to be balanced almost always.

    Example:
        >>> can_balance([1, 1, 1], (7, 1, 2)), can_balance([1, 1, 1, 1], (7, 1, 2))
        (False, True)
    """
    used = [part for part in parts if part > 0]
    total, whole = sum(sizes), sum(used)
    room = max(TOLERANCE * total, Fraction(1))
    highest = [int(Fraction(part * total, whole) + room) for part in used]
    states = _reachable(sizes, highest)
    if states is None:
        return None
    allowed = room * whole
    return any(_furthest(state, used, total) <= allowed for state in _complete(states, sizes))


def least_deviation(sizes: Sequence[int], parts: Sequence[int]) -> int | None:
    """Furthest count from its target in the best deal of the groups, times the sum of the shares.

    The best deal leaves no part without a positive where there are groups enough.

    Returns:
        None where the answer would take too long.

    Example:
        >>> least_deviation([5, 3, 1], (7, 1, 2))  # 5, 1 and 3, where 6.3, 0.9 and 1.8 are wanted
        13
    """
    used = [part for part in parts if part > 0]
    total = sum(sizes)
    states = _reachable(sizes, [total] * len(used))
    if states is None:
        return None
    return min(_furthest(state, used, total) for state in _complete(states, sizes))


def _reachable(sizes: Sequence[int], highest: Sequence[int]) -> set[State] | None:
    """All counts by part that some deal gives, none above `highest`; None if they are too many."""
    states: set[State] = {(0,) * len(highest)}
    for size in sorted(sizes, reverse=True):
        states = {
            (*state[:k], state[k] + size, *state[k + 1 :])
            for state in states
            for k in range(len(highest))
            if state[k] + size <= highest[k]
        }
        if len(states) > _MAX_STATES:
            return None
    return states


def _complete(states: Iterable[State], sizes: Sequence[int]) -> Iterable[State]:
    """Counts that leave no part empty, where there are groups enough."""
    return (state for state in states if len(sizes) < len(state) or min(state) > 0)


def _furthest(state: State, used: Sequence[int], total: int) -> int:
    """Largest deviation of a part, times the sum of the shares."""
    whole = sum(used)
    return max(abs(whole * count - part * total) for count, part in zip(state, used, strict=True))
