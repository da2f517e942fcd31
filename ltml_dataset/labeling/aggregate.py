"""Sentences to studies: positive over uncertain over negative, parents, and No Finding."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ltml_dataset.labeling.compiled import NEGATIVE, NOT_MENTIONED, POSITIVE, UNCERTAIN

Ranks = npt.NDArray[np.int8]

RANK_OF_STATE = {NOT_MENTIONED: 0, NEGATIVE: 1, UNCERTAIN: 2, POSITIVE: 3}
"""Not mentioned is 0; the highest rank of a study wins."""
_STATE_OF_RANK = np.array([0, NEGATIVE, UNCERTAIN, POSITIVE], dtype=np.int8)


def aggregate_ranks(sentence_ranks: Ranks, numbers: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> Ranks:
    """The highest rank of each label in each study.

    Args:
        sentence_ranks: (S, L) rank of label l in distinct sentence s.
        numbers: (M,) the distinct sentence that each sentence of the batch is, study after study.
        starts: (N,) position in `numbers` where each study begins; a study may have no sentence.

    Returns:
        (N, L) ranks.
    """
    n_studies, n_labels = len(starts), sentence_ranks.shape[1]
    if not len(numbers):
        return np.zeros((n_studies, n_labels), dtype=np.int8)
    ends = np.append(starts[1:], len(numbers))
    filled = ends > starts
    ranks = np.zeros((n_studies, n_labels), dtype=np.int8)
    if filled.any():
        ranks[filled] = np.maximum.reduceat(sentence_ranks[numbers], starts[filled], axis=0)
    return ranks


def raise_parents(ranks: Ranks, pairs: Sequence[tuple[int, int]]) -> None:
    """A parent is at least as present as its child; an absent child says nothing of its parent. In place.

    Args:
        ranks: (N, L).
        pairs: (child, parent), every child after its own children.
    """
    for child, parent in pairs:
        column = ranks[:, child]
        np.maximum(ranks[:, parent], np.where(column >= RANK_OF_STATE[UNCERTAIN], column, 0), out=ranks[:, parent])


def ranks_to_column(ranks: Ranks) -> pa.Array:
    """(N,) ranks as nullable int8 states."""
    return pa.array(_STATE_OF_RANK[ranks], pa.int8(), mask=ranks == 0)


def no_finding_column(ranks: Ranks, findings: Sequence[int], has_text: npt.NDArray[np.bool_]) -> pa.Array:
    """1 where a report with text leaves nothing present or suspected, else null, as in the CheXpert labeler.

    Args:
        ranks: (N, L).
        findings: Labels that count: all but support devices, and the words that withhold No Finding.
        has_text: (N,) whether any text was read.
    """
    found = (ranks[:, list(findings)] >= RANK_OF_STATE[UNCERTAIN]).any(axis=1) if len(findings) else ~has_text
    is_normal = has_text & ~found
    return pa.array(np.ones(len(ranks), dtype=np.int8), pa.int8(), mask=~is_normal)


def parent_pairs(parents: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """(child, parent) pairs ordered so that one pass carries a grandchild up.

    Args:
        parents: Parents of each label.
    """
    depth: dict[int, int] = {}

    def height(label: int) -> int:
        if label not in depth:
            depth[label] = 1 + max((height(parent) for parent in parents[label]), default=0)
        return depth[label]

    order = sorted(range(len(parents)), key=lambda label: (-height(label), label))
    return [(child, parent) for child in order for parent in parents[child]]
