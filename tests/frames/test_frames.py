"""Every phrase and every composed rule of every label, in every frame it fits, gets the state the frame says."""

from collections import defaultdict
from functools import cache

import pytest
from frames.findings import stems_without_endings
from frames.reading import Reading, read_frames
from frames.statements import Exception_, all_findings, all_frames, all_statements

from ltml_lexicons.choose import choose_labels

pytestmark = pytest.mark.xdist_group("frames")

RIGHT_SHARE = 0.99
"""Of all statements; and no statement of absence, doubt or history may be read as present."""


@cache
def everything() -> tuple[list[Reading], list[Exception_]]:
    return read_frames()


@cache
def by_frame() -> dict[str, list[Reading]]:
    readings = defaultdict(list)
    for reading in everything()[0]:
        readings[reading.statement.frame].append(reading)
    return readings


def some(readings: list[Reading]) -> str:
    return f"{len(readings)}, such as\n" + "\n".join(str(reading) for reading in readings[:8])


@pytest.mark.parametrize("frame", [frame.id for frame in all_frames()])
def test_nothing_that_is_not_there_is_read_as_present(frame: str) -> None:
    wrong = [reading for reading in by_frame()[frame] if reading.is_false_alarm]
    assert not wrong, some(wrong)


@pytest.mark.parametrize("frame", [frame.id for frame in all_frames()])
def test_a_frame_is_read_as_it_says(frame: str) -> None:
    readings = by_frame()[frame]
    wrong = [reading for reading in readings if not reading.is_right]
    assert len(wrong) <= (1 - RIGHT_SHARE) * len(readings), some(wrong)


@pytest.mark.parametrize("label", [label.id for label in choose_labels().labels])
def test_a_label_is_read_as_its_frames_say(label: str) -> None:
    readings = [reading for reading in everything()[0] if reading.statement.label == label]
    wrong = [reading for reading in readings if not reading.is_right]
    assert len(wrong) <= (1 - RIGHT_SHARE) * len(readings), some(wrong)


def test_no_exception_is_stale() -> None:
    assert everything()[1] == []


def test_every_label_and_every_frame_takes_part() -> None:
    statements = all_statements()
    assert {statement.label for statement in statements} == {label.id for label in choose_labels().labels}
    assert {statement.frame for statement in statements} == {frame.id for frame in all_frames()}


def test_every_stem_knows_how_its_words_end() -> None:
    assert stems_without_endings() == [], "add the endings to tests/frames/words.yaml"


def test_no_sentence_has_a_place_left_open() -> None:
    assert [statement for statement in all_statements() if {"{", "}"} & set(statement.text)] == []
    assert all(finding.text and finding.text == finding.text.strip() for finding in all_findings())
