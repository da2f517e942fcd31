"""Every marked sentence is judged as marked, and every label has sentences of each kind."""

from functools import cache

import pytest
from marked_text import SENTENCES, MarkedLine, all_marked, read_marked

from ltml_dataset import Labeler
from ltml_dataset.records import Assertion, Mention
from ltml_lexicons.choose import choose_labels
from ltml_lexicons.lexicon import load_lexicon

NO_FINDING = "no_finding"
LINES = [line for line in all_marked() if line.file != NO_FINDING]
NAMES = {label.id: label.name for label in load_lexicon().labels.values()}
OURS = {label.id for label in choose_labels().labels}


@cache
def labeler_for(file: str) -> Labeler:
    """The 39, or for pages outside them the set that has them all."""
    outside = file in NAMES and file not in OURS
    return Labeler(label_set="cxr_lt_2024") if outside else Labeler.default()


def strongest(mentions: list[Mention]) -> int | None:
    """Positive over uncertain over negative; None without mentions."""
    states = {mention.status for mention in mentions}
    ranked = (Assertion.POSITIVE, Assertion.UNCERTAIN, Assertion.NEGATIVE)
    return next((int(state) for state in ranked if state in states), None)


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.file}-{line.number}")
def test_marks_hold_and_the_files_own_label_is_found_nowhere_else(line: MarkedLine) -> None:
    mentions = labeler_for(line.file).explain(line.text)
    for mark in line.marks:
        name = NAMES[mark.label]
        inside = [m for m in mentions if m.label == name and m.start < mark.end and m.end > mark.start]
        assert strongest(inside) == mark.state, f"{line.text!r}: {mark.label}, found {inside}"
    own = [mark for mark in line.marks if mark.label == line.file]
    for mention in mentions:
        if mention.label == NAMES.get(line.file):
            marked = any(mention.start < mark.end and mention.end > mark.start for mark in own)
            assert marked, f"{line.text!r}: {line.file} is found outside its marks, {mention}"


@pytest.mark.parametrize("line", read_marked(SENTENCES / "no_finding.txt"), ids=lambda line: f"line-{line.number}")
def test_no_finding_is_given_or_withheld(line: MarkedLine) -> None:
    assert labeler_for(line.file).label([line.text]).column("No Finding").to_pylist() == [line.marks[0].state]


@pytest.mark.parametrize("label_id", [*load_lexicon().labels, NO_FINDING])
def test_every_label_has_sentences_of_each_kind(label_id: str) -> None:
    wanted = {1, None} if label_id == NO_FINDING else {1, 0, -1, None}
    path = SENTENCES / f"{label_id}.txt"
    assert path.is_file(), f"`{path.name}` is missing: sentences for the label `{label_id}`"
    states = {mark.state for line in read_marked(path) for mark in line.marks if mark.label == label_id}
    assert wanted <= states


@pytest.mark.parametrize(
    ("sentence", "name", "clinical", "paper"),
    [
        ("Multiple pulmonary nodules.", "Multiple Pulmonary Nodules", 1, 1),
        ("Bilateral lung nodules.", "Multiple Pulmonary Nodules", 1, None),
        ("Marked cardiomegaly.", "Massive Cardiomegaly", 1, None),
        ("Massive cardiomegaly.", "Massive Cardiomegaly", 1, 1),
        ("Aortic dilatation.", "Aortic Aneurysm", None, 1),
        ("The left atrium is enlarged.", "Left Atrial Enlargement", 1, None),
        ("Pulmonary consolidation.", "Alveolar Lung Disease", None, 1),
        ("Alveolar pattern of disease.", "Consolidation", None, 1),
    ],
)
def test_profiles_differ_by_the_source_of_a_phrase(
    sentence: str, name: str, clinical: int | None, paper: int | None
) -> None:
    assert Labeler(profile="clinical").label([sentence])[name].to_pylist() == [clinical]
    assert Labeler(profile="paper").label([sentence])[name].to_pylist() == [paper]
