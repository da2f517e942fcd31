"""Measures what nominal 95 % intervals of rare classes cover, and writes docs/coverage.md.

    python scripts/measure_coverage.py [--samples 150] [--page docs/coverage.md]

Scores of positives and negatives are two normal distributions, so that the true BACC, AUC and AP are known.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ltml_benchmark.metrics import bootstrap
from ltml_benchmark.metrics.bootstrap import quantile_interval

PAGE = Path(__file__).resolve().parent.parent / "docs" / "coverage.md"
METRICS = ("bacc", "auc", "ap")
HEAD = """# What the intervals cover

Written by `python scripts/measure_coverage.py`; nothing is typed by hand. {samples} samples of {images} images with
{classes} classes; scores of positives and negatives are normal, {distance} apart. A nominal 95 % interval should hold
the true value 95 times in 100. "Percentiles" are those of the bootstrap over patients alone, which is what these
numbers replaced. {patients}.
"""


def truth(distance: float, prevalence: float) -> dict[str, float]:
    """BACC at the best threshold, AUC, and AP at this prevalence."""
    drawn = np.random.default_rng(0).normal(distance, 1, 400_000)
    hit, alarm = prevalence * norm.sf(drawn - distance), (1 - prevalence) * norm.sf(drawn)
    return {
        "bacc": float(norm.cdf(distance / 2)),
        "auc": float(norm.cdf(distance / np.sqrt(2))),
        "ap": float(np.mean(hit / (hit + alarm))),
    }


def covered(
    positives: int, images: int, classes: int, distance: float, samples: int, per_patient: int
) -> dict[str, list[float]]:
    """For each metric the share of covered truths: percentiles, class, group by percentiles, group."""
    values = truth(distance, positives / images)
    rng = np.random.default_rng(positives)
    inside: dict[str, list[list[NDArray[np.bool_]]]] = {metric: [[], [], [], []] for metric in METRICS}
    for _ in range(samples):
        labels = np.zeros((images, classes), dtype=np.int8)
        labels[:positives] = 1
        owner = np.arange(images) // per_patient
        shared = np.sqrt(0.5) * rng.normal(size=(owner.max() + 1, classes))[owner] if per_patient > 1 else 0.0
        own = rng.normal(size=labels.shape) * (np.sqrt(0.5) if per_patient > 1 else 1.0)
        found = bootstrap(shared + own + distance * labels, labels, owner, 200, threshold=distance / 2)
        for metric in METRICS:
            groups = found.group_replicates(metric, "total")[:, None]
            bounds = (
                quantile_interval(found.replicates[metric], 0.95),
                found.by_class(metric),
                quantile_interval(groups, 0.95),
                np.array([found.of_group(metric, "total")]),
            )
            for kept, (low, high) in zip(inside[metric], (each.T for each in bounds), strict=True):
                kept.append((low <= values[metric]) & (values[metric] <= high))
    return {metric: [float(np.concatenate(kept).mean()) for kept in kinds] for metric, kinds in inside.items()}


def main() -> None:
    """Simulate and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=150)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--distance", type=float, default=1.5)
    parser.add_argument("--positives", type=int, nargs="+", default=[2, 4, 6, 10, 20, 50])
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    lines: list[str] = []
    for per_patient, said in ((1, "Every image is its own patient"), (2, "Two images of a patient, half alike")):
        if not lines:
            lines = [HEAD.format(**vars(options), patients="First without, then with several images of a patient")]
        lines += [f"## {said}", ""]
        lines.append("| positives | " + " | ".join(f"{m.upper()} class | {m.upper()} Total" for m in METRICS) + " |")
        lines.append("| --- |" + " --- |" * (2 * len(METRICS)))
        for positives in options.positives:
            shares = covered(positives, options.images, options.classes, options.distance, options.samples, per_patient)
            cells = []
            for metric in METRICS:
                before, now, before_total, now_total = (100 * share for share in shares[metric])
                cells += [f"{now:.0f} (percentiles {before:.0f})", f"{now_total:.0f} (percentiles {before_total:.0f})"]
            lines.append(f"| {positives} | " + " | ".join(cells) + " |")
        lines.append("")
    options.page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
