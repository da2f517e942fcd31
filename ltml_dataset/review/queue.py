"""Which studies a reader should see, in which order, and what the sample will be able to say.

Four strata, each shuffled, one after the other, every study once:

1. rare positives: every study with a machine positive of a tail label;
2. disagreements: studies on which a second labeling engine differs (where the build stored them);
3. uncertain: studies with an uncertain state;
4. random: a simple random sample of all studies, large enough that every label has its share of machine
   negatives in it. It is drawn first, from all studies, so that it estimates without bias what the machine
   missed: false negatives are what large-loss methods assume, and nothing else measures them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltml_dataset.review.agreement import Stratum, half_width
from ltml_dataset.review.events import State
from ltml_dataset.schema import NOT_MENTIONED

STRATA = ("rare positive", "disagreement", "uncertain", "random")


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One study to judge, and why it is in the queue: the stratum, and the labels it was chosen for.

    A study of the random sample (`in_sample`) is asked whole: it measures what the machine missed in any label.
    """

    study: str
    row: int
    stratum: str
    labels: tuple[str, ...]
    in_sample: bool = False


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """What the queue holds for one label.

    `half_width` is half of the 95 % Wilson interval for the rate of missed findings among machine
    negatives, if one in twenty were missed.
    """

    label: str
    positives: int
    positives_queued: int
    uncertain: int
    uncertain_queued: int
    negatives: int
    negatives_sampled: int
    half_width: float


@dataclass(frozen=True, slots=True)
class Queue:
    """The items in order, the random sample's rows in the order of the draw, and the plan per label."""

    items: tuple[QueueItem, ...]
    sample: tuple[int, ...]
    plan: tuple[LabelPlan, ...]


def make_queue(
    studies: Sequence[str],
    states: npt.NDArray[np.int8],
    labels: Sequence[str],
    rare: Collection[str],
    *,
    disagreements: npt.NDArray[np.bool_] | None = None,
    negatives_per_label: int = 50,
    seed: int = 0,
) -> Queue:
    """Choose and order the studies to judge.

    Args:
        studies: N study ids.
        states: (N, C) int8 machine states: 1, 0, -1, or `NOT_MENTIONED`.
        labels: C label names.
        rare: Labels whose positives are all judged (the tail).
        disagreements: (N, C) true where a second engine differs, or None.
        negatives_per_label: Machine negatives (negated or not mentioned) that the random sample should hold for each
            label; all of them where there are fewer.
        seed: Seed of the sample and of the order.

    Returns:
        The queue. The same arguments give the same queue, whatever else was judged.
    """
    n_studies = len(studies)
    if states.shape != (n_studies, len(labels)):
        raise ValueError(f"states must have shape ({n_studies}, {len(labels)}), got {states.shape}")
    random = np.random.default_rng(seed)
    is_negative = (states == 0) | (states == NOT_MENTIONED)
    sampled = random.permutation(n_studies)[: _sample_size(is_negative, negatives_per_label)]

    is_rare = np.array([label in rare for label in labels], dtype=bool)
    reasons = {
        "rare positive": (states == 1) & is_rare,
        "disagreement": np.zeros_like(is_negative) if disagreements is None else disagreements,
        "uncertain": states == -1,
    }
    items: list[QueueItem] = []
    seen = np.zeros(n_studies, dtype=bool)
    in_sample = np.zeros(n_studies, dtype=bool)
    in_sample[sampled] = True
    for stratum, reason in reasons.items():
        rows = np.flatnonzero(reason.any(axis=1) & ~seen)
        seen[rows] = True
        for row in random.permutation(rows).tolist():
            chosen_for = tuple(labels[column] for column in np.flatnonzero(reason[row]).tolist())
            items.append(QueueItem(studies[row], row, stratum, chosen_for, bool(in_sample[row])))
    items += [QueueItem(studies[row], row, "random", (), True) for row in sampled.tolist() if not seen[row]]

    queued = np.zeros(n_studies, dtype=bool)
    queued[[item.row for item in items]] = True
    plan = tuple(
        _plan(label, states[:, column], is_negative[:, column], queued, in_sample)
        for column, label in enumerate(labels)
    )
    return Queue(tuple(items), tuple(sampled.tolist()), plan)


def _sample_size(is_negative: npt.NDArray[np.bool_], wanted: int) -> int:
    """Size of a simple random sample that can be expected to hold `wanted` negatives of every label."""
    n_negatives = is_negative.sum(axis=0)
    n_negatives = n_negatives[n_negatives > 0]
    if not len(n_negatives):
        return 0
    return min(len(is_negative), int(np.ceil(wanted * len(is_negative) / n_negatives.min())))


def _plan(
    label: str,
    states: npt.NDArray[np.int8],
    is_negative: npt.NDArray[np.bool_],
    queued: npt.NDArray[np.bool_],
    in_sample: npt.NDArray[np.bool_],
) -> LabelPlan:
    n_sampled = int((is_negative & in_sample).sum())
    return LabelPlan(
        label=label,
        positives=int((states == 1).sum()),
        positives_queued=int(((states == 1) & queued).sum()),
        uncertain=int((states == -1).sum()),
        uncertain_queued=int(((states == -1) & queued).sum()),
        negatives=int(is_negative.sum()),
        negatives_sampled=n_sampled,
        half_width=half_width(n_sampled),
    )


def judged_sample(sample: Sequence[int], judged: Collection[int], skipped: Collection[int] = ()) -> frozenset[int]:
    """The part of the random sample that may be used while the queue is unfinished.

    Studies queued for another reason come first, so the judged part of the sample is not random until its own
    stratum is reached. Its longest judged prefix, in the order of the draw, always is; studies that readers
    skipped, or finished without confirming the whole report, are passed over.
    """
    rows = []
    for row in sample:
        if row in judged:
            rows.append(row)
        elif row not in skipped:
            break
    return frozenset(rows)


def strata_of(
    states: npt.NDArray[np.int8],
    judged: Mapping[int, State],
    sample: Collection[int],
) -> tuple[Stratum, Stratum, Stratum]:
    """Machine positives, uncertain and negatives of one label, with what readers found.

    A stratum that was judged whole counts as a census. Otherwise only rows of the random sample count:
    rows queued for another reason (a rare positive, say) are not a fair sample of it.

    Args:
        states: (N,) int8 machine states of the label.
        judged: Final state of the label for each judged row.
        sample: Rows of the usable part of the random sample (`judged_sample`).
    """
    rows = np.fromiter(judged, np.int64, len(judged))
    present = np.fromiter((state == 1 for state in judged.values()), bool, len(judged))
    sampled = np.zeros(len(states), bool)
    sampled[list(sample)] = True
    strata = []
    for members in (states == 1, states == -1, (states == 0) | (states == NOT_MENTIONED)):
        counted = members[rows]
        population = int(members.sum())
        if int(counted.sum()) < population:
            counted &= sampled[rows]
        strata.append(Stratum(population, int(counted.sum()), int((counted & present).sum())))
    return strata[0], strata[1], strata[2]
