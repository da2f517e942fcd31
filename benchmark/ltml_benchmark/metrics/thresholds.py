"""Thresholds chosen on validation data."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ltml_benchmark.metrics.ranking import by_class, rank_positives


def best_thresholds(scores: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """For each class the threshold with the highest BACC on these data.

    The best cut always lies just below the score of a positive; the threshold is halfway to the next lower score. Of
    equally good cuts the highest is taken. Choose on validation, apply to test.

    Args:
        scores: (N, C).
        labels: (N, C) 0/1; -1 leaves an entry out.

    Returns:
        (C,) for `evaluate(..., threshold=...)`; 0.5 for a class without positives or without negatives.

    Raises:
        UserError: If shapes differ or scores are not numbers.

    Example:
        >>> best_thresholds([[0.1], [0.2], [0.3]], [[0], [0], [1]])
        array([0.25])
    """
    data = by_class(scores, labels)
    best = np.full(len(data.scores), 0.5)
    for c in range(len(best)):
        column, positive = data.column(c)
        ranked = rank_positives(column, positive)
        p, n = ranked.n_positive, ranked.n_negative
        if p == 0 or n == 0:
            continue
        found = p - ranked.positives_below()
        alarms = ranked.n_images - ranked.left - found
        youden = found / p - alarms / n
        upper = ranked.scores[len(youden) - 1 - int(np.argmax(youden[::-1]))]
        lower = column[column < upper].max(initial=-np.inf)
        best[c] = _between(lower, upper)
    return best


def _between(lower: np.floating[Any], upper: np.floating[Any]) -> float:
    """A threshold t of the scores' own type with lower <= t < upper."""
    if not np.isfinite(lower):
        return float(np.nextafter(upper, -np.inf, dtype=upper.dtype))
    middle = lower + (upper - lower) / 2
    return float(middle if lower <= middle < upper else lower)
