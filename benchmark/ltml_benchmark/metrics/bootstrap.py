"""Intervals over patients, and paired comparison of two methods."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ltml_benchmark.errors import UserError
from ltml_benchmark.metrics.evaluate import Groups, checked_groups, class_thresholds, ratio
from ltml_benchmark.metrics.ranking import Scores, by_class, tied_first
from ltml_benchmark.metrics.smallsample import FEW_POSITIVES, correlations, holm, joined, p_of_bounds, rank_interval

BOOTSTRAPPED = ("bacc", "auc", "ap")
# Replicates handled together: large enough for vector instructions, small enough for the cache.
_BATCH = 128
POSTERIOR_DRAWS = 1024
# Sums of 0/1/2... are exact in float32 below this.
_EXACT_FLOAT32 = 2**24

Replicates = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Intervals:
    """Bootstrap replicates of each metric, and intervals that also hold for rare classes."""

    replicates: Replicates
    """Metric to (n, C), NaN where a class is undefined in a replicate."""
    groups: dict[str, NDArray[np.int64]]
    """Class indices by group, `total` first."""
    level: float
    """Coverage of an interval."""
    point: Replicates
    """Metric to (C,) estimates, NaN where undefined."""
    bounds: Replicates
    """Metric to (C, 2): BACC from its posterior, AUC and AP from the ranks of positives (see `rank_interval`)."""
    lowest: Replicates
    """Metric to (C,) estimates that lower bounds belong to, for metrics whose estimate is too high on average."""
    positive_patients: NDArray[np.int64]
    """(C,) patients with a positive."""

    def by_class(self, metric: str) -> NDArray[np.float64]:
        """(C, 2) lower and upper bound; NaN for a class in which the metric is undefined."""
        return self.bounds[metric]

    @property
    def few(self) -> NDArray[np.bool_]:
        """(C,) whether so few patients have the class that its numbers say little."""
        return self.positive_patients < FEW_POSITIVES

    def undefined(self, metric: str) -> list[int]:
        """For each class the replicates in which it was undefined."""
        return [int(n) for n in np.isnan(self.replicates[metric]).sum(axis=0)]

    def group_replicates(self, metric: str, group: str) -> NDArray[np.float64]:
        """(n,) means over the defined classes of a group in each replicate."""
        values = self.replicates[metric][:, self.groups[group]]
        defined = ~np.isnan(values)
        return ratio(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1).astype(np.float64))

    def of_group(self, metric: str, group: str) -> tuple[float, float]:
        """Lower and upper bound of the mean over the defined classes of a group."""
        members = self.groups[group]
        members = members[~np.isnan(self.point[metric][members])]
        lowest = self.lowest.get(metric)
        return joined(
            self.point[metric][members],
            self.bounds[metric][members],
            correlations(self.replicates[metric][:, members]),
            None if lowest is None else lowest[members],
        )


@dataclass(frozen=True)
class Difference:
    """Paired comparison, B minus A, of one or several seeds of each."""

    replicates: Replicates
    """Metric to (n, C) differences, averaged over seeds."""
    groups: dict[str, NDArray[np.int64]]
    level: float
    point: Replicates
    """Metric to (C,) differences, averaged over seeds."""
    by_seed: Replicates
    """Metric to (seeds, C) differences."""
    bounds: Replicates
    """Metric to (C, 2) over patients alone; for AUC and AP of rare classes NaN."""
    positive_patients: NDArray[np.int64]

    @property
    def few(self) -> NDArray[np.bool_]:
        """(C,) as `Intervals.few`."""
        return self.positive_patients < FEW_POSITIVES

    @property
    def seeds(self) -> int:
        """Pairs of seeds."""
        return len(self.by_seed["bacc"])

    def by_class(self, metric: str) -> NDArray[np.float64]:
        """(C, 2) bounds over patients and seeds; NaN where there is none: AUC and AP of classes that are `few`."""
        point, bounds = self.point[metric], self.bounds[metric]
        reach = seed_reach(self.by_seed[metric], self.level)
        low = point - np.hypot(point - bounds[:, 0], reach)
        high = point + np.hypot(bounds[:, 1] - point, reach)
        return np.clip(np.stack([low, high], axis=1), -1.0, 1.0)

    def of_group(self, metric: str, group: str) -> tuple[float, float]:
        """Bounds of the difference of means over the classes of a group that are defined; NaN where there is none."""
        members = self._members(metric, group)
        point, bounds = self.point[metric][members], self.bounds[metric][members].copy()
        patients = self.positive_patients[members]
        for place in np.flatnonzero(np.isnan(bounds[:, 0]) & (patients > 1)):
            # bootstrap of a mean of few: its variance is short by (m - 1) / m, its tails are Student's
            spread = np.nanstd(self.replicates[metric][:, members[place]]) * np.sqrt(
                patients[place] / (patients[place] - 1)
            )
            half = spread * stats.t.ppf((1 + self.level) / 2, patients[place] - 1)
            bounds[place] = point[place] - half, point[place] + half
        bounds[np.isnan(bounds[:, 0])] = -1.0, 1.0  # one patient says nothing: whatever a difference can be
        low, high = joined(point, bounds, correlations(self.replicates[metric][:, members]))
        mean = self.of_group_point(metric, group)
        reach = (
            float(seed_reach(self.by_seed[metric][:, members].mean(axis=1)[:, None], self.level)[0])
            if len(members)
            else 0.0
        )
        return (
            float(np.maximum(mean - np.hypot(mean - low, reach), -1.0)),
            float(np.minimum(mean + np.hypot(high - mean, reach), 1.0)),
        )

    def of_group_point(self, metric: str, group: str) -> float:
        """Difference of the means over the defined classes of a group."""
        members = self._members(metric, group)
        return float(self.point[metric][members].mean()) if len(members) else float("nan")

    def p_values(self, metric: str) -> NDArray[np.float64]:
        """(C,) two-sided p-values of no difference, one by one, in agreement with `by_class`."""
        rows = zip(self.point[metric], self.by_class(metric), strict=True)
        return np.array([p_of_bounds(float(value), low, high, self.level) for value, (low, high) in rows])

    def corrected_p_values(self, metric: str) -> NDArray[np.float64]:
        """(C,) p-values corrected for the number of classes by Holm's method."""
        return holm(self.p_values(metric))

    def p_value_of_group(self, metric: str, group: str) -> float:
        """Two-sided p-value of no difference of the means over a group."""
        return p_of_bounds(self.of_group_point(metric, group), *self.of_group(metric, group), self.level)

    def _members(self, metric: str, group: str) -> NDArray[np.int64]:
        members = self.groups[group]
        return members[~np.isnan(self.point[metric][members])]


