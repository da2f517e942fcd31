"""Kappa against published and hand-worked tables; what a sample says of the machine."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from ltml_dataset.review.agreement import (
    Stratum,
    cohen_kappa,
    fleiss_estimate,
    fleiss_kappa,
    half_width,
    kappa_estimates,
    machine_quality,
)


def test_cohen_kappa_of_a_hand_worked_table() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: p_o = .7, p_e = .5
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)


@given(st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 1)), min_size=2, max_size=60))
def test_cohen_kappa_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    if len({*first, *second}) == 1:
        assert math.isnan(cohen_kappa(first, second))
    else:
        assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_kappas_of_labels_and_of_all_together_equal_scikit_learn_and_lie_in_their_intervals() -> None:
    random = np.random.default_rng(0)
    first = random.choice([-1, 0, 1], (120, 3), p=[0.1, 0.6, 0.3]).astype(np.int8)
    second = np.where(random.random(first.shape) < 0.2, random.choice([-1, 0, 1], first.shape), first).astype(np.int8)
    pooled, labels = kappa_estimates(first, second)
    assert pooled.value == pytest.approx(cohen_kappa_score(first.ravel(), second.ravel()))
    for column, label in enumerate(labels):
        assert label.value == pytest.approx(cohen_kappa_score(first[:, column], second[:, column]))
        assert label.low < label.value < label.high
    assert pooled.high - pooled.low < min(label.high - label.low for label in labels)


def test_full_agreement_of_few_leaves_doubt_and_one_category_has_no_kappa() -> None:
    few = np.array([[1, 0], [0, 0], [1, 0]], np.int8)
    _, (both, constant) = kappa_estimates(few, few)
    assert both.value == 1.0
    assert both.low < 0.5, "three studies say little"
    _, (many, _) = kappa_estimates(np.tile(few, (100, 1)), np.tile(few, (100, 1)))
    assert both.low < 0.97 < many.low < 1.0
    assert math.isnan(constant.value)
    nothing = np.zeros((0, 2), np.int8)
    assert math.isnan(kappa_estimates(nothing, nothing)[0].value)


def test_the_interval_of_kappa_covers_the_truth_about_as_often_as_it_promises() -> None:
    random = np.random.default_rng(5)
    table = np.array([0.05, 0.02, 0.01, 0.02, 0.5, 0.05, 0.01, 0.05, 0.29])
    square = table.reshape(3, 3)
    chance = float(square.sum(0) @ square.sum(1))
    truth = (np.trace(square) - chance) / (1 - chance)
    covered = 0
    for trial in range(200):
        cells = random.choice(9, (80, 1), p=table)
        kappa, _ = kappa_estimates((cells // 3 - 1).astype(np.int8), (cells % 3 - 1).astype(np.int8), seed=trial)
        covered += kappa.low <= truth <= kappa.high
    assert covered >= 182


def test_fleiss_kappa_of_the_table_in_his_paper() -> None:
    # Fleiss 1971, as tabulated in textbooks: 10 subjects, 14 raters, 5 categories, kappa = 0.210
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    assert fleiss_kappa(counts) == pytest.approx(0.210, abs=5e-4)


def test_fleiss_kappa_leaves_out_what_one_reader_saw_alone() -> None:
    assert fleiss_kappa([[2, 0], [0, 2], [1, 0]]) == pytest.approx(1.0)
    assert math.isnan(fleiss_kappa([[1, 0], [0, 1]]))


def test_fleiss_kappa_of_labels_together_has_an_interval_that_covers_the_truth() -> None:
    random = np.random.default_rng(3)
    covered = 0
    for trial in range(100):
        # Three readers who see the truth (half present) with an error of one in ten: kappa = 1 - 2 * .18 = 0.64
        truth = random.random((60, 4, 1)) < 0.5
        says = truth ^ (random.random((60, 4, 3)) < 0.1)
        counts = np.stack([says.sum(2), (~says).sum(2)], axis=2)
        together = fleiss_estimate(counts, seed=trial)
        assert together.value == pytest.approx(fleiss_kappa(counts.reshape(-1, 2)))
        covered += together.low <= 0.64 <= together.high
    assert covered >= 88
    one = fleiss_estimate(counts[:, :1])
    assert one.high - one.low > together.high - together.low


def test_full_agreement_of_few_leaves_fleiss_in_doubt_too() -> None:
    counts = np.array([[[2, 0, 0]], [[0, 2, 0]], [[0, 2, 0]]])
    few = fleiss_estimate(counts)
    assert few.value == few.high == 1.0
    assert few.low < 0.5
    assert math.isnan(fleiss_estimate(np.zeros((0, 1, 3), np.int64)).value)
    assert math.isnan(fleiss_estimate(counts[1:]).value), "one category throughout"


def test_a_stratum_judged_whole_leaves_no_doubt() -> None:
    precision, recall = machine_quality(Stratum(10, 10, 8), Stratum(0, 0, 0), Stratum(100, 100, 2))
    assert (precision.value, recall.value) == pytest.approx((0.8, 0.8))
    assert precision.is_census
    assert recall.is_census
    assert all(math.isnan(end) for one in (precision, recall) for end in (one.low, one.high)), (
        "a census has no interval"
    )


def test_an_estimate_is_no_census() -> None:
    precision, recall = machine_quality(Stratum(10, 10, 8), Stratum(0, 0, 0), Stratum(100, 50, 2))
    assert precision.is_census
    assert not recall.is_census
    assert recall.low < recall.value < recall.high


def test_recall_weights_each_stratum_by_its_size() -> None:
    precision, recall = machine_quality(Stratum(100, 50, 45), Stratum(20, 20, 10), Stratum(10_000, 1_000, 1))
    assert precision.value == pytest.approx(0.9)
    assert recall.value == pytest.approx(90 / (90 + 10 + 10))
    assert recall.low < recall.value < recall.high
    assert recall.high - recall.low > precision.high - precision.low


def test_without_judged_negatives_recall_is_undefined_not_perfect() -> None:
    precision, recall = machine_quality(Stratum(5, 5, 5), Stratum(0, 0, 0), Stratum(100, 0, 0))
    assert precision.value == 1.0
    assert math.isnan(recall.value)


def test_intervals_cover_the_truth_about_as_often_as_they_promise() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        present, found = random.binomial(100, 0.3), 0
        found = random.hypergeometric(present, 100 - present, 40)
        precision, _ = machine_quality(Stratum(100, 40, int(found)), Stratum(0, 0, 0), Stratum(0, 0, 0), seed=trial)
        covered += precision.low <= present / 100 <= precision.high
    assert covered >= 184


def test_the_planned_interval_shrinks_with_the_sample() -> None:
    assert half_width(0) == 0.5
    assert half_width(50) > half_width(200) > half_width(2000)
    assert half_width(100, 0.5) == pytest.approx(0.0962, abs=1e-4)
