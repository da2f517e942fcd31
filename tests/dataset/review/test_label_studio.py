"""Tasks that Label Studio opens, annotations that come back."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ltml_dataset.errors import UserError
from ltml_dataset.review.label_studio import labeling_config, make_task, read_annotations

STATES = {"Atelectasis": 1, "Embolus": -1, "Fracture": 0, "Edema": None}


def annotated(task: dict, present: list[str], uncertain: list[str], **more: object) -> dict:
    result = [
        {"from_name": "present", "to_name": "report", "type": "choices", "value": {"choices": present}},
        {"from_name": "uncertain", "to_name": "report", "type": "choices", "value": {"choices": uncertain}},
    ]
    return {**task, "id": 1, "annotations": [{"result": result, "completed_by": 4, "lead_time": 8.5, **more}]}


def test_a_task_carries_the_report_and_the_machine_labels() -> None:
    task = make_task("50", "Left lower lobe atelectasis.", STATES, "1.0")
    assert task["data"]["text"] == "Left lower lobe atelectasis."
    present, uncertain = task["predictions"][0]["result"]
    assert present["value"]["choices"] == ["Atelectasis"]
    assert uncertain["value"]["choices"] == ["Embolus"]


def test_the_project_configuration_names_the_same_fields() -> None:
    root = ElementTree.fromstring(labeling_config(["Atelectasis", 'A "quoted" & odd label']))
    fields = {field.get("name"): [choice.get("value") for choice in field] for field in root.iter("Choices")}
    assert fields == {name: ["Atelectasis", 'A "quoted" & odd label'] for name in ("present", "uncertain")}
    assert root.find("Text").get("value") == "$text"  # type: ignore[union-attr]


def test_annotations_come_back_as_states(tmp_path: Path) -> None:
    task = make_task("50", "text", STATES, "1.0")
    path = tmp_path / "export.json"
    path.write_text(json.dumps([annotated(task, ["Embolus"], ["Edema"]), annotated(task, [], [], was_cancelled=True)]))
    (annotation,) = read_annotations(path)
    assert annotation.study == "50"
    assert annotation.annotator == "label-studio-4"
    assert annotation.states == {"Atelectasis": 0, "Embolus": 1, "Fracture": 0, "Edema": -1}
    assert annotation.seconds == 8.5


@pytest.mark.parametrize("content", ["{}", "[1]", "not json", '[{"data": {}}]'])
def test_another_file_is_refused_in_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(UserError, match="not a Label Studio export"):
        read_annotations(path)
