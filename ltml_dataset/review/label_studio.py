"""Exchange with Label Studio: tasks out, annotations in.

A task carries the report and the machine's labels as a prediction, in the shape that Label Studio's JSON
import and export share: two `choices` fields, `present` and `uncertain`, over all labels. Labels in neither
are absent or not mentioned. Tasks hold report text, so they are written inside the review folder only.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from ltml_dataset.errors import UserError
from ltml_dataset.review.events import State


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotator's states of one study: every label of the task has one."""

    study: str
    annotator: str
    states: Mapping[str, State]
    seconds: float


def labeling_config(labels: Sequence[str], *, with_images: bool = False) -> str:
    """The XML that a Label Studio project needs for these tasks."""
    choices = "\n".join(f"      <Choice value={quoteattr(label)}/>" for label in labels)
    fields = "\n".join(
        f'    <Header value="{title}"/>\n'
        f'    <Choices name="{name}" toName="report" choice="multiple">\n{choices}\n    </Choices>'
        for name, title in (("present", "Present"), ("uncertain", "Uncertain"))
    )
    image = '  <Image name="image" valueList="$images"/>\n' if with_images else ""
    return f'<View>\n{image}  <Text name="report" value="$text"/>\n  <View>\n{fields}\n  </View>\n</View>\n'


def local_file(image_root: Path, image: Path) -> str:
    """Where Label Studio finds an image below `image_root`, its LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT."""
    return f"/data/local-files/?d={quote(image.relative_to(image_root).as_posix())}"


def make_task(
    study: str, text: str, states: Mapping[str, State], model_version: str, images: Sequence[str] = ()
) -> dict[str, Any]:
    """One study as a task with the machine's labels as prediction, and its images by address where it has any."""
    result = [
        {
            "from_name": name,
            "to_name": "report",
            "type": "choices",
            "value": {"choices": [label for label, state in states.items() if state == code]},
        }
        for name, code in (("present", 1), ("uncertain", -1))
    ]
    return {
        "data": {"study": study, "text": text, "labels": list(states)} | ({"images": list(images)} if images else {}),
        "predictions": [{"model_version": model_version, "result": result}],
    }


def read_annotations(path: Path) -> list[Annotation]:
    """Annotations of an export (JSON), one for each annotator of each task; cancelled ones are left out.

    A label chosen as present is 1, as uncertain -1 (present wins), else 0.

    Raises:
        UserError: The file is not a Label Studio export of our tasks.
    """
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(tasks, list):
            raise TypeError("an export is a list of tasks")
        return [annotation for task in tasks for annotation in _annotations(task)]
    except OSError as error:
        raise UserError(f"`{path}` cannot be read ({error.strerror}): give the JSON export of a project.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"`{path}` is not a Label Studio export of tasks made by `review --export-label-studio`: "
            "export the project as JSON (not JSON-MIN) and give that file."
        ) from None


def _annotations(task: Mapping[str, Any]) -> Iterable[Annotation]:
    for annotation in task["annotations"]:
        if annotation.get("was_cancelled"):
            continue
        chosen: dict[str, set[str]] = {"present": set(), "uncertain": set()}
        for part in annotation["result"]:
            if part["from_name"] in chosen:
                chosen[part["from_name"]].update(part["value"]["choices"])
        states: dict[str, State] = {
            label: 1 if label in chosen["present"] else -1 if label in chosen["uncertain"] else 0
            for label in task["data"]["labels"]
        }
        yield Annotation(
            study=str(task["data"]["study"]),
            annotator=_annotator(annotation.get("completed_by")),
            states=states,
            seconds=float(annotation.get("lead_time") or 0.0),
        )


def _annotator(completed_by: object) -> str:
    """Label Studio gives a number, or a record with an e-mail address."""
    if isinstance(completed_by, dict):
        return str(completed_by.get("email") or completed_by["id"])
    return f"label-studio-{completed_by}"
