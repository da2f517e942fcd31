"""Scores of one split as the content of `metrics.json`: metrics under every decision rule, intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltml_benchmark.data import Folder, Split
from ltml_benchmark.errors import UserError
from ltml_benchmark.metrics import FEW_POSITIVES, Evaluation, bacc_posterior, bootstrap, calibration, evaluate
from ltml_benchmark.metrics.bootstrap import BOOTSTRAPPED

METRICS_FORMAT = "ltml-benchmark-metrics/2"
THRESHOLD = 0.5
LEVEL = 0.95
RULES = ("raw", "prior", "validation")
"""Decision rules: a score above 0.5, above the prior that training showed, above the best threshold on validation."""
DECIDED = ("bacc", "f1", "sensitivity", "specificity", "precision", "threshold")
"""Metrics that depend on the decision rule."""

Scores = NDArray[np.float32] | NDArray[np.float64]


def prior_thresholds(shown: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds of the prior correction for scores that are probabilities: the shares of positives themselves.

    Deciding above the prior is logit adjustment after training (Menon et al., ICLR 2021): the rule that is best for
    balanced accuracy when scores are calibrated. Runs of ours keep the thresholds that belong to their loss.

    Args:
        shown: (C,) share of positives among the labels that training showed.

    Returns:
        (C,) thresholds inside (0, 1).
    """
    return np.clip(shown, 1e-6, 1 - 1e-6)


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
    thresholds: Mapping[str, NDArray[np.float64]],
    replicates: int = 1000,
    seed: int = 0,
    decide: str = "raw",
    left_out: int = 0,
) -> dict[str, Any]:
    """Everything that tables and the report need to know about one set of predictions.

    Args:
        scores: (N, C) probabilities.
        split: Rows in the order of `scores`.
        folder: Labels and groups.
        thresholds: (C,) thresholds of the rules `prior` and `validation`, where known.
        replicates: Bootstrap replicates over patients; 0 leaves intervals out.
        seed: Seed of the bootstrap.
        decide: Rule behind `classes`, `groups` and `intervals`; the others stand under `decisions`.
        left_out: Images of the split that are not there and were not scored.

    Returns:
        Content of `metrics.json`; undefined values are NaN or None. `images` of a class is the number
        of its labels that counted, `few` says that fewer than 10 patients have it.

    Raises:
        UserError: The rule needs thresholds that are not known.
    """
    names = list(folder.labels)
    cuts: dict[str, float | NDArray[np.float64]] = {"raw": THRESHOLD, **thresholds}
    if decide not in cuts:
        raise UserError(
            f"--decide {decide} needs predictions of the whole validation split beside those of {split.name}; add them."
        )
    result = evaluate_split(scores, split, folder, cuts[decide])
    content: dict[str, Any] = {
        "format": METRICS_FORMAT,
        "split": split.name,
        **counted(split),
        "images_left_out": left_out,
        "data": folder.manifest_sha256,
        "labels": names,
        "decide": decide,
        **result.to_dict(names),
    }
    patients = _positive_patients(split)
    for place, (name, more) in enumerate(zip(names, _reliability(result, scores, split), strict=True)):
        content["classes"][name] |= more
        content["classes"][name]["positive_patients"] = int(patients[place])
        content["classes"][name]["few"] = bool(patients[place] < FEW_POSITIVES)
    content["decisions"] = {
        rule: _decided(evaluate_split(scores, split, folder, cuts[rule]).to_dict(names))
        for rule in RULES
        if rule in cuts
    }
    if replicates:
        content["intervals"] = _intervals(scores, split, folder, cuts[decide], replicates, seed)
    return content


def _decided(content: Mapping[str, Any]) -> dict[str, Any]:
    """Of an evaluation what depends on the decision rule."""
    classes = {name: {key: values[key] for key in DECIDED} for name, values in content["classes"].items()}
    groups = {
        group: {part: {key: values[part][key] for key in ("bacc", "f1")} for part in ("mean", "undefined")}
        for group, values in content["groups"].items()
    }
    return {"classes": classes, "groups": groups}


def _positive_patients(split: Split) -> NDArray[np.int64]:
    """(C,) patients with a positive that counts."""
    return np.array([len(np.unique(split.subject[column == 1])) for column in split.target.T], dtype=np.int64)


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


def _intervals(
    scores: Scores,
    split: Split,
    folder: Folder,
    threshold: float | NDArray[np.float64],
    replicates: int,
    seed: int,
) -> Mapping[str, Any]:
    drawn = bootstrap(
        scores,
        split.labels,
        split.subject,
        replicates,
        groups=folder.groups,
        threshold=threshold,
        level=LEVEL,
        seed=seed,
    )
    by_class = {metric: drawn.by_class(metric) for metric in BOOTSTRAPPED}
    return {
        "level": LEVEL,
        "replicates": replicates,
        "unit": "patient",
        "method": {
            "bacc": "posterior",
            "auc": "Newcombe",
            "ap": "logit, from AP without itself to AP",
            "groups": "MOVER",
        },
        "classes": {
            name: {metric: bounds[place].tolist() for metric, bounds in by_class.items()}
            for place, name in enumerate(folder.labels)
        },
        "groups": {
            group: {metric: list(drawn.of_group(metric, group)) for metric in BOOTSTRAPPED} for group in drawn.groups
        },
    }
