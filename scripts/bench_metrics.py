#!/usr/bin/env python3
"""What scoring costs beside scikit-learn and torchmetrics.

    python scripts/bench_metrics.py [--write] [--images 41296] [--classes 39] [--replicates 1000]

`--write` puts the table into docs/performance.md. All values are compared with scikit-learn's in the same run.
"""

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from performance_page import machine, write_section
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score
from torchmetrics.classification import MultilabelAUROC, MultilabelAveragePrecision, MultilabelStatScores

from ltml_benchmark.metrics import bacc_posterior, best_thresholds, bootstrap, calibration, evaluate

T = TypeVar("T")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--images", type=int, default=41_296)
    parser.add_argument("--classes", type=int, default=39)
    parser.add_argument("--replicates", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    scores, labels, patients = simulated(options.images, options.classes)
    as_double = scores.astype(np.float64)
    peer, per_class = spent(lambda: scikit(scores, labels), 3)
    ours, result = spent(lambda: evaluate(scores, labels), 9)
    double, _ = spent(lambda: evaluate(as_double, labels), 9)
    other, _ = spent(lambda: torch_metrics(scores, labels), 3)
    difference = float(np.abs(np.stack([result.bacc, result.auc, result.ap]) - per_class).max())
    replicates, _ = spent(lambda: bootstrap(scores, labels, patients, options.replicates), 1)
    rows = [
        ("BACC, AUC, AP, F1 of all classes, float32 scores", ours, peer / ours),
        ("the same, float64 scores", double, peer / double),
        ("BACC, AUC, AP by scikit-learn, class by class", peer, 1.0),
        ("AUC, AP and confusion by torchmetrics", other, peer / other),
        (
            f"{options.replicates:,} patient-clustered replicates of BACC, AUC, AP",
            replicates,
            peer * options.replicates / replicates,
        ),
        ("best thresholds", *alone(lambda: best_thresholds(scores, labels))),
        ("ECE and Brier score", *alone(lambda: calibration(scores, labels))),
        ("posterior intervals of BACC", *alone(lambda: bacc_posterior(result.confusion))),
    ]
    lines = ["| what | CPU s | scikit-learn's time over this |", "| --- | ---: | ---: |"]
    lines += [f"| {what} | {seconds:.3f} | {f'{gain:.0f}' if gain else ''} |" for what, seconds, gain in rows]
    table = "\n".join(lines)
    print(table)
    print(f"largest difference from scikit-learn: {difference:.1e}")
    if options.write:
        write_section(
            "metrics",
            "Metrics",
            f"`python scripts/bench_metrics.py --write`: {options.images:,} images, {options.classes} classes, "
            f"{int(labels.sum()):,} positives, {len(np.unique(patients)):,} patients, simulated; best of several runs, "
            f"{machine()}. The largest difference of any class from scikit-learn was {difference:.1e}. scikit-learn's "
            f"time for replicates is its time for one evaluation times their number.\n\n{table}",
        )


def simulated(n_images: int, n_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (float32), labels with a long tail, and patients of about three images each."""
    rng = np.random.default_rng(0)
    labels = (rng.random((n_images, n_classes)) < np.geomspace(0.3, 0.001, n_classes)).astype(np.int8)
    logits = rng.normal(-3, 1.5, (n_images, n_classes)) + 2 * labels
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return scores, labels, rng.integers(0, n_images // 3, n_images)


def scikit(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(3, C): BACC, AUC and AP."""
    columns = list(zip(labels.T, scores.T, strict=True))
    return np.array(
        [
            [balanced_accuracy_score(y, s > 0.5) for y, s in columns],
            [roc_auc_score(y, s) for y, s in columns],
            [average_precision_score(y, s) for y, s in columns],
        ]
    )


def torch_metrics(scores: np.ndarray, labels: np.ndarray) -> list[torch.Tensor]:
    """The same by torchmetrics, exact (no binning)."""
    n_classes = labels.shape[1]
    p, y = torch.from_numpy(scores), torch.from_numpy(labels.astype(np.int64))
    metrics = (MultilabelAUROC, MultilabelAveragePrecision, MultilabelStatScores)
    return [metric(n_classes, average=None)(p, y) for metric in metrics]


def spent(work: Callable[[], T], times: int) -> tuple[float, T]:
    """Least CPU seconds of several runs, and the result."""
    result = work()
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        result = work()
        best = min(best, time.process_time() - start)
    return best, result


def alone(work: Callable[[], object]) -> tuple[float, None]:
    """CPU seconds of something without a peer here."""
    return spent(work, 5)[0], None


if __name__ == "__main__":
    main()
