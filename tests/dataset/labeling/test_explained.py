"""An abbreviation means what the report says it means."""

from functools import cache

import pytest

from ltml_dataset import Labeler
from ltml_dataset.labeling.explained import masked


@cache
def labeler() -> Labeler:
    return Labeler.default()


def mentions(report: str) -> list[tuple[str, str, int | None]]:
    return [(m.label, m.text, m.status) for m in labeler().explain(report)]


@pytest.mark.parametrize(
    "report",
    [
        "Pectus excavatum (PE). The PE is unchanged.",
        "Pectus excavatum [PE]. The PE is unchanged.",
        "INDICATION: pectus excavatum (PE).\nFINDINGS: PE again seen.",
        "PE = pleural effusion. Small PE on the left.",
        "PE (pleural effusion) unchanged. Small PE on the right.",
        "Moderate pleural effusions (PE). PE is larger.",
        "Polyethylene (PE) implant. The PE is intact.",
        "Physical examination (PE): PE shows clear lungs.",
    ],
)
def test_explained_as_something_else_it_is_no_embolism(report: str) -> None:
    row = labeler().label([report]).to_pylist()[0]
    assert row["Pulmonary Embolism"] is None


@pytest.mark.parametrize(
    "report",
    [
        "Known PE. Rounded opacity.",
        "Pulmonary embolism (PE). The PE is large.",
        "Acute pulmonary emboli (PE). PE in both lower lobes.",
        "Pulmonary embolic disease (PE). PE in both lower lobes.",
        "PE (pulmonary embolism) on the right.",
        "PE (acute) on the right.",
        "PE (see CT report, pectus excavatum known).",
        "Hiatal hernia (HH). There is PE.",
        "Dose = 3. There is PE.",
    ],
)
def test_its_own_words_and_other_brackets_leave_it_as_it_is(report: str) -> None:
    assert labeler().label([report])["Pulmonary Embolism"].to_pylist() == [1]


def test_other_abbreviations_are_read_the_same_way() -> None:
    assert ("Left Atrial Enlargement", "LAE", 1) in mentions("Left atrial enlargement (LAE). LAE is unchanged.")
    assert not [m for m in mentions("Left axillary entry (LAE). LAE is unchanged.") if m[0].startswith("Left Atrial")]


def test_the_next_report_is_not_touched_and_offsets_hold() -> None:
    first, second = "Pectus excavatum (PE). PE and effusion.", "PE and effusion."
    table = labeler().label([first, second, first])
    assert table["Pulmonary Embolism"].to_pylist() == [None, 1, None]
    assert table["Pleural Effusion"].to_pylist() == [1, 1, 1]
    for report in (first, second):
        for mention in labeler().explain(report):
            assert report[mention.start : mention.end] == mention.text


def test_masked_words_are_as_long_and_whole() -> None:
    assert masked("PE, PEs and COPE: PE.", ["PE"]).count("\u0259\u0259") == 2
    assert len(masked("PE, PEs and COPE: PE.", ["PE"])) == len("PE, PEs and COPE: PE.")
