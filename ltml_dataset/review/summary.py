"""Rows of the summary tables, as words: progress, sampling plan, agreement and machine quality."""

from collections import Counter
from collections.abc import Sequence

from ltml_dataset.review.agreement import Estimate
from ltml_dataset.review.consensus import label_quality
from ltml_dataset.review.decisions import Judgement, Role
from ltml_dataset.review.folder import ReviewFolder
from ltml_dataset.review.queue import LabelPlan, Queue

Row = dict[str, str | int]


def progress_rows(judgements: Sequence[Judgement], queue: Queue) -> list[Row]:
    """One row for each reader and role."""
    queued = {item.study for item in queue.items}
    done = Counter((j.reader, j.role) for j in judgements if j.is_done and j.study in queued)
    skipped = Counter((j.reader, j.role) for j in judgements if j.is_skipped)
    seconds: Counter[tuple[str, Role]] = Counter()
    for judgement in judgements:
        seconds[(judgement.reader, judgement.role)] += round(judgement.seconds)
    return [
        {
            "reader": reader,
            "role": role,
            "finished": done[(reader, role)],
            "skipped": skipped[(reader, role)],
            "share of queue": f"{done[(reader, role)] / max(len(queued), 1):.1%}",
            "minutes": f"{total / 60:.1f}",
        }
        for (reader, role), total in sorted(seconds.items())
    ]


def plan_rows(plan: Sequence[LabelPlan]) -> list[Row]:
    """One row for each label: what the machine says, and what of it is queued."""
    return [
        {
            "label": row.label,
            "positive": row.positives,
            "queued": row.positives_queued,
            "uncertain": row.uncertain,
            "uncertain queued": row.uncertain_queued,
            "negative or not mentioned": row.negatives,
            "in random sample": row.negatives_sampled,
            "± if 5 % are missed": f"{row.half_width:.1%}",
        }
        for row in plan
    ]


def quality_rows(judgements: Sequence[Judgement], folder: ReviewFolder, queue: Queue) -> list[Row]:
    """One row for each label that somebody has judged."""
    quality = label_quality(judgements, folder.labels, folder.states, folder.row_of, queue)
    return [
        {
            "label": row.label,
            "judged": row.judged,
            "read twice": row.double_read,
            "Cohen's kappa": _number(row.kappa),
            "Fleiss' kappa": _number(row.fleiss),
            "precision": _interval(row.precision),
            "recall": _interval(row.recall),
        }
        for row in quality
        if row.judged
    ]


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.2f}"


def _interval(estimate: Estimate) -> str:
    if estimate.value != estimate.value:
        return "–"
    return f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"
