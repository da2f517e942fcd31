"""The queue holds what the plan promises, and its random part stays random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltml_dataset.review.queue import Queue, judged_sample, make_queue, strata_of
from ltml_dataset.schema import NOT_MENTIONED

LABELS = ("Atelectasis", "Embolus", "Fracture")


def queue_of(states: np.ndarray, **options: object) -> Queue:
    studies = [str(50_000_000 + row) for row in range(len(states))]
    return make_queue(studies, states, LABELS, {"Embolus"}, **options)  # type: ignore[arg-type]


def random_states(n: int, seed: int = 0) -> np.ndarray:
    return (
        np.random.default_rng(seed).choice([1, 0, -1, NOT_MENTIONED], (n, 3), p=[0.1, 0.3, 0.05, 0.55]).astype(np.int8)
    )


@given(seed=st.integers(0, 50), n=st.integers(0, 200), negatives=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_every_rare_positive_and_uncertain_study_is_queued_once(seed: int, n: int, negatives: int) -> None:
    states = random_states(n, seed)
    queue = queue_of(states, negatives_per_label=negatives, seed=seed)
    rows = [item.row for item in queue.items]
    assert len(rows) == len(set(rows))
    wanted = set(np.flatnonzero((states[:, 1] == 1) | (states == -1).any(1)))
    assert wanted <= set(rows)
    assert {*rows} == wanted | {*queue.sample}
    for plan in queue.plan:
        assert plan.negatives_sampled <= plan.negatives


def test_rare_positives_come_first_and_say_why() -> None:
    states = random_states(300)
    strata = [item.stratum for item in queue_of(states).items]
    assert strata == sorted(strata, key=["rare positive", "disagreement", "uncertain", "random"].index)
    first = queue_of(states).items[0]
    assert first.labels == ("Embolus",)
    assert states[first.row, 1] == 1


def test_engine_disagreements_are_queued_before_uncertain_states() -> None:
    states = np.zeros((50, 3), np.int8)
    disagreements = np.zeros((50, 3), bool)
    disagreements[7, 2] = True
    queue = queue_of(states, disagreements=disagreements, negatives_per_label=0)
    assert [(item.row, item.stratum, item.labels) for item in queue.items] == [(7, "disagreement", ("Fracture",))]


def test_the_sample_holds_about_as_many_negatives_as_asked() -> None:
    queue = queue_of(random_states(5_000), negatives_per_label=200)
    for plan in queue.plan:
        assert plan.negatives_sampled == pytest.approx(200, rel=0.25)
        assert 0 < plan.half_width < 0.05


def test_the_same_seed_gives_the_same_queue() -> None:
    states = random_states(500)
    assert queue_of(states, seed=3) == queue_of(states, seed=3)
    assert queue_of(states, seed=3).items != queue_of(states, seed=4).items


def test_only_the_judged_prefix_of_the_sample_is_used() -> None:
    assert judged_sample([5, 2, 9, 4], {5, 2, 4}) == {5, 2}
    assert judged_sample([5, 2, 9, 4], {5, 2, 4}, skipped={9}) == {5, 2, 4}
    assert judged_sample([5, 2], set()) == set()


def test_a_stratum_judged_in_part_counts_its_random_rows_only() -> None:
    states = np.array([1, 1, 0, NOT_MENTIONED, 0, -1], np.int8)
    positives, uncertain, negatives = strata_of(states, {0: 1, 1: 0, 2: 1, 3: None}, {3})
    assert (positives.population, positives.judged, positives.present) == (2, 2, 1)
    assert (uncertain.population, uncertain.judged) == (1, 0)
    assert (negatives.population, negatives.judged, negatives.present) == (3, 1, 0)
