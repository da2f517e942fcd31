"""Which reports were labelled wrongly, and by which phrases."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ltml_dataset.errors import UserError
from ltml_dataset.labeling.gold import BLANK, LabelStates, align, without_s
from ltml_dataset.labeling.scoring import UncertainAs, counts_and_calls

Mistake = tuple[str, str, int, int]
"""report_id, label, predicted state, gold state (`BLANK` where blank)."""


def find_mistakes(
    predicted: LabelStates, gold: LabelStates, labels: Sequence[str], uncertain_as: UncertainAs = "negative"
) -> list[Mistake]:
    """Every false positive and false negative, by label, then in the order of the prediction."""
    predicted, gold = align(predicted, gold)
    mistakes: list[Mistake] = []
    for label in labels:
        said, true = predicted.column(label), gold.column(label)
        counts, calls = counts_and_calls(said, true, gold.blank == "unknown", uncertain_as)
        for row in (counts & (calls != (true == 1))).nonzero()[0]:
            mistakes.append((str(predicted.ids[row]), label, int(said[row]), int(true[row])))
    return mistakes


def phrases_behind(mistakes: Iterable[Mistake], evidence: Path) -> dict[tuple[str, str], list[str]]:
    """Phrases of the evidence file for the reports and labels of mistakes, with the state each was given.

    Raises:
        UserError: The file is missing or is no evidence file.
    """
    wanted = {(report_id, label) for report_id, label, *_ in mistakes}
    if not evidence.is_file():
        raise UserError(f"`{evidence}` was not found; `label --evidence` writes it.")
    columns = ["report_id", "label", "phrase", "status"]
    try:
        table = pq.read_table(evidence, columns=columns)
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise UserError(f"`{evidence}` is no evidence file ({error}); `label --evidence` writes it.") from error
    table = table.filter(pc.is_in(table["label"], pa.array(sorted({label for _, label in wanted}), pa.string())))
    found: dict[tuple[str, str], list[str]] = {}
    for report_id, label, phrase, status in zip(*(table[name].to_pylist() for name in columns), strict=True):
        key = (without_s(report_id), label)
        if key in wanted:
            found.setdefault(key, []).append(f"{phrase} ({status})")
    return found


def write_mistakes(path: Path, mistakes: Iterable[Mistake], phrases: dict[tuple[str, str], list[str]]) -> None:
    """Write mistakes as CSV: report_id, label, predicted, gold, phrases."""
    rows = ((r, label, _state(p), _state(g), "; ".join(phrases.get((r, label), []))) for r, label, p, g in mistakes)
    _write_csv(path, ("report_id", "label", "predicted", "gold", "phrases"), rows)


def write_differences(path: Path, first: LabelStates, second: LabelStates, labels: Sequence[str]) -> None:
    """Write the reports on which two labelings differ as CSV: report_id, label, first, second."""
    first, second = align(first, second)
    rows = (
        (str(first.ids[row]), label, _state(int(first.column(label)[row])), _state(int(second.column(label)[row])))
        for label in labels
        for row in (first.column(label) != second.column(label)).nonzero()[0]
    )
    _write_csv(path, ("report_id", "label", "first", "second"), rows)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    part.replace(path)


def _state(state: int) -> str:
    return "" if state == BLANK else str(state)
