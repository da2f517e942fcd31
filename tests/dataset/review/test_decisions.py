"""An append-only file that survives crashes, other pages and changes of mind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltml_dataset.errors import UserError
from ltml_dataset.review.decisions import FILE_NAME, DecisionLog, read_judgements


def open_log(folder: Path) -> DecisionLog:
    return DecisionLog(folder, lexicon="1.0", tool="0.1")


def test_a_label_nobody_touched_counts_as_confirmed_once_the_study_is_done(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append("label", "7", "anna", "first", label="Embolus", state=1)
    log.append("done", "7", "anna", "first", machine={"Embolus": 0, "Fracture": 1}, seconds=12.5)
    (judgement,) = read_judgements(tmp_path)
    assert judgement.is_done
    assert judgement.state_of("Embolus") == 1
    assert judgement.state_of("Fracture") == 1
    assert judgement.state_of("Atelectasis") is None
    assert judgement.seconds == 12.5


def test_undo_brings_back_what_was_there_before(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append("label", "7", "anna", "first", label="Embolus", state=1)
    second = log.append("label", "7", "anna", "first", label="Embolus", state=-1)
    done = log.append("done", "7", "anna", "first", machine={})
    log.append("undo", "7", "anna", "first", target=done.id)
    log.append("undo", "7", "anna", "first", target=second.id)
    judgement = log.judgement("anna", "first", "7")
    assert judgement.changed == {"Embolus": 1}
    assert not judgement.is_done
    assert read_judgements(tmp_path)[0].changed == {"Embolus": 1}


def test_two_open_pages_see_each_others_decisions_and_lose_none(tmp_path: Path) -> None:
    one, other = open_log(tmp_path), open_log(tmp_path)
    one.append("label", "1", "anna", "first", label="Embolus", state=1)
    other.append("label", "1", "anna", "first", label="Fracture", state=0)
    one.refresh()
    expected = {"Embolus": 1, "Fracture": 0}
    assert one.judgement("anna", "first", "1").changed == expected
    assert other.judgement("anna", "first", "1").changed == expected


WRITE_MANY = """
import sys
from pathlib import Path
from ltml_dataset.review.decisions import DecisionLog

log = DecisionLog(Path(sys.argv[1]), lexicon="1.0", tool="0.1")
for study in range(50):
    log.append("label", str(study), sys.argv[2], "first", label="Embolus", state=1)
"""


def test_processes_writing_at_once_never_mix_their_lines(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", WRITE_MANY, str(tmp_path), name] for name in ("anna", "ben")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen(command, env=environment) for command in commands]
    assert [process.wait() for process in processes] == [0, 0]
    assert len((tmp_path / FILE_NAME).read_text().splitlines()) == 100
    assert len(read_judgements(tmp_path)) == 100


@given(cut=st.integers(min_value=1, max_value=400))
@settings(max_examples=25, deadline=None)
def test_a_crash_while_writing_loses_only_the_line_being_written(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("crash")
    log = open_log(folder)
    log.append("label", "1", "anna", "first", label="Embolus", state=1)
    whole = (folder / FILE_NAME).stat().st_size
    log.append("label", "1", "anna", "first", label="Fracture", state=1)
    path = folder / FILE_NAME
    torn = path.read_bytes()[: min(whole + cut, path.stat().st_size - 2)]
    path.write_bytes(torn)
    again = open_log(folder)
    again.append("label", "1", "anna", "first", label="Edema", state=0)
    assert again.judgement("anna", "first", "1").changed == {"Embolus": 1, "Edema": 0}


def test_readers_and_roles_are_kept_apart(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append("label", "1", "anna", "first", label="Embolus", state=1)
    log.append("label", "1", "ben", "second", label="Embolus", state=0)
    log.append("label", "1", "anna", "adjudicator", label="Embolus", state=-1)
    states = {(j.reader, j.role): j.changed["Embolus"] for j in log.judgements()}
    assert states == {("anna", "first"): 1, ("ben", "second"): 0, ("anna", "adjudicator"): -1}


def test_a_folder_without_decisions_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a review folder"):
        read_judgements(tmp_path)


def test_lines_of_another_program_are_left_out(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append("note", "1", "anna", "first", note="rotated")
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"kind": "label"}\nnot json\n[]\n')
    log.append("note", "1", "anna", "first", note="rotated, repeat advised")
    assert read_judgements(tmp_path)[0].note == "rotated, repeat advised"
