"""What readers reported becomes a test of the lexicon."""

from pathlib import Path

import pytest

from ltml_dataset.cli import main
from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.review.decisions import DecisionLog
from ltml_dataset.review.replay import replay_flags


def report(folder: Path, sentence: str, expected: int | None) -> None:
    log = DecisionLog(folder, lexicon="1.0", tool="0.1")
    flag = {"label": "Pneumothorax", "phrase": "pneumothorax", "sentence": sentence, "expected": expected}
    log.append("flag", "1", "anna", "first", flag=flag)


def test_a_mended_sentence_passes_and_an_open_one_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(tmp_path, "There is no pneumothorax.", 0)
    assert [case.is_right for case in replay_flags(tmp_path, Labeler.default())] == [True]
    assert main(["lexicon", "check", "--against", str(tmp_path)]) == 0
    report(tmp_path, "There is a small pneumothorax.", 0)
    assert main(["lexicon", "check", "--against", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "Pneumothorax: present, a reader said absent: There is a small pneumothorax." in printed
    assert "1 of 2 reported sentences" in printed


def test_not_mentioned_stands_for_absent(tmp_path: Path) -> None:
    report(tmp_path, "Heart size is normal.", 0)
    report(tmp_path, "No pneumothorax.", None)
    assert all(case.is_right for case in replay_flags(tmp_path, Labeler.default()))


def test_a_folder_without_a_review_is_the_users_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lexicon", "check", "--against", str(tmp_path)]) == 1
    assert "is not a review folder" in capsys.readouterr().err
