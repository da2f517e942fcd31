"""The blind rounds are whole, and what has been mended after a round stays mended."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from ltml_dataset.labeling.labeler import Labeler

REPOSITORY = Path(__file__).resolve().parents[2]
ROUNDS = sorted((REPOSITORY / "tests" / "rounds").glob("*.jsonl"))
STATES = {1, 0, -1, None, "?", "not1"}


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_rounds", REPOSITORY / "scripts" / "measure_rounds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", ROUNDS, ids=lambda path: path.stem)
def test_every_row_names_a_class_and_a_state(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    names = {*Labeler.default().label_names, "No Finding"}
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        stated = row["labels"] if "labels" in row else {row["label"]: row["status"]}
        assert set(stated) <= names
        assert set(stated.values()) <= STATES


def test_the_round_that_was_read_stays_mended() -> None:
    measure = script()
    labeler = Labeler.default()
    path = REPOSITORY / "tests" / "rounds" / "round2_sentences.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    figures = measure.score_sentences(rows, labeler, labeler.label_names[measure.COMMON :])
    assert figures["F1"] >= 0.94
    assert figures["state"] >= 0.87


def test_rows_on_which_readers_differ_are_left_out() -> None:
    measure = script()
    assert measure.agreed(1, -1) == "?"
    assert measure.agreed(None, "not1") == "not1"
    assert measure.agreed(0, 0) == 0
