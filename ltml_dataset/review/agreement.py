"""How far readers agree, and what their judgements say of the machine."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 4_000
"""Posterior draws behind an interval: its ends move by about 0.2 percentage points between seeds."""


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
    if not first:
        return float("nan")
    categories = {category: index for index, category in enumerate(dict.fromkeys([*first, *second]))}
    table = np.zeros((len(categories), len(categories)))
    np.add.at(table, ([categories[c] for c in first], [categories[c] for c in second]), 1)
    table /= len(first)
    observed, expected = float(np.trace(table)), float(table.sum(0) @ table.sum(1))
    return (observed - expected) / (1 - expected) if expected < 1 else float("nan")


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
    readers = table.sum(1)
    table, readers = table[readers >= 2], readers[readers >= 2]
    if not len(table):
        return float("nan")
    agreement = ((table * (table - 1)).sum(1) / (readers * (readers - 1))).mean()
    shares = table.sum(0) / readers.sum()
    chance = float((shares**2).sum())
    return float((agreement - chance) / (1 - chance)) if chance < 1 else float("nan")


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
    """A share with a 95 % interval; NaN where nothing was judged."""

    value: float
    low: float
    high: float


def machine_quality(
    positives: Stratum, uncertain: Stratum, negatives: Stratum, seed: int = 0
) -> tuple[Estimate, Estimate]:
    """Precision and recall of the machine's positives for one label, from a stratified sample.

    precision = share of present among machine positives. Recall weights each stratum by its size:
    recall = P x_P / (P x_P + U x_U + N x_N), with x the share of present in the stratum. Shares have
    Jeffreys posteriors Beta(present + 1/2, judged - present + 1/2), drawn independently; a stratum judged
    whole is known, not estimated, and an unjudged stratum with studies in it leaves recall undefined.

    Returns:
        Precision and recall.
    """
    random = np.random.default_rng(seed)
    undefined = Estimate(float("nan"), float("nan"), float("nan"))
    draws = [_present_draws(stratum, random) for stratum in (positives, uncertain, negatives)]
    if draws[0] is None or not positives.population:
        return undefined, undefined
    precision = _estimate(_present_point(positives) / positives.population, draws[0] / positives.population)
    if draws[1] is None or draws[2] is None:
        return precision, undefined
    found, all_present = _present_point(positives), sum(map(_present_point, (positives, uncertain, negatives)))
    total = draws[0] + draws[1] + draws[2]
    if not all_present or not total.all():
        return precision, undefined
    return precision, _estimate(found / all_present, draws[0] / total)


def _present_point(stratum: Stratum) -> float:
    return stratum.population * stratum.present / stratum.judged if stratum.judged else 0.0


def _present_draws(stratum: Stratum, random: np.random.Generator) -> npt.NDArray[np.float64] | None:
    if stratum.judged >= stratum.population:
        return np.full(DRAWS, float(stratum.present))
    if not stratum.judged:
        return None
    return stratum.population * random.beta(stratum.present + 0.5, stratum.judged - stratum.present + 0.5, DRAWS)


def _estimate(value: float, draws: npt.NDArray[np.float64]) -> Estimate:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def half_width(n: int, share: float = 0.05) -> float:
    """Half the width of the 95 % Wilson interval that `n` judgements will give, if the share found is `share`."""
    if n == 0:
        return 0.5
    z = 1.959964
    return float(z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
