"""Every phrase and every composed rule of every label, in every frame it fits, gets the state the frame says."""

from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from frames.composed import findings_of_rules
from frames.findings import stems_without_endings
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

RIGHT_SHARE, LABEL_SHARE, FRAME_SHARE = 0.995, 0.98, 0.94
"""Of all statements, of those on each label, of those in each frame. To be raised, never lowered."""
FALSE_ALARMS = 0.001
"""Share of the statements of absence, doubt or history that may be read as present. The aim is none."""


@cache
def everything() -> tuple[list[Reading], list[Exemption]]:
    return read_frames()


@cache
def by_frame() -> dict[str, list[Reading]]:
    readings = defaultdict(list)
    for reading in everything()[0]:
        readings[reading.statement.frame].append(reading)
    return readings


def some(readings: list[Reading]) -> str:
    return f"{len(readings)}, such as\n" + "\n".join(str(reading) for reading in readings[:8])


def test_what_is_not_there_is_not_read_as_present() -> None:
    absent = [reading for reading in everything()[0] if reading.statement.state != 1]
    wrong = [reading for reading in absent if reading.is_false_alarm]
    assert len(wrong) <= FALSE_ALARMS * len(absent), some(wrong)


def test_statements_are_read_as_their_frames_say() -> None:
    readings = everything()[0]
    wrong = [reading for reading in readings if not reading.is_right]
    assert len(wrong) <= (1 - RIGHT_SHARE) * len(readings), some(wrong)


@pytest.mark.parametrize("frame", [frame.id for frame in all_frames()])
def test_a_frame_is_read_as_it_says(frame: str) -> None:
    readings = by_frame()[frame]
    wrong = [reading for reading in readings if not reading.is_right]
    assert len(wrong) <= (1 - FRAME_SHARE) * len(readings), some(wrong)


@pytest.mark.parametrize("label", [label.id for label in choose_labels().labels])
def test_a_label_is_read_as_its_frames_say(label: str) -> None:
    readings = [reading for reading in everything()[0] if reading.statement.label == label]
    wrong = [reading for reading in readings if not reading.is_right]
    assert len(wrong) <= (1 - LABEL_SHARE) * len(readings), some(wrong)


def test_every_exception_is_needed_and_has_a_reason() -> None:
    assert everything()[1] == []
    assert all(len(line.reason.split()) > 2 for line in all_exemptions())


def test_an_exception_says_what_is_right_instead_and_is_stale_where_the_frame_itself_is_read() -> None:
    wrong = Reading(Statement("edema", "edema", "possible", "hedged_before", "Possible edema.", -1), read=1)
    right = Reading(Statement("edema", "chf", "possible", "hedged_before", "Possible CHF.", -1), read=-1)
    present = Exemption("edema", "edema", "poss*", "said so by everybody", state=1)
    senseless = Exemption("*", "edema", "possible", "nobody says so", state=None)
    unneeded = Exemption("edema", "chf", "possible", "it is read as it says", state=-1)
    assert [reading.is_right for reading in settle([wrong], [present])[0]] == [True]
    assert settle([wrong], [senseless]) == ([], [])
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


def test_every_stem_knows_how_its_words_end() -> None:
    assert stems_without_endings() == [], "add the endings to tests/frames/words.yaml"


def test_no_sentence_has_a_place_left_open() -> None:
    assert [statement for statement in all_statements() if {"{", "}"} & set(statement.text)] == []
    assert all(finding.text and finding.text == finding.text.strip() for finding in all_findings())
