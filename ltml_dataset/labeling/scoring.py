"""How good labels are against an expert's, and how far two labelings agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ltml_dataset.errors import UserError
from ltml_dataset.labeling.gold import BLANK, LabelStates, States, align
from ltml_dataset.schema import NO_FINDING

STATES = (1, 0, -1, BLANK)
"""Order of the rows and columns of every confusion matrix: present, negated, uncertain, not mentioned."""

UncertainAs = Literal["negative", "positive", "exclude"]


@dataclass(frozen=True)
class LabelScore:
    """Counts of one label: positive is state 1, everything else but the left-out is negative.

    `confusion` is int64 (4, 4): rows predicted, columns gold, both in the order of `STATES`, over all reports.
    """

    label: str
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    confusion: npt.NDArray[np.int64]

    @property
    def n_scored(self) -> int:
        """Reports that count: the gold is neither uncertain nor unknown."""
        return self.true_positive + self.false_positive + self.false_negative + self.true_negative

    @property
    def precision(self) -> float:
        """Share of predicted positives that are right; NaN without predicted positives."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of gold positives that were found; NaN without gold positives."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN where the gold has no positive and none was predicted."""
        return _ratio(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)


@dataclass(frozen=True)
class Scores:
    """Scores of all shared labels."""

    labels: tuple[LabelScore, ...]
    n_reports: int

    def only(self, names: Sequence[str]) -> "Scores":
        """Scores of some labels.

        Raises:
            UserError: A name is not among the shared labels.
        """
        known = {score.label for score in self.labels}
        for name in names:
            if name not in known:
                raise UserError(f"Label `{name}` is not in both tables; shared labels: {', '.join(sorted(known))}.")
        return Scores(tuple(score for score in self.labels if score.label in names), self.n_reports)

    def pooled(self, names: Sequence[str] | None = None) -> LabelScore:
        """Counts of several labels added up (all without `No Finding` by default): their micro-averages."""
        chosen = [s for s in self.labels if (s.label in names if names is not None else s.label != NO_FINDING)]
        confusion = np.sum([s.confusion for s in chosen], axis=0) if chosen else np.zeros((4, 4), dtype=np.int64)
        return LabelScore(
            "micro",
            sum(s.true_positive for s in chosen),
            sum(s.false_positive for s in chosen),
            sum(s.false_negative for s in chosen),
            sum(s.true_negative for s in chosen),
            confusion,
        )

    def macro_f1(self, names: Sequence[str] | None = None) -> tuple[float, int]:
        """Mean F1 over labels with at least one gold positive, and how many labels that is."""
        values = [
            s.f1
            for s in self.labels
            if (s.label in names if names is not None else s.label != NO_FINDING)
            and s.true_positive + s.false_negative > 0
        ]
        return (float(np.mean(values)) if values else float("nan"), len(values))


@dataclass(frozen=True)
class Agreement:
    """How two labelings agree on one label.

    `kappa` is Cohen's, over the four states; NaN where both always say the same one state. `kappa_present` is the
    same over present or not, which forgives "negated" against "not mentioned".
    `differ` are the ids of the reports on which they differ, in the order of the first table.
    """

    label: str
    n_reports: int
    n_same: int
    kappa: float
    kappa_present: float
    only_first: int
    only_second: int
    confusion: npt.NDArray[np.int64]
    differ: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of reports with the same state."""
        return _ratio(self.n_same, self.n_reports)


def score_labels(predicted: LabelStates, gold: LabelStates, uncertain_as: UncertainAs = "negative") -> Scores:
    """Compare predicted states with an expert's.

    Gold that is -1 is left out of precision, recall and F1, and so is blank gold where the table says that blank
    means "unknown". Both stay visible in the confusion of states.

    Args:
        predicted: A label file.
        gold: An expert's table; only reports and labels that both have are scored.
        uncertain_as: What a predicted -1 counts as.

    Returns:
        One score per shared label, in the order of the prediction.
    """
    predicted, gold = align(predicted, gold)
    return Scores(
        tuple(
            _score(label, predicted.states[:, k], gold.states[:, k], gold.blank == "unknown", uncertain_as)
            for k, label in enumerate(predicted.labels)
        ),
        len(predicted.ids),
    )


def compare_labels(first: LabelStates, second: LabelStates) -> tuple[Agreement, ...]:
    """Agreement of two labelings on every label and report they share."""
    first, second = align(first, second)
    return tuple(
        _agreement(label, first.ids, first.states[:, k], second.states[:, k]) for k, label in enumerate(first.labels)
    )


def confusion_of_states(rows: States, columns: States) -> npt.NDArray[np.int64]:
    """Counts of state pairs, shape (4, 4) in the order of `STATES`."""
    code = np.empty(256, dtype=np.int64)
    for position, state in enumerate(STATES):
        code[np.int8(state).view(np.uint8)] = position
    pairs = code[rows.view(np.uint8)] * 4 + code[columns.view(np.uint8)]
    return np.bincount(pairs, minlength=16).reshape(4, 4)


def cohens_kappa(confusion: npt.NDArray[np.int64]) -> float:
    """Cohen's kappa of a square confusion matrix; NaN where chance alone gives full agreement.

    Source: Cohen 1960, kappa = (p_o - p_e) / (1 - p_e).
    """
    total = confusion.sum()
    if total == 0:
        return float("nan")
    observed = np.trace(confusion) / total
    expected = float((confusion.sum(axis=0) * confusion.sum(axis=1)).sum()) / float(total) ** 2
    return float("nan") if expected >= 1 else float((observed - expected) / (1 - expected))


def counts_and_calls(
    predicted: States, gold: States, blank_unknown: bool, uncertain_as: UncertainAs
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which reports count, and which of all are called positive; shapes (N,)."""
    counts = gold != -1
    if blank_unknown:
        counts &= gold != BLANK
    if uncertain_as == "exclude":
        counts &= predicted != -1
    calls = (predicted == 1) | (predicted == -1) if uncertain_as == "positive" else predicted == 1
    return counts, calls


def _score(label: str, predicted: States, gold: States, blank_unknown: bool, uncertain_as: UncertainAs) -> LabelScore:
    predicted, gold = np.ascontiguousarray(predicted), np.ascontiguousarray(gold)
    counts, says = counts_and_calls(predicted, gold, blank_unknown, uncertain_as)
    true = gold == 1
    return LabelScore(
        label,
        int((says & true & counts).sum()),
        int((says & ~true & counts).sum()),
        int((~says & true & counts).sum()),
        int((~says & ~true & counts).sum()),
        confusion_of_states(predicted, gold),
    )


def _agreement(label: str, ids: npt.NDArray[np.object_], first: States, second: States) -> Agreement:
    first, second = np.ascontiguousarray(first), np.ascontiguousarray(second)
    confusion = confusion_of_states(first, second)
    differ = first != second
    both = confusion[0, 0]
    presence = np.array([[both, confusion[0, 1:].sum()], [confusion[1:, 0].sum(), confusion[1:, 1:].sum()]])
    return Agreement(
        label,
        len(first),
        int((~differ).sum()),
        cohens_kappa(confusion),
        cohens_kappa(presence),
        int(((first == 1) & (second != 1)).sum()),
        int(((second == 1) & (first != 1)).sum()),
        confusion,
        tuple(ids[differ]),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
