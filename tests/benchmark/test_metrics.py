"""Metrics against scikit-learn, undefined classes, intervals and thresholds."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from loss_fixtures import compact_cases, full_cases
from scipy import stats
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score

from ltml_benchmark.errors import UserError
from ltml_benchmark.metrics import (
    bacc_posterior,
    best_thresholds,
    bootstrap,
    calibration,
    compare,
    evaluate,
    group_classes,
)
from ltml_benchmark.metrics.ranking import rank_positives

SHAPES = st.tuples(st.integers(1, 60), st.integers(1, 4))


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many or few ties, of both float types, and labels, undefined classes included."""
    shape = draw(SHAPES)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    scores = draw(
        st.sampled_from(
            [
                hnp.arrays(dtype, shape, elements=st.floats(0, 1, width=32)),
                hnp.arrays(dtype, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])),
                hnp.arrays(dtype, shape, elements=st.sampled_from([0.0, 1e-30, 1e-12, 0.5, 1.0])),
            ]
        ).flatmap(lambda s: s)
    )
    return scores, draw(hnp.arrays(np.int8, shape, elements=st.integers(0, 1)))


def random_predictions(n: int = 500, classes: int = 6, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Scores correlated with labels."""
    rng = np.random.default_rng(0)
    labels = rng.random((n, classes)) < np.geomspace(0.4, 0.01, classes)
    scores = 1 / (1 + np.exp(-(rng.normal(-1, 1, (n, classes)) + labels)))
    return (np.round(scores, 2) if ties else scores), labels.astype(np.int8)


def sklearn_metrics(scores: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """BACC, AUC, AP and F1 by scikit-learn, NaN where we call them undefined."""
    found: dict[str, list[float]] = {"bacc": [], "auc": [], "ap": [], "f1": []}
    present = np.ones(len(labels)) if weight is None else weight
    for s, y in zip(scores.T, labels.T, strict=True):
        positive, negative = present[y == 1].sum() > 0, present[y == 0].sum() > 0
        options = {"sample_weight": weight}
        found["bacc"].append(balanced_accuracy_score(y, s > 0.5, **options) if positive and negative else np.nan)
        found["auc"].append(roc_auc_score(y, s, **options) if positive and negative else np.nan)
        found["ap"].append(average_precision_score(y, s, **options) if positive else np.nan)
        found["f1"].append(f1_score(y, s > 0.5, zero_division=0, **options) if positive else np.nan)
    return {metric: np.array(values) for metric, values in found.items()}


@settings(max_examples=150, deadline=None)
@given(predictions())
def test_evaluate_agrees_with_scikit_learn(data: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = data
    result = evaluate(scores, labels)
    for metric, expected in sklearn_metrics(scores, labels).items():
        np.testing.assert_allclose(getattr(result, metric), expected, rtol=1e-12, atol=1e-14, err_msg=metric)


@settings(max_examples=200, deadline=None)
@given(predictions())
def test_ranks_are_those_of_a_full_sort(data: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = data
    for column, positive in zip(np.ascontiguousarray(scores.T), labels.T > 0, strict=True):
        ranked = rank_positives(column, positive)
        everything, mine = np.sort(column), np.sort(column[positive])
        assert np.array_equal(ranked.scores, mine)
        assert np.array_equal(ranked.left, np.searchsorted(everything, mine, side="left"))
        assert np.array_equal(ranked.right, np.searchsorted(everything, mine, side="right"))


def test_infinite_and_huge_logits_are_ranked() -> None:
    scores = np.array([[-np.inf], [-1e308], [0.0], [1e308], [np.inf], [np.inf]])
    labels = np.array([[0], [1], [0], [1], [1], [0]])
    result = evaluate(scores, labels, threshold=0.0)
    assert result.auc[0] == pytest.approx((1 + 2 + 2.5) / 9)
    assert result.bacc[0] == pytest.approx((2 / 3 + 2 / 3) / 2)


@pytest.mark.parametrize("source", [compact_cases, full_cases], ids=["compact", "full"])
def test_fixtures(source) -> None:  # type: ignore[no-untyped-def]
    cases = list(source("metrics"))
    if not cases:
        pytest.skip("needs the full fixture set, which is not part of the repository; set LTML_SHARED")
    for case in cases:
        groups = {name: case.integers(f"group_{name}") for name in ("head", "medium", "tail")}
        result = evaluate(case["scores"], case.integers("labels"), groups=groups, threshold=0.0)
        for metric in ("bacc", "auc", "ap"):
            case.check(metric, getattr(result, metric), metric)
            for group in ("total", "head", "medium", "tail"):
                case.check(metric, result.mean(metric, group), f"{metric}_{group}_nanmean")
                case.check(metric, result.mean(metric, group, strict=True), f"{metric}_{group}_strictmean")
                defined = len(result.groups[group]) - result.undefined(metric, group)
                assert defined == int(case[f"{metric}_{group}_ndefined"])


def test_undefined_classes_are_counted_and_left_out_of_means() -> None:
    scores = np.array([[0.9, 0.9, 0.1], [0.2, 0.8, 0.9]])
    labels = np.array([[1, 1, 0], [0, 1, 0]])
    result = evaluate(scores, labels, groups={"head": [0, 1], "tail": [2]})
    assert np.isnan(result.bacc[1:]).all()
    assert np.isnan(result.f1[2])
    assert result.mean("bacc") == 1.0
    assert (result.undefined("bacc"), result.undefined("bacc", "head"), result.undefined("ap")) == (2, 1, 1)
    assert np.isnan(result.mean("bacc", "tail"))
    as_dict = result.to_dict(["a", "b", "c"])
    assert as_dict["classes"]["b"]["bacc"] is None
    assert as_dict["classes"]["b"]["positives"] == 2
    assert as_dict["groups"]["tail"] == {
        "classes": 1,
        "mean": {"bacc": None, "auc": None, "ap": None, "f1": None},
        "undefined": {"bacc": 1, "auc": 1, "ap": 1, "f1": 1},
    }


def test_groups_by_count_or_by_name() -> None:
    groups = group_classes([10_000, 9_999, 1_000, 999])
    assert {name: members.tolist() for name, members in groups.items()} == {"head": [0], "medium": [1, 2], "tail": [3]}
    scores, labels = random_predictions(classes=4)
    named = evaluate(scores, labels, groups=["head", "medium", "medium", "tail"])
    assert named.to_dict() == evaluate(scores, labels, groups=groups).to_dict()


def test_thresholds_are_strict_and_in_the_scores_own_precision() -> None:
    scores = np.array([[0.3], [0.3], [0.7]], dtype=np.float32)
    assert evaluate(scores, [[0], [0], [1]], threshold=0.3).bacc[0] == 1.0
    assert evaluate(scores, [[0], [0], [1]], threshold=[0.7]).sensitivity[0] == 0.0


def test_wrong_input_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"scores are \(2, 1\) and labels \(1, 1\)"):
        evaluate(np.zeros((2, 1)), np.zeros((1, 1)))
    with pytest.raises(UserError, match="class 1 hold values that are not numbers"):
        evaluate(np.array([[0.1, np.nan]]), np.zeros((1, 2)))
    with pytest.raises(UserError, match="names class 5"):
        evaluate(np.zeros((2, 2)), np.zeros((2, 2)), groups={"tail": [5]})
    with pytest.raises(UserError, match="3 thresholds"):
        evaluate(np.zeros((2, 2)), np.zeros((2, 2)), threshold=[0.1, 0.2, 0.3])
    with pytest.raises(UserError, match="probabilities"):
        calibration([[2.0]], [[1]])
    with pytest.raises(UserError, match="one per image"):
        bootstrap(np.zeros((2, 2)), np.zeros((2, 2)), clusters=[1])
    with pytest.raises(UserError, match="level"):
        bootstrap(np.zeros((2, 2)), np.zeros((2, 2)), level=95)


@pytest.mark.parametrize("dtype,ties", [(np.float32, True), (np.float64, False)])
def test_every_bootstrap_replicate_is_exactly_the_weighted_metric(dtype: type, ties: bool) -> None:
    scores, labels = random_predictions(300, ties=ties)
    scores = scores.astype(dtype)
    patients = np.random.default_rng(1).integers(0, 90, 300)
    intervals = bootstrap(scores, labels, clusters=[f"p{i}" for i in patients], n=150, seed=5)
    names, owner = np.unique([f"p{i}" for i in patients], return_inverse=True)
    for i in (0, 127, 128, 149):
        drawn = np.random.default_rng([5, i]).integers(0, len(names), len(names))
        weight = np.bincount(drawn, minlength=len(names))[owner].astype(float)
        expected = sklearn_metrics(scores, labels, weight)
        for metric in ("bacc", "auc", "ap"):
            np.testing.assert_allclose(
                intervals.replicates[metric][i], expected[metric], rtol=1e-12, atol=1e-14, err_msg=metric
            )


def test_bootstrap_intervals_cover_groups_and_count_undefined_replicates() -> None:
    scores, labels = random_predictions(200)
    labels[:, -1] = 0
    labels[0, -1] = 1  # one positive: absent from about 37 % of the replicates
    intervals = bootstrap(scores, labels, n=400, groups={"head": [0, 1], "tail": [5]})
    assert 0.25 < intervals.undefined("auc")[5] / 400 < 0.5
    assert intervals.undefined("auc")[0] == 0
    result = evaluate(scores, labels, groups={"head": [0, 1]})
    low, high = intervals.of_group("auc", "head")
    assert low < result.mean("auc", "head") < high
    bounds = intervals.by_class("bacc")
    assert bounds.shape == (6, 2)
    assert (bounds[:5, 0] < result.bacc[:5]).all()
    assert (result.bacc[:5] < bounds[:5, 1]).all()


def test_clusters_widen_the_interval_of_repeated_images() -> None:
    scores, labels = random_predictions(100, ties=False)
    scores, labels = np.repeat(scores, 8, axis=0), np.repeat(labels, 8, axis=0)
    patients = np.repeat(np.arange(100), 8)
    width = [np.diff(bootstrap(scores, labels, c, n=300).by_class("auc")[0])[0] for c in (patients, None)]
    assert width[0] > 2 * width[1]


def test_never_defined_class_has_no_interval() -> None:
    scores, labels = random_predictions(50)
    labels[:, 2] = 0
    intervals = bootstrap(scores, labels, n=20)
    assert np.isnan(intervals.by_class("auc")[2]).all()
    assert intervals.undefined("bacc")[2] == 20


def test_paired_comparison_sees_a_difference_that_is_there_and_none_that_is_not() -> None:
    scores, labels = random_predictions(400, ties=False)
    worse = scores.copy()
    worse[:, 0] = np.random.default_rng(2).random(400)
    difference = compare(worse, scores, labels, n=300, groups={"first": [0], "rest": [1, 2]})
    assert difference.by_class("auc")[0, 0] > 0
    assert difference.p_values("auc")[0] < 0.02
    assert difference.of_group("auc", "first")[0] > 0
    assert difference.p_value_of_group("auc", "first") < 0.02
    assert difference.of_group("auc", "rest") == (0.0, 0.0)
    assert difference.p_value_of_group("auc", "rest") == 1.0


@settings(max_examples=100, deadline=None)
@given(predictions())
def test_best_thresholds_cannot_be_beaten(data: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = data
    thresholds = best_thresholds(scores, labels)
    best = evaluate(scores, labels, threshold=thresholds).bacc
    for cut in (-1.0, *np.unique(scores)):
        other = evaluate(scores, labels, threshold=cut).bacc
        assert (np.isnan(best) | (other <= best + 1e-12)).all()
    undefined = np.isnan(best)
    assert (thresholds[undefined] == 0.5).all()


def test_calibration_of_known_predictions() -> None:
    scores = np.array([[0.1, 0.5]] * 10)
    labels = np.zeros((10, 2), dtype=int)
    labels[:3] = 1
    result = calibration(scores, labels, bins=10)
    np.testing.assert_allclose(result.ece, [0.2, 0.2])
    np.testing.assert_allclose(result.brier, [0.3 * 0.81 + 0.7 * 0.01, 0.25])
    assert result.images[0].tolist() == [10, *[0] * 9]
    assert result.images[1].tolist() == [0] * 4 + [10] + [0] * 5
    assert result.observed[0, 0] == pytest.approx(0.3)
    assert result.mean_probability[1, 4] == pytest.approx(0.5)


def test_posterior_of_balanced_accuracy() -> None:
    (case,) = compact_cases("bacc_posterior")
    table = case["table"]
    posterior = bacc_posterior(table[:, :4])
    for column, values in enumerate(posterior):
        np.testing.assert_allclose(values, table[:, 5 + column], rtol=1e-10)


def test_posterior_at_extremes_matches_what_is_known_in_closed_form() -> None:
    # No data: the average of two uniform rates is triangular, quantile sqrt(q / 2) below one half.
    posterior = bacc_posterior([[0, 0, 0, 0], [0, 0, 10**7, 10**5], [300, 20, 4, 1]])
    assert posterior.low[0] == pytest.approx(np.sqrt(0.025 / 2), rel=1e-10)
    # A specificity known exactly leaves the uniform sensitivity.
    assert posterior.high[1] - posterior.low[1] == pytest.approx(0.475, rel=1e-3)
    draws = stats.beta(301, 21).rvs(400_000, random_state=0) + stats.beta(5, 2).rvs(400_000, random_state=1)
    np.testing.assert_allclose(
        [posterior.low[2], posterior.median[2], posterior.high[2]],
        np.quantile(draws / 2, [0.025, 0.5, 0.975]),
        atol=2e-3,
    )


def test_nothing_warns_on_degenerate_input() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(np.full((3, 2), 0.5), np.ones((3, 2)))
        bootstrap(np.full((3, 2), 0.5), np.ones((3, 2)), n=3)
        best_thresholds(np.zeros((1, 1)), np.ones((1, 1)))
