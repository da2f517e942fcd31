"""An append-only file that survives crashes, other pages and changes of mind."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltml_dataset.errors import UserError
from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.review.decisions import (
    FILE_NAME,
    ChangedElsewhereError,
    DecisionLog,
    read_decisions,
    read_judgements,
)
from ltml_dataset.review.replay import replay_flags


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


LINE_BREAKS = "one\u2028two\u2029three\u0085four\x0bfive\x0csix\x1cseven\r\nend"


def test_no_character_of_a_note_breaks_its_line(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append("note", "1", "anna", "first", note=LINE_BREAKS)
    log.append("note", "2", "anna\u2028b", "first", note="half a pair: \ud83d")
    log.append("label", "1", "anna", "first", label="Odd\u0085label", state=1)
    one, other = read_judgements(tmp_path)
    assert one.note == LINE_BREAKS
    assert one.changed == {"Odd\u0085label": 1}
    assert (other.reader, other.note) == ("anna\u2028b", "half a pair: \ud83d")
    assert log.n_foreign == 0


@given(note=st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_note_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, note: str) -> None:
    folder = tmp_path_factory.mktemp("note")
    open_log(folder).append("note", "1", "anna", "first", note=note)
    assert read_judgements(folder)[0].note == note


def test_notes_that_an_earlier_version_wrote_unescaped_are_read(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    values = json.loads(log.append("note", "1", "anna", "first", note=LINE_BREAKS).line())
    (tmp_path / FILE_NAME).write_bytes(json.dumps(values, ensure_ascii=False).encode() + b"\n")
    assert read_judgements(tmp_path)[0].note == LINE_BREAKS


@pytest.mark.parametrize("seconds", ["null", '"long"', "NaN", "-5", "[]", "true", "1e999", "9" * 400])
def test_seconds_that_are_none_never_lose_the_decision(tmp_path: Path, seconds: str) -> None:
    log = open_log(tmp_path)
    event = log.append("label", "1", "anna", "first", label="Embolus", state=1, seconds=3.0)
    path = tmp_path / FILE_NAME
    path.write_text(event.line().replace('"seconds":3.0', f'"seconds":{seconds}') + "\n")
    (judgement,) = read_judgements(tmp_path)
    assert judgement.changed == {"Embolus": 1}
    assert judgement.seconds == 0.0


FOREIGN = [
    b"not json",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"kind":"label"}',
    b'{"kind":["label"],"id":"a","study":"1","reader":"anna","role":"first"}',
    b'{"kind":"label","id":"a","study":"1","reader":"anna","role":"boss","label":"Embolus","state":1}',
    b'{"kind":"label","id":"a","study":"1","reader":"anna","role":"first","label":"Embolus","state":7}',
    b'{"kind":"label","id":"a","study":"1","reader":"anna","role":"first","label":["Embolus"],"state":1}',
    b'{"kind":"label","id":"a","study":1,"reader":"anna","role":"first","label":"Embolus","state":1}',
    b'{"kind":"done","id":"a","study":"","reader":"anna","role":"first"}',
    b'{"kind":"flag","id":"a","study":"1","reader":"anna","role":"first","flag":"x"}',
]


def test_foreign_lines_are_counted_and_stop_nothing(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append("label", "1", "anna", "first", label="Embolus", state=1)
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(b"\n".join([*FOREIGN, b"", b"  "]) + b"\n")
    log.append("label", "1", "anna", "first", label="Fracture", state=0)
    assert log.judgement("anna", "first", "1").changed == {"Embolus": 1, "Fracture": 0}
    assert log.n_foreign == len(FOREIGN)
    assert [j.changed for j in read_judgements(tmp_path)] == [{"Embolus": 1, "Fracture": 0}]


def test_two_copies_of_a_file_joined_count_once(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    first = log.append("label", "1", "anna", "first", label="Embolus", state=1, seconds=2.0)
    log.append("undo", "1", "anna", "first", target=first.id, seconds=1.0)
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes() * 2)
    (judgement,) = read_judgements(tmp_path)
    assert judgement.changed == {}
    assert judgement.seconds == 3.0, "time spent stays spent, once"


def test_nothing_is_written_over_what_the_reader_has_not_seen(tmp_path: Path) -> None:
    one, other = open_log(tmp_path), open_log(tmp_path)
    done = one.append("done", "1", "anna", "first", machine={}, known=frozenset())
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(ChangedElsewhereError, match="another tab"):
        other.append("done", "1", "anna", "first", machine={}, known=frozenset())
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert other.judgement("anna", "first", "1").is_done, "the other page knows it now"
    other.append("undo", "1", "anna", "first", target=done.id, known={done.id})
    with pytest.raises(ChangedElsewhereError):
        one.append("note", "1", "anna", "first", note="x", known={done.id})


def test_a_file_replaced_by_a_shorter_one_is_read_anew(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    first = log.append("label", "1", "anna", "first", label="Embolus", state=1)
    log.append("label", "1", "anna", "first", label="Fracture", state=1)
    (tmp_path / FILE_NAME).write_text(first.line() + "\n")
    log.refresh()
    assert log.judgement("anna", "first", "1").changed == {"Embolus": 1}


def test_what_a_finished_study_certifies(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append("label", "7", "anna", "first", label="Touched", state=1)
    assert log.judgement("anna", "first", "7").basis_of("Touched") is None, "not before it is finished"
    machine = {"Stated": 0, "Hidden": 1}
    log.append("done", "7", "anna", "first", machine=machine, asked=("Asked",), seen=("Stated", "Quiet"))
    judgement = log.judgement("anna", "first", "7")
    bases = {label: judgement.basis_of(label) for label in ("Touched", "Asked", "Stated", "Hidden", "Quiet")}
    assert bases == {"Touched": "touched", "Asked": "asked", "Stated": "stated", "Hidden": None, "Quiet": None}
    log.append("done", "8", "anna", "first", machine=machine, seen=("Stated",), whole=True)
    assert log.judgement("anna", "first", "8").basis_of("Quiet") == "report"


def test_files_joined_on_one_line_lose_nothing(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append("label", "1", "anna", "first", label="Embolus", state=1)
    log.append("note", "1", "anna", "first", note='a "}{" in it: {"id": 1}')
    path = tmp_path / FILE_NAME
    first, second = path.read_bytes().splitlines()
    torn = second[: len(second) // 2]
    path.write_bytes(
        first + second + b"\n" + torn + first.replace(b"Embolus", b"Edema").replace(b'-1"', b'-9"', 1) + b"\n"
    )
    judgements, n_foreign = read_decisions(tmp_path)
    assert judgements[0].changed == {"Embolus": 1, "Edema": 1}
    assert judgements[0].note == 'a "}{" in it: {"id": 1}'
    assert n_foreign == 0


@pytest.mark.parametrize(
    "foreign",
    [
        b"{}",
        b"[]",
        b"not json",
        b"\xff\xfe\x00",
        b'{"id": "x", "kind": "flag", "study": "1", "reader": "a", "role": "first", "flag": {}}',
        b'{"id": "x", "kind": "flag", "study": "1", "reader": "a", "role": "first", '
        b'"flag": {"label": "E", "phrase": "e", "sentence": "e", "expected": "yes"}}',
        b'{"id": "x", "kind": "note", "study": "\\ud800", "reader": "a", "role": "first", "note": ""}',
        b'{"id": "x", "kind": "done", "study": "1", "reader": "a\\udfff", "role": "first"}',
        b'{"id": "x", "kind": "label", "study": "1", "reader": "a", "role": "first", "label": "E", "state": true}',
        b'{"id": ["x"], "kind": "done", "study": "1", "reader": "a", "role": "first"}',
        b'{"id": "x", "kind": ["done"], "study": "1", "reader": "a", "role": "first"}',
    ],
)
def test_a_foreign_line_is_counted_and_stops_nothing(tmp_path: Path, foreign: bytes) -> None:
    log = open_log(tmp_path)
    log.append("label", "1", "anna", "first", label="Embolus", state=1)
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(foreign + b"\n")
    log.append("done", "1", "anna", "first", machine={})
    judgements, n_foreign = read_decisions(tmp_path)
    assert n_foreign == log.n_foreign == 1
    assert judgements[0].is_done
    assert judgements[0].changed == {"Embolus": 1}
    replay_flags(tmp_path, Labeler.default())


def test_an_event_for_each_is_left_out_where_others_have_decided_meanwhile(tmp_path: Path) -> None:
    here, there = open_log(tmp_path), open_log(tmp_path)
    there.append("done", "2", "anna", "first", machine={})
    events = here.append_to_each(
        "label", ["1", "2", "3"], "anna", "first", unless=lambda one: one.is_done, label="Embolus", state=0, source="9"
    )
    assert [event.study for event in events] == ["1", "3"]
    assert here.append_to_each("skip", [], "anna", "first", unless=lambda one: False) == []


def test_a_key_does_not_wait_for_the_disk_but_the_next_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: released.wait(10))
    log = open_log(tmp_path)
    log.append("label", "1", "anna", "first", label="Embolus", state=1)
    assert read_judgements(tmp_path)[0].changed == {"Embolus": 1}, "in the file, whatever becomes of the process"
    timer = threading.Timer(0.2, released.set)
    timer.start()
    log.append("label", "1", "anna", "first", label="Embolus", state=0)
    assert released.is_set(), "no second decision is under way before the first is on disk"
    timer.join()
    log.settle()


def test_a_decision_that_did_not_reach_the_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    log = open_log(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    log.append("label", "1", "anna", "first", label="Embolus", state=1)
    with pytest.raises(UserError, match="did not reach the disk"):
        log.append("label", "1", "anna", "first", label="Embolus", state=0)
    monkeypatch.undo()
    log.append("label", "1", "anna", "first", label="Embolus", state=0)
    log.settle()
