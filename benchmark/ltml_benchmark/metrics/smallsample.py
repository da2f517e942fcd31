"""Intervals that hold with a handful of positives, where a bootstrap has nothing to draw from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from ltml_benchmark.metrics.ranking import Scores, tied_first

Floats = NDArray[np.float64]
FEW_POSITIVES = 10
"""Classes with positives in fewer patients than this are marked wherever their numbers are shown."""
_SMALLEST = 1e-9


@dataclass(frozen=True)
class RankInterval:
    """Bounds of AUC and AP of one class; NaN where undefined."""

    auc: tuple[float, float]
    ap: tuple[float, float]
    ap_without_itself: float
    """AP when no positive counts as found by itself: too low on average, as AP is too high."""
    positive_patients: int


def rank_interval(column: Scores, positive: NDArray[np.bool_], owner: NDArray[np.int64], level: float) -> RankInterval:
    """Bounds of AUC and AP from the ranks of one class.

    AUC: Newcombe's method 5 (Statistics in Medicine 25:559, 2006), a score interval with the variance that the
    Mann-Whitney statistic has at the bound itself. AP: the logit interval of Boyd, Eng and Page (ECML 2013), its upper
    bound around AP and its lower bound around AP without itself. A positive is always found at its own threshold, which
    lifts AP with few positives; not counting it lowers it; the truth lies between the two. Numbers of images are
    divided by the design effect of patients with several images.

    Args:
        column: (n,) scores.
        positive: (n,) labels.
        owner: (n,) patient of each image.
        level: Coverage.
    """
    nan = float("nan")
    mine, others = column[positive], column[~positive]
    m, n = len(mine), len(others)
    patients = len(np.unique(owner[positive]))
    if m == 0:
        return RankInterval((nan, nan), (nan, nan), nan, 0)
    order = np.argsort(mine, kind="stable")
    mine, whose = mine[order], owner[positive][order]
    ascending = np.sort(others)
    below = np.searchsorted(ascending, mine, side="left")
    beaten = (below + np.searchsorted(ascending, mine, side="right")) / 2.0
    found = m - tied_first(mine)
    alarms = n - below
    precision = found / (found + alarms)
    ap = float(precision.mean())
    share = (m - 1) / m
    rest = found - 1 + share * alarms
    without = float(np.mean(np.divide(found - 1, rest, out=np.zeros(m), where=rest > 0)))
    effective = m / design_effect(precision, whose)
    z = float(stats.norm.ppf((1 + level) / 2))
    low = _logit_bound(without, effective, -z) if without > 0 else 0.0
    high = _logit_bound(ap, effective, z) if ap < 1 else 1.0
    auc_bounds = (nan, nan)
    if n:
        placed = beaten / n
        above = (m - np.searchsorted(mine, others, side="left") + m - np.searchsorted(mine, others, side="right")) / 2.0
        auc_bounds = auc_interval(
            float(placed.mean()), m / design_effect(placed, whose), n / design_effect(above, owner[~positive]), level
        )
    return RankInterval(auc_bounds, (min(low, ap), max(high, ap)), without, patients)


def auc_interval(auc: float, positives: float, negatives: float, level: float = 0.95) -> tuple[float, float]:
    """Newcombe's score interval (method 5) of an AUC, inside [0, 1] and never of width 0.

    Args:
        auc: The estimate.
        positives: Number of positives, after division by the design effect.
        negatives: Number of negatives.
        level: Coverage.
    """
    z = float(stats.norm.ppf((1 + level) / 2))
    half = max((positives + negatives) / 2 - 1, 0.0)

    def excess(theta: float) -> float:
        spread = theta * (1 - theta) / (positives * negatives)
        spread *= 1 + half * (1 - theta) / (2 - theta) + half * theta / (1 + theta)
        return abs(auc - theta) - z * float(np.sqrt(max(spread, 0.0)))

    return _root(excess, 0.0, auc), _root(excess, 1.0, auc)


def _root(excess: Callable[[float], float], outside: float, inside: float) -> float:
    """Where the distance leaves the interval, by bisection; the end of the range where it never does."""
    if excess(outside) <= 0:
        return outside
    for _ in range(60):
        middle = (outside + inside) / 2
        if excess(middle) > 0:
            outside = middle
        else:
            inside = middle
    return (outside + inside) / 2


def _logit_bound(value: float, count: float, z: float) -> float:
    inside = min(max(value, _SMALLEST), 1 - _SMALLEST)
    return float(special.expit(special.logit(inside) + z / np.sqrt(count * inside * (1 - inside))))


def design_effect(values: Floats, owner: NDArray[np.int64]) -> float:
    """By how much patients with several images widen the variance of a mean, at least 1.

    Args:
        values: (n,) one value per image.
        owner: (n,) patient of each image.
    """
    _, place, sizes = np.unique(owner, return_inverse=True, return_counts=True)
    if len(sizes) == len(values):
        return 1.0
    largest = float(np.sum(sizes.astype(np.float64) ** 2) / len(values))
    centred = values - values.mean()
    within = float(np.sum(centred**2))
    if within <= _SMALLEST or len(sizes) < 2:
        return largest
    between = float(np.sum(np.bincount(place, weights=centred) ** 2)) * len(sizes) / (len(sizes) - 1)
    return min(max(between / within, 1.0), largest)


def joined(point: Floats, bounds: Floats, correlation: Floats, lowest: Floats | None = None) -> tuple[float, float]:
    """Interval of the mean of several estimates from their own intervals (MOVER: Zou and Donner, 2008).

    Correlations only widen it: with a handful of positives those of the replicates are chance.

    Args:
        point: (C,) estimates.
        bounds: (C, 2) their intervals.
        correlation: (C, C) of the estimates.
        lowest: (C,) estimates that the lower bounds belong to, where they are others.

    Returns:
        Bounds; NaN when there is no estimate or one has no bounds.
    """
    if not len(point) or np.isnan(bounds).any():
        return float("nan"), float("nan")
    base = point if lowest is None else lowest
    down, up = np.maximum(base - bounds[:, 0], 0.0), np.maximum(bounds[:, 1] - point, 0.0)
    reach = [np.sqrt(max(float(side @ correlation @ side), float(side @ side))) / len(point) for side in (down, up)]
    low, high = float(base.mean()) - reach[0], float(point.mean()) + reach[1]
    return min(low, float(point.mean())), high


def correlations(replicates: Floats) -> Floats:
    """(C, C) correlations of the columns of (n, C) replicates; undefined entries count as the mean."""
    defined = ~np.isnan(replicates)
    values = np.where(defined, replicates, 0.0)
    centred = np.where(defined, values - values.sum(axis=0) / np.maximum(defined.sum(axis=0), 1), 0.0)
    scale = np.sqrt(np.sum(centred**2, axis=0))
    product = centred.T @ centred
    with np.errstate(divide="ignore", invalid="ignore"):
        matrix = product / np.outer(scale, scale)
    matrix[~np.isfinite(matrix)] = 0.0
    np.fill_diagonal(matrix, 1.0)
    return np.asarray(matrix, dtype=np.float64)


def holm(p: Floats) -> Floats:
    """P-values corrected for their number by Holm's method; NaN stays NaN and is not counted.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03]))
        array([0.03, 0.06, 0.06])
    """
    corrected = np.full(len(p), np.nan)
    places = np.flatnonzero(~np.isnan(p))
    order = places[np.argsort(p[places], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def p_of_bounds(point: float, low: float, high: float, level: float) -> float:
    """Two-sided p-value of no difference that agrees with an interval: below 1 - level exactly when 0 is outside."""
    if np.isnan(point) or np.isnan(low) or np.isnan(high):
        return float("nan")
    side = point - low if point > 0 else high - point
    if point == 0:
        return 1.0
    if side <= 0:
        return 0.0
    z = float(stats.norm.ppf((1 + level) / 2))
    return float(2 * stats.norm.sf(abs(point) / side * z))
