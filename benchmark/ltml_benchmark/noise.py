"""Reading the noise study: means with intervals over seeds, and paired differences to a reference method."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ltml_benchmark.runfiles import read_json

LEVEL = 0.95
STUDY_FILE = "noise_study.json"
TITLES = {
    "bacc": "BACC at 0.5",
    "bacc_validation": "BACC at validation thresholds",
    "auc": "AUC",
    "recovered": "recovery of missed labels",
}


def find_study(paths: Sequence[Path]) -> dict[str, Any] | None:
    """The first `noise_study.json` in these folders, if any."""
    for path in paths:
        if (path / STUDY_FILE).is_file():
            return read_json(path / STUDY_FILE, "`ltml-benchmark demo` made it")
    return None


def interval(values: Sequence[float | None]) -> tuple[float, float]:
    """Mean and half-width of the 95 % t interval over seeds; NaN half-width for a single seed."""
    from scipy.stats import t

    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if len(numbers) == 0:
        return float("nan"), float("nan")
    if len(numbers) == 1:
        return float(numbers[0]), float("nan")
    spread = float(numbers.std(ddof=1)) / np.sqrt(len(numbers))
    return float(numbers.mean()), float(t.ppf((1 + LEVEL) / 2, len(numbers) - 1) * spread)


def series(study: Mapping[str, Any], metric: str, group: str) -> dict[str, tuple[list[float], list[float]]]:
    """Method to means and half-widths by rate, in percent."""
    found = {}
    for method, by_rate in study["results"][metric][group].items():
        pairs = [interval(by_rate[f"{rate:g}"]) for rate in study["missed"]]
        found[method] = ([100 * mean for mean, _ in pairs], [100 * half for _, half in pairs])
    return found


def differences(
    study: Mapping[str, Any], metric: str, group: str, rate: float, reference: str
) -> dict[str, tuple[float, float]]:
    """Method minus reference, seed by seed: mean and half-width of the 95 % t interval, in points."""
    by_method = study["results"][metric][group]
    base = by_method[reference][f"{rate:g}"]
    found = {}
    for method, by_rate in by_method.items():
        if method != reference:
            pairs = zip(by_rate[f"{rate:g}"], base, strict=True)
            mean, half = interval([None if a is None or b is None else 100 * (a - b) for a, b in pairs])
            found[method] = (mean, half)
    return found


def verdict(study: Mapping[str, Any], metric: str, rate: float, reference: str = "bce") -> str:
    """One sentence: which methods' tail lies above, and below, that of the reference beyond the interval."""
    if reference not in study["methods"] or study["seeds"] < 2:
        return ""
    found = differences(study, metric, "tail", rate, reference)
    above = sorted((name for name, (mean, half) in found.items() if mean - half > 0), key=lambda n: -found[n][0])
    below = sorted((name for name, (mean, half) in found.items() if mean + half < 0), key=lambda n: found[n][0])
    parts = [f"Tail {TITLES[metric]} with {rate:.0%} of positives missed, against {reference}:"]
    parts.append(f"above beyond the interval: {', '.join(f'{n} ({found[n][0]:+.1f})' for n in above) or 'none'};")
    parts.append(f"below: {', '.join(f'{n} ({found[n][0]:+.1f})' for n in below) or 'none'}.")
    return " ".join(parts)


def study_table(study: Mapping[str, Any], group: str = "tail") -> str:
    """Markdown: one row per method, BACC and AUC of a group and the recovery of missed labels by rate."""
    rates = study["missed"]
    columns = [("bacc", "BACC", rates), ("auc", "AUC", rates), ("recovered", "recovered", [r for r in rates if r > 0])]
    header = ["method", *(f"{title} {rate:.0%}" for _, title, chosen in columns for rate in chosen)]
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    for method in study["methods"]:
        cells = [method]
        for metric, _, chosen in columns:
            for rate in chosen:
                mean, half = interval(study["results"][metric][group][method][f"{rate:g}"])
                spread = "" if np.isnan(half) else f" ± {100 * half:.1f}"
                cells.append("-" if np.isnan(mean) else f"{100 * mean:.1f}{spread}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
