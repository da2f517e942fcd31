"""`report`: one HTML page that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ltml_benchmark.noise import series, study_table, verdict
from ltml_benchmark.report import fig3, figures
from ltml_benchmark.report.runs import RunResult
from ltml_benchmark.report.tables import COLUMNS, METRICS, Row, paper, rows_like, rows_of
from ltml_benchmark.runfiles import write_text

REFERENCE = "bce"


def write_report(runs: Sequence[RunResult], out: Path, study: Mapping[str, Any] | None = None) -> Path:
    """Write the page.

    Tables and per-class figures show the runs on the data set (and choice of labels) of the first run; other runs are
    listed with their provenance and, where they belong to one, in the noise study.

    Args:
        runs: Finished runs.
        out: HTML file.
        study: Content of `noise_study.json`.

    Returns:
        `out`.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    main = [run for run in runs if run.scored_on == runs[0].scored_on]
    seen: dict[str, RunResult] = {}
    for run in main:
        seen.setdefault(run.name, run)
    grid, closed, automatic = fig3.curves()
    environment = Environment(
        loader=PackageLoader("ltml_benchmark", "report"), autoescape=select_autoescape(["html", "j2"]), trim_blocks=True
    )
    page = environment.get_template("page.html.j2").render(
        data=main[0],
        rows=[table_cells(row) for row in rows_of(main)],
        validation_rows=validation_rows(main),
        columns=[f"{metric.upper()} {column}" for metric in METRICS for column in COLUMNS],
        paper_tables=paper_tables(main),
        paper=paper(),
        undefined=main[0].undefined("auc"),
        curves=figures.curves({name: run.path for name, run in seen.items()}),
        classes={name: figures.classes(run) for name, run in seen.items()},
        increments=increments(seen),
        per_class=per_class(list(seen.values())),
        gradients=figures.gradients(grid, closed, automatic),
        gradient_error=max(float(np.abs(closed[name] - automatic[name]).max()) for name in closed),
        study=study_content(study) if study else None,
        runs=runs,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, page)
    return out


def table_cells(row: Row) -> dict[str, Any]:
    """A row as text: name, origin, one cell per column."""
    cells = []
    for metric in METRICS:
        for place, value in enumerate(row.mean[metric]):
            spread = "" if row.deviation is None else f" ± {row.deviation[metric][place]:.2f}"
            cells.append("–" if np.isnan(value) else f"{value:.2f}{spread}")
    origin = "paper" if row.origin == "paper" else f"ours, {row.seeds} seeds" if row.seeds > 1 else "ours"
    return {"name": row.name, "origin": origin, "cells": cells}


def validation_rows(runs: Sequence[RunResult]) -> list[dict[str, Any]]:
    """The same rows with BACC at the thresholds that were best on validation, where every run has them."""
    if not all("validation" in run.rules for run in runs):
        return []
    return [table_cells(row) for row in rows_of(runs, "validation")]


def paper_tables(runs: Sequence[RunResult]) -> list[dict[str, Any]]:
    """Tables 1 and 2 with ours beside the paper's, where we have at least one of their rows."""
    found = []
    for like, about in paper()["tables"].items():
        rows = rows_like(runs, like)
        if any(row.origin == "ours" for row in rows):
            found.append({"title": f"{like}: {about['title']}", "rows": [table_cells(row) for row in rows]})
    return found


def increments(seen: Mapping[str, RunResult]) -> dict[str, str]:
    """Fig. 4 of every method against BCE, or against the first method where there is no BCE."""
    if len(seen) < 2:
        return {}
    reference = seen.get(REFERENCE) or next(iter(seen.values()))
    return {name: figures.increments(run, reference) for name, run in seen.items() if run is not reference}


def per_class(runs: Sequence[RunResult]) -> dict[str, Any]:
    """AUC of every class and method, most frequent class first, with its positives in the scored split."""
    names = figures.by_count(runs[0])
    columns = [figures.class_values(run, "auc", names) for run in runs]
    rows = []
    for place, name in enumerate(names):
        values = [column[place] for column in columns]
        best = max((value for value in values if not np.isnan(value)), default=float("nan"))
        cells = [("–" if np.isnan(value) else f"{100 * value:.1f}", value == best) for value in values]
        rows.append({"name": name, "positives": runs[0].metrics["classes"][name]["positives"], "cells": cells})
    return {"methods": [run.name for run in runs], "rows": rows}


def study_content(study: Mapping[str, Any]) -> dict[str, Any]:
    """Figures, table and sentences of the noise study."""
    rates = [100 * rate for rate in study["missed"]]
    titles = {
        "bacc": "tail BACC at 0.5, %",
        "bacc_validation": "tail BACC at validation thresholds, %",
        "auc": "tail AUC, %",
        "recovered": "missed labels ranked above true negatives, tail AUC, %",
    }
    plots = []
    for metric, title in titles.items():
        lines = series(study, metric, "tail")
        if len(rates) > 1 or metric != "recovered":
            plots.append(figures.lines_with_intervals(rates, lines, "positives missed by the labels, %", title))
    lines_of_table = [line.strip("| ").split(" | ") for line in study_table(study).splitlines()]
    sentences = [verdict(study, metric, rate) for rate in study["missed"] for metric in ("bacc", "auc")]
    return {
        "plots": plots,
        "header": lines_of_table[0],
        "rows": lines_of_table[2:],
        "sentences": [sentence for sentence in sentences if sentence],
        "seeds": study["seeds"],
        "images": study["images"],
    }
