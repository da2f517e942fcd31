"""Sections by the default rules."""

import pytest

from ltml_dataset.text.sections import choose_sections, columns_to_label, find_sections, sections_to_label

REPORT = "\n ".join(
    (
        "                FINAL REPORT",
        "EXAMINATION:  CHEST (PA AND LAT)",
        "",
        "INDICATION:  ___ year old man with cough.  // rule out pneumonia",
        "",
        "COMPARISON:  None.",
        "",
        "FINDINGS: ",
        "",
        "The heart is mildly enlarged.",
        "",
        "IMPRESSION: ",
        "",
        "1.  Mild cardiomegaly.",
        "2.  No effusion.",
        "",
        "RECOMMENDATION(S):  Chest CT for the nodule.",
        "",
    )
)


def labelled(text: str, policy: str = "default") -> list[tuple[str, str]]:
    return [(s.name, text[s.start : s.end]) for s in sections_to_label(text, policy)]  # type: ignore[arg-type]


def test_default_reads_findings_and_impression_only() -> None:
    assert labelled(REPORT) == [
        ("findings", "The heart is mildly enlarged."),
        ("impression", "1.  Mild cardiomegaly.\n 2.  No effusion."),
    ]


def test_all_sections_are_found_in_order() -> None:
    names = [s.name for s in find_sections(REPORT) if s.end > s.start]
    assert names == ["examination", "indication", "comparison", "findings", "impression", "recommendations"]
    assert [s.name for s in choose_sections(find_sections(REPORT), "all")] == names


def test_official_reads_the_last_impression() -> None:
    assert labelled(REPORT, "official") == [("impression", "1.  Mild cardiomegaly.\n 2.  No effusion.")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No pneumothorax.", [("body", "No pneumothorax.")]),
        ("", []),
        ("  \n \n ", []),
        ("INDICATION: Cough.", []),
        ("IMPRESSION:", []),
        ("Impression: Clear.", [("impression", "Clear.")]),
        ("FINDINGS\nClear lungs.\nIMPRESSION\nNormal.", [("findings", "Clear lungs."), ("impression", "Normal.")]),
        (
            "TECHNIQUE: PA and lateral COMPARISON: none FINDINGS: The lungs are clear. IMPRESSION: Normal.",
            [("findings", "The lungs are clear."), ("impression", "Normal.")],
        ),
        ("FINAL REPORT\n Clear lungs.\n \n NOTIFICATION: Dr. ___.", [("body", "Clear lungs.")]),
        (
            "CHEST\n\nClear lungs.\n\nIMPRESSION: Normal.",
            [("body", "CHEST\n\nClear lungs."), ("impression", "Normal.")],
        ),
        ("INDICATION: Cough.\n\nComparison is made to ___.\n\nThe lungs are clear.", None),
    ],
)
def test_other_shapes(text: str, expected: list[tuple[str, str]] | None) -> None:
    if expected is None:
        expected = [("last_paragraph", "Comparison is made to ___.\n\nThe lungs are clear.")]
    assert labelled(text) == expected


def test_untitled_findings_before_sections_that_come_after_them() -> None:
    text = (
        "ADDENDUM  A rib fracture is seen.\n ______________\n FINAL REPORT\n HISTORY:  Cough.\n \n TECHNIQUE:  AP.\n \n"
        " The lungs are clear.\n \n NOTIFICATION:  Dr. ___ was told of the effusion.\n"
    )
    assert labelled(text) == [("addendum", "A rib fracture is seen."), ("last_paragraph", "The lungs are clear.")]


def test_preliminary_reading_counts_only_without_a_final_one() -> None:
    wet = "\n WET READ: ___ ___ 8:26 PM\n  Possible pneumothorax.\n ______________________\n"
    final = " FINAL REPORT\n FINDINGS:  No pneumothorax.\n"
    assert labelled(wet + final) == [("findings", "No pneumothorax.")]
    assert labelled(wet) == [("wet read", "___ ___ 8:26 PM\n  Possible pneumothorax.")]


def test_titled_parts_and_unlisted_titles() -> None:
    text = (
        "\n FINDINGS:\n LUNGS: Clear.\n Heart: Normal.\n NG TUBE: In place.\n \n IMPRESSION: Normal.\n"
        " Reviewed with: nobody\n"
    )
    assert labelled(text) == [
        ("findings", "LUNGS: Clear.\n Heart: Normal.\n NG TUBE: In place."),
        ("impression", "Normal.\n Reviewed with: nobody"),
    ]
    assert labelled("\n INDICATION: Cough.\n MEDS: Aspirin.\n \n BEDSIDE FILM: Effusion.\n") == [
        ("bedside film", "BEDSIDE FILM: Effusion.")
    ]
    assert labelled("\n COMPARISON: None.\n LUNGS: Clear.\n") == [("findings", "LUNGS: Clear.")]


def test_columns_are_sections_of_their_name() -> None:
    columns = ("comparison", "indication", "findings", "impression", "remark")
    values = ("None.", "Cough.", " Clear. ", None, "Normal heart.")
    assert [(i, s.name, s.start, s.end) for i, s in columns_to_label(columns, values)] == [
        (2, "findings", 1, 7),
        (4, "remark", 0, 13),
    ]
    assert [i for i, _ in columns_to_label(columns, values, "official")] == [2]
    assert [i for i, _ in columns_to_label(columns, values, "all")] == [1, 2, 4]
