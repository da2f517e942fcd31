"""Reading the noise study: means with intervals over seeds, and paired differences to a reference method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltml_benchmark.metrics.smallsample import holm
from ltml_benchmark.runfiles import read_json

LEVEL = 0.95
STUDY_FILE = "noise_study.json"
TITLES = {
    "bacc": "BACC at 0.5",
    "bacc_prior": "BACC at the prior",
    "bacc_validation": "BACC at validation thresholds",
    "auc": "AUC",
    "recovered": "recovery of missed labels",
}
RULES_OF_BACC = ("bacc", "bacc_prior", "bacc_validation")


def find_study(paths: Sequence[Path]) -> dict[str, Any] | None:
    """The first `noise_study.json` in these folders, if any."""
    for path in paths:
        if (path / STUDY_FILE).is_file():
            return read_json(path / STUDY_FILE, "`ltml-benchmark demo` made it")
    return None


def interval(values: Sequence[float | None]) -> tuple[float, float, float]:
    """Mean and bounds of the 95 % t interval over seeds of shares in [0, 1].

    The interval is Student's on the scale arcsin(sqrt(x)), on which shares vary alike everywhere, so that it never
    leaves [0, 1]. The bounds are NaN for a single seed, and where all seeds agree, which does not tell how others vary.
    """
    from scipy.stats import t

    numbers = _numbers(values)
    if len(numbers) == 0:
        return float("nan"), float("nan"), float("nan")
    mean = float(numbers.mean())
    if len(numbers) == 1 or np.ptp(numbers) == 0:
        return mean, float("nan"), float("nan")
    turned = np.arcsin(np.sqrt(np.clip(numbers, 0.0, 1.0)))
    half = t.ppf((1 + LEVEL) / 2, len(numbers) - 1) * turned.std(ddof=1) / np.sqrt(len(numbers))
    low, high = np.sin(np.clip([turned.mean() - half, turned.mean() + half], 0.0, np.pi / 2)) ** 2
    return mean, min(float(low), mean), max(float(high), mean)


def series(
    study: Mapping[str, Any], metric: str, group: str
) -> dict[str, tuple[list[float], list[tuple[float, float]]]]:
    """Method to means and intervals by rate, in percent."""
    found = {}
    for method, by_rate in study["results"][metric][group].items():
        triples = [interval(by_rate[f"{rate:g}"]) for rate in study["missed"]]
        found[method] = ([100 * mean for mean, _, _ in triples], [(100 * low, 100 * high) for _, low, high in triples])
    return found


@dataclass(frozen=True)
class Change:
    """A method minus a reference, in points."""

    mean: float
    low: float
    high: float
    p: float
    """Two-sided p-value of the paired t test, alone."""
    corrected: float
    """The same corrected for the number of methods (Holm)."""


def differences(study: Mapping[str, Any], metric: str, group: str, rate: float, reference: str) -> dict[str, Change]:
    """Method minus reference, seed by seed: mean, 95 % t interval and p-values."""
    by_method = study["results"][metric][group]
    base = by_method[reference][f"{rate:g}"]
    names = [method for method in by_method if method != reference]
    outcomes = []
    for method in names:
        pairs = zip(by_method[method][f"{rate:g}"], base, strict=True)
        outcomes.append(tested([None if a is None or b is None else 100 * (a - b) for a, b in pairs]))
    corrected = holm(np.array([p for _, _, p in outcomes]))
    return {
        name: Change(mean, max(mean - half, -100.0), min(mean + half, 100.0), p, float(after))
        for name, (mean, half, p), after in zip(names, outcomes, corrected, strict=True)
    }


def tested(values: Sequence[float | None]) -> tuple[float, float, float]:
    """Mean, half-width of the t interval and p-value of no difference.

    The last two are NaN where there are fewer than two seeds or all agree: nothing tells how others vary.
    """
    from scipy.stats import t

    numbers = _numbers(values)
    if len(numbers) < 2 or np.ptp(numbers) == 0:
        return float(numbers.mean()) if len(numbers) else float("nan"), float("nan"), float("nan")
    error = float(numbers.std(ddof=1)) / np.sqrt(len(numbers))
    mean, free = float(numbers.mean()), len(numbers) - 1
    return mean, float(t.ppf((1 + LEVEL) / 2, free)) * error, float(2 * t.sf(abs(mean) / error, free))


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return numbers[~np.isnan(numbers)]


def verdict(study: Mapping[str, Any], metric: str, rate: float, reference: str = "bce") -> str:
    """One sentence: which methods' tail lies above, and below, that of the reference beyond the interval.

    A star marks what also holds when corrected for the number of methods.
    """
    if reference not in study["methods"] or study["seeds"] < 2:
        return ""
    found = differences(study, metric, "tail", rate, reference)
    above = sorted((name for name, change in found.items() if change.low > 0), key=lambda n: -found[n].mean)
    below = sorted((name for name, change in found.items() if change.high < 0), key=lambda n: found[n].mean)

    def shown(names: Sequence[str]) -> str:
        return (
            ", ".join(f"{n} ({found[n].mean:+.1f}{'*' if found[n].corrected < 1 - LEVEL else ''})" for n in names)
            or "none"
        )

    return (
        f"Tail {TITLES[metric]} with {rate:.0%} of positives missed, against {reference}: above beyond the interval: "
        f"{shown(above)}; below: {shown(below)}."
    )


def calibration_verdict(study: Mapping[str, Any], rate: float, reference: str = "bce") -> str:
    """One sentence: how much of the gain in tail BACC over the reference is left under the other decision rules."""
    if reference not in study["methods"] or study["seeds"] < 2:
        return ""
    gains = {rule: differences(study, rule, "tail", rate, reference) for rule in RULES_OF_BACC}
    raw = gains["bacc"]
    gaining = sorted((name for name in raw if raw[name].low > 0), key=lambda name: -raw[name].mean)
    if not gaining:
        return f"With {rate:.0%} of positives missed no method gains tail BACC over {reference} beyond the interval."
    total = {rule: float(np.mean([changes[name].mean for name in gaining])) for rule, changes in gains.items()}
    means = {
        rule: {name: 100 * interval(by[f"{rate:g}"])[0] for name, by in study["results"][rule]["tail"].items()}
        for rule in RULES_OF_BACC
    }
    return (
        f"With {rate:.0%} of positives missed {len(gaining)} methods gain tail BACC over {reference} beyond the "
        f"interval at 0.5 ({', '.join(gaining)}): {total['bacc']:+.1f} points on average at 0.5, "
        f"{total['bacc_prior']:+.1f} when all decide at the prior, {total['bacc_validation']:+.1f} when all decide at "
        f"validation thresholds. {reference} itself has {means['bacc'][reference]:.1f} at 0.5 and "
        f"{means['bacc_prior'][reference]:.1f} at the prior; the best of the others at 0.5 is {gaining[0]} with "
        f"{means['bacc'][gaining[0]]:.1f}."
    )


def study_table(
    study: Mapping[str, Any], group: str = "tail", metrics: Sequence[str] = ("bacc", "auc", "recovered")
) -> str:
    """Markdown: one row per method, a column per metric and rate, each a mean with its interval over seeds."""
    short = {"bacc": "BACC", "bacc_prior": "BACC prior", "bacc_validation": "BACC validation", "auc": "AUC"}
    columns = [
        (metric, short.get(metric, metric), [r for r in study["missed"] if r > 0 or metric != "recovered"])
        for metric in metrics
    ]
    header = ["method", *(f"{title} {rate:.0%}" for _, title, chosen in columns for rate in chosen)]
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    for method in study["methods"]:
        cells = [method]
        for metric, _, chosen in columns:
            for rate in chosen:
                mean, low, high = interval(study["results"][metric][group][method][f"{rate:g}"])
                spread = "" if np.isnan(low) else f" ({100 * low:.1f}-{100 * high:.1f})"
                cells.append("-" if np.isnan(mean) else f"{100 * mean:.1f}{spread}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
