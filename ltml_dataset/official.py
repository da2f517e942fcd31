"""Labels that come with MIMIC-CXR-JPG beside ours: the official ones and a radiologist's, merged or compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ltml_dataset.errors import UserError
from ltml_dataset.schema import NOT_MENTIONED
from ltml_dataset.sources.mimic_tables import OFFICIAL_LABELS, read_labels

States = npt.NDArray[np.int8]


@dataclass(frozen=True)
class GivenLabels:
    """Labels of a file, laid out as the data set's."""

    states: States
    """(N, L): 1, 0, -1 or `NOT_MENTIONED`."""
    has_study: npt.NDArray[np.bool_]
    """(N,): the file has a row for the study."""
    has_label: npt.NDArray[np.bool_]
    """(L,): the file has a column for the label."""
    n_unknown: int
    """Rows of the file whose study is not in the data set."""


@dataclass(frozen=True)
class Agreement:
    """How two labelings of the same studies agree on one label."""

    label: str
    n: int
    """Studies compared."""
    both: int
    """Positive in both."""
    only_mined: int
    only_given: int
    same_state: int
    """Same of the four states: present, negated, uncertain, not mentioned."""
    kappa: float | None
    """Cohen's kappa of positive against the rest; None where one side is constant."""


def read_given_labels(role: str, path: Path, study_ids: pa.Array, label_names: Sequence[str]) -> GivenLabels:
    """Labels of the official (`official labels`) or the radiologist's file (`gold labels`).

    Args:
        role: Which file.
        path: The file, or a folder that holds it.
        study_ids: (N,) the data set's studies.
        label_names: L classes, `No Finding` among them if it is wanted.

    Raises:
        UserError: The file cannot be used, or shares no study with the data set.
    """
    table = read_labels(role, path)
    rows = pc.index_in(study_ids.cast(pa.string()), value_set=table["study_id"].combine_chunks())
    found = pc.fill_null(rows, -1).to_numpy()
    has_study = found >= 0
    if len(found) and not has_study.any():
        raise UserError(f"`{path}` and the reports have no study in common; are they of the same release?")
    states = np.full((len(found), len(label_names)), NOT_MENTIONED, np.int8)
    has_label = np.array([name in OFFICIAL_LABELS for name in label_names], bool)
    for column in np.flatnonzero(has_label).tolist():
        values = pc.fill_null(table[label_names[column]], NOT_MENTIONED).to_numpy()
        states[has_study, column] = values[found[has_study]]
    return GivenLabels(states, has_study, has_label, table.num_rows - int(has_study.sum()))


def merge_labels(mined: States, given: GivenLabels) -> tuple[States, npt.NDArray[np.bool_]]:
    """Mined labels with those of the file in their place, for every study and label the file has.

    A blank of the file is `NOT_MENTIONED` and replaces a mined label too: the file read the whole report.

    Args:
        mined: (N, L) states.
        given: Labels of the file for the same N studies and L labels.

    Returns:
        (N, L) states, and (N, L) whether the file decided.
    """
    decided = given.has_study[:, None] & given.has_label
    return np.where(decided, given.states, mined), decided


def compare_labels(mined: States, given: GivenLabels, label_names: Sequence[str]) -> list[Agreement]:
    """Agreement per label that the file has, over the studies that it has."""
    out = []
    for column in np.flatnonzero(given.has_label).tolist():
        ours, theirs = mined[given.has_study, column], given.states[given.has_study, column]
        positive, other = ours == 1, theirs == 1
        both = int((positive & other).sum())
        out.append(
            Agreement(
                label_names[column],
                len(ours),
                both,
                int(positive.sum()) - both,
                int(other.sum()) - both,
                int((ours == theirs).sum()),
                _kappa(both, int(positive.sum()), int(other.sum()), len(ours)),
            )
        )
    return out


def _kappa(both: int, ours: int, theirs: int, n: int) -> float | None:
    if n == 0:
        return None
    observed = (n - ours - theirs + 2 * both) / n
    chance = (ours * theirs + (n - ours) * (n - theirs)) / n**2
    return None if chance == 1 else (observed - chance) / (1 - chance)
