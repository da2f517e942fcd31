"""Bootstrap intervals over patients, and paired comparison of two sets of predictions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from ltml_benchmark.errors import UserError
from ltml_benchmark.metrics.evaluate import Groups, checked_groups, class_thresholds, ratio
from ltml_benchmark.metrics.ranking import Scores, by_class, tied_first

BOOTSTRAPPED = ("bacc", "auc", "ap")
# Replicates handled together: large enough for vector instructions, small enough for the cache.
_BATCH = 128
# Sums of 0/1/2... are exact in float32 below this.
_EXACT_FLOAT32 = 2**24

Replicates = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Intervals:
    """Replicates of each metric and the intervals between their quantiles."""

    replicates: Replicates
    """Metric to (n, C), NaN where a class is undefined in a replicate."""
    groups: dict[str, NDArray[np.int64]]
    """Class indices by group, `total` first."""
    level: float
    """Share of replicates inside an interval."""

    def by_class(self, metric: str) -> NDArray[np.float64]:
        """(C, 2) lower and upper bound; NaN for a class undefined in every replicate."""
        return quantile_interval(self.replicates[metric], self.level)

    def undefined(self, metric: str) -> list[int]:
        """For each class the replicates in which it was undefined; its interval is that of the others."""
        return [int(n) for n in np.isnan(self.replicates[metric]).sum(axis=0)]

    def group_replicates(self, metric: str, group: str) -> NDArray[np.float64]:
        """(n,) means over the defined classes of a group in each replicate."""
        values = self.replicates[metric][:, self.groups[group]]
        defined = ~np.isnan(values)
        return ratio(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1).astype(np.float64))

    def of_group(self, metric: str, group: str) -> tuple[float, float]:
        """Lower and upper bound of the mean over a group."""
        low, high = quantile_interval(self.group_replicates(metric, group)[:, None], self.level)[0]
        return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """Paired bootstrap of B minus A."""

    a: Intervals
    b: Intervals

    def by_class(self, metric: str) -> NDArray[np.float64]:
        """(C, 2) bounds of the difference."""
        return quantile_interval(self.b.replicates[metric] - self.a.replicates[metric], self.a.level)

    def of_group(self, metric: str, group: str) -> tuple[float, float]:
        """Bounds of the difference of means over a group."""
        low, high = quantile_interval(self._group(metric, group)[:, None], self.a.level)[0]
        return float(low), float(high)

    def p_values(self, metric: str) -> NDArray[np.float64]:
        """(C,) two-sided bootstrap p-values of no difference."""
        return two_sided_p(self.b.replicates[metric] - self.a.replicates[metric])

    def p_value_of_group(self, metric: str, group: str) -> float:
        """Two-sided bootstrap p-value of no difference of the means over a group."""
        return float(two_sided_p(self._group(metric, group)[:, None])[0])

    def _group(self, metric: str, group: str) -> NDArray[np.float64]:
        return self.b.group_replicates(metric, group) - self.a.group_replicates(metric, group)


def bootstrap(
    scores: ArrayLike,
    labels: ArrayLike,
    clusters: ArrayLike | None = None,
    n: int = 1000,
    *,
    groups: Groups | None = None,
    threshold: float | ArrayLike = 0.5,
    level: float = 0.95,
    seed: int = 0,
) -> Intervals:
    """Percentile intervals of BACC, AUC and AP when patients are drawn with replacement.

    Every replicate is evaluated exactly (ties included), as if its images had been listed as often as drawn.

    Args:
        scores: (N, C).
        labels: (N, C) 0/1; -1 leaves an entry out. Patients are drawn among those with a known label in any class.
        clusters: (N,) patient of each image, of any type; without it every image is its own.
        n: Number of replicates.
        groups: Class indices by group name; `total` is always added.
        threshold: One for all classes or (C,).
        level: Share of replicates inside an interval.
        seed: Seed of the draws; the same seed draws the same patients, so replicates of two models pair.

    Returns:
        See `Intervals`.

    Raises:
        UserError: If shapes differ, scores are not numbers, or `n` or `level` is out of range.
    """
    if n < 1 or not 0 < level < 1:
        raise UserError(f"n={n} replicates and level={level}: n must be at least 1 and level between 0 and 1")
    data = by_class(scores, labels)
    n_classes, n_images = data.scores.shape
    owner, n_clusters = _owners(clusters, n_images, data.some_known())
    thresholds = class_thresholds(threshold, n_classes)
    heaviest = n_clusters * int(np.bincount(owner[owner >= 0], minlength=1).max())
    exact: type[np.floating[Any]] = np.float32 if heaviest < _EXACT_FLOAT32 else np.float64
    counters = [
        _Counter(*data.column(c), thresholds[c], data.rows(c, owner), n_clusters, exact) for c in range(n_classes)
    ]
    replicates = {metric: np.empty((n, n_classes)) for metric in BOOTSTRAPPED}
    for start, drawn in _draws(n_clusters, n, seed, exact):
        rows = slice(start, start + drawn.shape[1])
        for c, counter in enumerate(counters):
            for metric, values in counter.evaluate(drawn).items():
                replicates[metric][rows, c] = values
    return Intervals(replicates, checked_groups(groups, n_classes), level)


def compare(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    labels: ArrayLike,
    clusters: ArrayLike | None = None,
    n: int = 1000,
    *,
    groups: Groups | None = None,
    threshold_a: float | ArrayLike = 0.5,
    threshold_b: float | ArrayLike = 0.5,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Paired bootstrap of two sets of predictions on the same images; arguments as in `bootstrap`."""
    a = bootstrap(scores_a, labels, clusters, n, groups=groups, threshold=threshold_a, level=level, seed=seed)
    b = bootstrap(scores_b, labels, clusters, n, groups=groups, threshold=threshold_b, level=level, seed=seed)
    return Difference(a, b)


