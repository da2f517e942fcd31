"""Summary, CSV files and Label Studio tasks say what was decided, and no more."""

import csv
import json
from pathlib import Path

import pytest
from review_folder import make_folder

from ltml_dataset.cli import main
from ltml_dataset.review.desk import Desk
from ltml_dataset.review.session import open_review


def read_twice(root: Path) -> Path:
    """Two readers over three studies, who differ on one label, and an adjudicator."""
    folder = make_folder(root)
    review = open_review(folder, negatives=10)
    for reader, role in (("anna", "first"), ("ben", "second"), ("cleo", "adjudicator")):
        desk = Desk(review.folder, review.queue, review.log, reader, role)  # type: ignore[arg-type]
        for turn in range(min(3, len(desk.items))):
            study = desk.items[turn].study
            desk.go(study)
            if turn == 0 and reader != "ben":
                desk.set_state(study, "Embolus", 0)
            desk.finish(study, review.folder.labels, whole=True, hasty=True)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_files_hold_every_decision(tmp_path: Path) -> None:
    folder = read_twice(tmp_path)
    assert main(["review", str(folder), "--negatives", "10", "--export-csv"]) == 0
    place = tmp_path / "set-review"
    decisions = rows_of(place / "decisions.csv")
    assert {row["reader"] for row in decisions} == {"anna", "ben", "cleo"}
    touched = [row for row in decisions if row["certified_by"] == "touched"]
    assert {(row["reader"], row["label"], row["machine"], row["state"]) for row in touched} == {
        ("anna", "Embolus", "present", "absent"),
        ("cleo", "Embolus", "present", "absent"),
    }
    (adjudicated,) = rows_of(place / "adjudications.csv")
    assert adjudicated["readers"] == "anna: absent; ben: present"
    assert (adjudicated["adjudicator"], adjudicated["final"]) == ("cleo", "absent")
    assert rows_of(place / "kappa.csv")[0]["label"] == "all labels"
    (pair,) = rows_of(place / "readers.csv")
    assert (pair["studies"], pair["labels_that_differ"]) == ("3", "1")


def test_the_summary_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = read_twice(tmp_path)
    capsys.readouterr()
    assert main(["review", str(folder), "--negatives", "10", "--summary", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [(row["reader"], row["finished"], row["hasty"]) for row in record["progress"]] == [
        ("anna", 3, 3),
        ("ben", 3, 3),
        ("cleo", 1, 1),
    ]
    assert record["waiting"] == {}
    assert record["readers"][0]["differing"] == 1
    assert main(["review", str(folder), "--negatives", "10", "--summary"]) == 0
    assert "Readers compared" in capsys.readouterr().out


def test_label_studio_tasks_name_the_images(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    command = ["review", str(folder), "--negatives", "10", "--export-label-studio", "--image-root"]
    assert main([*command, str(tmp_path / "files")]) == 0
    place = tmp_path / "set-review"
    tasks = json.loads((place / "label_studio_tasks.json").read_text())
    images = [image for task in tasks for image in task["data"].get("images", ())]
    assert images
    assert all((tmp_path / "files" / image.removeprefix("/data/local-files/?d=")).is_file() for image in images)
    assert 'valueList="$images"' in (place / "label_studio_config.xml").read_text()
