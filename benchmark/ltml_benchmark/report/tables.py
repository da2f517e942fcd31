"""Tables of runs as Markdown, LaTeX or CSV, with the paper's numbers beside ours when asked."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from ltml_benchmark.config import read_yaml
from ltml_benchmark.errors import UserError
from ltml_benchmark.report.runs import RunResult, without_repeats
from ltml_benchmark.scoring import RULES

Form = Literal["md", "latex", "csv"]
COLUMNS = ("total", "head", "medium", "tail")
METRICS = ("bacc", "auc")
VERIFIED = "verified labels only"
BESIDE = ("total", "tail")
"""Groups whose BACC is printed under every decision rule."""
SAID = {
    "raw": "a score of 0.5",
    "prior": "the share of positives that training showed (logit adjustment)",
    "validation": "the threshold that was best on validation, class by class",
}
"""Decision rules in words."""


@dataclass(frozen=True)
class Row:
    """One line of a table, numbers in percent."""

    name: str
    origin: str
    """`ours`, or `paper`."""
    seeds: int
    mean: dict[str, list[float]]
    """Metric -> Total, Head, Medium, Tail; NaN where undefined."""
    deviation: dict[str, list[float]] | None
    """Standard deviation over seeds, where there are several."""
    decided: dict[str, list[float]] = field(default_factory=dict)
    """Decision rule -> BACC of Total and Tail, averaged over seeds; empty for the paper's rows."""


def paper() -> dict[str, Any]:
    """The paper's tables as data."""
    return read_yaml(files("ltml_benchmark").joinpath("report", "paper.yaml"), "report/paper.yaml")


def rows_of(runs: Sequence[RunResult], decide: str | None = None) -> list[Row]:
    """One row per method, data set and choice of labels, seeds averaged, in the order given.

    Runs are seeds of one method when every setting but the seed is the same; of two runs with the same seed the first
    counts. Namesakes that differ in a setting are told apart by it.
    """
    grouped: dict[tuple[tuple[str, str], tuple[str, bool]], list[RunResult]] = {}
    runs = without_repeats(runs)
    for run in runs:
        grouped.setdefault((run.method, run.scored_on), []).append(run)
    several = len({data for _, (data, _) in grouped}) > 1
    mixed = len({verified_only for _, (_, verified_only) in grouped}) > 1
    rows = []
    for (_, (_, verified_only)), members in grouped.items():
        recipe = members[0].shown_name(runs)
        name = f"{recipe}, {VERIFIED}" if mixed and verified_only else recipe
        values = {
            metric: np.array([[100 * run.summary(metric, column, decide) for column in COLUMNS] for run in members])
            for metric in METRICS
        }
        rows.append(
            Row(
                name=f"{name} on {members[0].data_name}" if several else name,
                origin="ours",
                seeds=len(members),
                mean={metric: value.mean(axis=0).tolist() for metric, value in values.items()},
                deviation=None
                if len(members) == 1
                else {metric: value.std(axis=0, ddof=1).tolist() for metric, value in values.items()},
                decided={
                    rule: [
                        float(np.mean([100 * run.summary("bacc", group, rule) for run in members])) for group in BESIDE
                    ]
                    for rule in RULES
                    if all(rule in run.rules for run in members)
                },
            )
        )
    return rows


def rows_like(runs: Sequence[RunResult], like: str, decide: str | None = None) -> list[Row]:
    """The paper's rows in its order, each followed by our runs of the same method.

    Raises:
        UserError: Unknown table.
    """
    content = paper()
    if like not in content["tables"]:
        raise UserError(f"There is no table `{like}` of the paper; choose {' or '.join(content['tables'])}.")
    rows: list[Row] = []
    for name in content["tables"][like]["rows"]:
        printed = content["rows"][name]
        rows.append(Row(name, "paper", 1, {metric: printed[metric] for metric in METRICS}, None))
        rows += rows_of([run for run in runs if run.paper_row == name], decide)
    return rows


def table_of_runs(
    runs: Sequence[RunResult], like: str | None = None, form: Form = "md", decide: str | None = None
) -> str:
    """The finished table.

    Args:
        runs: Results, from `read_runs`.
        like: `table1` or `table2` to print the paper's numbers beside ours.
        form: Markdown, LaTeX (booktabs) or CSV.
        decide: `raw`, `prior` or `validation`; None takes every run's own rule.

    Returns:
        Text that ends in a note on what the numbers are, except for CSV.
    """
    rows = rows_like(runs, like, decide) if like else rows_of(runs, decide)
    if form == "csv":
        return _csv(rows)
    header = [
        "method", "numbers", *(f"{metric.upper()} {c.capitalize()}" for metric in METRICS for c in COLUMNS), *beside(),
    ]  # fmt: skip
    body = [[row.name, _origin(row), *_cells(row, form), *decided_cells(row)] for row in rows]
    text = _latex(header, body) if form == "latex" else _markdown(header, body)
    return (
        text + "\n" + "\n".join(("% " if form == "latex" else "") + note for note in _notes(runs, like, decide)) + "\n"
    )


