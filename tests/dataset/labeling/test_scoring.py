"""Arithmetic of `score` and `compare` on tables small enough to work out by hand."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, f1_score

from ltml_dataset.errors import UserError
from ltml_dataset.labeling.gold import BLANK, LabelStates, read_label_states
from ltml_dataset.labeling.mistakes import find_mistakes
from ltml_dataset.labeling.scoring import cohens_kappa, compare_labels, confusion_of_states, score_labels


def table(states: dict[str, list[int]], blank: str = "absent", ids: list[str] | None = None) -> LabelStates:
    columns = np.array(list(states.values()), dtype=np.int8).T
    names = ids or [f"r{row}" for row in range(len(columns))]
    return LabelStates(np.array(names, dtype=object), tuple(states), columns, blank)  # type: ignore[arg-type]


PREDICTED = table({"Edema": [1, 1, 0, -1, BLANK, 1, -1]})
GOLD = {"Edema": [1, 0, 1, 1, BLANK, -1, 0]}


def test_counts_of_one_label() -> None:
    entry = score_labels(PREDICTED, table(GOLD)).labels[0]
    assert (entry.true_positive, entry.false_positive, entry.false_negative, entry.true_negative) == (1, 1, 2, 2)
    assert entry.precision == 1 / 2
    assert entry.recall == 1 / 3
    assert entry.f1 == pytest.approx(2 / 5)


def test_blank_gold_is_left_out_where_it_means_unknown() -> None:
    assert score_labels(PREDICTED, table(GOLD, "absent")).labels[0].n_scored == 6
    assert score_labels(PREDICTED, table(GOLD, "unknown")).labels[0].n_scored == 5


@pytest.mark.parametrize(
    ("policy", "expected"), [("negative", (1, 1, 2, 2)), ("positive", (2, 2, 1, 1)), ("exclude", (1, 1, 1, 1))]
)
def test_what_a_predicted_uncertain_counts_as(policy: str, expected: tuple[int, ...]) -> None:
    entry = score_labels(PREDICTED, table(GOLD), policy).labels[0]  # type: ignore[arg-type]
    assert (entry.true_positive, entry.false_positive, entry.false_negative, entry.true_negative) == expected


def test_confusion_has_predictions_in_rows() -> None:
    matrix = score_labels(PREDICTED, table(GOLD)).labels[0].confusion
    assert matrix.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]]


def test_macro_leaves_out_labels_without_positives_and_no_finding() -> None:
    predicted = table({"Edema": [1, 0], "Fracture": [1, 0], "No Finding": [0, 0]})
    gold = table({"Edema": [1, 0], "Fracture": [0, 0], "No Finding": [1, 1]})
    scores = score_labels(predicted, gold)
    assert scores.macro_f1() == (1.0, 1)
    assert scores.pooled().false_positive == 1
    assert np.isnan(score_labels(gold, gold).labels[1].f1)


def test_reports_are_joined_by_id_whatever_their_order() -> None:
    predicted = table({"Edema": [1, 0, 0]}, ids=["a", "b", "c"])
    gold = table({"Edema": [0, 1, 1]}, ids=["b", "z", "a"])
    scores = score_labels(predicted, gold)
    assert scores.n_reports == 2
    assert scores.labels[0].f1 == 1.0


STATE = st.sampled_from([1, 0, -1, BLANK])


@given(st.lists(st.tuples(STATE, STATE), min_size=1, max_size=60))
def test_kappa_and_f1_agree_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    first = np.array([a for a, _ in pairs], dtype=np.int8)
    second = np.array([b for _, b in pairs], dtype=np.int8)
    confusion = confusion_of_states(first, second)
    ours = cohens_kappa(confusion)
    if np.isnan(ours):
        assert len(set(first) | set(second)) == 1
    else:
        assert ours == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    entry = score_labels(table({"X": first.tolist()}), table({"X": second.tolist()})).labels[0]
    counts = second != -1
    expected = f1_score(second[counts] == 1, first[counts] == 1, zero_division=0) if counts.any() else 0
    assert (0.0 if np.isnan(entry.f1) else entry.f1) == pytest.approx(expected)


def test_compare_names_the_reports_that_differ() -> None:
    first = table({"Edema": [1, 0, -1, BLANK]}, ids=["a", "b", "c", "d"])
    second = table({"Edema": [1, 1, BLANK, BLANK]}, ids=["a", "b", "c", "d"])
    entry = compare_labels(first, second)[0]
    assert entry.differ == ("b", "c")
    assert entry.kappa_present == pytest.approx(cohen_kappa_score([1, 0, 0, 0], [1, 1, 0, 0]))
    assert (entry.n_same, entry.only_first, entry.only_second, entry.share) == (2, 0, 1, 0.5)


def test_mistakes_are_exactly_the_counted_ones() -> None:
    mistakes = find_mistakes(PREDICTED, table(GOLD), ["Edema"])
    assert mistakes == [("r1", "Edema", 1, 0), ("r2", "Edema", 0, 1), ("r3", "Edema", -1, 1)]


def write(path: Path, columns: dict[str, list[object]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        pa.csv.write_csv(pa.table(columns), path)
    return path


def test_gold39_columns_win_and_null_is_unknown(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {"report_id": ["a", "b"], "gold39_Edema": [1, None], "gold14_Edema": [0, 0]}
    read = read_label_states(write(tmp_path / "gold.parquet", columns))
    assert read.labels == ("Edema",)
    assert read.blank == "unknown"
    assert read.column("Edema").tolist() == [1, BLANK]


def test_mimic_gold_file_joins_study_names_and_renames_airspace_opacity(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "study_id": [50000001, 50000002],
        "Airspace Opacity": [1.0, None],
        "Cardiomegaly": [-1.0, 0.0],
    }
    gold = read_label_states(write(tmp_path / "test-set-labeled.csv", columns))
    assert gold.labels == ("Lung Opacity", "Cardiomegaly")
    predicted = write(
        tmp_path / "labels.parquet",
        {"report_id": ["s50000002", "s50000001"], "Lung Opacity": [None, 1], "Edema": [0, 0]},
    )
    scores = score_labels(read_label_states(predicted), gold)
    assert [entry.label for entry in scores.labels] == ["Lung Opacity"]
    assert scores.labels[0].true_positive == scores.labels[0].true_negative == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"Edema": [1]}, "no id column"),
        ({"report_id": ["a"], "note": ["x"]}, "no label columns"),
        ({"report_id": ["a", "a"], "Edema": [1, 0]}, "twice"),
        ({"report_id": ["a"], "Edema": [3]}, "holds 3"),
    ],
)
def test_faulty_tables_are_refused_in_one_sentence(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_label_states(write(tmp_path / "t.parquet", columns))


def test_tables_that_share_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="no report"):
        score_labels(table({"Edema": [1]}, ids=["a"]), table({"Edema": [1]}, ids=["b"]))
    with pytest.raises(UserError, match="no label"):
        score_labels(table({"Edema": [1]}), table({"Fracture": [1]}))
