"""Where the positives of a class stand among all images, without sorting what need not be sorted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ltml_benchmark.errors import UserError

Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Positives of one class among all its images.

    `left[i]` and `right[i]` count the images whose score is below, and at most, that of the i-th positive.
    """

    scores: Scores  # (P,) scores of the positives, ascending
    left: NDArray[np.int64]  # (P,)
    right: NDArray[np.int64]  # (P,)
    n_images: int

    @property
    def n_positive(self) -> int:
        """P."""
        return len(self.scores)

    @property
    def n_negative(self) -> int:
        """N − P."""
        return self.n_images - len(self.scores)

    def positives_below(self) -> NDArray[np.int64]:
        """(P,) number of positives whose score is below that of the i-th."""
        return tied_first(self.scores)

    def auc(self) -> float:
        """Area under the ROC curve with ties counted half; NaN without positives or without negatives."""
        p, n = self.n_positive, self.n_negative
        if p == 0 or n == 0:
            return float("nan")
        twice_rank_sum = int(self.left.sum()) + int(self.right.sum()) + p
        return (twice_rank_sum - p * (p + 1)) / (2 * p * n)

    def average_precision(self) -> float:
        """Σ (R_k − R_{k−1}) P_k over distinct scores, as scikit-learn computes it; NaN without positives."""
        p = self.n_positive
        if p == 0:
            return float("nan")
        return float(np.mean((p - self.positives_below()) / (self.n_images - self.left)))


def tied_first(ascending: NDArray[np.generic]) -> NDArray[np.int64]:
    """For each entry of an ascending vector the position of the first entry equal to it."""
    position = np.arange(len(ascending))
    starts = np.ones(len(ascending), dtype=bool)
    np.not_equal(ascending[1:], ascending[:-1], out=starts[1:])
    if starts.all():
        return position
    return np.maximum.accumulate(np.where(starts, position, 0))


@dataclass(frozen=True, slots=True)
class ByClass:
    """Scores and labels class by class, contiguous."""

    scores: Scores  # (C, N) float32 or float64
    positive: NDArray[np.bool_]  # (C, N)
    known: NDArray[np.bool_] | None  # (C, N), False where a label is left out; None when none is

    def column(self, c: int) -> tuple[Scores, NDArray[np.bool_]]:
        """Scores (n,) and positives (n,) of the images whose label of class `c` is known."""
        if self.known is None:
            return self.scores[c], self.positive[c]
        return self.scores[c][self.known[c]], self.positive[c][self.known[c]]

    def rows(self, c: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of one value per image those that belong to `column(c)`."""
        return values if self.known is None else values[self.known[c]]

    def images(self) -> NDArray[np.int64]:
        """(C,) number of images with a known label."""
        if self.known is None:
            return np.full(len(self.scores), self.scores.shape[1], dtype=np.int64)
        return np.asarray(np.count_nonzero(self.known, axis=1), dtype=np.int64)

    def some_known(self) -> NDArray[np.bool_] | None:
        """(N,) images with a known label in any class; None where that is every image."""
        return None if self.known is None else np.asarray(self.known.any(axis=0))


def by_class(scores: ArrayLike, labels: ArrayLike) -> ByClass:
    """Scores and labels checked and laid out class by class.

    Args:
        scores: (N, C), any float type; half precision becomes float32.
        labels: (N, C), positive where above 0, left out where below.

    Returns:
        See `ByClass`.

    Raises:
        UserError: If the shapes differ, are not (N, C), or a score is not a number.
    """
    s, y = np.asarray(scores), np.asarray(labels)
    if s.shape != y.shape or s.ndim != 2 or s.size == 0:
        raise UserError(f"scores are {s.shape} and labels {y.shape}, both must be (images, classes) with at least one")
    if s.dtype not in (np.float32, np.float64):
        s = s.astype(np.float32 if s.dtype == np.float16 else np.float64)
    columns = np.ascontiguousarray(s.T)
    lowest = columns.min(axis=1)
    if np.isnan(lowest).any():
        raise UserError(
            f"scores of class {int(np.flatnonzero(np.isnan(lowest))[0])} hold values that are not numbers; "
            "look for a diverged training or a missing prediction"
        )
    if y.dtype == np.bool_:
        return ByClass(columns, np.ascontiguousarray(y.T), None)
    some_left_out = y.dtype.kind != "u" and y.min() < 0
    known = np.ascontiguousarray((y >= 0).T) if some_left_out else None
    return ByClass(columns, np.ascontiguousarray((y > 0).T), known)


def rank_positives(column: Scores, positive: NDArray[np.bool_]) -> Ranked:
    """Rank the positives of one class.

    Scores are put into as many cells as there are images, in order, equal on the scale of the square root above the
    lowest score (probabilities of rare classes crowd there; a root, like the other steps, never swaps two scores). Only
    cells that hold a positive are sorted; of all others the number is enough. Exact for any distribution of scores.

    Args:
        column: (N,) scores without NaN.
        positive: (N,) bool.

    Returns:
        See `Ranked`.
    """
    n = len(column)
    mine = np.sort(column[positive])
    if len(mine) == 0:
        nothing = np.zeros(0, dtype=np.int64)
        return Ranked(mine, nothing, nothing, n)
    lowest, span = column.min(), float(column.max()) - float(column.min())
    scale = (n - 1) / span**0.5 if 0 < span < np.inf else 0.0
    if not 0 < scale < np.finfo(column.dtype).max:
        everything = np.sort(column)
        return Ranked(mine, *_around(everything, mine), n)
    factor = column.dtype.type(scale)
    cell = (np.sqrt(column - lowest) * factor).astype(np.int64)
    my_cell = (np.sqrt(mine - lowest) * factor).astype(np.int64)
    held = np.bincount(cell, minlength=n)
    sorted_cells = np.zeros(len(held), dtype=bool)
    sorted_cells[my_cell] = True
    held[sorted_cells] = 0
    elsewhere_below = np.cumsum(held)[my_cell]
    left, right = _around(np.sort(column[sorted_cells[cell]]), mine)
    return Ranked(mine, left + elsewhere_below, right + elsewhere_below, n)


def _around(everything: Scores, mine: Scores) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of entries of an ascending vector below, and at most, each of `mine`."""
    left = np.searchsorted(everything, mine, side="left")
    if (everything[1:] == everything[:-1]).any():
        return left, np.searchsorted(everything, mine, side="right")
    return left, left + 1
