"""Posterior of the balanced accuracy (Brodersen et al., ICPR 2010)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ltml_benchmark.errors import UserError

_STEPS = 40
_NEGLIGIBLE = 1e-14


def _double_exponential(n: int = 60, reach: float = 3.2) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of the tanh-sinh rule on (0, 1), which is not disturbed by singular end points."""
    t = np.linspace(-reach, reach, 2 * n + 1)
    angle = np.pi / 2 * np.sinh(t)
    nodes = 1 / (1 + np.exp(-2 * angle))
    weights = np.pi / 4 * np.cosh(t) / np.cosh(angle) ** 2 * (reach / n)
    return nodes, weights


_AT, _WEIGHT = _double_exponential()


class BaccPosterior(NamedTuple):
    """Mean, median and central interval of the posterior, (C,) each."""

    mean: NDArray[np.float64]
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def bacc_posterior(confusion: ArrayLike, level: float = 0.95) -> BaccPosterior:
    """Posterior of (sensitivity + specificity) / 2 under flat priors.

    Sensitivity ~ Beta(TP + 1, FN + 1) and specificity ~ Beta(TN + 1, FP + 1) are independent; the distribution of their
    average is integrated numerically. Unlike the point value it is defined for a class without positives, where it is
    as wide as not knowing the sensitivity makes it.

    Args:
        confusion: (C, 4) counts of true positives, false negatives, true negatives, false positives, as in
            `Evaluation.confusion`.
        level: Mass of the interval.

    Returns:
        See `BaccPosterior`.

    Raises:
        UserError: If counts are negative or `level` is outside (0, 1).
    """
    counts = np.asarray(confusion, dtype=np.float64).reshape(-1, 4)
    if counts.min(initial=0) < 0 or not 0 < level < 1:
        raise UserError(f"confusion counts must be at least 0 and level={level} must lie between 0 and 1")
    tp, fn, tn, fp = counts.T
    first, second = (tp + 1, fn + 1), (tn + 1, fp + 1)
    mean = (first[0] / (first[0] + first[1]) + second[0] / (second[0] + second[1])) / 2
    swap = _variance(*first) > _variance(*second)
    narrow_a, wide_a = np.where(swap, second[0], first[0]), np.where(swap, first[0], second[0])
    narrow_b, wide_b = np.where(swap, second[1], first[1]), np.where(swap, first[1], second[1])
    first_x = special.betaincinv(narrow_a, narrow_b, _NEGLIGIBLE)
    last_x = special.betainccinv(narrow_a, narrow_b, _NEGLIGIBLE)
    log_norm = special.betaln(narrow_a, narrow_b)

    def below(t: NDArray[np.float64]) -> NDArray[np.float64]:
        """P(x + y <= 2t) = P(x <= 2t − 1) + ∫ f(x) P(y <= 2t − x) dx over the x for which 0 < 2t − x < 1."""
        start, stop = np.maximum(first_x, 2 * t - 1), np.minimum(last_x, 2 * t)
        width = np.maximum(stop - start, 0.0)
        x = start[:, None] + width[:, None] * _AT
        log_density = special.xlogy(narrow_a[:, None] - 1, x) + special.xlog1py(narrow_b[:, None] - 1, -x)
        rest = special.betainc(wide_a[:, None], wide_b[:, None], np.clip(2 * t[:, None] - x, 0.0, 1.0))
        inside = (np.exp(log_density - log_norm[:, None]) * rest) @ _WEIGHT * width
        full = special.betainc(narrow_a, narrow_b, np.clip(2 * t - 1, 0.0, 1.0))
        return np.asarray(full + inside)

    median, low, high = (_invert(below, q, len(counts)) for q in (0.5, (1 - level) / 2, (1 + level) / 2))
    return BaccPosterior(mean, median, low, high)


def _variance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    variance: NDArray[np.float64] = a * b / ((a + b) ** 2 * (a + b + 1))
    return variance


def _invert(
    below: Callable[[NDArray[np.float64]], NDArray[np.float64]], quantile: float, n: int
) -> NDArray[np.float64]:
    """t with below(t) = quantile, by the Illinois variant of regula falsi on [0, 1], for all classes at once."""
    left, right = np.zeros(n), np.ones(n)
    at_left, at_right = np.full(n, -quantile), np.full(n, 1.0 - quantile)
    side = np.zeros(n)
    t = np.full(n, 0.5)
    for _ in range(_STEPS):
        t = (left * at_right - right * at_left) / (at_right - at_left)
        value = below(t) - quantile
        if np.abs(value).max(initial=0.0) < 1e-12:
            break
        low = value < 0
        at_right = np.where(low & (side < 0), at_right / 2, np.where(low, at_right, value))
        at_left = np.where(~low & (side > 0), at_left / 2, np.where(low, value, at_left))
        left, right = np.where(low, t, left), np.where(low, right, t)
        side = np.where(low, -1.0, 1.0)
    return t
