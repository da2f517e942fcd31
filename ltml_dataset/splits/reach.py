"""Can the groups of one label, taken alone, be dealt within tolerance at all?"""

from collections.abc import Sequence
from fractions import Fraction

TOLERANCE = Fraction(1, 1000)
"""A cell (label, split) is out of tolerance beyond this share of the label's images, or one image if that is more."""

_MAX_STATES = 200_000
"""Counts looked at, over all groups, before the question is given up: a few tenths of a second."""


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
    lowest = [Fraction(part * total, whole) - room for part in used]
    owed = len(sizes) >= len(used)
    states = {(0,) * len(used)}
    n_seen = 0
    for size in sorted(sizes, reverse=True):
        states = {
            (*state[:k], state[k] + size, *state[k + 1 :])
            for state in states
            for k in range(len(used))
            if state[k] + size <= highest[k]
        }
        n_seen += len(states)
        if n_seen > _MAX_STATES:
            return None
    return any(
        all(count >= low and (count > 0 or not owed) for count, low in zip(state, lowest, strict=True))
        for state in states
    )
