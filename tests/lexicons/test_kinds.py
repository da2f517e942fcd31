"""Sentences after kinds of fault (tests/sentences/kinds.lines): each gets the state a radiologist would give it."""

from pathlib import Path

import pytest

from ltml_dataset.labeling.labeler import Labeler

LINES = Path(__file__).resolve().parent.parent / "sentences" / "kinds.lines"
STATES = {"1": (1,), "0": (0,), "-1": (-1,), "n": (None,), "not1": (0, -1, None)}


def cases() -> list[object]:
    """One case a line; an open fault fails the run once it is mended."""
    found = []
    for line in LINES.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            label, state, sentence = (part.strip() for part in line.removeprefix("!").split("|", 2))
            marks = [pytest.mark.xfail(reason="known and open", strict=True)] if line.startswith("!") else []
            found.append(pytest.param(label, state, sentence.replace("\\n", "\n"), marks=marks))
    return found


@pytest.fixture(scope="module")
def labeler() -> Labeler:
    return Labeler.default()


@pytest.mark.parametrize(("label", "state", "sentence"), cases())
def test_a_kind_of_fault_is_mended(labeler: Labeler, label: str, state: str, sentence: str) -> None:
    read = labeler.label([sentence]).column(label)[0].as_py()
    assert read in STATES[state], f"{label} is read as {read}"