def seed_reach(by_seed: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """(C,) half-width of the t interval of the mean over seeds of (S, C) values; 0 for a single seed."""
    count = len(by_seed)
    if count < 2:
        return np.zeros(by_seed.shape[1])
    half = stats.t.ppf((1 + level) / 2, count - 1) * by_seed.std(axis=0, ddof=1) / np.sqrt(count)
    return np.asarray(half, dtype=np.float64)


class _Sample:
    """Predictions of one model, laid out for drawing patients."""

    def __init__(
        self, scores: ArrayLike, labels: ArrayLike, clusters: ArrayLike | None, threshold: float | ArrayLike
    ) -> None:
        self.data = by_class(scores, labels)
        self.n_classes, n_images = self.data.scores.shape
        self.owner, self.n_clusters = _owners(clusters, n_images, self.data.some_known())
        thresholds = class_thresholds(threshold, self.n_classes)
        heaviest = self.n_clusters * int(np.bincount(self.owner[self.owner >= 0], minlength=1).max())
        self.exact: type[np.floating[Any]] = np.float32 if heaviest < _EXACT_FLOAT32 else np.float64
        self.counters = [
            _Counter(*self.data.column(c), thresholds[c], self.owners(c), self.n_clusters, self.exact)
            for c in range(self.n_classes)
        ]

    def owners(self, c: int) -> NDArray[np.int64]:
        """Patient of each image whose label of the class is known."""
        return self.data.rows(c, self.owner)

    def replicates(self, n: int, seed: int) -> Replicates:
        """Every metric in n draws of patients."""
        found = {metric: np.empty((n, self.n_classes)) for metric in BOOTSTRAPPED}
        for start, drawn in _draws(self.n_clusters, n, seed, self.exact):
            rows = slice(start, start + drawn.shape[1])
            for c, counter in enumerate(self.counters):
                for metric, values in counter.evaluate(drawn).items():
                    found[metric][rows, c] = values
        return found

    def point(self) -> Replicates:
        """(C,) metrics of the sample itself: that of every patient drawn once."""
        once = np.ones((self.n_clusters, 1), dtype=self.exact)
        values = [counter.evaluate(once) for counter in self.counters]
        return {metric: np.array([float(each[metric][0]) for each in values]) for metric in BOOTSTRAPPED}

    def share_right(
        self, weights: NDArray[np.floating[Any]], c: int, hits: NDArray[np.float64], total: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(draws,) BACC of a class with patients weighted and pseudo-images added, (2, draws): positives, negatives."""
        tn, fp, fn, tp = np.asarray(self.counters[c].decisions @ weights, dtype=np.float64)
        right: NDArray[np.float64] = (tp + hits[0]) / (tp + fn + total[0]) + (tn + hits[1]) / (tn + fp + total[1])
        return right / 2.0


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
    """Intervals of BACC, AUC and AP when patients, not images, are what was drawn.

    Replicates draw patients with replacement and are evaluated exactly (ties included), as if images had been listed as
    often as drawn. With a handful of positives their percentiles cover far less than they say, so intervals of classes
    come from elsewhere: BACC from the posterior of Brodersen et al. (2010) with patients weighted as in the Bayesian
    bootstrap, AUC and AP from `rank_interval`. Intervals of groups join those of their classes (MOVER) with the
    correlations of the replicates. `scripts/measure_coverage.py` measures what they cover.

    Args:
        scores: (N, C).
        labels: (N, C) 0/1; -1 leaves an entry out. Patients are drawn among those with a known label in any class.
        clusters: (N,) patient of each image, of any type; without it every image is its own.
        n: Number of replicates.
        groups: Class indices by group name; `total` is always added.
        threshold: One for all classes or (C,).
        level: Coverage of an interval.
        seed: Seed of the draws; the same seed draws the same patients, so replicates of two models pair.

    Returns:
        See `Intervals`.

    Raises:
        UserError: If shapes differ, scores are not numbers, or `n` or `level` is out of range.
    """
    _check(n, level)
    sample = _Sample(scores, labels, clusters, threshold)
    point = sample.point()
    ranks = [rank_interval(*sample.data.column(c), sample.owners(c), level) for c in range(sample.n_classes)]
    bounds = {
        "bacc": _holding(point["bacc"], quantile_interval(_posterior_draws([sample], [sample], seed)[0], level)),
        "auc": np.array([each.auc for each in ranks]),
        "ap": np.array([each.ap for each in ranks]),
    }
    for metric, values in point.items():
        bounds[metric][np.isnan(values)] = np.nan
    return Intervals(
        sample.replicates(n, seed),
        checked_groups(groups, sample.n_classes),
        level,
        point,
        bounds,
        {"ap": np.array([each.ap_without_itself for each in ranks])},
        np.array([each.positive_patients for each in ranks], dtype=np.int64),
    )


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
    """Paired comparison of two sets of predictions on the same images; arguments as in `bootstrap`."""
    return compare_seeds(
        [scores_a], [scores_b], labels, clusters, n, groups=groups, thresholds_a=[threshold_a],
        thresholds_b=[threshold_b], level=level, seed=seed,
    )  # fmt: skip


def compare_seeds(
    scores_a: Sequence[ArrayLike],
    scores_b: Sequence[ArrayLike],
    labels: ArrayLike,
    clusters: ArrayLike | None = None,
    n: int = 1000,
    *,
    groups: Groups | None = None,
    thresholds_a: Sequence[float | ArrayLike] | None = None,
    thresholds_b: Sequence[float | ArrayLike] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Paired comparison of two methods, each trained with several seeds.

    The difference is the mean over pairs of seeds. Its interval joins what another draw of patients would change (as
    in `bootstrap`, on the mean over seeds) with what other seeds would change (Student's t over pairs of seeds).

    Args:
        scores_a: For every seed (N, C) scores of the reference.
        scores_b: The same of the other method, paired with `scores_a`.
        labels: (N, C).
        clusters: (N,) patients.
        n: Replicates.
        groups: Class indices by group name.
        thresholds_a: For every seed one threshold or (C,); 0.5 where not given.
        thresholds_b: The same of the other method.
        level: Coverage.
        seed: Seed of the draws.

    Raises:
        UserError: Different numbers of seeds, or anything `bootstrap` refuses.
    """
    _check(n, level)
    if len(scores_a) != len(scores_b) or not scores_a:
        raise UserError(f"{len(scores_a)} and {len(scores_b)} seeds do not pair; give the same number of both")
    cuts_a, cuts_b = thresholds_a or [0.5] * len(scores_a), thresholds_b or [0.5] * len(scores_b)
    a = [_Sample(scores, labels, clusters, cut) for scores, cut in zip(scores_a, cuts_a, strict=True)]
    b = [_Sample(scores, labels, clusters, cut) for scores, cut in zip(scores_b, cuts_b, strict=True)]
    points = [(first.point(), second.point()) for first, second in zip(a, b, strict=True)]
    by_seed = {
        metric: np.array([after[metric] - before[metric] for before, after in points]) for metric in BOOTSTRAPPED
    }
    point = {metric: values.mean(axis=0) for metric, values in by_seed.items()}
    replicates = {metric: np.zeros((n, a[0].n_classes)) for metric in BOOTSTRAPPED}
    for first, second in zip(a, b, strict=True):
        before, after = first.replicates(n, seed), second.replicates(n, seed)
        for metric in BOOTSTRAPPED:
            replicates[metric] += (after[metric] - before[metric]) / len(a)
    classes = range(a[0].n_classes)
    patients = np.array([len(np.unique(a[0].owners(c)[a[0].data.column(c)[1]])) for c in classes], dtype=np.int64)
    bounds = {"bacc": _holding(point["bacc"], quantile_interval(_posterior_draws(a, b, seed)[1], level))}
    for metric in ("auc", "ap"):
        bounds[metric] = _holding(point[metric], quantile_interval(replicates[metric], level))
        bounds[metric][patients < FEW_POSITIVES] = np.nan
    for metric in BOOTSTRAPPED:
        bounds[metric][np.isnan(point[metric])] = np.nan
        for c in classes:
            same = all(np.array_equal(x.data.scores[c], y.data.scores[c]) for x, y in zip(a, b, strict=True))
            if same and not np.isnan(point[metric][c]) and point[metric][c] == 0:
                bounds[metric][c] = 0.0  # one and the same prediction
    return Difference(replicates, checked_groups(groups, a[0].n_classes), level, point, by_seed, bounds, patients)


def _check(n: int, level: float) -> None:
    if n < 1 or not 0 < level < 1:
        raise UserError(f"n={n} replicates and level={level}: n must be at least 1 and level between 0 and 1")


def _holding(point: NDArray[np.float64], bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The bounds, moved where that is needed to hold the estimate (a posterior shrinks away from 0 and 1)."""
    return np.stack([np.fmin(bounds[:, 0], point), np.fmax(bounds[:, 1], point)], axis=1)


def _posterior_draws(
    a: Sequence[_Sample], b: Sequence[_Sample], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draws of the BACC of `a` and of that of `b` minus it, (draws, C) each, means over seeds.

    Patients are weighted by exponential numbers (Rubin's Bayesian bootstrap). Half a pseudo-image in each cell of hit
    or miss by A and by B makes the marginals Beta(TP + 1, FN + 1) and Beta(TN + 1, FP + 1) where every image is its own
    patient: Brodersen's posterior.
    """
    n_classes = a[0].n_classes
    level, change = np.zeros((POSTERIOR_DRAWS, n_classes)), np.zeros((POSTERIOR_DRAWS, n_classes))
    for start in range(0, POSTERIOR_DRAWS, _BATCH):
        size = min(_BATCH, POSTERIOR_DRAWS - start)
        rows = slice(start, start + size)
        weights = np.random.default_rng([seed, start, 1]).standard_exponential(
            (a[0].n_clusters, size), dtype=np.float32
        )
        for c in range(n_classes):
            pseudo = np.random.default_rng([seed, start, 2, c]).standard_gamma(0.5, (4, 2, size))
            both, only_a, only_b, _ = pseudo
            for first, second in zip(a, b, strict=True):
                before = first.share_right(weights, c, both + only_a, pseudo.sum(axis=0)) / len(a)
                level[rows, c] += before
                if second is not first:
                    change[rows, c] += (
                        second.share_right(weights, c, both + only_b, pseudo.sum(axis=0)) / len(a) - before
                    )
    return level, change


def quantile_interval(values: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """(C, 2) central interval of the defined rows of (n, C), NaN for a column without any."""
    bounds = np.full((values.shape[1], 2), np.nan)
    quantiles = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    for c in range(values.shape[1]):
        defined = values[:, c][~np.isnan(values[:, c])]
        if len(defined):
            bounds[c] = np.quantile(defined, quantiles)
    return bounds


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
