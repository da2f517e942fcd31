"""Titles as reports really bring them: on one line, in any case, with tabs, bars and form heads."""

import time

import pytest

from ltml_dataset.records import Section
from ltml_dataset.text.section_rules import shipped_rules, title_key
from ltml_dataset.text.sections import POLICIES, columns_to_label, find_sections, has_words, sections_to_label


def read(text: str) -> list[str]:
    return [text[s.start : s.end] for s in sections_to_label(text)]


ONE_LINE = [
    "Indication: Pneumonia. Findings: Small left effusion. Impression: Edema.",
    "Clinical details: Pneumonia. Report: Small left effusion. Conclusion: Edema.",
    "Clin info: ?pneumonia. Formal report: Small left effusion. Opinion: Edema.",
    "History: Pneumonia. Comparison: None. Technique: AP. Findings: Small left effusion. Impression: Edema.",
    "Exam: Chest. Date: 01/02/2020. Indication: Pneumonia. Result: Small left effusion. Assessment: Edema.",
    "INDICATION: PNEUMONIA. FINDINGS: SMALL LEFT EFFUSION. IMPRESSION: EDEMA.",
    "indication: pneumonia. findings: small left effusion. impression: edema.",
    "indication: pneumonia findings: small left effusion. impression: edema.",
    "Indication: Pneumonia Findings: Small left effusion. Impression: Edema.",
    "Indication: Pneumonia.\tFindings: Small left effusion.\tImpression: Edema.",
    "Indication\tPneumonia\tFindings\tSmall left effusion.\tImpression\tEdema.",
    "Indication: Pneumonia|Findings: Small left effusion.|Impression: Edema.",
    "Indication | Pneumonia | Findings | Small left effusion. | Impression | Edema.",
    "INDICATION Pneumonia. FINDINGS Small left effusion. IMPRESSION Edema.",
    "INDICATION Pneumonia FINDINGS Small left effusion. IMPRESSION Edema.",
    "Indication. Pneumonia. Findings. Small left effusion. Impression. Edema.",
    "Indication - pneumonia. Findings - Small left effusion. Impression \u2013 Edema.",
    "Indication: Pneumonia\\nFindings: Small left effusion.\\nImpression: Edema.",
    "Name: A. Nobody. Age: 45 yrs. Clinical profile: Pneumonia. Findings: Small left effusion. Imp: Edema. Adv: CT.",
    "CLINICAL NOTES : pneumonia. REPORT : Small left effusion. CONCLUSION : Edema.",
]


@pytest.mark.parametrize("text", ONE_LINE)
def test_a_report_on_one_line_is_read_and_its_indication_is_not(text: str) -> None:
    said = [piece.lower().replace("\\n", "").strip("|. \t") for piece in read(text)]
    assert said == ["small left effusion", "edema"]


@pytest.mark.parametrize(
    "text",
    [
        "indication: pneumonia\nfindings: small left effusion.\nimpression: edema.",
        "indication\npneumonia\nfindings\nsmall left effusion.\nimpression\nedema.",
        "Indication\nPneumonia\n\nFindings\nSmall left effusion.\n\nImpression\nEdema.",
        "**INDICATION**\nPneumonia\n**FINDINGS**\nSmall left effusion.\n**IMPRESSION**\nEdema.",
        "# Indication\nPneumonia\n# Findings\nSmall left effusion.\n# Impression\nEdema.",
        "<b>Indication:</b> Pneumonia\n<b>Findings:</b> Small left effusion.\n<b>Impression:</b> Edema.",
        "1. INDICATION: Pneumonia\n2. FINDINGS: Small left effusion.\n3. IMPRESSION: Edema.",
        "CLINICAL DETAILS:\r\nPneumonia\r\nREPORT:\r\nSmall left effusion.\r\nCONCLUSION:\r\nEdema.",
    ],
)
def test_titles_on_lines_in_any_case_and_dress(text: str) -> None:
    assert [piece.lower() for piece in read(text)] == ["small left effusion.", "edema."]


