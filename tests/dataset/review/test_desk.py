"""First readings, blind second readings, adjudication, and what comes out of them."""

from pathlib import Path

import pytest

from ltml_dataset.errors import UserError
from ltml_dataset.review.consensus import disagreements, label_quality, reader_agreement, resolve
from ltml_dataset.review.decisions import ChangedElsewhereError, read_judgements
from ltml_dataset.review.desk import Desk, Filters
from ltml_dataset.review.label_studio import read_annotations
from ltml_dataset.review.session import Review, flagged_phrases, import_annotations, open_review, write_tasks


@pytest.fixture
def review(built_folder: Path) -> Review:
    return open_review(built_folder, negatives=10)


def sit_down(review: Review, reader: str, role: str = "first", **filters: str) -> Desk:
    return Desk(review.folder, review.queue, review.log, reader, role, Filters(**filters))  # type: ignore[arg-type]


def current(desk: Desk) -> str:
    assert desk.item is not None
    return desk.item.study


def finish(desk: Desk, study: str, *, whole: bool = False) -> None:
    """As a reader who has seen everything, and means it."""
    answer = desk.finish(study, desk.folder.labels, whole=whole, part=not whole, hasty=True)
    assert answer.outcome == "finished"


def test_nothing_is_finished_before_the_labels_that_matter_were_on_screen(review: Review) -> None:
    desk = sit_down(review, "anna")
    study = current(desk)
    needed = set(review.folder.machine(study))
    assert "Embolus" in needed
    answer = desk.finish(study, needed - {"Embolus"}, whole=True, hasty=True)
    assert (answer.outcome, answer.labels) == ("unseen", ("Embolus",))
    assert not review.log.path.exists()
    assert desk.finish(study, needed, whole=True, hasty=True).outcome == "finished"


def test_a_label_set_by_hand_must_be_on_screen_too(review: Review) -> None:
    desk = sit_down(review, "anna", label="Embolus", state="not mentioned")
    study = current(desk)
    desk.set_state(study, "Embolus", 1)
    seen = set(review.folder.machine(study))
    assert desk.finish(study, seen, whole=True, hasty=True).labels == ("Embolus",)


def test_a_study_closed_faster_than_it_can_be_read_is_asked_about_and_flagged(review: Review) -> None:
    desk = sit_down(review, "anna")
    study = current(desk)
    answer = desk.finish(study, review.folder.labels, part=True)
    assert answer.outcome == "hasty"
    assert answer.seconds < desk.seconds_to_read()
    assert not review.log.path.exists()
    desk.finish(study, review.folder.labels, part=True, hasty=True)
    assert review.log.judgement("anna", "first", study).hasty
    assert resolve(review.log.judgements(), review.folder.labels)[study].is_hasty


