"""The summary: progress, agreement, machine quality, sampling plan, reported phrases; as tables and as one record."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ltml_dataset.review.agreement import Estimate
from ltml_dataset.review.consensus import (
    ALL_LABELS,
    LabelQuality,
    PairAgreement,
    disagreements,
    label_quality,
    reader_agreement,
)
from ltml_dataset.review.decisions import Judgement
from ltml_dataset.review.events import Role
from ltml_dataset.review.session import Review
from ltml_dataset.schema import NO_FINDING

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class SummaryTable:
    """One table, its cells as words; `words` names the columns that are no numbers."""

    title: str
    about: str
    rows: list[Row]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Progress:
    """One reader in one role, over the queue under review."""

    reader: str
    role: Role
    finished: int
    whole: int
    """Finished with the whole report confirmed."""
    hasty: int
    """Finished faster than they can be read."""
    skipped: int
    minutes: float
    median_seconds: float | None
    """Of a finished study."""


PLAN = (
    "Rare positives, disagreements and uncertain states are all queued. Missed findings are looked for in a random "
    "sample; the last column is half of the 95 % interval of the miss rate if 5 % are missed."
)
QUALITY = (
    "Cohen's kappa of first and second reader, Fleiss' of all, and precision and recall of the machine, each with its "
    "95 % interval; what was read whole is a census, not an estimate, and has none. Precision and recall count "
    "certified labels, weighted by the sampling plan."
)


def summary_tables(review: Review, *, with_sentences: bool) -> list[SummaryTable]:
    """All tables as of now.

    Args:
        review: The review; what other processes have written is taken in.
        with_sentences: Whether reported phrases come with their sentences, which are report text.
    """
    review.log.refresh()
    judgements = review.log.judgements()
    progress = [_progress_row(row, len(review.queue.items)) for row in progress_of(review)]
    pairs = [_pair_row(pair) for pair in reader_agreement(judgements, review.folder.labels)]
    quality = [_quality_row(row) for row in _quality(review) if row.judged or row.double_read]
    plan = [
        {
            "label": row.label,
            "positive": f"{row.positives:,}",
            "queued": f"{row.positives_queued:,}",
            "uncertain": f"{row.uncertain:,}",
            "uncertain queued": f"{row.uncertain_queued:,}",
            "negative or not mentioned": f"{row.negatives:,}",
            "in random sample": f"{row.negatives_sampled:,}",
            "± if 5 % are missed": f"{row.half_width:.1%}",
        }
        for row in review.queue.plan
    ]
    return [
        SummaryTable("Progress", "Studies by reader and role.", progress, frozenset({"reader", "role"})),
        SummaryTable(
            "Readers compared",
            "Every two readers, over the studies that both have finished and all labels.",
            pairs,
            frozenset({"readers"}),
        ),
        SummaryTable("Agreement and machine quality", QUALITY, quality, frozenset({"label"})),
        SummaryTable(
            "Wrong phrases",
            "What readers reported; `ltml-build-labels lexicon check --against` judges the sentences again.",
            phrase_rows(judgements, with_sentences=with_sentences),
            frozenset({"label", "phrase", "machine", "readers say", "sentence"}),
        ),
        SummaryTable("Sampling plan", PLAN, plan, frozenset({"label"})),
    ]


def summary_notes(review: Review) -> list[str]:
    """What a summary must not leave unsaid, in sentences."""
    waiting = disagreements(review.log.judgements(), review.folder.labels)
    notes = []
    if waiting:
        n_labels = sum(map(len, waiting.values()))
        notes.append(f"Readers differ on {n_labels:,} labels of {len(waiting):,} studies that nobody has adjudicated.")
    n_hasty = sum(judgement.hasty for judgement in review.log.judgements())
    if n_hasty:
        notes.append(f"{n_hasty:,} studies were finished faster than they can be read, after a question.")
    if review.log.n_foreign:
        notes.append(
            f"{review.log.n_foreign:,} lines of {review.log.path.name} are no decisions of ours and were left out."
        )
    return notes


def summary_record(review: Review) -> dict[str, Any]:
    """The summary for programs: numbers as numbers, null where one is not defined, and no report text."""
    review.log.refresh()
    judgements = review.log.judgements()
    return {
        "studies": len(review.folder.studies),
        "queued": len(review.queue.items),
        "foreign_lines": review.log.n_foreign,
        "progress": [asdict(row) for row in progress_of(review)],
        "readers": [
            {**asdict(pair), "kappa": _record(pair.kappa)}
            for pair in reader_agreement(judgements, review.folder.labels)
        ],
        "labels": [
            {
                "label": row.label,
                "judged": row.judged,
                "double_read": row.double_read,
                "kappa": _record(row.kappa),
                "fleiss": _record(row.fleiss),
                "precision": _record(row.precision),
                "recall": _record(row.recall),
            }
            for row in _quality(review)
        ],
        "plan": [asdict(row) for row in review.queue.plan],
        "waiting": disagreements(judgements, review.folder.labels),
        "wrong_phrases": phrase_rows(judgements, with_sentences=False),
    }


def progress_of(review: Review) -> list[Progress]:
    """One row for each reader and role."""
    queued = {item.study for item in review.queue.items}
    by_reader: dict[tuple[str, Role], list[Judgement]] = defaultdict(list)
    for judgement in review.log.judgements():
        if judgement.study in queued:
            by_reader[(judgement.reader, judgement.role)].append(judgement)
    rows = []
    for (reader, role), judgements in sorted(by_reader.items()):
        done = [judgement for judgement in judgements if judgement.is_done]
        rows.append(
            Progress(
                reader=reader,
                role=role,
                finished=len(done),
                whole=sum(judgement.whole for judgement in done),
                hasty=sum(judgement.hasty for judgement in done),
                skipped=sum(judgement.is_skipped for judgement in judgements),
                minutes=round(sum(judgement.seconds for judgement in judgements) / 60, 2),
                median_seconds=round(statistics.median(j.seconds for j in done), 2) if done else None,
            )
        )
    return rows


def phrase_rows(judgements: Sequence[Judgement], *, with_sentences: bool) -> list[Row]:
    """Phrases that readers reported as wrong, the most often reported first."""
    words = {1: "present", 0: "absent", -1: "uncertain", None: "not mentioned"}
    counted: Counter[tuple[str, str, str, str, str]] = Counter()
    for judgement in judgements:
        for flag in judgement.flags:
            if flag.get("label") == NO_FINDING:
                continue
            said = [words.get(flag.get(key), "?") for key in ("machine", "expected")]
            sentence = str(flag.get("sentence", "")) if with_sentences else ""
            counted[(str(flag.get("label")), str(flag.get("phrase")), said[0], said[1], sentence)] += 1
    rows = []
    for (label, phrase, machine, expected, sentence), count in counted.most_common():
        row = {"label": label, "phrase": phrase, "machine": machine, "readers say": expected, "times": str(count)}
        rows.append(row | {"sentence": sentence} if with_sentences else row)
    return rows


def _quality(review: Review) -> list[LabelQuality]:
    folder = review.folder
    return label_quality(review.log.judgements(), folder.labels, folder.states, folder.row_of, review.queue)


def _progress_row(row: Progress, n_queued: int) -> Row:
    return {
        "reader": row.reader,
        "role": row.role,
        "finished": f"{row.finished:,}",
        "share of queue": f"{row.finished / max(n_queued, 1):.1%}",
        "whole report": f"{row.whole:,}",
        "hasty": f"{row.hasty:,}",
        "skipped": f"{row.skipped:,}",
        "minutes": f"{row.minutes:,.1f}",
        "median s a study": "–" if row.median_seconds is None else f"{row.median_seconds:.0f}",
    }


def _pair_row(pair: PairAgreement) -> Row:
    return {
        "readers": f"{pair.first}, {pair.second}",
        "studies": f"{pair.studies:,}",
        "labels that differ": f"{pair.differing:,}",
        "agreement": f"{pair.agreement:.1%}",
        "kappa": estimate_words(pair.kappa),
    }


def _quality_row(row: LabelQuality) -> Row:
    return {
        "label": row.label,
        "certified": f"{row.judged:,}",
        "read twice": f"{row.double_read:,}",
        "Cohen's kappa": estimate_words(row.kappa),
        "Fleiss' kappa": estimate_words(row.fleiss),
        "precision": "" if row.label == ALL_LABELS else estimate_words(row.precision),
        "recall": "" if row.label == ALL_LABELS else estimate_words(row.recall),
    }


def estimate_words(estimate: Estimate) -> str:
    """The value with its interval; a census has none."""
    if estimate.value != estimate.value:
        return "–"
    if estimate.is_census:
        return f"{estimate.value:.2f} (census)"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _known(value: float) -> float | None:
    return None if value != value else round(value, 6)


def _record(estimate: Estimate) -> dict[str, float | bool | None]:
    return {
        "value": _known(estimate.value),
        "low": _known(estimate.low),
        "high": _known(estimate.high),
        "census": estimate.is_census,
    }
