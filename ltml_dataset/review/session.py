"""One review: a built folder, its queue, and the decisions so far."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ltml_dataset import __version__
from ltml_dataset.errors import UserError
from ltml_dataset.export.parquet import write_text
from ltml_dataset.review.decisions import DecisionLog, read_judgements
from ltml_dataset.review.folder import ReviewFolder, open_folder
from ltml_dataset.review.label_studio import labeling_config, make_task, read_annotations
from ltml_dataset.review.queue import Queue, make_queue
from ltml_dataset.review.summary import Row, plan_rows, progress_rows, quality_rows
from ltml_dataset.schema import NO_FINDING

TASKS_NAME = "label_studio_tasks.json"
CONFIG_NAME = "label_studio_config.xml"


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


def print_summary(review: Review) -> None:
    """Print progress, sampling plan, agreement and machine quality as tables."""
    review.log.refresh()
    judgements = review.log.judgements()
    console = Console()
    for title, rows in (
        ("Progress", progress_rows(judgements, review.queue)),
        ("Sampling plan", plan_rows(review.queue.plan)),
        ("Agreement and machine quality (95 % intervals)", quality_rows(judgements, review.folder, review.queue)),
    ):
        console.print(_table(title, rows) if rows else f"{title}: nothing yet.")


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left")
    for name, value in rows[0].items():
        table.add_column(name, justify="right" if isinstance(value, int) else "left")
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else value for value in row.values()))
    return table


def write_tasks(review: Review) -> tuple[Path, Path]:
    """Write the queue as Label Studio tasks, with the project's configuration, into the review folder.

    Returns:
        The two files. The tasks hold report text: they stay inside the review folder.
    """
    folder = review.folder
    tasks = []
    for item in review.queue.items:
        text = "\n\n".join(passage.text for passage in folder.passages(item.study))
        machine = folder.machine(item.study)
        states = {label: machine.get(label) for label in folder.labels}
        tasks.append(make_task(item.study, text, states, folder.lexicon_version))  # type: ignore[arg-type]
    place = review.log.path.parent
    write_text(json.dumps(tasks, ensure_ascii=False, indent=1) + "\n", place / TASKS_NAME)
    write_text(labeling_config(folder.labels), place / CONFIG_NAME)
    return place / TASKS_NAME, place / CONFIG_NAME


def import_annotations(review: Review, path: Path) -> int:
    """Take Label Studio's annotations into the decisions, as first readings by each annotator.

    An annotation that was taken in before is left out. "Absent" in Label Studio keeps the machine's
    distinction between absent and not mentioned.

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
        log.append("done", annotation.study, annotation.annotator, "first", machine=machine, seconds=annotation.seconds)
        n_taken += 1
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
