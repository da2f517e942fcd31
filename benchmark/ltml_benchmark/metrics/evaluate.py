"""BACC, AUC, AP, F1 of every class and their means over head, medium and tail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ltml_benchmark.errors import UserError
from ltml_benchmark.metrics.ranking import by_class, rank_positives

METRICS = ("bacc", "auc", "ap", "f1")
TOTAL = "total"

Groups = Mapping[str, Sequence[int] | NDArray[np.integer[Any]]] | Sequence[str] | NDArray[np.str_]


@dataclass(frozen=True)
class Evaluation:
    """Metrics per class, NaN where a class has no positives or no negatives; means skip and count those."""

    bacc: NDArray[np.float64]
    """(C,) mean of sensitivity and specificity at score > threshold."""
    auc: NDArray[np.float64]
    """(C,) area under the ROC curve."""
    ap: NDArray[np.float64]
    """(C,) average precision."""
    f1: NDArray[np.float64]
    """(C,) F1 at score > threshold."""
    sensitivity: NDArray[np.float64]
    """(C,)."""
    specificity: NDArray[np.float64]
    """(C,)."""
    precision: NDArray[np.float64]
    """(C,); NaN where nothing is predicted positive."""
    confusion: NDArray[np.int64]
    """(C, 4): true positives, false negatives, true negatives, false positives."""
    threshold: NDArray[np.float64]
    """(C,)."""
    groups: dict[str, NDArray[np.int64]]
    """Class indices by group, `total` first."""

    def mean(self, metric: str, group: str = TOTAL, *, strict: bool = False) -> float:
        """Unweighted mean over the classes of a group.

        Args:
            metric: A field of this class.
            group: A key of `groups`.
            strict: Make an undefined class the whole mean undefined, as the released evaluation does.
        """
        values = self._of(metric)[self.groups[group]]
        if not strict:
            values = values[~np.isnan(values)]
        return float(values.mean()) if len(values) else float("nan")

    def undefined(self, metric: str, group: str = TOTAL) -> int:
        """Number of classes of a group for which a metric is undefined."""
        return int(np.isnan(self._of(metric)[self.groups[group]]).sum())

    def to_dict(self, label_names: Sequence[str] | None = None) -> dict[str, Any]:
        """Plain numbers for JSON: `classes` by name, `groups` with means and counts; undefined values are None."""
        n_classes = len(self.bacc)
        names = [str(i) for i in range(n_classes)] if label_names is None else list(label_names)
        if len(names) != n_classes:
            raise UserError(f"{len(names)} label names were given for {n_classes} classes; give one per class")
        shown = (*METRICS, "sensitivity", "specificity", "precision", "threshold")
        classes = {
            name: {metric: _plain(self._of(metric)[i]) for metric in shown}
            | {"positives": int(self.confusion[i, :2].sum()), "images": int(self.confusion[i].sum())}
            for i, name in enumerate(names)
        }
        groups = {
            group: {
                "classes": len(indices),
                "mean": {metric: _plain(self.mean(metric, group)) for metric in METRICS},
                "undefined": {metric: self.undefined(metric, group) for metric in METRICS},
            }
            for group, indices in self.groups.items()
        }
        return {"classes": classes, "groups": groups}

    def _of(self, metric: str) -> NDArray[np.float64]:
        values = getattr(self, metric, None)
        if not isinstance(values, np.ndarray) or values.ndim != 1:
            raise UserError(f"there is no metric {metric!r}; expected one of {', '.join(METRICS)}")
        return values


def evaluate(
    scores: ArrayLike, labels: ArrayLike, groups: Groups | None = None, threshold: float | ArrayLike = 0.5
) -> Evaluation:
    """Metrics of all classes.

    Args:
        scores: (N, C) probabilities (or logits, with threshold 0).
        labels: (N, C) 0/1; -1 leaves an entry out, as if its image were not there for that class.
        groups: Class indices by group name, or the group name of each class (C,); `total` is always added.
        threshold: One for all classes or (C,); a score is a positive decision when it is strictly above.

    Returns:
        See `Evaluation`. BACC and AUC need a positive and a negative, AP and F1 a positive; else they are NaN.

    Raises:
        UserError: If shapes differ, scores are not numbers, or a group names a class that does not exist.

    Example:
        >>> result = evaluate([[0.9, 0.2], [0.4, 0.8]], [[1, 0], [0, 0]])
        >>> result.mean("bacc"), result.undefined("bacc")
        (1.0, 1)
    """
    data = by_class(scores, labels)
    n_classes = len(data.scores)
    thresholds = class_thresholds(threshold, n_classes)
    auc, ap = np.empty(n_classes), np.empty(n_classes)
    confusion = np.empty((n_classes, 4), dtype=np.int64)
    for c in range(n_classes):
        column, positive = data.column(c)
        ranked = rank_positives(column, positive)
        auc[c], ap[c] = ranked.auc(), ranked.average_precision()
        cut = column.dtype.type(thresholds[c])
        found = ranked.n_positive - int(np.searchsorted(ranked.scores, cut, side="right"))
        false_alarms = int(np.count_nonzero(column > cut)) - found
        confusion[c] = found, ranked.n_positive - found, ranked.n_negative - false_alarms, false_alarms
    tp, fn, tn, fp = confusion.astype(np.float64).T
    sensitivity, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    return Evaluation(
        bacc=(sensitivity + specificity) / 2.0,
        auc=auc,
        ap=ap,
        f1=np.where(tp + fn > 0, ratio(2.0 * tp, 2.0 * tp + fp + fn), np.nan),
        sensitivity=sensitivity,
        specificity=specificity,
        precision=ratio(tp, tp + fp),
        confusion=confusion,
        threshold=thresholds,
        groups=checked_groups(groups, n_classes),
    )


def group_classes(counts: ArrayLike, head_from: int = 10_000, tail_below: int = 1_000) -> dict[str, NDArray[np.int64]]:
    """Class indices by count: tail < `tail_below` <= medium < `head_from` <= head."""
    n = np.asarray(counts)
    return {
        "head": np.flatnonzero(n >= head_from),
        "medium": np.flatnonzero((n >= tail_below) & (n < head_from)),
        "tail": np.flatnonzero(n < tail_below),
    }


def class_thresholds(threshold: float | ArrayLike, n_classes: int) -> NDArray[np.float64]:
    """(C,) thresholds from one number or one per class.

    Raises:
        UserError: If the number of thresholds is neither 1 nor C.
    """
    given = np.asarray(threshold, dtype=np.float64)
    if given.ndim > 1 or given.size not in (1, n_classes):
        raise UserError(f"{given.size} thresholds were given for {n_classes} classes; give one or one per class")
    return np.broadcast_to(given.reshape(-1), (n_classes,)).copy()


def checked_groups(groups: Groups | None, n_classes: int) -> dict[str, NDArray[np.int64]]:
    """Groups as index vectors, `total` first.

    Args:
        groups: Class indices by group name, or the group name of each class, (C,).
        n_classes: C.

    Raises:
        UserError: If an index is not that of a class, or there is not one group name per class.
    """
    checked = {TOTAL: np.arange(n_classes)}
    if groups is not None and not isinstance(groups, Mapping):
        names = np.asarray(groups)
        if names.shape != (n_classes,):
            raise UserError(f"{names.shape} group names were given for {n_classes} classes; give one per class")
        groups = {str(name): np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())}
    for name, members in (groups or {}).items():
        indices = np.asarray(members).reshape(-1)
        if len(indices) and not np.issubdtype(indices.dtype, np.integer):
            raise UserError(f"group {name!r} holds {indices.tolist()[:2]}, expected the indices of its classes")
        indices = indices.astype(np.int64)
        if len(indices) and not 0 <= indices.min() <= indices.max() < n_classes:
            raise UserError(f"group {name!r} names class {int(indices.max())}, but there are {n_classes} classes")
        checked[name] = indices
    return checked


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """part / whole, NaN where the whole is 0."""
    quotient = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=quotient, where=whole > 0)
    return quotient


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
