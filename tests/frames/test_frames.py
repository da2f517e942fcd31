"""Every phrase and every composed rule of every label, in every frame it fits, gets the state the frame says."""

from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from frames.composed import findings_of_rules
from frames.findings import stems_without_endings
from frames.grammar import read_yaml
from frames.pairing import Term, kind_of
from frames.reading import Reading, read_frames, settle
from frames.statements import (
    Exemption,
    Statement,
    all_exemptions,
    all_findings,
    all_frames,
    all_statements,
    finding_named,
    frame_named,
    render,
)

from ltml_lexicons.choose import choose_labels
from ltml_lexicons.lexicon import load_lexicon

PARTS_OF_A_PAGE = {"says", "nouns", "clauses", "normal", "borderline", "denied"}
GOITER = """
id: goiter
name: Goiter
index: 900
origin: user
definition: A large thyroid.
composed:
  - {name: swollen thyroid, site: [thyroid], abnormal: [swollen], normal: [slim], needs: [grossly_swollen]}
groups:
  sites: {thyroid: {definition: The thyroid., terms: [thyroid, both lobes]}}
  predicates:
    swollen: {definition: Large., terms: [swollen, swelling]}
    slim: {definition: Not large., terms: [slim]}
  modifiers: {grossly_swollen: {definition: Very., terms: [gross, grossly]}}
"""

RIGHT_SHARE = 0.99
"""Of all statements, of those in each frame and of those on each label; and no statement of absence, doubt or history
may be read as present."""


@cache
def everything() -> tuple[list[Reading], list[Exemption]]:
    return read_frames()


@cache
def readings_by(attribute: str) -> dict[str, list[Reading]]:
    readings = defaultdict(list)
    for reading in everything()[0]:
        readings[getattr(reading.statement, attribute)].append(reading)
    return readings


def some(readings: list[Reading]) -> str:
    return f"{len(readings)}, such as\n" + "\n".join(str(reading) for reading in readings[:8])


def check(readings: list[Reading]) -> None:
    wrong = [reading for reading in readings if not reading.is_right]
    assert len(wrong) <= (1 - RIGHT_SHARE) * len(readings), some(wrong)


@pytest.mark.parametrize("frame", [frame.id for frame in all_frames()])
def test_nothing_that_is_not_there_is_read_as_present(frame: str) -> None:
    wrong = [reading for reading in readings_by("frame")[frame] if reading.is_false_alarm and not reading.is_open]
    assert not wrong, some(wrong)


def test_statements_are_read_as_their_frames_say() -> None:
    check(everything()[0])


@pytest.mark.parametrize("frame", [frame.id for frame in all_frames()])
def test_a_frame_is_read_as_it_says(frame: str) -> None:
    check(readings_by("frame")[frame])


@pytest.mark.parametrize("label", [label.id for label in choose_labels().labels])
def test_a_label_is_read_as_its_frames_say(label: str) -> None:
    check(readings_by("label")[label])


def test_every_exception_is_needed_and_has_a_reason() -> None:
    assert everything()[1] == []
    assert all(len(line.reason.split()) > 2 for line in all_exemptions())


def test_an_exception_says_what_is_right_instead_and_is_stale_where_the_frame_itself_is_read() -> None:
    wrong = Reading(Statement("edema", "edema", "possible", "hedged_before", "Possible edema.", -1), read=1)
    right = Reading(Statement("edema", "chf", "possible", "hedged_before", "Possible CHF.", -1), read=-1)
    present = Exemption("edema", "edema", "poss*", "said so by everybody", state=1)
    senseless = Exemption("*", "edema", "possible", "nobody says so", state=None)
    known = Exemption("edema", "edema", "possible", "read as present", state=None, is_open=True)
    unneeded = Exemption("edema", "chf", "possible", "it is read as it says", state=-1)
    assert [reading.is_right for reading in settle([wrong], [present])[0]] == [True]
    assert settle([wrong], [senseless]) == ([], [])
    assert [(reading.is_right, reading.is_open) for reading in settle([wrong], [known])[0]] == [(False, True)]
    assert settle([wrong, right], [unneeded])[1] == [unneeded]


def test_every_label_and_every_frame_takes_part() -> None:
    statements = all_statements()
    assert {statement.label for statement in statements} == {label.id for label in choose_labels().labels}
    assert {statement.frame for statement in statements} == {frame.id for frame in all_frames()}


def test_every_trait_that_a_frame_asks_for_is_one_that_findings_have() -> None:
    traits = {trait for finding in all_findings() for trait in finding.traits}
    assert {trait for frame in all_frames() for trait in frame.fits | frame.without} <= traits


