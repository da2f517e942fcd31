"""Labels that others gave, beside ours or in their place: the official ones and a radiologist's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ltml_dataset.building.job import Job
from ltml_dataset.building.verified import apply_review
from ltml_dataset.official import (
    Agreement,
    GivenLabels,
    States,
    compare_labels,
    merge_labels,
    read_given_labels,
)
from ltml_dataset.records import Assertion
from ltml_dataset.schema import LABEL_SOURCES, NO_FINDING, NOT_MENTIONED
from ltml_dataset.studies import Studies
from ltml_lexicons.choose import ChosenLabels, choose_labels


@dataclass(frozen=True)
class Merged:
    """Studies after others had their say."""

    studies: Studies
    agreement: list[Agreement]
    """Our labels against the official ones, over the studies that both have."""
    notes: list[str]


def merge_given_labels(job: Job, studies: Studies) -> Merged:
    """Compare with the official labels and use them where the job says so; then let the radiologist's labels win.

    After official labels come in, positive labels make their parents positive again, and `No Finding` does not stand
    beside a finding. What a radiologist decided is changed by no rule.

    Raises:
        UserError: A file cannot be used.
    """
    names = (*studies.label_names, NO_FINDING)
    agreement: list[Agreement] = []
    notes: list[str] = []
    if studies.subject_ids.null_count:
        n_unknown = studies.subject_ids.null_count
        notes.append(f"The patients of {n_unknown:,} reports are unknown; each counts as a patient of its own.")
    official = _given(job, "official_labels", studies)
    if official is not None:
        agreement = compare_labels(studies.states, official, names)
        notes.append(_coverage("official labels", official, len(studies)))
        if job.config.common_labels == "official":
            states, decided = merge_labels(studies.states, official)
            before = states.copy()
            chosen = choose_labels(job.config.label_set, folder=job.config.lexicon)
            if job.config.parents:
                raise_parents(states, parent_columns(chosen, job.config.profile == "paper"))
            drop_false_no_finding(states, [not label.device for label in chosen.labels])
            is_official = (decided & (states == before))[:, :-1]
            sources = np.where(is_official, np.int8(LABEL_SOURCES.index("official")), np.int8(0))
            is_labelled = studies.is_labelled | _speaks(official)
            studies = replace(studies, states=states, is_labelled=is_labelled, sources=sources)
    gold = _given(job, "gold", studies)
    if gold is not None:
        notes.append(_coverage("gold labels", gold, len(studies)))
        states, decided = merge_labels(studies.states, gold)
        is_labelled = studies.is_labelled | _speaks(gold)
        earlier = np.int8(0) if studies.sources is None else studies.sources
        sources = np.where(decided[:, :-1], np.int8(LABEL_SOURCES.index("gold")), earlier)
        studies = replace(studies, states=states, is_labelled=is_labelled, sources=sources)
    return Merged(studies, agreement, notes)


def merge_verified_labels(merged: Merged, review: Path) -> Merged:
    """What readers of a review decided, in the place of what was mined; after the split, which it must not move.

    Raises:
        UserError: The folder holds no decisions.
    """
    reviewed = apply_review(merged.studies, review)
    return replace(merged, studies=reviewed.studies, notes=merged.notes + reviewed.notes)


def parent_columns(chosen: ChosenLabels, is_paper: bool) -> list[tuple[int, int]]:
    """(child, parent) column pairs of a label set, children of children first."""
    column_of = {label.id: column for column, label in enumerate(chosen.labels)}
    pairs: list[tuple[int, int]] = []

    def climb(child: int, label_id: str) -> None:
        label = chosen.lexicon.labels[label_id]
        for parent in [*label.parents, *(label.paper_parents if is_paper else [])]:
            if parent in column_of:
                pairs.append((child, column_of[parent]))
            climb(child, parent)

    for label in chosen.labels:
        climb(column_of[label.id], label.id)
    return pairs


def raise_parents(states: States, pairs: list[tuple[int, int]]) -> None:
    """Make the parents of positive labels positive, in place."""
    for child, parent in pairs:
        states[states[:, child] == Assertion.POSITIVE, parent] = Assertion.POSITIVE


def drop_false_no_finding(states: States, is_finding: Sequence[bool]) -> None:
    """Blank `No Finding` (last column) where a finding is positive, in place.

    Args:
        states: (N, C + 1).
        is_finding: Whether each of the C labels is a finding, not a device.
    """
    findings = np.flatnonzero(is_finding)
    has_finding = (states[:, findings] == Assertion.POSITIVE).any(axis=1)
    states[has_finding & (states[:, -1] == Assertion.POSITIVE), -1] = NOT_MENTIONED


def _given(job: Job, option: str, studies: Studies) -> GivenLabels | None:
    if option not in job.files:
        return None
    role = {"official_labels": "official labels", "gold": "gold labels"}[option]
    return read_given_labels(role, job.files[option], studies.study_ids, (*studies.label_names, NO_FINDING))


def _speaks(given: GivenLabels) -> npt.NDArray[np.bool_]:
    """(N,): the file says something of the study."""
    speaks: npt.NDArray[np.bool_] = (given.states != NOT_MENTIONED).any(axis=1)
    return speaks


def _coverage(what: str, given: GivenLabels, n_studies: int) -> str:
    n_covered = int(np.count_nonzero(given.has_study))
    other = f"; {given.n_unknown:,} rows belong to no report here" if given.n_unknown else ""
    return f"The {what} cover {n_covered:,} of {n_studies:,} studies{other}."
