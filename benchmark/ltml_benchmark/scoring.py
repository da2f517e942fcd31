"""Scores of one split as the content of `metrics.json`: metrics, best thresholds, intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltml_benchmark.data import Folder, Split
from ltml_benchmark.metrics import Evaluation, bacc_posterior, bootstrap, calibration, evaluate
from ltml_benchmark.metrics.bootstrap import BOOTSTRAPPED

METRICS_FORMAT = "ltml-benchmark-metrics/1"
THRESHOLD = 0.5
LEVEL = 0.95

Scores = NDArray[np.float32] | NDArray[np.float64]


def evaluate_split(
    scores: Scores, split: Split, folder: Folder, threshold: float | NDArray[np.float64] = THRESHOLD
) -> Evaluation:
    """Metrics of (N, C) probabilities against the split's labels."""
    return evaluate(scores, split.labels, folder.groups, threshold)


def selection_value(result: Evaluation, select: str, epoch: int) -> float:
    """What the choice of the epoch maximises: a Total on validation, or the epoch itself for `last`."""
    return float(epoch) if select == "last" else result.mean(select)


def epoch_scalars(result: Evaluation) -> dict[str, float]:
    """`bacc_total`, `bacc_head` ... `ap_tail` for the logs."""
    return {f"{metric}_{group}": result.mean(metric, group) for metric in BOOTSTRAPPED for group in result.groups}


def metrics_content(
    scores: Scores,
    split: Split,
    folder: Folder,
    thresholds: NDArray[np.float64] | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything that tables and the report need to know about one set of predictions.

    Args:
        scores: (N, C) probabilities.
        split: Rows in the order of `scores`.
        folder: Labels and groups.
        thresholds: (C,) thresholds that were best on validation, where known.
        replicates: Bootstrap replicates over patients; 0 leaves intervals out.
        seed: Seed of the bootstrap.

    Returns:
        Content of `metrics.json`; undefined values are NaN or None. `images` of a class is the number
        of its labels that counted.
    """
    names = list(folder.labels)
    result = evaluate_split(scores, split, folder)
    content: dict[str, Any] = {
        "format": METRICS_FORMAT,
        "split": split.name,
        **counted(split),
        "data": folder.manifest_sha256,
        "labels": names,
        "threshold": THRESHOLD,
        **result.to_dict(names),
    }
    for name, more in zip(names, _reliability(result, scores, split), strict=True):
        content["classes"][name] |= more
    if thresholds is not None:
        best = evaluate_split(scores, split, folder, thresholds).to_dict(names)
        content["best_threshold"] = best
    if replicates:
        content["intervals"] = _intervals(scores, split, folder, replicates, seed)
    return content


def counted(split: Split) -> dict[str, Any]:
    """What is scored: images and patients with a label that counts, which labels count, how many are left out."""
    subject = split.subject[split.rows_with_labels()]
    return {
        "images": len(subject),
        "patients": len(np.unique(subject)),
        "labels_counted": "verified" if split.only_verified else "known",
        "labels_left_out": 0 if split.known is None else int(split.known.size - np.count_nonzero(split.known)),
    }


def _reliability(result: Evaluation, scores: Scores, split: Split) -> list[dict[str, Any]]:
    """For each class its calibration and the 95 % interval of the posterior of its BACC (Brodersen et al., 2010)."""
    calibrated, posterior = calibration(scores, split.labels), bacc_posterior(result.confusion, LEVEL)
    rows = zip(calibrated.ece, calibrated.brier, posterior.low, posterior.high, strict=True)
    return [
        {"ece": float(ece), "brier": float(brier), "bacc_posterior": [float(low), float(high)]}
        for ece, brier, low, high in rows
    ]


def _intervals(scores: Scores, split: Split, folder: Folder, replicates: int, seed: int) -> Mapping[str, Any]:
    drawn = bootstrap(scores, split.labels, split.subject, replicates, groups=folder.groups, level=LEVEL, seed=seed)
    by_class = {metric: drawn.by_class(metric) for metric in BOOTSTRAPPED}
    return {
        "level": LEVEL,
        "replicates": replicates,
        "unit": "patient",
        "classes": {
            name: {metric: bounds[place].tolist() for metric, bounds in by_class.items()}
            for place, name in enumerate(folder.labels)
        },
        "groups": {
            group: {metric: list(drawn.of_group(metric, group)) for metric in BOOTSTRAPPED} for group in drawn.groups
        },
    }