@pytest.mark.parametrize(
    ("frame", "phrase", "sentence"),
    [
        ("there_is", "effusion", "There is an effusion."),
        ("there_is", "edema", "There is edema."),
        ("there_is", "emboli", "There are emboli."),
        ("there_is", "PE", "There is PE."),
        ("there_is", "AAA", "There is an AAA."),
        ("has_resolved", "consolidat", "The consolidation has resolved."),
        ("no_xs", "nodular opacity", "There are no nodular opacities."),
        ("questionable", "bochdalek", "There is a questionable Bochdalek hernia."),
        ("no_wrapped_within", "finger in glove opacity", "There is no finger-in-glove\nopacity."),
        ("no_in_capitals", "bronchiectasis", "NO PNEUMOTHORAX OR BRONCHIECTASIS."),
        ("form_none", "fluid in the fissure", "Fluid in the fissure: none"),
        ("ct_to_exclude", "atelecta", "CT to exclude atelectasis is advised."),
    ],
)
def test_sentences_are_such_as_people_write(frame: str, phrase: str, sentence: str) -> None:
    assert render(frame_named(frame), finding_named(phrase)) == sentence


def test_composed_rules_are_said_in_several_ways(tmp_path: Path) -> None:
    page = tmp_path / "goiter.yaml"
    page.write_text(GOITER)
    lexicon = load_lexicon(extra_labels=[page], cache=False)
    found = {(f.subject, f.text, f.number, f.says) for f in findings_of_rules(lexicon.labels["goiter"], lexicon)}
    assert found == {
        ("the thyroid", "grossly swollen", "singular", 1),
        ("", "grossly swollen thyroid", "singular", 1),
        ("both lobes", "grossly swollen", "plural", 1),
        ("", "gross swelling of the thyroid", "mass", 1),
        ("", "gross swelling of both lobes", "mass", 1),
        ("the thyroid", "slim", "singular", 0),
        ("both lobes", "slim", "plural", 0),
    }


def test_every_composed_rule_is_said() -> None:
    chosen = choose_labels()
    said = {
        (label.id, finding.origin)
        for label in chosen.labels
        for finding in findings_of_rules(label, chosen.lexicon)
        if any(frame.takes(finding) for frame in all_frames())
    }
    assert {(label.id, rule.name) for label in chosen.labels for rule in label.composed} - said == set()


def test_every_rule_said_by_hand_is_one_of_the_lexicon() -> None:
    labels = load_lexicon().labels
    pages = {(label, rule) for label, rules in read_yaml("said_as.yaml").items() for rule in rules}
    assert pages <= {(label.id, rule.name) for label in labels.values() for rule in label.composed}
    assert all(
        page.keys() <= PARTS_OF_A_PAGE for rules in read_yaml("said_as.yaml").values() for page in rules.values()
    )


@pytest.mark.parametrize(
    ("predicate", "kind"),
    [
        (Term("enlarged", "dilated"), "adjective"),
        (Term("enlarged", "increase in size"), "noun"),
        (Term("collapsed", "collapsing"), "adjective"),
        (Term("gas", "air"), "noun"),
        (Term("in_mediastinum", "outlining aorta"), "relation"),
        (Term("in_mediastinum", "outlines aorta"), "verb"),
        (Term("plugging", "plugged with"), "pattern"),
    ],
)
def test_a_predicate_is_told_by_its_words(predicate: Term, kind: str) -> None:
    assert kind_of(predicate) == kind


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("clot in a pulmonary artery", "thrombus of the pulmonary trunk"),
        ("air in the mediastinum", "locule of gas outlining the thymic lobe"),
        ("air in the mediastinum", "band of air tracking into the mediastinum"),
        ("fluid in the pericardium", "blood between the layers of the pericardium"),
        ("air in the pleural space", "free gas in the pleural sac"),
        ("calcified plaque on the diaphragm", "calcified plaque along the left diaphragm"),
        ("bronchus plugged by secretions", "airways plugged by sputum"),
        ("raised pulmonary artery pressure", "rise in the PA pressure"),
        ("multiple nodular opacities", "rounded lesions in all zones"),
        ("small nodule", "nodular shadow less than 1 cm in size"),
        ("broken bone", "rib #"),
    ],
)
def test_parts_of_a_rule_are_put_as_people_put_them(rule: str, found: str) -> None:
    assert found in {finding.text for finding in all_findings() if finding.origin == rule}


def test_every_stem_knows_how_its_words_end() -> None:
    assert stems_without_endings() == [], "add the endings to tests/frames/words.yaml"


def test_no_sentence_has_a_place_left_open() -> None:
    assert [statement for statement in all_statements() if {"{", "}"} & set(statement.text)] == []
    assert all(finding.text and finding.text == finding.text.strip() for finding in all_findings())