@pytest.mark.parametrize(
    "text",
    [
        "The above findings: effusion and edema, are unchanged.",
        "These findings: edema.",
        "In my opinion: normal. Compared to the prior study: unchanged. In summary: no change.",
        "No acute\nfindings\nin the chest.",
        "There are no significant\nfindings: all clear.",
        "Compared with the radiograph of ___ study: the effusion is larger.",
        "Findings consistent with edema. Impression of a nodule. History of pneumonia. Comparison is made to ___.",
        "FINDINGS CONSISTENT WITH EDEMA. HISTORY OF PNEUMONIA. COMPARISON IS MADE TO ___.",
        "Effusion, reason: heart failure.",
        "The patient is rotated. Discussed at 12:30 with Dr. ___.",
        "Unchanged findings. Normal examination. No other history.",
    ],
)
def test_text_inside_a_sentence_never_splits(text: str) -> None:
    assert read(text) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "There is a large left effusion.\nHeart: enlarged.\nLungs: clear.",
        "Heart: enlarged. Lungs: clear.",
        "X-RAY CHEST PA VIEW\nCardiac shadow : enlarged\nCP angles : clear\nBony thorax: normal",
        "PNEUMOTHORAX: SMALL APICAL.",
        "Small effusion. Heart: normal. CP angles: blunted.",
    ],
)
def test_organ_headings_swallow_nothing_and_stay_in_the_text(text: str) -> None:
    assert read(text) == [text]


@pytest.mark.parametrize(
    "head",
    [
        "Name: A. Nobody\nAge: 45\n",
        "Name : ___\nAge/Sex : 45 Y / M\nRef by : Dr. ___\n",
        "Patient name: Nobody Age: 45 years Sex: F Date: 01/02/2020 ",
        "Clinical details: Cough\n",
        "Exam: Chest 2 views.\n",
        "Comparison: None. ",
        "Technique: AP. ",
        "X-ray chest.\nAge: 45\n",
        "Part examined: CHEST\n",
    ],
)
def test_a_form_head_swallows_no_text(head: str) -> None:
    body = "There is a small left effusion. The heart is enlarged."
    assert read(head + body)[-1].endswith(body)
    assert read(head + body + "\nReported by: Dr. ___\nDate: 01/02/2020")[-1].endswith(body)
    assert read(head + "Impression: Edema.")[-1] == "Edema."


@pytest.mark.parametrize(
    "text",
    [
        "Indication: Pneumonia.",
        "CHEST, PA AND LATERAL\nINDICATION: Pneumonia.",
        "City Hospital\nName: Nobody\nClinical history: pneumonia",
        "HISTORY: CHRONIC PNEUMONIA.",
        "Clinical details: effusion. Adv: CT.",
    ],
)
def test_what_is_not_read_stays_unread(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize(
    "text",
    ["", " ", "nan", "NaN", "None", "N/A", "n/a", "null", "___", ".", "-", "Not available.", "XXXX", "\u00a0"],
)
def test_words_that_stand_for_a_missing_text_are_no_text(text: str) -> None:
    assert not has_words(text)
    for policy in POLICIES:
        assert sections_to_label(text, policy) == []
    assert read(f"FINDINGS: {text}\nIMPRESSION: Edema.") == ["Edema."]
    assert read(f"Indication: Cough. Findings: {text}") == []
    assert columns_to_label(["findings", "impression"], [text, "Edema."]) == [(1, Section("impression", 0, 6))]


@pytest.mark.parametrize(
    "piece",
    [
        "Findings: ",
        "findings\n",
        "Name: x\n",
        "Age: 45 ",
        "FINDINGS x ",
        "History: a. ",
        "x|",
        "a\t",
        "View: x\n",
        ": ",
    ],
)
def test_titles_cost_no_more_than_the_length_of_the_text(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    begin = time.process_time()
    find_sections(text)
    assert time.process_time() - begin < 10


def test_every_listed_title_can_be_recognised() -> None:
    rules = shipped_rules().default
    for title in (*rules.aliases(), *rules.parts, *rules.items, *rules.bare, *rules.inline):
        assert title_key(title.upper()) == title, title