def quantile_interval(values: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """(C, 2) central interval of the defined rows of (n, C), NaN for a column without any."""
    bounds = np.full((values.shape[1], 2), np.nan)
    quantiles = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    for c in range(values.shape[1]):
        defined = values[:, c][~np.isnan(values[:, c])]
        if len(defined):
            bounds[c] = np.quantile(defined, quantiles)
    return bounds


def two_sided_p(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C,) 2·min(P(d <= 0), P(d >= 0)) over the defined rows of (n, C), counting the observed sample as one of them."""
    defined = ~np.isnan(differences)
    n = defined.sum(axis=0)
    below = ((differences <= 0) & defined).sum(axis=0)
    above = ((differences >= 0) & defined).sum(axis=0)
    p = np.minimum(1.0, 2.0 * (np.minimum(below, above) + 1.0) / (n + 1.0))
    return np.where(n > 0, p, np.nan)


def _owners(
    clusters: ArrayLike | None, n_images: int, drawn: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], int]:
    """Number of each image's patient, -1 for images that are not `drawn`, and the number of patients."""
    names = np.arange(n_images) if clusters is None else np.asarray(clusters)
    if names.shape != (n_images,):
        raise UserError(f"{names.shape} patients were given for {n_images} images; give one per image")
    if drawn is None and clusters is None:
        return names, n_images
    chosen = slice(None) if drawn is None else drawn
    patients, place = np.unique(names[chosen], return_inverse=True)
    if not len(patients):
        raise UserError("every label is left out; the bootstrap needs at least one known label")
    owner = np.full(n_images, -1, dtype=np.int64)
    owner[chosen] = place
    return owner, len(patients)


def _draws(
    n_clusters: int, n: int, seed: int, exact: type[np.floating[Any]]
) -> Iterator[tuple[int, NDArray[np.floating[Any]]]]:
    """How often each cluster is drawn, (clusters, replicates) for batch after batch; replicate i depends on i alone."""
    for start in range(0, n, _BATCH):
        size = min(_BATCH, n - start)
        drawn = np.empty((n_clusters, size), dtype=exact)
        for i in range(size):
            rng = np.random.default_rng([seed, start + i])
            drawn[:, i] = np.bincount(rng.integers(0, n_clusters, n_clusters), minlength=n_clusters)
        yield start, drawn


class _Counter:
    """Sparse counts of one class that turn cluster multiplicities into metrics of the replicate.

    The distinct scores of positives d_0 < d_1 < ... are the only thresholds that matter to AUC and AP. `positives`
    counts each cluster's positives at d_k, `between` its negatives in [d_{k−1}, d_k), `tied` its negatives at d_k.
    """

    def __init__(
        self,
        column: Scores,
        positive: NDArray[np.bool_],
        threshold: float,
        owner: NDArray[np.int64],
        n_clusters: int,
        exact: type[np.floating[Any]],
    ) -> None:
        mine = np.sort(column[positive])
        distinct = mine[tied_first(mine) == np.arange(len(mine))]
        self.k = len(distinct)

        def count(rows: NDArray[np.int64], owners: NDArray[np.int64], n_rows: int) -> scipy.sparse.csr_array:
            ones = np.ones(len(rows), dtype=exact)
            return scipy.sparse.coo_array((ones, (rows, owners)), shape=(n_rows, n_clusters)).tocsr()

        negative = ~positive
        outside = column[negative]
        place = np.searchsorted(distinct, outside, side="right")
        self.positives = count(np.searchsorted(distinct, column[positive]), owner[positive], self.k)
        self.between = count(place, owner[negative], self.k + 1)
        equal = np.zeros(len(outside), dtype=bool)
        if self.k:
            equal = (place > 0) & (distinct[place - 1] == outside)
        self.tied = count(place[equal] - 1, owner[negative][equal], self.k) if equal.any() else None
        above = (column > column.dtype.type(threshold)).astype(np.int64)
        self.decisions = count(2 * positive.astype(np.int64) + above, owner, 4)  # rows: tn, fp, fn, tp

    def evaluate(self, drawn: NDArray[np.floating[Any]]) -> dict[str, NDArray[np.float64]]:
        """BACC, AUC and AP of each column of (clusters, replicates) multiplicities, (replicates,) each."""
        tn, fp, fn, tp = np.asarray(self.decisions @ drawn, dtype=np.float64)
        n_positive, n_negative = tp + fn, tn + fp
        bacc = (ratio(tp, n_positive) + ratio(tn, n_negative)) / 2.0
        if self.k == 0:
            undefined = np.full(drawn.shape[1], np.nan)
            return {"bacc": bacc, "auc": undefined, "ap": undefined}
        at = np.ascontiguousarray((self.positives @ drawn).T, dtype=np.float64)  # (replicates, k)
        below = np.cumsum(np.ascontiguousarray((self.between @ drawn)[:-1].T, dtype=np.float64), axis=1)
        beaten = below if self.tied is None else below + 0.5 * (self.tied @ drawn).T
        auc = ratio(np.einsum("rk,rk->r", at, beaten), n_positive * n_negative)
        found = n_positive[:, None] - np.cumsum(at, axis=1) + at
        alarms = found + (n_negative[:, None] - below)
        precision = np.divide(found, alarms, out=alarms, where=alarms > 0)
        ap = ratio(np.einsum("rk,rk->r", at, precision), n_positive)
        return {"bacc": bacc, "auc": auc, "ap": ap}
