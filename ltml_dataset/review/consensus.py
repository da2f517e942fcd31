"""What all readers together say: final labels, agreement, and the machine's quality."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from ltml_dataset.review.agreement import Estimate, fleiss_estimate, kappa_estimates, machine_quality
from ltml_dataset.review.decisions import Judgement
from ltml_dataset.review.events import State
from ltml_dataset.review.queue import Queue, judged_sample, strata_of

LabelSource = Literal["adjudicated", "readers", "reader", "report"]
"""Who decided: an adjudicator, two or more readers who agree, one reader; `report` where a reader did not look at the
label by itself but confirmed the whole report."""


@dataclass(slots=True)
class Verdict:
    """Final labels of one study: those that somebody certified (`Judgement.basis_of`).

    `open_labels` are those on which readers differ and nobody adjudicated. A label in neither `states` nor
    `open_labels` was certified by nobody and stays the machine's.
    """

    states: dict[str, State] = field(default_factory=dict)
    sources: dict[str, LabelSource] = field(default_factory=dict)
    open_labels: list[str] = field(default_factory=list)
    is_whole: bool = False
    """Whether somebody confirmed the whole report."""
    is_hasty: bool = False
    """Whether somebody finished it faster than it can be read."""


def resolve(judgements: Iterable[Judgement], labels: Sequence[str]) -> dict[str, Verdict]:
    """Final labels of every study that at least one reader has finished.

    An adjudicator's certified state wins (the latest, if several). Otherwise readers who agree decide, where "absent"
    and "not mentioned" count as agreement on absence and the more explicit "absent" is kept, and at least one of them
    must have certified the label. A label on which they differ stays open, even where only one of them certified it:
    the other read the same report and left the label as it was.
    """
    by_study: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        if judgement.is_done:
            by_study[judgement.study].append(judgement)
    return {study: _verdict(done, labels) for study, done in by_study.items()}


def _verdict(done: Sequence[Judgement], labels: Sequence[str]) -> Verdict:
    verdict = Verdict(is_whole=any(j.whole for j in done), is_hasty=any(j.hasty for j in done))
    adjudicators = sorted((j for j in done if j.role == "adjudicator"), key=lambda j: j.time, reverse=True)
    readers = [judgement for judgement in done if judgement.role != "adjudicator"]
    # Most labels of a study are said by nobody: of them the whole report alone decides.
    said = {label for judgement in done for label in (*judgement.changed, *judgement.machine, *judgement.asked)}
    unsaid: LabelSource | None = None
    if any(judge.whole for judge in adjudicators):
        unsaid = "adjudicated"
    elif any(reader.whole for reader in readers):
        unsaid = "report"
    for label in labels:
        if label in said:
            _decide(verdict, label, adjudicators, readers)
        elif unsaid is not None:
            verdict.states[label], verdict.sources[label] = None, unsaid
    return verdict


def _decide(verdict: Verdict, label: str, adjudicators: Sequence[Judgement], readers: Sequence[Judgement]) -> None:
    judge = next((judge for judge in adjudicators if judge.basis_of(label)), None)
    if judge is not None:
        verdict.states[label], verdict.sources[label] = judge.state_of(label), "adjudicated"
        return
    states = [reader.state_of(label) for reader in readers]
    if len({state or 0 for state in states}) > 1:
        verdict.open_labels.append(label)
        return
    bases = [basis for reader in readers if (basis := reader.basis_of(label))]
    if not bases:
        return
    looked_at = sum(basis != "report" for basis in bases)
    verdict.states[label] = next((state for state in states if state is not None), None)
    verdict.sources[label] = "report" if not looked_at else "readers" if looked_at > 1 else "reader"


def disagreements(judgements: Iterable[Judgement], labels: Sequence[str]) -> dict[str, list[str]]:
    """Studies that wait for an adjudicator, with the labels in question."""
    verdicts = resolve(judgements, labels)
    return {study: verdict.open_labels for study, verdict in verdicts.items() if verdict.open_labels}


@dataclass(frozen=True, slots=True)
class LabelQuality:
    """One row of the summary: agreement of readers, and precision and recall of the machine."""

    label: str
    judged: int
    double_read: int
    kappa: Estimate
    fleiss: Estimate
    precision: Estimate
    recall: Estimate


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two readers, over the studies that both have finished and all labels."""

    first: str
    second: str
    studies: int
    differing: int
    """Labels on which they differ."""
    agreement: float
    """Share of labels on which they agree."""
    kappa: Estimate


