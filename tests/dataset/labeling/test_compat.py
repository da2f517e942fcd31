"""`--compat chexpert` matches the CheXpert labeler where it is used as a reference."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from ltml_dataset.labeling.compat import clean
from ltml_dataset.labeling.labeler import Labeler
from ltml_lexicons.compat import load_compat


@pytest.fixture(scope="module")
def labeler() -> Labeler:
    return Labeler(compat="chexpert")


def states(labeler: Labeler, text: str) -> dict[str, int]:
    row = labeler.label([text]).to_pylist()[0]
    return {name: state for name, state in row.items() if name != "report_id" and state is not None}


def test_the_four_published_example_reports_come_out_exactly(labeler: Labeler) -> None:
    with shared("data/chexpert_examples/labeled_reports.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row in rows:
        wanted = {name: int(float(value)) for name, value in row.items() if name != "Reports" and value}
        assert states(labeler, row["Reports"]) == wanted


def test_its_labels_are_the_13_and_no_finding(labeler: Labeler) -> None:
    assert len(labeler.label_names) == 13
    assert labeler.label(["Nothing to see."]).column_names[-1] == "No Finding"


@pytest.mark.parametrize(
    "sentence, expected",
    [
        ("Massive pleural effusion.", {"Pleural Effusion": 1}),
        ("There is a mass in the left lung.", {"Lung Lesion": 1}),
        ("Findings of CHF.", {"Edema": 1, "Cardiomegaly": -1}),
        ("Pericardial effusion.", {"No Finding": 1}),
        ("Stable cardiac silhouette.", {"Cardiomegaly": -1}),
        ("Unremarkable mediastinal contours.", {"Enlarged Cardiomediastinum": 0, "No Finding": 1}),
        ("The heart projects over the left hemithorax.", {"Cardiomegaly": 1}),
        ("A catheter is seen over the heart.", {"Support Devices": 1, "No Finding": 1}),
        ("No pneumothorax and/or effusion.", {"Pneumothorax": 0, "Pleural Effusion": 0, "No Finding": 1}),
        ("Emphysema.", {}),
    ],
)
def test_what_it_is_known_for(labeler: Labeler, sentence: str, expected: dict[str, int]) -> None:
    assert states(labeler, sentence) == expected


def test_only_the_section_behind_the_official_labels_is_read(labeler: Labeler) -> None:
    report = " FINAL REPORT\n FINDINGS:\n Left pleural effusion.\n \n IMPRESSION:\n No pneumothorax.\n"
    assert states(labeler, report) == {"Pneumothorax": 0, "No Finding": 1}


def test_offsets_point_into_the_report_as_it_was_read(labeler: Labeler) -> None:
    text = "Edema  and/or consolidation,no\nPneumonia ."
    for mention in labeler.explain(text):
        assert text[mention.start : mention.end] == mention.text
    assert {mention.label for mention in labeler.explain(text)} == {"Edema", "Consolidation", "Pneumonia"}


@given(st.text(max_size=80))
def test_cleaning_knows_where_every_character_comes_from(text: str) -> None:
    cleaned, origin = clean(text)
    assert len(cleaned) == len(origin)
    assert origin == sorted(origin)
    assert all(0 <= place < max(len(text), 1) for place in origin)
    assert "  " not in cleaned


def test_blanks_of_published_phrases_are_kept() -> None:
    assert " line " in load_compat("chexpert").labels["support_devices"].mentions
    assert "over the left heart" in load_compat("chexpert").unmentions("cardiomegaly")
