"""Labels that readers verified, in the place of the machine's: after the split, which they must not move."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ltml_dataset.review.consensus import resolve
from ltml_dataset.review.decisions import FILE_NAME, read_decisions
from ltml_dataset.schema import LABEL_SOURCES, NO_FINDING, NOT_MENTIONED
from ltml_dataset.studies import Studies


@dataclass(frozen=True)
class Reviewed:
    """Studies with the readers' labels, and sentences for the card."""

    studies: Studies
    notes: list[str]


def decisions_file(review: Path) -> Path:
    """The file of a review folder that decides labels.

    Raises:
        UserError: The folder holds no decisions.
    """
    read_decisions(review)
    return review / FILE_NAME


def apply_review(studies: Studies, review: Path) -> Reviewed:
    """Replace the machine's labels of finished studies by what readers certified.

    A label that nobody certified (`Judgement.basis_of`), or on which readers differ and nobody adjudicated, keeps
    the machine's state and source. A study that is not in this data set is counted in a note.

    Args:
        studies: All studies.
        review: Folder of the decisions (`ltml-build-labels review`).

    Raises:
        UserError: The folder holds no decisions.
    """
    names = (*studies.label_names, NO_FINDING)
    judgements, n_foreign = read_decisions(review)
    verdicts = resolve(judgements, names)
    row_of = {str(study): row for row, study in enumerate(studies.study_ids.to_pylist())}
    states = studies.states.copy()
    sources = np.zeros((len(studies), len(names) - 1), np.int8) if studies.sources is None else studies.sources.copy()
    is_labelled = studies.is_labelled.copy()
    seen: Counter[str] = Counter()
    for study, verdict in verdicts.items():
        row = row_of.get(study)
        if row is None:
            seen["unknown"] += 1
            continue
        seen["studies"] += 1
        seen["open"] += len(verdict.open_labels)
        seen["whole"] += verdict.is_whole
        seen["hasty"] += verdict.is_hasty
        is_labelled[row] |= bool(verdict.states)
        for column, name in enumerate(names):
            if name not in verdict.states:
                continue
            state = verdict.states[name]
            code = NOT_MENTIONED if state is None else state
            seen["changed"] += int(states[row, column] != code)
            states[row, column] = code
            if column < sources.shape[1]:
                seen["report" if verdict.sources[name] == "report" else "looked at"] += 1
                sources[row, column] = LABEL_SOURCES.index(verdict.sources[name])
    notes = [
        f"Readers verified {seen['studies']:,} studies and changed {seen['changed']:,} labels in them. They looked at "
        f"{seen['looked at']:,} labels; {seen['report']:,} more are verified as part of the {seen['whole']:,} reports "
        "that were confirmed whole; all others of these studies are the machine's."
    ]
    if seen["hasty"]:
        notes.append(f"{seen['hasty']:,} studies were finished faster than they can be read.")
    if seen["open"]:
        notes.append(f"Readers differ on {seen['open']:,} labels that nobody adjudicated: they are the machine's.")
    if seen["unknown"]:
        notes.append(f"{seen['unknown']:,} reviewed studies are not in this data set.")
    if n_foreign:
        notes.append(f"{n_foreign:,} lines of {FILE_NAME} are no decisions and were left out.")
    return Reviewed(replace(studies, states=states, sources=sources, is_labelled=is_labelled), notes)
