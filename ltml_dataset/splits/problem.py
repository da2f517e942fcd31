"""What is dealt to what: groups of equal counts, shares, tolerances and weights, all in whole numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import frexp, fsum, lcm

import numpy as np
import numpy.typing as npt

from ltml_dataset.splits.reach import TOLERANCE, can_balance, least_deviation

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SIZE_TOLERANCE = 1e-4
"""Aim for the size of a part, as a share of all images."""
_EXACT_BELOW = 100
"""Images of a label up to which it is worked out whether its groups can be balanced at all."""


@dataclass
class Problem:
    """What is to be dealt.

    Attributes:
        counts: (kinds, 1 + labels) images, then positives of each label, in one group of the kind.
        copies: (kinds,) number of groups of the kind.
        parts: shares of the parts as whole numbers (7, 1, 2).
        totals: (1 + labels,) images and positives in all.
        needed: (parts, 1 + labels) where at least one positive is owed.
        limits: (1 + labels,) how far a count may be from its target, times `whole` times 1 / `TOLERANCE`: the
            tolerance, or what a label's own groups can reach where that is more.
    """

    counts: Ints
    copies: Ints
    parts: Ints
    totals: Ints = field(init=False)
    limits: Ints = field(init=False)
    needed: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        """Totals, and where at least one positive is owed: any label with as many groups as there are parts."""
        self.totals = self.copies @ self.counts
        groups = self.copies @ (self.counts > 0)
        wanted = groups >= np.count_nonzero(self.parts)
        wanted[0] = False
        self.needed = (self.parts > 0)[:, None] & wanted[None, :]
        steps = int(1 / TOLERANCE)
        self.limits = self.whole * np.maximum(self.totals, steps)
        for d in np.flatnonzero((self.totals > 0) & (self.totals <= _EXACT_BELOW)):
            sizes = np.repeat(self.counts[:, d], np.where(self.counts[:, d] > 0, self.copies, 0)).tolist()
            if d > 0 and can_balance(sizes, self.parts.tolist()) is False:
                least = least_deviation(sizes, self.parts.tolist())
                self.limits[d] = max(
                    self.limits[d], steps * (int(self.totals[d]) * self.whole if least is None else least)
                )

    @property
    def whole(self) -> int:
        """Sum of the shares."""
        return int(self.parts.sum())

    def deviations(self, deal: Ints) -> Ints:
        """(parts, 1 + labels) count minus target, times `whole`."""
        return self.whole * (deal.T @ self.counts) - np.outer(self.parts, self.totals)

    def out_of_tolerance(self, deviations: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
        """(parts, 1 + labels) cells further from their target than `limits` allows."""
        outside: npt.NDArray[np.bool_] = np.abs(deviations) * int(1 / TOLERANCE) > self.limits
        return outside

    def excess(self, deviations: npt.NDArray[np.generic]) -> Ints:
        """(parts, 1 + labels) how far each cell lies beyond its limit, in thousandths of the limit."""
        beyond = np.abs(deviations).astype(np.int64) * int(1 / TOLERANCE) - self.limits
        thousandths: Ints = 1000 * np.maximum(beyond, 0) // self.limits
        return thousandths


def label_weights(problem: Problem) -> Floats:
    """Whole-number weights of size and labels: one over the square of half the tolerance.

    Scaled by a power of two so that no sum in the search can reach 2**53.
    """
    totals = problem.totals.astype(np.float64)
    half = np.maximum(totals * (float(TOLERANCE) / 2), 0.5)
    half[0] = max(totals[0] * (SIZE_TOLERANCE / 2), 0.5)
    wish = 1.0 / (half * half)
    largest = problem.counts.max(axis=0, initial=1).astype(np.float64)
    worst = fsum((wish * largest * problem.whole * np.maximum(totals, 1)).tolist())
    scale = 46 - frexp(worst)[1]  # leaves room for differences, and for weights that grow sixteenfold
    return np.maximum(np.rint(wish * 2.0 ** min(scale, 40)), 1.0)


def whole_shares(ratios: Sequence[float]) -> Ints:
    """Ratios as small whole numbers: (.7, .1, .2) -> (7, 1, 2); at most 10,000 in all."""
    if len(ratios) < 2 or not all(np.isfinite(r) and r >= 0 for r in ratios) or sum(ratios) <= 0:
        raise ValueError(f"ratios must be two or more numbers >= 0 with a positive sum, got {tuple(ratios)}")
    exact = [Fraction(str(r)) for r in ratios]
    shares = [r / sum(exact) for r in exact]
    whole = lcm(*(s.denominator for s in shares))
    if whole > 10_000:
        whole = 10_000
    parts = np.array([round(s * whole) for s in shares], dtype=np.int64)
    parts[np.argmax(parts)] += whole - parts.sum()
    return parts


def mix(values: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """64-bit hash of integers (splitmix64): the source of every random choice, equal on all platforms."""
    x = np.asarray(values).astype(np.uint64)
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
