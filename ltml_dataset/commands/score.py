"""The `score` and `compare` commands."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from ltml_dataset.errors import UserError
from ltml_dataset.export.guard import check_file

if TYPE_CHECKING:
    from rich.console import Console

    from ltml_dataset.labeling.scoring import Agreement, LabelScore, Scores


def register(app: App) -> None:
    """Add the commands of this module."""
    app.command(score)
    app.command(compare)


def score(
    predicted: Path,
    gold: Path,
    /,
    *,
    evidence: Path | None = None,
    labels: list[str] | None = None,
    uncertain: Literal["negative", "positive", "exclude"] = "negative",
    errors: Path | None = None,
    json: bool = False,
) -> None:
    """Precision, recall and F1 per label against an expert's labels, and the confusion of states.

    Args:
        predicted: Label file, as `label --out` writes it.
        gold: Table with `gold39_*` columns (-1 and blank are left out), with plain label columns, or
            `mimic-cxr-2.1.0-test-set-labeled.csv` (-1 is left out, blank is absent).
        evidence: Evidence file of the same labels: names the phrases behind the false positives.
        labels: Only these labels.
        uncertain: What a predicted -1 counts as.
        errors: Write every report that was judged wrongly to this .csv: report_id, label, predicted, gold, phrases.
        json: Print one JSON object instead of tables.
    """
    from ltml_dataset.labeling.gold import read_label_states
    from ltml_dataset.labeling.mistakes import find_mistakes, phrases_behind, write_mistakes
    from ltml_dataset.labeling.scoring import score_labels

    if errors:
        inputs = [predicted, gold, *([evidence] if evidence else [])]
        check_file(
            errors, inputs, flag="--errors", is_ours=lambda start: start.startswith(b"report_id,label,predicted")
        )
    predictions, expert = read_label_states(predicted), read_label_states(gold)
    scores = score_labels(predictions, expert, uncertain)
    if labels:
        scores = scores.only(labels)
    names = [entry.label for entry in scores.labels]
    mistakes = find_mistakes(predictions, expert, names, uncertain) if errors or evidence else []
    phrases = phrases_behind(mistakes, evidence) if evidence else {}
    if errors:
        write_mistakes(errors, mistakes, phrases)
    if json:
        _print_json(scores)
        return
    _print_scores(scores)
    if evidence:
        _print_phrases(mistakes, phrases)


def compare(
    first: Path,
    second: Path,
    /,
    *,
    labels: list[str] | None = None,
    out: Path | None = None,
    limit: int = 20,
    json: bool = False,
) -> None:
    """Agreement of two labelings per label, Cohen's kappa, and the reports where they differ.

    Args:
        first: Label file.
        second: Label file of the same reports, e.g. of another engine or lexicon.
        labels: Only these labels.
        out: Write all differences to this .csv: report_id, label, first, second.
        limit: Name at most so many reports per label on the screen; 0 for none.
        json: Print one JSON object instead of a table.
    """
    from ltml_dataset.labeling.gold import read_label_states
    from ltml_dataset.labeling.mistakes import write_differences
    from ltml_dataset.labeling.scoring import compare_labels

    if out:
        check_file(out, [first, second], is_ours=lambda start: start.startswith(b"report_id,label,first"))
    one, other = read_label_states(first), read_label_states(second)
    agreements = compare_labels(one, other)
    if labels:
        known = {entry.label for entry in agreements}
        _refuse_unknown(labels, known)
        agreements = tuple(entry for entry in agreements if entry.label in labels)
    if out:
        write_differences(out, one, other, [entry.label for entry in agreements])
    if json:
        _print_agreement_json(agreements)
    else:
        _print_agreement(agreements, limit)


def _refuse_unknown(labels: list[str], known: set[str]) -> None:
    unknown = [name for name in labels if name not in known]
    if unknown:
        raise UserError(f"Label `{unknown[0]}` is not in both tables; shared labels: {', '.join(sorted(known))}.")


def _print_scores(scores: "Scores") -> None:
    from rich.table import Table

    console = _console()
    table = Table(
        "label", "scored", "positive", "TP", "FP", "FN", "precision", "recall", "F1", box=None, header_style="bold"
    )
    for entry in scores.labels:
        table.add_row(*_score_cells(entry))
    micro = scores.pooled()
    table.add_row(*_score_cells(micro), style="bold")
    macro, n_macro = scores.macro_f1()
    console.print(table)
    console.print(f"macro-F1 {_number(macro)} over {n_macro} labels with positives; {scores.n_reports} reports")
    console.print("\nConfusion of states over all labels but No Finding, predicted down, gold across:")
    matrix = Table("", "1", "0", "-1", "blank", box=None, header_style="bold")
    for name, row in zip(("1", "0", "-1", "blank"), micro.confusion.tolist(), strict=True):
        matrix.add_row(name, *(str(count) for count in row))
    console.print(matrix)


def _score_cells(entry: "LabelScore") -> list[str]:
    counts = (entry.n_scored, entry.true_positive + entry.false_negative)
    errors = (entry.true_positive, entry.false_positive, entry.false_negative)
    rates = (entry.precision, entry.recall, entry.f1)
    return [entry.label, *(str(count) for count in (*counts, *errors)), *(_number(rate) for rate in rates)]


def _print_phrases(mistakes: list[tuple[str, str, int, int]], phrases: dict[tuple[str, str], list[str]]) -> None:
    from collections import Counter

    from rich.table import Table

    counts: Counter[tuple[str, str]] = Counter()
    for report_id, label, predicted, gold in mistakes:
        if predicted == 1 and gold != 1:
            behind = {phrase for phrase in phrases.get((report_id, label), []) if phrase.endswith(" (1)")}
            counts.update((label, phrase.removesuffix(" (1)")) for phrase in sorted(behind))
    table = Table("label", "phrase of a false positive", "reports", box=None, header_style="bold")
    for (label, phrase), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(label, phrase, str(count))
    _console().print(table)


def _print_agreement(agreements: "tuple[Agreement, ...]", limit: int) -> None:
    from rich.table import Table

    console = _console()
    table = Table(
        "label", "reports", "same states", "agreement", "kappa", "kappa of 1", "1 in A only", "1 in B only",
        box=None, header_style="bold",
    )  # fmt: skip
    for entry in agreements:
        counts = (str(entry.n_reports), str(entry.n_same))
        only = (str(entry.only_first), str(entry.only_second))
        rates = (_number(entry.share), _number(entry.kappa), _number(entry.kappa_present))
        table.add_row(entry.label, *counts, *rates, *only)
    console.print(table)
    for entry in agreements:
        if entry.differ and limit > 0:
            more = f" and {len(entry.differ) - limit} more" if len(entry.differ) > limit else ""
            console.print(f"{entry.label}: {', '.join(entry.differ[:limit])}{more}")


def _print_json(scores: "Scores") -> None:
    import json

    macro, n_macro = scores.macro_f1()
    summary = {
        "reports": scores.n_reports,
        "labels": {entry.label: _score_dict(entry) for entry in scores.labels},
        "micro": _score_dict(scores.pooled()),
        "macro_f1": _finite(macro),
        "macro_labels": n_macro,
    }
    print(json.dumps(summary, indent=2))


def _score_dict(entry: "LabelScore") -> dict[str, object]:
    return {
        "scored": entry.n_scored,
        "true_positive": entry.true_positive,
        "false_positive": entry.false_positive,
        "false_negative": entry.false_negative,
        "precision": _finite(entry.precision),
        "recall": _finite(entry.recall),
        "f1": _finite(entry.f1),
        "confusion": entry.confusion.tolist(),
    }


def _print_agreement_json(agreements: "tuple[Agreement, ...]") -> None:
    import json

    summary = {
        entry.label: {
            "reports": entry.n_reports,
            "same": entry.n_same,
            "agreement": _finite(entry.share),
            "kappa": _finite(entry.kappa),
            "kappa_present": _finite(entry.kappa_present),
            "only_first": entry.only_first,
            "only_second": entry.only_second,
            "differ": list(entry.differ),
        }
        for entry in agreements
    }
    print(json.dumps(summary, indent=2))


def _console() -> "Console":
    """A console that wraps no table where the output is piped."""
    from rich.console import Console

    console = Console(emoji=False, highlight=False)
    return console if console.is_terminal else Console(emoji=False, highlight=False, width=140)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value
