"""What all readers together say: final labels, agreement, and the machine's quality."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from ltml_dataset.review.agreement import Estimate, cohen_kappa, fleiss_kappa, machine_quality
from ltml_dataset.review.decisions import Judgement, State
from ltml_dataset.review.queue import Queue, judged_sample, strata_of

LabelSource = Literal["adjudicated", "readers", "reader"]
"""Who decided: an adjudicator, two or more readers who agree, or the one reader there is."""


@dataclass(slots=True)
class Verdict:
    """Final labels of one study. `open_labels` are those on which readers differ and nobody adjudicated."""

    states: dict[str, State] = field(default_factory=dict)
    sources: dict[str, LabelSource] = field(default_factory=dict)
    open_labels: list[str] = field(default_factory=list)


def resolve(judgements: Iterable[Judgement], labels: Sequence[str]) -> dict[str, Verdict]:
    """Final labels of every study that at least one reader has finished.

    An adjudicator's state wins (the latest, if several). Otherwise readers who agree decide, where "absent" and
    "not mentioned" count as agreement on absence and the more explicit "absent" is kept. A label on which they
    differ stays open.
    """
    by_study: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        if judgement.is_done:
            by_study[judgement.study].append(judgement)
    return {study: _verdict(done, labels) for study, done in by_study.items()}


def _verdict(done: Sequence[Judgement], labels: Sequence[str]) -> Verdict:
    verdict = Verdict()
    adjudicated = [judgement for judgement in done if judgement.role == "adjudicator"]
    readers = [judgement for judgement in done if judgement.role != "adjudicator"]
    for label in labels:
        if adjudicated:
            verdict.states[label], verdict.sources[label] = adjudicated[-1].state_of(label), "adjudicated"
            continue
        states = [reader.state_of(label) for reader in readers]
        if len({state or 0 for state in states}) > 1:
            verdict.open_labels.append(label)
            continue
        verdict.states[label] = next((state for state in states if state is not None), None)
        verdict.sources[label] = "readers" if len(readers) > 1 else "reader"
    return verdict


def disagreements(judgements: Iterable[Judgement], labels: Sequence[str]) -> dict[str, list[str]]:
    """Studies that wait for an adjudicator, with the labels in question."""
    verdicts = resolve(judgements, labels)
    return {study: verdict.open_labels for study, verdict in verdicts.items() if verdict.open_labels}


@dataclass(frozen=True, slots=True)
class LabelQuality:
    """One row of the summary: agreement of readers, and precision and recall of the machine."""

    label: str
    judged: int
    kappa: float
    fleiss: float
    double_read: int
    precision: Estimate
    recall: Estimate


def label_quality(
    judgements: Sequence[Judgement],
    labels: Sequence[str],
    states: npt.NDArray[np.int8],
    row_of: Mapping[str, int],
    queue: Queue,
) -> list[LabelQuality]:
    """Agreement and machine quality per label.

    Cohen's kappa compares each study's first and second reader; Fleiss' kappa takes all readers. Categories are
    present, uncertain and absent (negated or not mentioned).

    Args:
        judgements: All judgements of the review folder.
        labels: C label names.
        states: (N, C) int8 machine states.
        row_of: Row of each study id.
        queue: The queue under review, for its random sample.
    """
    verdicts = resolve(judgements, labels)
    skipped = {row_of[j.study] for j in judgements if j.is_skipped and j.study in row_of}
    readings: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        if judgement.is_done and judgement.role != "adjudicator" and judgement.study in row_of:
            readings[judgement.study].append(judgement)
    pairs = [(done[0], done[1]) for done in readings.values() if len(done) > 1]
    rows = []
    for column, label in enumerate(labels):
        judged = {
            row_of[study]: verdict.states[label]
            for study, verdict in verdicts.items()
            if study in row_of and label in verdict.states
        }
        sample = judged_sample(queue.sample, judged, skipped)
        precision, recall = machine_quality(*strata_of(states[:, column], judged, sample))
        counts = [_counts([j.state_of(label) for j in done]) for done in readings.values()]
        rows.append(
            LabelQuality(
                label=label,
                judged=len(judged),
                kappa=cohen_kappa(
                    [a.state_of(label) or 0 for a, _ in pairs], [b.state_of(label) or 0 for _, b in pairs]
                ),
                fleiss=fleiss_kappa(np.array(counts).reshape(-1, 3)),
                double_read=len(pairs),
                precision=precision,
                recall=recall,
            )
        )
    return rows


def _counts(states: Sequence[State]) -> list[int]:
    return [sum((state or 0) == code for state in states) for code in (1, 0, -1)]