def label_quality(
    judgements: Sequence[Judgement],
    labels: Sequence[str],
    states: npt.NDArray[np.int8],
    row_of: Mapping[str, int],
    queue: Queue,
) -> list[LabelQuality]:
    """Agreement and machine quality per label, after a first row `all labels` for the agreement.

    Cohen's kappa compares each study's first and second reader; Fleiss' kappa takes all readers. Categories are
    present, uncertain and absent (negated or not mentioned), over every study that was read twice: a label that a
    reader left alone counts as they left it. Precision and recall count certified labels only; of the random sample
    only studies whose whole report was confirmed, because a finding that only its discoverer certifies would make
    the machine look worse than it is.

    Args:
        judgements: All judgements of the review folder.
        labels: C label names.
        states: (N, C) int8 machine states.
        row_of: Row of each study id.
        queue: The queue under review, for its random sample.
    """
    judgements = [judgement for judgement in judgements if judgement.study in row_of]
    verdicts = resolve(judgements, labels)
    closed = {row_of[j.study] for j in judgements if j.is_skipped or j.is_done}
    whole = {row_of[study] for study, verdict in verdicts.items() if verdict.is_whole}
    readings = _readings(judgements)
    pairs = [(done[0], done[1]) for done in readings.values() if len(done) > 1]
    overall, kappas = kappa_estimates(
        _states([first for first, _ in pairs], labels), _states([second for _, second in pairs], labels)
    )
    counts = _counts(list(readings.values()), labels)
    rows = []
    for column, label in enumerate(labels):
        judged = {
            row_of[study]: verdict.states[label] for study, verdict in verdicts.items() if label in verdict.states
        }
        is_open = {row_of[study] for study, verdict in verdicts.items() if label in verdict.open_labels}
        sample = judged_sample(queue.sample, whole.intersection(judged), closed - whole - is_open)
        precision, recall = machine_quality(*strata_of(states[:, column], judged, sample))
        rows.append(
            LabelQuality(
                label=label,
                judged=len(judged),
                double_read=len(pairs),
                kappa=kappas[column],
                fleiss=fleiss_estimate(counts[:, column : column + 1]),
                precision=precision,
                recall=recall,
            )
        )
    unknown = Estimate(float("nan"), float("nan"), float("nan"))
    everything = LabelQuality(
        label=ALL_LABELS,
        judged=sum(row.judged for row in rows),
        double_read=len(pairs),
        kappa=overall,
        fleiss=fleiss_estimate(counts),
        precision=unknown,
        recall=unknown,
    )
    return [everything, *rows]


ALL_LABELS = "all labels"
"""Name of the row that pools the agreement over labels."""


def reader_agreement(judgements: Iterable[Judgement], labels: Sequence[str]) -> list[PairAgreement]:
    """Every two readers who have finished a study in common, by name."""
    shared: dict[tuple[str, str], list[tuple[Judgement, Judgement]]] = defaultdict(list)
    for done in _readings(judgements).values():
        for first, second in combinations(sorted(done, key=lambda j: j.reader), 2):
            shared[(first.reader, second.reader)].append((first, second))
    rows = []
    for (first_name, second_name), pairs in sorted(shared.items()):
        one, other = (_states([pair[side] for pair in pairs], labels) for side in (0, 1))
        differing = int((one != other).sum())
        rows.append(
            PairAgreement(
                first=first_name,
                second=second_name,
                studies=len(pairs),
                differing=differing,
                agreement=1 - differing / max(one.size, 1),
                kappa=kappa_estimates(one, other)[0],
            )
        )
    return rows


def _readings(judgements: Iterable[Judgement]) -> dict[str, list[Judgement]]:
    """Finished readings of each study, adjudications left out; one for each reader."""
    readings: dict[str, dict[str, Judgement]] = defaultdict(dict)
    for judgement in judgements:
        if judgement.is_done and judgement.role != "adjudicator":
            readings[judgement.study].setdefault(judgement.reader, judgement)
    return {study: list(done.values()) for study, done in readings.items()}


def _states(judgements: Sequence[Judgement], labels: Sequence[str]) -> npt.NDArray[np.int8]:
    """(N, C) states with "not mentioned" as 0."""
    column_of = {label: column for column, label in enumerate(labels)}
    states = np.zeros((len(judgements), len(labels)), np.int8)
    for row, judgement in enumerate(judgements):
        for label, state in {**judgement.machine, **judgement.changed}.items():
            if label in column_of:
                states[row, column_of[label]] = state or 0
    return states


def _counts(readings: Sequence[Sequence[Judgement]], labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """(N, C, 3) readers of each study who say present, absent or nothing, uncertain."""
    counts = np.zeros((len(readings), len(labels), 3), np.int64)
    if not len(readings):
        return counts
    states = _states([judgement for done in readings for judgement in done], labels)
    starts = np.cumsum([0, *(len(done) for done in readings[:-1])])
    for place, code in enumerate((1, 0, -1)):
        counts[:, :, place] = np.add.reduceat(states == code, starts, axis=0, dtype=np.int64)
    return counts
