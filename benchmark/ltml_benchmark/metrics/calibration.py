"""How far probabilities can be taken at their word."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ltml_benchmark.errors import UserError
from ltml_benchmark.metrics.evaluate import ratio
from ltml_benchmark.metrics.ranking import by_class


@dataclass(frozen=True)
class Calibration:
    """Calibration per class, and the curve behind it."""

    ece: NDArray[np.float64]
    """(C,) expected calibration error: mean |observed share − mean probability| over images, by bin; NaN where every
    label is left out."""
    brier: NDArray[np.float64]
    """(C,) mean squared difference of probability and label; NaN where every label is left out."""
    mean_probability: NDArray[np.float64]
    """(C, bins), NaN for an empty bin."""
    observed: NDArray[np.float64]
    """(C, bins) share of positives, NaN for an empty bin."""
    images: NDArray[np.int64]
    """(C, bins)."""


def calibration(scores: ArrayLike, labels: ArrayLike, bins: int = 15) -> Calibration:
    """Expected calibration error and Brier score of each class.

    Args:
        scores: (N, C) probabilities.
        labels: (N, C) 0/1; -1 leaves an entry out.
        bins: Bins of equal width over [0, 1], each with its upper border.

    Returns:
        See `Calibration`. Defined for classes without positives as well.

    Raises:
        UserError: If a score is outside [0, 1] or shapes differ.
    """
    data = by_class(scores, labels)
    lowest, highest = data.scores.min(), data.scores.max()
    if lowest < 0 or highest > 1 or bins < 1:
        raise UserError(
            f"scores run from {lowest:g} to {highest:g} in {bins} bins; calibration needs probabilities "
            "between 0 and 1, apply a sigmoid to logits first"
        )
    n_classes = len(data.scores)
    total = np.zeros((n_classes, bins), dtype=np.int64)
    hits = np.zeros((n_classes, bins), dtype=np.int64)
    mass = np.zeros((n_classes, bins))
    brier = np.full(n_classes, np.nan)
    for c in range(n_classes):
        column, positive = data.column(c)
        if not len(column):
            continue
        p = column.astype(np.float64)
        place = np.clip(np.ceil(p * bins).astype(np.int64) - 1, 0, bins - 1)
        total[c] = np.bincount(place, minlength=bins)
        hits[c] = np.bincount(place[positive], minlength=bins)
        mass[c] = np.bincount(place, weights=p, minlength=bins)
        brier[c] = np.mean((p - positive) ** 2)
    return Calibration(
        ece=ratio(np.abs(hits - mass).sum(axis=1), data.images().astype(np.float64)),
        brier=brier,
        mean_probability=ratio(mass, total.astype(np.float64)),
        observed=ratio(hits.astype(np.float64), total.astype(np.float64)),
        images=total,
    )
