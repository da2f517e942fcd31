"""Every recorded sentence is read as recorded, and a change of a cue does not go unnoticed."""

import random
from functools import cache

import pytest
from perturbing import Bench, Change, excused
from recorded import Recorded, all_recorded

RIGHT = [one for one in all_recorded() if not one.is_open]
OPEN = [one for one in all_recorded() if one.is_open]
SECTIONS = sorted({(one.line.file, one.section) for one in RIGHT})


@cache
def bench() -> Bench:
    return Bench()


@cache
def changes() -> list[Change]:
    return list(bench().changes())


@pytest.mark.parametrize(("file", "section"), SECTIONS)
def test_recorded_sentences_are_read_as_recorded(file: str, section: str) -> None:
    sentences = [one for one in RIGHT if (one.line.file, one.section) == (file, section)]
    assert [one.line.text for one in sentences if not bench().reads(one)] == []


@pytest.mark.parametrize("one", OPEN, ids=lambda one: f"{one.line.file}-{one.section}-{one.line.number}")
@pytest.mark.xfail(reason="known and open", strict=True)
def test_an_open_sentence(one: Recorded) -> None:
    assert bench().reads(one)


def test_few_sentences_are_open() -> None:
    assert len(OPEN) <= 40


def test_no_sentence_is_recorded_twice() -> None:
    texts = [(one.line.text, one.rule) for one in all_recorded()]
    assert len(set(texts)) == len(texts)


def test_changes_do_not_go_unnoticed() -> None:
    """A sample of what `scripts/perturb_rules.py` does in full."""
    usual = [change for change in changes() if not change.needs_compiling]
    sample = random.Random(0).sample(usual, 60)
    assert [change.name for change in sample if bench().noticed_by(change) is None and not excused(change)] == []


def test_the_precedence_cannot_be_turned_upside_down() -> None:
    swaps = [change for change in changes() if change.kind == "precedence"]
    assert swaps
    assert [change.name for change in swaps if bench().noticed_by(change) is None] == []


def test_the_quick_way_is_the_lexicon_compiled_anew() -> None:
    removals = [change for change in changes() if change.lexicon is not None and not change.needs_compiling]
    for change in random.Random(1).sample(removals, 4):
        quickly, anew = bench().noticed_by(change), bench().noticed_when_rebuilt(change)
        assert (quickly is None) == (anew is None), f"{change.name}: {quickly}, {anew}"


def test_without_any_change_everything_holds() -> None:
    assert bench().noticed_by(Change("template", "nothing")) is None
