"""First readings, blind second readings, adjudication, and what comes out of them."""

from pathlib import Path

import pytest

from ltml_dataset.errors import UserError
from ltml_dataset.review.consensus import disagreements, label_quality, resolve
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


def test_rare_positives_come_first_and_untouched_labels_are_confirmed(review: Review) -> None:
    desk = sit_down(review, "anna")
    study = current(desk)
    assert desk.focus_label() == "Embolus"
    assert review.folder.machine(study)["Embolus"] == 1
    desk.set_state(study, "Embolus", 0)
    desk.finish(study)
    verdict = resolve(review.log.judgements(), review.folder.labels)[study]
    assert verdict.states["Embolus"] == 0
    assert verdict.states["Pleural Effusion"] == review.folder.machine(study)["Pleural Effusion"]
    assert set(verdict.sources.values()) == {"reader"}


def test_a_reader_who_comes_back_goes_on_where_they_stopped(review: Review, built_folder: Path) -> None:
    desk = sit_down(review, "anna")
    for _ in range(3):
        desk.finish(current(desk))
    waiting = current(desk)
    again = open_review(built_folder, negatives=10)
    assert current(sit_down(again, "anna")) == waiting
    assert sit_down(again, "anna").n_finished() == 3
    assert sit_down(again, "ben").n_finished() == 0


def test_undo_takes_back_a_label_then_reopens_the_study_before(review: Review) -> None:
    desk = sit_down(review, "anna")
    first = current(desk)
    desk.finish(first)
    desk.set_state(current(desk), "Embolus", -1)
    assert desk.undo()
    assert desk.judgement.changed == {}
    assert desk.undo()
    assert current(desk) == first
    assert not desk.judgement.is_done
    assert not desk.undo()


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
    anna.finish(disputed)
    agreed = current(anna)
    anna.finish(agreed)

    ben = sit_down(review, "ben", "second")
    assert [item.study for item in ben.items] == [disputed, agreed]
    assert all(row.others == () for row in ben.rows())
    assert next(row.state for row in ben.rows() if row.name == "Embolus") == 1, "the machine's state, not anna's"
    ben.finish(disputed)
    ben.finish(agreed)
    assert disagreements(review.log.judgements(), review.folder.labels) == {disputed: ["Embolus"]}
    assert resolve(review.log.judgements(), review.folder.labels)[agreed].sources["Embolus"] == "readers"

    judge = sit_down(review, "cleo", "adjudicator")
    assert [item.study for item in judge.items] == [disputed]
    assert judge.focus_label() == "Embolus"
    assert next(row.others for row in judge.rows() if row.name == "Embolus") == (("anna", 0), ("ben", 1))
    judge.set_state(disputed, "Embolus", 0)
    judge.finish(disputed)
    verdict = resolve(review.log.judgements(), review.folder.labels)[disputed]
    assert (verdict.states["Embolus"], verdict.sources["Embolus"], verdict.open_labels) == (0, "adjudicated", [])


def test_a_reader_never_gets_their_own_study_for_a_second_reading(review: Review) -> None:
    anna = sit_down(review, "anna")
    anna.finish(current(anna))
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
        desk.finish(study)
    rows = label_quality(
        review.log.judgements(), review.folder.labels, review.folder.states, review.folder.row_of, review.queue
    )
    embolus = next(row for row in rows if row.label == "Embolus")
    n_machine = sum(review.folder.machine(study).get("Embolus") == 1 for study in review.folder.studies)
    assert embolus.precision.value == pytest.approx((n_machine - 3) / n_machine)
    assert embolus.precision.low == embolus.precision.high == embolus.precision.value, "a census has no error bar"
    assert embolus.recall.value == 1.0


def test_label_studio_annotations_become_first_readings_once(review: Review, tmp_path: Path) -> None:
    import json

    tasks_path, config_path = write_tasks(review)
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
