"""Labels of -1 in metrics: of each class, as if the image were not there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ltml_benchmark.errors import UserError
from ltml_benchmark.metrics import METRICS, best_thresholds, bootstrap, calibration, compare, evaluate

Matrix = NDArray[np.float64]


def drawn(seed: int, n_classes: int, dtype: type = np.int8) -> tuple[Matrix, NDArray[np.generic], NDArray[np.int64]]:
    """Scores with ties, labels of which a third is left out, and patients."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    labels = rng.choice([0, 1, -1], size=(n, n_classes)).astype(dtype)
    labels[0] = 0  # something is known
    return rng.integers(0, 12, (n, n_classes)) / 11, labels, rng.integers(0, 12, n)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), dtype=st.sampled_from([np.int8, np.int64, np.float32]))
def test_of_one_class_leaving_out_is_removing_the_rows(seed: int, dtype: type) -> None:
    scores, labels, patients = drawn(seed, 1, dtype)
    known = labels[:, 0] >= 0
    some = scores[known], labels[known]
    whole, part = evaluate(scores, labels), evaluate(*some)
    for metric in (*METRICS, "sensitivity", "specificity", "precision", "confusion"):
        np.testing.assert_array_equal(getattr(whole, metric), getattr(part, metric))
    assert best_thresholds(scores, labels) == best_thresholds(*some)
    for ours, theirs in zip(vars(calibration(scores, labels)).values(), vars(calibration(*some)).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    replicates = bootstrap(scores, labels, patients, 5).replicates
    for metric, values in bootstrap(*some, patients[known], 5).replicates.items():
        np.testing.assert_array_equal(replicates[metric], values)
    by_image = bootstrap(scores, labels, n=5).replicates["auc"]
    np.testing.assert_array_equal(by_image, bootstrap(*some, n=5).replicates["auc"])
    difference = compare(scores, 1 - scores, labels, patients, 5).by_class("auc")
    np.testing.assert_array_equal(
        difference, compare(some[0], 1 - some[0], some[1], patients[known], 5).by_class("auc")
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_classes_do_not_disturb_each_other(seed: int) -> None:
    scores, labels, _ = drawn(seed, 4)
    whole, cuts, reliability = evaluate(scores, labels), best_thresholds(scores, labels), calibration(scores, labels)
    for c in range(4):
        known = labels[:, c] >= 0
        one = scores[known, c, None], labels[known, c, None]
        alone = evaluate(*one)
        for metric in METRICS:
            np.testing.assert_array_equal(getattr(whole, metric)[c], getattr(alone, metric)[0])
        assert cuts[c] == best_thresholds(*one)[0]
        assert reliability.ece[c] == calibration(*one).ece[0]


def test_a_class_without_known_labels_is_undefined_and_counted() -> None:
    scores, labels = np.array([[0.2, 0.7], [0.9, 0.1]]), np.array([[0, -1], [1, -1]])
    result = evaluate(scores, labels)
    assert [result.undefined(metric) for metric in METRICS] == [1, 1, 1, 1]
    assert result.mean("auc") == 1
    assert result.to_dict(["a", "b"])["classes"]["b"]["images"] == 0
    assert np.isnan(calibration(scores, labels).ece).tolist() == [False, True]
    assert best_thresholds(scores, labels)[1] == 0.5
    assert bootstrap(scores, labels, n=3).undefined("bacc")[1] == 3


def test_intervals_of_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="every label is left out"):
        bootstrap(np.zeros((2, 1)), -np.ones((2, 1)))


def test_known_labels_of_any_type_give_the_same_numbers() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.random((50, 3)), rng.random((50, 3)) < 0.3
    for dtype in (np.uint8, np.int8, np.float64):
        np.testing.assert_array_equal(evaluate(scores, labels).ap, evaluate(scores, labels.astype(dtype)).ap)
