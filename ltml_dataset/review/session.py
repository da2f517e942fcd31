"""One review: a built folder, its queue, and the decisions so far."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ltml_dataset import __version__
from ltml_dataset.errors import UserError
from ltml_dataset.export.parquet import write_text
from ltml_dataset.review.decisions import DecisionLog, read_judgements
from ltml_dataset.review.folder import ReviewFolder, open_folder
from ltml_dataset.review.label_studio import labeling_config, local_file, make_task, read_annotations
from ltml_dataset.review.pictures import file_name
from ltml_dataset.review.pixels import JPEG, browser_image
from ltml_dataset.review.queue import Queue, make_queue
from ltml_dataset.schema import NO_FINDING

TASKS_NAME = "label_studio_tasks.json"
CONFIG_NAME = "label_studio_config.xml"
IMAGES_NAME = "label_studio_images"


@dataclass(frozen=True, slots=True)
class Review:
    """What all pages and commands of one review share."""

    folder: ReviewFolder
    queue: Queue
    log: DecisionLog


def open_review(
    directory: Path,
    review: Path | None = None,
    *,
    reports: Path | None = None,
    image_root: Path | None = None,
    splits: Sequence[str] = ("test",),
    negatives: int = 50,
    seed: int = 0,
) -> Review:
    """Read a built folder, draw its queue, open its decisions.

    Args:
        directory: What `build` wrote.
        review: Folder of the decisions; by default beside `directory`, named after it.
        reports: The reports it was built from; by default those that `build` noted.
        image_root: Folder that `image_path` starts from.
        splits: Splits under review.
        negatives: Machine negatives of each label that the random sample should hold.
        seed: Seed of the queue.

    Raises:
        UserError: The folder or its reports cannot be used.
    """
    folder = open_folder(directory, splits=splits, reports=reports, image_root=image_root)
    rare = [name for name, group in folder.group_of.items() if group == "tail"]
    queue = make_queue(
        folder.studies,
        folder.states,
        folder.labels,
        rare,
        disagreements=folder.disagreements,
        negatives_per_label=negatives,
        seed=seed,
    )
    place = review or directory.resolve().with_name(f"{directory.resolve().name}-review")
    return Review(folder, queue, DecisionLog(place, lexicon=folder.lexicon_version, tool=__version__))


@dataclass(frozen=True, slots=True)
class Tasks:
    """What was written for Label Studio."""

    tasks: Path
    config: Path
    document_root: Path | None
    """LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, from which the tasks name their images; None without images."""
    n_unreadable: int
    """Images that could not be read and are left out."""


def write_tasks(review: Review) -> Tasks:
    """Write the queue as Label Studio tasks, with the project's configuration, into the review folder.

    The tasks hold report text: they stay inside the review folder. Images that a browser shows as they lie below the
    image root are named, not copied. Where the data set itself holds them, or some are DICOM, all are written into the
    review folder, as JPEG or PNG, and named there.
    """
    folder, place = review.folder, review.log.path.parent
    pictures = {item.study: folder.pictures.of(item.study) for item in review.queue.items}
    is_copied = any(
        picture.file is None or picture.file.suffix.lower() not in (".jpg", ".jpeg", ".png")
        for found in pictures.values()
        for picture in found
    )
    root = place if is_copied else folder.pictures.image_root
    tasks = []
    n_unreadable = 0
    for item in review.queue.items:
        text = "\n\n".join(passage.text for passage in folder.passages(item.study))
        machine = folder.machine(item.study)
        states = {label: machine.get(label) for label in folder.labels}
        files = [
            _copy(review, item.study, number) if is_copied else one.file
            for number, one in enumerate(pictures[item.study])
        ]
        named = [local_file(root, file) for file in files if file is not None] if root is not None else []
        n_unreadable += len(files) - len(named)
        tasks.append(make_task(item.study, text, states, folder.lexicon_version, named))  # type: ignore[arg-type]
    has_images = any("images" in task["data"] for task in tasks)
    write_text(json.dumps(tasks, ensure_ascii=False, indent=1) + "\n", place / TASKS_NAME)
    write_text(labeling_config(folder.labels, with_images=has_images), place / CONFIG_NAME)
    return Tasks(place / TASKS_NAME, place / CONFIG_NAME, root if has_images else None, n_unreadable)


def _copy(review: Review, study: str, number: int) -> Path | None:
    """An image of a study as a file that a browser shows, in the review folder; None where it cannot be read."""
    pictures = review.folder.pictures
    picture = pictures.of(study)[number]
    try:
        content, kind = browser_image(pictures.read(picture), picture.name)
    except UserError:
        return None
    copy = review.log.path.parent / IMAGES_NAME / file_name(study, number, ".jpg" if kind == JPEG else ".png")
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(content)
    return copy


def import_annotations(review: Review, path: Path) -> int:
    """Take Label Studio's annotations into the decisions, as first readings by each annotator.

    An annotation that was taken in before is left out. "Absent" in Label Studio keeps the machine's
    distinction between absent and not mentioned. Certified are the labels that the task showed as chosen, by the
    machine or the annotator: a label that nobody chose may not have been looked at.

    Returns:
        Studies taken in.

    Raises:
        UserError: No export of our tasks, or it holds a study or label that is not under review.
    """
    annotations = read_annotations(path)
    folder, log = review.folder, review.log
    for annotation in annotations:
        if annotation.study not in folder.row_of or not set(annotation.states) <= set(folder.labels):
            raise UserError(
                f"`{path}` holds study {annotation.study}, which is not under review here: give the same folder and "
                "--split as for --export-label-studio."
            )
    log.refresh()
    n_taken = 0
    for annotation in annotations:
        if log.judgement(annotation.annotator, "first", annotation.study).is_done:
            continue
        machine = folder.machine(annotation.study)
        for label, state in annotation.states.items():
            if (state or 0) != (machine.get(label) or 0):
                log.append("label", annotation.study, annotation.annotator, "first", label=label, state=state)
        shown = tuple(label for label, state in machine.items() if state in (1, -1))
        seconds = annotation.seconds
        log.append(
            "done", annotation.study, annotation.annotator, "first", seconds=seconds, machine=machine, seen=shown
        )
        n_taken += 1
    log.settle()
    return n_taken


def flagged_phrases(review_dir: Path) -> list[dict[str, object]]:
    """Phrases that readers reported as wrong: label, phrase, what the sentence says, and the sentence.

    Raises:
        UserError: The folder holds no decisions.
    """
    flags: list[dict[str, object]] = []
    for judgement in read_judgements(review_dir):
        flags += [{**flag, "reader": judgement.reader} for flag in judgement.flags if flag.get("label") != NO_FINDING]
    return flags
