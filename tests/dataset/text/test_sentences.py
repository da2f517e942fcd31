"""Sentences survive wraps, lists, gaps, decimals and missing stops."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltml_dataset.text.sentences import MAX_SENTENCE, split_sentences


def texts(report: str) -> list[str]:
    return [report[a:b] for a, b in split_sentences(report)]


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("No effusion. Heart is normal.", ["No effusion.", "Heart is normal."]),
        ("The heart is\n mildly enlarged. No effusion.", ["The heart is\n mildly enlarged.", "No effusion."]),
        (
            "1. Small left\neffusion. 2. Tube at 2.5 cm, vs. prior",
            ["1. Small left\neffusion.", "2. Tube at 2.5 cm, vs. prior"],
        ),
        ("Possible pneumonia 2. Stable tube", ["Possible pneumonia", "2. Stable tube"]),
        ("1. No edema\n2. Small effusion\n- Line in place", ["1. No edema", "2. Small effusion", "- Line in place"]),
        ("Clear lungs.No effusion.", ["Clear lungs.", "No effusion."]),
        ("Discussed with Dr. ___ at 3 p.m. by phone.", ["Discussed with Dr. ___ at 3 p.m. by phone."]),
        ("Clear XXXX. No effusion..  ", ["Clear XXXX.", "No effusion.."]),
        (
            "No acute process\nET tube ends above the carina, in the usual place.",
            ["No acute process", "ET tube ends above the carina, in the usual place."],
        ),
        ("First paragraph\n\nsecond paragraph", ["First paragraph", "second paragraph"]),
        ("Is there edema? No!", ["Is there edema?", "No!"]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_sentences_of_examples(report: str, expected: list[str]) -> None:
    assert texts(report) == expected


def test_offsets_count_from_the_beginning_of_the_report() -> None:
    report = "INDICATION: Cough. FINDINGS: Clear. No edema."
    assert [report[a:b] for a, b in split_sentences(report, 19)] == ["FINDINGS: Clear.", "No edema."]
    assert [report[a:b] for a, b in split_sentences(report, 19, 35)] == ["FINDINGS: Clear."]


@given(st.text(alphabet=st.sampled_from("aZ1 .,\n\t!?)-*;:_é\u00a0"), max_size=300) | st.text(max_size=100))
def test_sentences_cover_every_visible_character_once_and_in_order(report: str) -> None:
    position = 0
    for start, end in split_sentences(report):
        assert not report[position:start].strip()
        assert report[start:end] == report[start:end].strip()
        assert start < end
        position = end
    assert not report[position:].strip()


@pytest.mark.parametrize("piece", [".", "\n", " ", "a", ". ", "\n ", '."', "1.", "1. A", "Dr.", "- ", "\n\n"])
def test_no_text_costs_more_than_its_length(piece: str) -> None:
    report = piece * (400_000 // len(piece))
    begin = time.process_time()
    found = split_sentences(report)
    assert time.process_time() - begin < 5
    assert all(end - start <= MAX_SENTENCE for start, end in found)
