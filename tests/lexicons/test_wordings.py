"""The rare classes in many wordings, one statement a line."""

from functools import cache
from pathlib import Path

import pytest

from ltml_dataset import Labeler

LINES = [
    tuple(part.strip() for part in line.split("|"))
    for line in (Path(__file__).parent / "wordings.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@cache
def labeler() -> Labeler:
    return Labeler.default()


@pytest.mark.parametrize(("label", "state", "sentence"), LINES)
def test_wording(label: str, state: str, sentence: str) -> None:
    found = labeler().label([sentence]).column(label).to_pylist()[0]
    if state == "-":
        assert found in (None, 0)
    else:
        assert found == int(state)
