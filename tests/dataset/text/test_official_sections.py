"""The rules behind the official labels, bug for bug, and per-study overrides."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltml_dataset.errors import UserError
from ltml_dataset.text.section_overrides import load_overrides
from ltml_dataset.text.sections import POLICIES, find_sections, sections_to_label


def found(text: str) -> list[tuple[str, str]]:
    return [(s.name, text[s.start : s.end]) for s in find_sections(text, "official")]


def chosen(text: str) -> str:
    return "|".join(text[s.start : s.end] for s in sections_to_label(text, "official"))


def test_titles_need_a_newline_one_space_capitals_and_a_colon() -> None:
    text = "\n FINDINGS: Clear.\n impression: lower case\nIMPRESSION: no space\n"
    assert found(text) == [
        ("preamble", ""),
        ("findings", "Clear.\n impression: lower case\nIMPRESSION: no space"),
    ]


def test_title_right_behind_an_empty_title_is_missed() -> None:
    assert found("\n FINDINGS:\n IMPRESSION: Clear.")[1:] == [("findings", "IMPRESSION: Clear.")]


def test_ndication_is_an_impression_here_and_an_indication_by_default() -> None:
    text = "\n NDICATION: Pneumonia?\n \n FINDINGS: Clear.\n"
    assert chosen(text) == "Pneumonia?"
    assert [text[s.start : s.end] for s in sections_to_label(text)] == ["Clear."]


def test_last_impression_wins_over_findings() -> None:
    assert chosen("\n IMPRESSION: First.\n \n FINDINGS: Some.\n \n IMPRESSION: Last.\n") == "Last."


def test_empty_titles_that_describe_the_study_are_dropped() -> None:
    text = "\n CHEST, PA AND LATERAL:\n \n INDICATION: Cough.\n \n PORTABLE CHEST: Clear lungs.\n"
    assert [name for name, _ in found(text)] == ["preamble", "indication", "findings"]
    assert chosen(text) == "Clear lungs."


def test_last_paragraph_starts_behind_the_first_blank_line_of_the_last_section() -> None:
    text = "\n INDICATION: Cough.\n \n Clear lungs.\n \n Normal heart.\n"
    assert found(text)[1:] == [("indication", "Cough."), ("last_paragraph", "Clear lungs.\n \n Normal heart.")]
    assert chosen(text) == "Clear lungs.\n \n Normal heart."


def test_comparison_is_the_last_resort_and_nothing_comes_after() -> None:
    assert chosen("\n COMPARISON: None. The lungs are clear.\n") == "None. The lungs are clear."
    assert chosen("\n HISTORY: Cough.\n") == ""
    assert chosen("No title at all.") == ""
    assert chosen("Title\n \n The lungs are clear.\n") == "The lungs are clear."


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_other_line_ends_read_the_same_with_offsets_into_the_text(newline: str) -> None:
    text = "\n FINDINGS: Clear\n lungs.\n \n IMPRESSION: Normal\n heart.\n".replace("\n", newline)
    assert found(text)[1:] == [("findings", f"Clear{newline} lungs."), ("impression", f"Normal{newline} heart.")]


UPSTREAM = """
import does_not_exist
def custom_mimic_cxr_rules():
    custom_section_names = {
        's90000001': 'recommendations',  # a comment
    }
    custom_indices = {'s90000002': [3, 9], 's90000003': [0, 0]}
    return custom_section_names, custom_indices
"""


def test_overrides_of_upstream_are_read_and_never_run(tmp_path: Path) -> None:
    path = tmp_path / "section_parser.py"
    path.write_text(UPSTREAM)
    overrides = load_overrides(path)
    assert len(overrides) == 3
    text = "\n RECOMMENDATIONS: Clear lungs.\n \n IMPRESSION: See above.\n"
    pick = {
        study: [
            text[s.start : s.end] for s in sections_to_label(text, "official", report_id=study, overrides=overrides)
        ]
        for study in ("s90000001", "s90000002", "s90000003", "s90000004")
    }
    assert pick == {
        "s90000001": ["Clear lungs."],
        "s90000002": [text[3:9]],
        "s90000003": [],
        "s90000004": ["See above."],
    }
    yaml = tmp_path / "overrides.yaml"
    yaml.write_text("sections: {s90000001: recommendations}\nranges: {s90000002: [3, 9], s90000003: [0, 0]}\n")
    assert load_overrides(yaml) == overrides


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.py", "custom_indices = {'s1': open('x')}", "not a plain table"),
        ("a.py", "def (", "is not Python"),
        ("a.py", "x = 1", "no section overrides"),
        ("a.yaml", "ranges: {s1: [5, 2]}", "two offsets"),
        ("a.yaml", "sections: {s1: 3}", "section names"),
        ("a.yaml", "other: {}", "no section overrides"),
        ("a.yaml", "a: [", "neither"),
    ],
)
def test_bad_override_files_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        load_overrides(path)


TITLES = ["FINDINGS:", "IMPRESSION:", "\n \n", "\n ", "CHEST:", "LUNGS:", "Heart:", "NOTE:", "FINAL REPORT", "WET READ"]


@given(st.lists(st.sampled_from(TITLES) | st.text(alphabet="aB. \n\r\t:\u00e9_", max_size=12), max_size=12))
def test_sections_are_disjoint_ordered_and_stripped(pieces: list[str]) -> None:
    text = "".join(pieces)
    for policy in POLICIES:
        sections = find_sections(text, policy)
        assert all(text[s.start : s.end] == text[s.start : s.end].strip() for s in sections)
        assert all(a.end <= b.start for a, b in pairwise(sections) if a.end > a.start)
        read = sections_to_label(text, policy)
        assert all(0 <= s.start < s.end <= len(text) for s in read)
