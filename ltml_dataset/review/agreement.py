"""How far readers agree, and what their judgements say of the machine."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 4_000
"""Posterior draws behind an interval: its ends move by about 0.2 percentage points between seeds."""

KAPPA_DRAWS = 1_000
"""Bootstrap samples behind the interval of a kappa."""


def cohen_kappa(first: Sequence[object], second: Sequence[object]) -> float:
    """Cohen's kappa of two readers over the same items.

    Args:
        first: The first reader's category of each item.
        second: The second reader's category of each item, in the same order.

    Returns:
        (p_o - p_e) / (1 - p_e), 1 for perfect agreement, 0 for agreement by chance; NaN without items, or where
        both readers used one and the same category throughout (agreement by chance is then 1).

    Source: Cohen 1960.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} items from the first reader, {len(second)} from the second")
    categories = {category: index for index, category in enumerate(dict.fromkeys([*first, *second]))}
    table = np.zeros((1, len(categories), len(categories)))
    np.add.at(table[0], ([categories[c] for c in first], [categories[c] for c in second]), 1)
    return float(_kappas(table)[0])


def _kappas(tables: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(B,) kappas of (B, K, K) tables; NaN where kappa is not defined."""
    totals = tables.sum((1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = tables / totals[:, None, None]
        observed = np.trace(shares, axis1=1, axis2=2)
        expected = (shares.sum(1) * shares.sum(2)).sum(1)
        kappas = (observed - expected) / (1 - expected)
    return np.where((totals > 0) & (expected < 1), kappas, np.nan)


def kappa_estimates(
    first: npt.NDArray[np.int8], second: npt.NDArray[np.int8], seed: int = 0
) -> tuple["Estimate", list["Estimate"]]:
    """Cohen's kappa over all labels together, and of each label, with 95 % intervals.

    Args:
        first: (N, C) states -1, 0 or 1 that the first reader gave N studies.
        second: (N, C) states of the second reader.
        seed: Seed of the bootstrap.

    Returns:
        The pooled kappa and C kappas. Intervals are percentiles of a bootstrap over studies, because the labels of one
        study are not independent. Where no two states differ a bootstrap sees no doubt: the lower end is then the
        kappa at the largest share of differences, 1 - 0.025^(1/N), that N agreements leave possible. NaN where kappa
        is not defined (one category throughout).
    """
    n_studies, n_labels = first.shape
    tables = _tables(first, second)
    random = np.random.default_rng(seed)
    rows = []
    for label in range(n_labels):
        # Of one label alone, drawing studies is drawing cells of its table.
        shares = tables[label] / max(n_studies, 1)
        draws = random.multinomial(n_studies, shares, KAPPA_DRAWS).astype(np.float64)
        rows.append(_kappa_estimate(tables[label], draws, n_studies))
    return _kappa_estimate(tables.sum(0), _pooled_draws(first, second, random), n_studies), rows


def _tables(first: npt.NDArray[np.int8], second: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """(C, 9) counts of pairs of states over N studies."""
    n_labels = first.shape[1]
    cells = (first.astype(np.int64) + 1) * 3 + (second + 1) + np.arange(n_labels) * 9
    return np.bincount(cells.ravel(), minlength=9 * n_labels).reshape(n_labels, 9).astype(np.float64)


def _pooled_draws(
    first: npt.NDArray[np.int8], second: npt.NDArray[np.int8], random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """(B, 9) tables over all labels of B bootstrap samples of studies.

    Studies whose labels add up to the same table stand for each other, so that only as many are drawn as there are
    different ones.
    """
    n_studies = len(first)
    if not n_studies:
        return np.zeros((KAPPA_DRAWS, 9))
    cells = (first.astype(np.int64) + 1) * 3 + (second + 1)
    by_study = np.stack([(cells == cell).sum(1) for cell in range(9)], axis=1)
    return _resampled(by_study.astype(np.float64), random)


def _resampled(rows: npt.NDArray[np.float64], random: np.random.Generator) -> npt.NDArray[np.float64]:
    """(B, K) sums of B bootstrap samples of the N rows of a (N, K) array; equal rows are drawn as one."""
    # By hash: sorting rows of many numbers would hold up the keys of readers at the same server.
    keys = (rows * random.integers(1, 1 << 40, rows.shape[1])).sum(1)
    _, first, n_of_kind = np.unique(keys, return_index=True, return_counts=True)
    draws = random.multinomial(len(rows), n_of_kind / len(rows), KAPPA_DRAWS)
    sums = [part.astype(np.float64) @ rows[first] for part in np.array_split(draws, 20)]
    return np.concatenate(sums)


def _kappa_estimate(table: npt.NDArray[np.float64], draws: npt.NDArray[np.float64], n_studies: int) -> "Estimate":
    square = table.reshape(1, 3, 3)
    value = float(_kappas(square)[0])
    if np.isnan(value):
        return Estimate(value, value, value)
    if value == 1.0:
        shares = square[0].sum(1) / square.sum()
        differing = 1 - 0.025 ** (1 / n_studies)
        return Estimate(1.0, max(-1.0, float(1 - differing / (1 - (shares**2).sum()))), 1.0)
    kappas = _kappas(draws.reshape(-1, 3, 3))
    low, high = np.nanquantile(kappas, [0.025, 0.975])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def fleiss_kappa(counts: npt.ArrayLike) -> float:
    """Fleiss' kappa of any number of readers.

    Args:
        counts: (N, K) counts of readers who put item n into category k. Items may differ in their number of
            readers; items with fewer than two say nothing of agreement and are left out.

    Returns:
        The agreement beyond chance; NaN where it is not defined.

    Source: Fleiss 1971; pairwise agreement weighted by item for unequal numbers of readers.
    """
    table = np.asarray(counts, dtype=float)
    if table.ndim != 2:
        raise ValueError(f"counts must have shape (N, K), got {table.shape}")
    return float(_fleiss(_fleiss_sums(table[:, None])[0].sum(0)[None])[0])


def fleiss_estimate(counts: npt.NDArray[np.int64], seed: int = 0) -> "Estimate":
    """Fleiss' kappa over all labels of a study together, with a 95 % interval.

    Args:
        counts: (N, C, K) readers of study n who put label c into category k.
        seed: Seed of the bootstrap.

    Returns:
        The kappa of all N * C items; its interval as in `kappa_estimates`, from a bootstrap over studies.
    """
    sums, n_studies = _fleiss_sums(counts.astype(float))
    value = float(_fleiss(sums.sum(0)[None])[0])
    if np.isnan(value):
        return Estimate(value, value, value)
    if value == 1.0:
        shares = sums[:, 2:].sum(0) / sums[:, 2:].sum()
        differing = 1 - 0.025 ** (1 / n_studies)
        return Estimate(1.0, max(-1.0, float(1 - differing / (1 - (shares**2).sum()))), 1.0)
    draws = _resampled(sums, np.random.default_rng(seed))
    low, high = np.nanquantile(_fleiss(draws), [0.025, 0.975])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def _fleiss_sums(counts: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], int]:
    """(N, 2 + K) items, their summed agreement, and readers by category, of each study read twice; and N."""
    readers = counts.sum(2)
    is_read_twice = readers >= 2
    pairs = np.where(is_read_twice, readers * (readers - 1), 1)
    agreement = np.where(is_read_twice, (counts * (counts - 1)).sum(2) / pairs, 0)
    chosen = (counts * is_read_twice[:, :, None]).sum(1)
    sums = np.concatenate([np.stack([is_read_twice.sum(1), agreement.sum(1)], axis=1), chosen], axis=1)
    sums = sums[sums[:, 0] > 0]
    return sums, len(sums)


def _fleiss(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(B,) kappas of (B, 2 + K) sums; NaN where kappa is not defined."""
    with np.errstate(invalid="ignore", divide="ignore"):
        agreement = sums[:, 1] / sums[:, 0]
        chance = ((sums[:, 2:] / sums[:, 2:].sum(1, keepdims=True)) ** 2).sum(1)
        kappas = (agreement - chance) / (1 - chance)
    return np.where((sums[:, 0] > 0) & (chance < 1), kappas, np.nan)


@dataclass(frozen=True, slots=True)
class Stratum:
    """The studies with one machine state for one label, and what readers found in a sample of them.

    The judged studies are all of the stratum, or a random sample of it (`queue.make_queue` draws it).
    """

    population: int
    judged: int
    present: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with a 95 % interval; NaN where nothing was judged.

    What was counted whole (a census) is known: it has no interval, and `low` and `high` are NaN.
    """

    value: float
    low: float
    high: float

    @property
    def is_census(self) -> bool:
        """Whether the value was counted, not estimated."""
        return self.value == self.value and self.low != self.low


def machine_quality(
    positives: Stratum, uncertain: Stratum, negatives: Stratum, seed: int = 0
) -> tuple[Estimate, Estimate]:
    """Precision and recall of the machine's positives for one label, from a stratified sample.

    precision = share of present among machine positives. Recall weights each stratum by its size:
    recall = P x_P / (P x_P + U x_U + N x_N), with x the share of present in the stratum. Shares have
    Jeffreys posteriors Beta(present + 1/2, judged - present + 1/2), drawn independently; a stratum judged
    whole is known, not estimated, and an unjudged stratum with studies in it leaves recall undefined. Where all
    strata were judged whole the result is a census, without interval.

    Returns:
        Precision and recall.
    """
    random = np.random.default_rng(seed)
    undefined = Estimate(float("nan"), float("nan"), float("nan"))
    draws = [_present_draws(stratum, random) for stratum in (positives, uncertain, negatives)]
    if draws[0] is None or not positives.population:
        return undefined, undefined
    known = [stratum.judged >= stratum.population for stratum in (positives, uncertain, negatives)]
    precision = _estimate(
        _present_point(positives) / positives.population, draws[0] / positives.population, is_census=known[0]
    )
    if draws[1] is None or draws[2] is None:
        return precision, undefined
    found, all_present = _present_point(positives), sum(map(_present_point, (positives, uncertain, negatives)))
    total = draws[0] + draws[1] + draws[2]
    if not all_present or not total.all():
        return precision, undefined
    return precision, _estimate(found / all_present, draws[0] / total, is_census=all(known))


def _present_point(stratum: Stratum) -> float:
    return stratum.population * stratum.present / stratum.judged if stratum.judged else 0.0


def _present_draws(stratum: Stratum, random: np.random.Generator) -> npt.NDArray[np.float64] | None:
    if stratum.judged >= stratum.population:
        return np.full(DRAWS, float(stratum.present))
    if not stratum.judged:
        return None
    return stratum.population * random.beta(stratum.present + 0.5, stratum.judged - stratum.present + 0.5, DRAWS)


def _estimate(value: float, draws: npt.NDArray[np.float64], *, is_census: bool) -> Estimate:
    if is_census:
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def half_width(n: int, share: float = 0.05) -> float:
    """Half the width of the 95 % Wilson interval that `n` judgements will give, if the share found is `share`."""
    if n == 0:
        return 0.5
    z = 1.959964
    return float(z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
