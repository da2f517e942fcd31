"""Decisions, agreement and adjudications as CSV files, for whoever wants to count for themselves."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ltml_dataset.export.parquet import write_text
from ltml_dataset.review.agreement import Estimate
from ltml_dataset.review.consensus import label_quality, reader_agreement, resolve
from ltml_dataset.review.events import State
from ltml_dataset.review.session import Review
from ltml_dataset.review.summary import phrase_rows

WORDS: Mapping[State, str] = {1: "present", 0: "absent", -1: "uncertain", None: "not mentioned"}


def write_spreadsheets(review: Review) -> list[Path]:
    """Write `decisions.csv`, `notes.csv`, `kappa.csv`, `readers.csv`, `adjudications.csv` and `wrong_phrases.csv`.

    Returns:
        The files, in the review folder: `wrong_phrases.csv` holds sentences of reports.
    """
    review.log.refresh()
    tables = {
        "decisions.csv": _decisions(review),
        "notes.csv": _notes(review),
        "kappa.csv": _kappas(review),
        "readers.csv": _readers(review),
        "adjudications.csv": _adjudications(review),
        "wrong_phrases.csv": _phrases(review),
    }
    place = review.log.path.parent
    place.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        write_text(_csv(rows), place / name)
    return [place / name for name in tables]


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    # Quoted, because a note may hold a lone carriage return; half of a surrogate pair cannot be written in a file.
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
    return text.getvalue().encode("utf-8", "replace").decode("utf-8")


def _decisions(review: Review) -> list[Sequence[object]]:
    """One row for each label of each finished reading; `certified_by` is empty where it certifies nothing."""
    rows: list[Sequence[object]] = [
        ("study", "reader", "role", "label", "machine", "state", "certified_by", "seconds", "hasty", "time")
    ]
    for judgement in review.log.judgements():
        if not judgement.is_done or judgement.study not in review.folder.row_of:
            continue
        # An adjudicator starts from what readers agree on; the machine's states are those of the data set.
        is_reading = judgement.role != "adjudicator"
        machine = judgement.machine if is_reading else review.folder.machine(judgement.study)
        for label in review.folder.labels:
            rows.append(
                (
                    judgement.study,
                    judgement.reader,
                    judgement.role,
                    label,
                    WORDS[machine.get(label)],  # type: ignore[index]  # codes of `State`
                    WORDS[judgement.state_of(label)],
                    judgement.basis_of(label) or "",
                    round(judgement.seconds, 1),
                    int(judgement.hasty),
                    judgement.time,
                )
            )
    return rows


def _notes(review: Review) -> list[Sequence[object]]:
    """One row for each study with a note or a bookmark, finished or not."""
    rows: list[Sequence[object]] = [("study", "reader", "role", "note", "bookmarked", "finished", "time")]
    for judgement in review.log.judgements():
        if judgement.note or judgement.is_marked:
            told = (judgement.note, int(judgement.is_marked), int(judgement.is_done), judgement.time)
            rows.append((judgement.study, judgement.reader, judgement.role, *told))
    return rows


def _kappas(review: Review) -> list[Sequence[object]]:
    folder = review.folder
    quality = label_quality(review.log.judgements(), folder.labels, folder.states, folder.row_of, review.queue)
    rows: list[Sequence[object]] = [
        [
            "label",
            "certified",
            "read_twice",
            "kappa",
            "kappa_low",
            "kappa_high",
            "fleiss",
            "fleiss_low",
            "fleiss_high",
            "precision",
            "precision_low",
            "precision_high",
            "recall",
            "recall_low",
            "recall_high",
        ]
    ]
    for row in quality:
        values = [*_three(row.kappa), *_three(row.fleiss), *_three(row.precision), *_three(row.recall)]
        rows.append((row.label, row.judged, row.double_read, *map(_number, values)))
    return rows


def _readers(review: Review) -> list[Sequence[object]]:
    rows: list[Sequence[object]] = [
        ("first", "second", "studies", "labels_that_differ", "agreement", "kappa", "kappa_low", "kappa_high")
    ]
    for pair in reader_agreement(review.log.judgements(), review.folder.labels):
        numbers = map(_number, [pair.agreement, *_three(pair.kappa)])
        rows.append((pair.first, pair.second, pair.studies, pair.differing, *numbers))
    return rows


def _adjudications(review: Review) -> list[Sequence[object]]:
    """One row for each label on which readers differ, adjudicated or not."""
    rows: list[Sequence[object]] = [("study", "label", "readers", "adjudicator", "final")]
    labels = review.folder.labels
    judgements = [judgement for judgement in review.log.judgements() if judgement.is_done]
    verdicts = resolve(judgements, labels)
    readings = [judgement for judgement in judgements if judgement.role != "adjudicator"]
    without = resolve(readings, labels)
    for study, verdict in without.items():
        judges = [j for j in judgements if j.study == study and j.role == "adjudicator"] if verdict.open_labels else []
        for label in verdict.open_labels:
            said = "; ".join(f"{j.reader}: {WORDS[j.state_of(label)]}" for j in readings if j.study == study)
            judge = max((j for j in judges if j.basis_of(label)), key=lambda j: j.time, default=None)
            final = "" if judge is None else WORDS[verdicts[study].states[label]]
            rows.append((study, label, said, "" if judge is None else judge.reader, final))
    return rows


def _phrases(review: Review) -> list[Sequence[object]]:
    columns = ("label", "phrase", "machine", "readers say", "times", "sentence")
    found = phrase_rows(review.log.judgements(), with_sentences=True)
    return [columns, *([row[column] for column in columns] for row in found)]


def _three(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _number(value: float) -> str:
    return "" if value != value else f"{value:.4f}"