def beside() -> list[str]:
    """Titles of the columns that show BACC under every decision rule."""
    return [f"BACC {group.capitalize()}, {rule}" for rule in RULES for group in BESIDE]


def decided_cells(row: Row) -> list[str]:
    """BACC of a row under every decision rule; a dash where it is not known."""
    values = [value for rule in RULES for value in row.decided.get(rule, [float("nan")] * len(BESIDE))]
    return ["-" if np.isnan(value) else f"{value:.2f}" for value in values]


def _origin(row: Row) -> str:
    if row.origin == "paper":
        return "paper"
    return f"ours, {row.seeds} seeds" if row.seeds > 1 else "ours"


def _cells(row: Row, form: Form) -> list[str]:
    cells = []
    for metric in METRICS:
        for place, value in enumerate(row.mean[metric]):
            sign = r"$\pm$" if form == "latex" else "±"
            spread = "" if row.deviation is None else f" {sign} {row.deviation[metric][place]:.2f}"
            cells.append("-" if np.isnan(value) else f"{value:.2f}{spread}")
    return cells


def _markdown(header: list[str], body: list[list[str]]) -> str:
    widths = [max(len(line[place]) for line in [header, *body]) for place in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [header, *body]
    ]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def _latex(header: list[str], body: list[list[str]]) -> str:
    lines = [r"\begin{tabular}{ll" + "r" * (len(header) - 2) + "}", r"\toprule"]
    lines.append(" & ".join(header) + r" \\")
    lines.append(r"\midrule")
    lines += [" & ".join(cell.replace("%", r"\%").replace("_", r"\_") for cell in line) + r" \\" for line in body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{metric}_{column}" for metric in METRICS for column in COLUMNS]
    decided = [f"bacc_{group}_{rule}" for rule in RULES for group in BESIDE]
    writer.writerow(["method", "numbers", "seeds", *names, *(f"{name}_sd" for name in names), *decided])
    for row in rows:
        means = [value for metric in METRICS for value in row.mean[metric]]
        spread = (
            [value for metric in METRICS for value in row.deviation[metric]]
            if row.deviation
            else [float("nan")] * len(means)
        )
        more = [value for rule in RULES for value in row.decided.get(rule, [float("nan")] * len(BESIDE))]
        numbers = ["" if np.isnan(v) else f"{v:.4f}" for v in [*means, *spread, *more]]
        writer.writerow([row.name, row.origin, row.seeds, *numbers])
    return text.getvalue()


def cut_of(runs: Sequence[RunResult], decide: str | None = None) -> str:
    """The decision rule behind the BACC of these runs, in words."""
    rules = sorted({run.decide for run in runs}) if decide is None else [decide]
    return SAID[rules[0]] if len(rules) == 1 else "every run's own rule"


def _notes(runs: Sequence[RunResult], like: str | None, decide: str | None) -> list[str]:
    notes = [
        f"Percent. BACC at {cut_of(runs, decide)}. Total, Head, Medium and Tail are means over classes with a defined "
        "value."
    ]
    notes.append(
        f"The last columns decide alike for every row: {'; '.join(f'{key}: above {SAID[key]}' for key in RULES)}."
    )
    repeats = len(runs) - len(without_repeats(runs))
    if repeats:
        notes.append(f"{repeats} runs repeat the seed of another one and are left out.")
    if runs and all(run.verified_only for run in runs):
        notes.append(f"Scored on {VERIFIED}.")
    if any(run.seeds_differ(other) for run in runs for other in runs):
        notes.append("± is the standard deviation over seeds.")
    undefined = sorted({f"{run.name}: {n}" for run in runs if (n := run.undefined("auc"))})
    if undefined:
        notes.append(
            f"Classes without a defined value in the test split, left out of the means: {'; '.join(undefined)}."
        )
    dropped = sorted(
        {f"{run.name}: {n} of {n + run.metrics['images']}" for run in runs if (n := run.images_left_out)}
    )  # fmt: skip
    if dropped:
        notes.append(f"Scored without test images that were not there: {'; '.join(dropped)}.")
    if like:
        content = paper()
        others = sorted({run.name for run in runs if run.paper_row not in content["tables"][like]["rows"]})
        if others:
            notes.append(f"Not in this table, because the paper has no such row in it: {', '.join(others)}.")
        notes.append(
            f"Rows marked paper are printed numbers ({content['source']}), obtained on other data ({content['data']})."
        )
    shas = sorted({run.data_sha256[:12] for run in runs})
    notes.append(f"Our data: manifest {', '.join(shas) or 'none'}.")
    return notes
