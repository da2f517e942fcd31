"""`report`: one HTML page that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ltml_benchmark.noise import RULES_OF_BACC, calibration_verdict, interval, series, study_table, verdict
from ltml_benchmark.report import fig3, figures
from ltml_benchmark.report.figures import themed
from ltml_benchmark.report.runs import RunResult, by_method
from ltml_benchmark.report.summary import reference_of, summarised
from ltml_benchmark.report.tables import (
    COLUMNS,
    METRICS,
    SAID,
    Row,
    beside,
    cut_of,
    decided_cells,
    paper,
    rows_like,
    rows_of,
)
from ltml_benchmark.runfiles import write_text


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
    methods = by_method(main)
    grid, closed, automatic = fig3.curves()
    environment = Environment(
        loader=PackageLoader("ltml_benchmark", "report"), autoescape=select_autoescape(["html", "j2"]), trim_blocks=True
    )
    page = environment.get_template("page.html.j2").render(
        data=main[0],
        rows=[table_cells(row) for row in rows_of(main)],
        validation_rows=validation_rows(main),
        columns=[f"{metric.upper()} {column}" for metric in METRICS for column in COLUMNS],
        decided_columns=beside(),
        rules=SAID,
        summary=summarised(main),
        cut=cut_of(main),
        themes=figures.themes(),
        groups={group: themed(colour) for group, colour in figures.GROUP_COLOURS.items()},
        paper_tables=paper_tables(main),
        paper=paper(),
        undefined=main[0].undefined("auc"),
        curves=curves(methods),
        classes={name: themed(figures.classes(runs[0])) for name, runs in methods.items()},
        increments=increments(methods),
        reference=reference_of(methods),
        per_class=per_class(main),
        gradients=themed(figures.gradients(grid, closed, automatic)),
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
    return {"name": row.name, "origin": origin, "cells": cells, "decided": decided_cells(row)}


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


def curves(methods: Mapping[str, Sequence[RunResult]]) -> str:
    """Curves of the first seed of every method that has a log; empty where none has one."""
    logged = {name: runs[0].path for name, runs in methods.items() if figures.events(runs[0].path)}
    return themed(figures.curves(logged)) if logged else ""


def increments(methods: Mapping[str, Sequence[RunResult]]) -> dict[str, str]:
    """Fig. 4 of every method against BCE, or against the first method where there is no BCE."""
    if len(methods) < 2:
        return {}
    reference = reference_of(methods)
    return {
        name: themed(figures.increments((name, runs), (reference, methods[reference])))
        for name, runs in methods.items()
        if name != reference
    }


def per_class(runs: Sequence[RunResult]) -> dict[str, Any]:
    """AUC of every class and method with intervals, most frequent class first, with its positives."""
    methods = by_method(runs)
    names = figures.by_count(runs[0])
    rows = []
    for name in names:
        cells: list[tuple[str, float]] = []
        for members in methods.values():
            values = [figures.class_values(run, "auc", [name])[0] for run in members]
            mean, low, high = interval([None if np.isnan(value) else value for value in values])
            if len(members) == 1:
                bounds = (
                    members[0].metrics.get("intervals", {"classes": {}})["classes"].get(name, {}).get("auc", [None] * 2)
                )
                low, high = (float("nan") if bound is None else float(bound) for bound in bounds)
            cells.append((with_interval(mean, low, high), mean))
        best = max((value for _, value in cells if not np.isnan(value)), default=float("nan"))
        about = runs[0].metrics["classes"][name]
        rows.append(
            {
                "name": f"{name} *" if about.get("few") else name,
                "positives": about["positives"],
                "cells": [(text, value == best) for text, value in cells],
            }
        )
    return {"methods": list(methods), "rows": rows, "seeds": max(len(members) for members in methods.values())}


def with_interval(mean: float, low: float, high: float) -> str:
    """A share in percent and its interval, with so many digits that the bounds differ where two of them do that."""
    if np.isnan(mean):
        return "–"
    digits = 2 if f"{100 * low:.1f}" == f"{100 * high:.1f}" else 1
    spread = "" if np.isnan(low) else f" ({100 * low:.{digits}f}–{100 * high:.{digits}f})"
    return f"{100 * mean:.{digits if spread else 1}f}{spread}"


def study_content(study: Mapping[str, Any]) -> dict[str, Any]:
    """Figures, table and sentences of the noise study."""
    rates = [100 * rate for rate in study["missed"]]
    titles = {
        "bacc": "tail BACC at 0.5, %",
        "bacc_validation": "tail BACC at validation thresholds, %",
        "auc": "tail AUC, %",
        "recovered": "tail AUC of missed labels against true negatives, %",
    }
    plots = []
    for metric, title in titles.items():
        lines = series(study, metric, "tail")
        if len(rates) > 1 or metric != "recovered":
            plots.append(themed(figures.lines_with_intervals(rates, lines, "positives missed by the labels, %", title)))
    tables = []
    for caption, metrics in (
        ("BACC of the tail under every decision rule", RULES_OF_BACC),
        ("AUC of the tail, and recovery of missed labels", ("auc", "recovered")),
    ):
        lines_of_table = [line.strip("| ").split(" | ") for line in study_table(study, metrics=metrics).splitlines()]
        tables.append({"caption": caption, "header": lines_of_table[0], "rows": lines_of_table[2:]})
    sentences = [verdict(study, metric, rate) for rate in study["missed"] for metric in ("bacc", "auc")]
    sentences += [calibration_verdict(study, rate) for rate in study["missed"]]
    return {
        "plots": plots,
        "tables": tables,
        "sentences": [sentence for sentence in sentences if sentence],
        "seeds": study["seeds"],
        "images": study["images"],
    }