def test_a_study_that_had_its_time_is_not_asked_about(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("ltml_dataset.review.desk.time.monotonic", lambda: now)
    desk = sit_down(review, "anna")
    study = current(desk)
    now += 60
    desk.pause()
    now += 600
    assert desk.seconds_spent() == 60, "a pause is no reading time"
    desk.resume()
    now += 5
    assert desk.finish(study, review.folder.labels, part=True).outcome == "finished"
    judgement = review.log.judgement("anna", "first", study)
    assert (judgement.seconds, judgement.hasty) == (65, False)
    assert desk.pace() == 65


def test_a_study_of_the_random_sample_is_asked_whole(review: Review) -> None:
    desk = sit_down(review, "anna")
    desk.go(next(item.study for item in desk.items if item.in_sample))
    study = current(desk)
    assert desk.finish(study, review.folder.labels, hasty=True).outcome == "sample"
    desk.go(next(item.study for item in desk.items if not item.in_sample))
    assert desk.finish(current(desk), review.folder.labels, hasty=True).outcome == "finished"


def test_not_mentioned_is_verified_only_where_the_whole_report_was_confirmed(review: Review) -> None:
    desk = sit_down(review, "anna", label="Embolus", state="not mentioned")
    part, whole = (item.study for item in desk.items[:2])
    finish(desk, part)
    finish(desk, whole, whole=True)
    verdicts = resolve(review.log.judgements(), review.folder.labels)
    assert "Embolus" not in verdicts[part].states
    assert (verdicts[whole].states["Embolus"], verdicts[whole].sources["Embolus"]) == (None, "report")
    assert verdicts[part].sources["Cardiomegaly"] == "reader"


def test_a_finding_that_one_reader_added_and_the_other_left_alone_is_in_question(review: Review) -> None:
    anna = sit_down(review, "anna", label="Embolus", state="not mentioned")
    study = current(anna)
    anna.set_state(study, "Embolus", 1)
    finish(anna, study)
    ben = sit_down(review, "ben", "second")
    finish(ben, study)
    assert disagreements(review.log.judgements(), review.folder.labels) == {study: ["Embolus"]}
    judge = sit_down(review, "cleo", "adjudicator")
    finish(judge, study)
    verdict = resolve(review.log.judgements(), review.folder.labels)[study]
    assert verdict.sources["Embolus"] == "adjudicated"
    assert verdict.sources["Cardiomegaly"] == "adjudicated"


def test_two_tabs_of_one_reader_make_one_decision(review: Review, built_folder: Path) -> None:
    here = sit_down(review, "anna")
    there = sit_down(open_review(built_folder, negatives=10), "anna")
    study = current(here)
    assert current(there) == study
    here.set_state(study, "Embolus", 0)
    finish(here, study)
    for act in (
        lambda: there.set_state(study, "Embolus", 1),
        lambda: there.finish(study, review.folder.labels, part=True, hasty=True),
        lambda: there.skip(study),
    ):
        there._known.clear()
        with pytest.raises(ChangedElsewhereError):
            act()
    (judgement,) = read_judgements(review.log.path.parent)
    assert judgement.state_of("Embolus") == 0
    assert len(judgement.events) == 2
    there.look()
    assert there.finish(study, ()).outcome == "finished", "a study that is done lets the tab go on"
    assert len(read_judgements(review.log.path.parent)) == 1
    assert current(there) == current(here)


def test_search_jump_and_bookmark(review: Review) -> None:
    desk = sit_down(review, "anna")
    last = desk.items[-1].study
    desk.go(last)
    desk.set_mark(last, on=True)
    skipped = desk.items[0].study
    desk.go(skipped)
    desk.skip(skipped)
    assert {one.study for one in desk.search("")[0]} == {last, skipped}
    assert [one.status for one in desk.search(skipped)[0]] == ["skipped"]
    found, n_found = desk.search("septic   EMBOLUS", limit=2)
    assert (len(found), n_found) == (2, sum(review.folder.machine(i.study).get("Embolus") == 1 for i in desk.items))
    with pytest.raises(UserError, match="not in this queue"):
        desk.go("999")


def test_a_decision_is_repeated_for_the_same_sentence_and_waits_to_be_finished(review: Review) -> None:
    desk = sit_down(review, "anna")
    study = current(desk)
    desk.set_state(study, "Embolus", -1)
    same = desk.elsewhere("Embolus")
    assert {one.study for one in same} == {
        item.study for item in desk.items[1:] if review.folder.machine(item.study).get("Embolus") == 1
    }
    chosen = [one.study for one in same[:2]]
    assert desk.apply_elsewhere(study, "Embolus", chosen) == 2
    for other in chosen:
        judgement = review.log.judgement("anna", "first", other)
        assert (judgement.changed, judgement.is_done) == ({"Embolus": -1}, False)
        assert judgement.events[0].source == study
    without = next(item.study for item in desk.items if "Embolus" not in review.folder.machine(item.study))
    with pytest.raises(UserError, match="does not hold that sentence"):
        desk.apply_elsewhere(study, "Embolus", [without])


def test_rare_positives_come_first_and_untouched_labels_are_confirmed(review: Review) -> None:
    desk = sit_down(review, "anna")
    study = current(desk)
    assert desk.focus_label() == "Embolus"
    assert review.folder.machine(study)["Embolus"] == 1
    desk.set_state(study, "Embolus", 0)
    finish(desk, study)
    verdict = resolve(review.log.judgements(), review.folder.labels)[study]
    assert verdict.states["Embolus"] == 0
    assert verdict.states["Pleural Effusion"] == review.folder.machine(study)["Pleural Effusion"]
    assert set(verdict.sources.values()) == {"reader"}


def test_a_reader_who_comes_back_goes_on_where_they_stopped(review: Review, built_folder: Path) -> None:
    desk = sit_down(review, "anna")
    for _ in range(3):
        finish(desk, current(desk))
    waiting = current(desk)
    again = open_review(built_folder, negatives=10)
    assert current(sit_down(again, "anna")) == waiting
    assert sit_down(again, "anna").n_finished() == 3
    assert sit_down(again, "ben").n_finished() == 0


def test_undo_takes_back_a_label_then_reopens_the_study_before(review: Review) -> None:
    desk = sit_down(review, "anna")
    first = current(desk)
    finish(desk, first)
    second = current(desk)
    desk.set_state(second, "Embolus", -1)
    assert desk.undo(second)
    assert desk.judgement.changed == {}
    assert desk.undo(second)
    assert current(desk) == first
    assert not desk.judgement.is_done
    assert not desk.undo(first)
    with pytest.raises(UserError, match="not on screen"):
        desk.undo(second)


def test_skipped_studies_wait_and_count_as_seen(review: Review) -> None:
    desk = sit_down(review, "anna")
    skipped = current(desk)
    desk.skip(skipped)
    assert current(desk) != skipped
    assert desk.n_finished() == 1
    assert resolve(review.log.judgements(), review.folder.labels) == {}


def test_the_second_reader_is_blind_and_the_adjudicator_sees_both(review: Review) -> None:
    anna = sit_down(review, "anna")
    disputed, agreed = current(anna), None
    anna.set_state(disputed, "Embolus", 0)
    finish(anna, disputed)
    agreed = current(anna)
    finish(anna, agreed)

    ben = sit_down(review, "ben", "second")
    assert [item.study for item in ben.items] == [disputed, agreed]
    assert all(row.others == () for row in ben.rows())
    assert next(row.state for row in ben.rows() if row.name == "Embolus") == 1, "the machine's state, not anna's"
    finish(ben, disputed)
    finish(ben, agreed)
    assert disagreements(review.log.judgements(), review.folder.labels) == {disputed: ["Embolus"]}
    assert resolve(review.log.judgements(), review.folder.labels)[agreed].sources["Embolus"] == "readers"

    judge = sit_down(review, "cleo", "adjudicator")
    assert [item.study for item in judge.items] == [disputed]
    assert judge.focus_label() == "Embolus"
    assert next(row.others for row in judge.rows() if row.name == "Embolus") == (("anna", 0), ("ben", 1))
    judge.set_state(disputed, "Embolus", 0)
    finish(judge, disputed)
    verdict = resolve(review.log.judgements(), review.folder.labels)[disputed]
    assert (verdict.states["Embolus"], verdict.sources["Embolus"], verdict.open_labels) == (0, "adjudicated", [])


def test_a_reader_never_gets_their_own_study_for_a_second_reading(review: Review) -> None:
    anna = sit_down(review, "anna")
    finish(anna, current(anna))
    assert sit_down(review, "anna", "second").items == []


def test_filters_narrow_the_queue(review: Review) -> None:
    everything = len(sit_down(review, "anna").items)
    embolus = sit_down(review, "anna", label="Embolus", state="present")
    assert 0 < len(embolus.items) < everything
    assert all(review.folder.machine(item.study)["Embolus"] == 1 for item in embolus.items)
    assert all(item.stratum == "uncertain" for item in sit_down(review, "anna", stratum="uncertain").items)


def test_a_forged_study_or_label_is_refused(review: Review) -> None:
    desk = sit_down(review, "anna")
    with pytest.raises(UserError, match="not on screen"):
        desk.set_state("999", "Embolus", 1)
    with pytest.raises(UserError, match="not on screen"):
        desk.set_state(current(desk), "Sarcoidosis", 1)
    with pytest.raises(UserError, match="needs a name"):
        sit_down(review, "  ")
    assert not review.log.path.exists()


def test_a_wrong_phrase_is_kept_with_its_sentence(review: Review) -> None:
    desk = sit_down(review, "anna", label="Embolus", state="present")
    study = current(desk)
    number = next(m.number for marks in review.folder.marks(study).values() for m in marks if m.label == "Embolus")
    desk.flag(study, number, "absent")
    (flag,) = flagged_phrases(review.log.path.parent)
    assert flag["label"] == "Embolus"
    assert flag["expected"] == 0
    assert "embolus" in str(flag["sentence"]).lower()
    with pytest.raises(UserError, match="not on screen"):
        desk.flag(study, 99, "absent")


def test_the_machine_is_measured_once_everything_is_judged(review: Review) -> None:
    desk = sit_down(review, "anna")
    rejected = 0
    while desk.item is not None:
        study = current(desk)
        if review.folder.machine(study).get("Embolus") == 1 and rejected < 3:
            desk.set_state(study, "Embolus", 0)
            rejected += 1
        finish(desk, study, whole=True)
    rows = label_quality(
        review.log.judgements(), review.folder.labels, review.folder.states, review.folder.row_of, review.queue
    )
    embolus = next(row for row in rows if row.label == "Embolus")
    n_machine = sum(review.folder.machine(study).get("Embolus") == 1 for study in review.folder.studies)
    assert embolus.precision.value == pytest.approx((n_machine - 3) / n_machine)
    assert embolus.precision.is_census
    assert embolus.recall.value == 1.0


def test_label_studio_annotations_become_first_readings_once(review: Review, tmp_path: Path) -> None:
    import json

    written = write_tasks(review)
    tasks_path, config_path = written.tasks, written.config
    assert tasks_path.parent == config_path.parent == review.log.path.parent
    tasks = json.loads(tasks_path.read_text())
    assert len(tasks) == len(review.queue.items)
    export = [{**tasks[0], "annotations": [{"result": [], "completed_by": {"id": 1, "email": "x@y.z"}}]}]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(export))
    assert len(read_annotations(path)) == 1
    assert import_annotations(review, path) == 1
    assert import_annotations(review, path) == 0
    (judgement,) = review.log.judgements()
    assert judgement.reader == "x@y.z"
    assert all(judgement.state_of(label) in (0, None) for label in review.folder.labels)


def test_only_whole_reports_of_the_sample_measure_what_the_machine_missed(review: Review) -> None:
    desk = sit_down(review, "anna")
    for item in desk.items:
        desk.go(item.study)
        finish(desk, item.study)
    folder = review.folder
    rows = label_quality(review.log.judgements(), folder.labels, folder.states, folder.row_of, review.queue)
    embolus = next(row for row in rows if row.label == "Embolus")
    assert embolus.recall.value != embolus.recall.value, "nobody looked for an embolus where none is mentioned"


def test_readers_compared(review: Review) -> None:
    anna = sit_down(review, "anna")
    studies = [item.study for item in anna.items[:10]]
    for place, study in enumerate(studies):
        if place == 0:
            anna.set_state(study, "Embolus", 0)
        finish(anna, study)
    ben = sit_down(review, "ben", "second")
    for study in studies:
        finish(ben, study)
    (pair,) = reader_agreement(review.log.judgements(), review.folder.labels)
    assert (pair.first, pair.second, pair.studies, pair.differing) == ("anna", "ben", 10, 1)
    assert pair.agreement == pytest.approx(1 - 1 / (10 * len(review.folder.labels)))
    assert pair.kappa.low < pair.kappa.value < 1.0
