"""`report`: one HTML page that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ltml_benchmark.metrics import holm
from ltml_benchmark.noise import calibration_verdict, interval, series, study_table, tested, verdict
from ltml_benchmark.report import fig3, figures
from ltml_benchmark.report.runs import RunResult, without_repeats
from ltml_benchmark.report.tables import COLUMNS, METRICS, SAID, Row, beside, decided_cells, paper, rows_like, rows_of
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
        columns=[*(f"{metric.upper()} {column}" for metric in METRICS for column in COLUMNS), *beside()],
        summary=summary(main),
        cut=SAID[main[0].decide],
        group_colours=figures.GROUP_COLOURS,
        paper_tables=paper_tables(main),
        paper=paper(),
        undefined=main[0].undefined("auc"),
        curves=figures.curves({name: run.path for name, run in seen.items()}),
        classes={name: figures.classes(run) for name, run in seen.items()},
        increments=increments(seen),
        per_class=per_class(main),
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
    return {"name": row.name, "origin": origin, "cells": [*cells, *decided_cells(row)]}


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


def by_method(runs: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """Seeds of every method, by the name that tells it from the others."""
    found: dict[str, list[RunResult]] = {}
    kept = without_repeats(runs)
    for run in kept:
        found.setdefault(run.shown_name(kept), []).append(run)
    return found


def summary(runs: Sequence[RunResult]) -> str:
    """The first paragraph: which methods differ from the reference beyond noise, tested over seeds and corrected."""
    methods = by_method(runs)
    if len(methods) < 2:
        return "One method; there is nothing to compare it with."
    reference = REFERENCE if REFERENCE in methods else next(iter(methods))
    base = {run.seed: run for run in methods[reference]}
    paired = {
        name: [(run, base[run.seed]) for run in members if run.seed in base]
        for name, members in methods.items()
        if name != reference
    }
    seeds = min(len(pairs) for pairs in paired.values())
    if seeds < 2:
        return (
            f"Every method has one seed in common with {reference}, so nothing on this page says whether a difference "
            "is beyond what another seed would change; `ltml-benchmark compare` says what other patients would change."
        )
    parts = []
    for metric, group in (("bacc", "total"), ("bacc", "tail"), ("auc", "total"), ("auc", "tail")):
        found = {
            name: tested([100 * (run.summary(metric, group) - other.summary(metric, group)) for run, other in pairs])
            for name, pairs in paired.items()
        }
        corrected = holm(np.array([p for _, _, p in found.values()]))
        beyond = [
            f"{name} ({mean:+.1f})"
            for (name, (mean, _, _)), p in zip(found.items(), corrected, strict=True)
            if p < 0.05
        ]
        parts.append(f"{metric.upper()} {group}: {', '.join(beyond) or 'none'}")
    return (
        f"Differences against {reference} beyond noise (points; paired t test over {seeds} seeds or more, corrected "
        f"for {len(paired)} methods by Holm): {'; '.join(parts)}. BACC at {SAID[runs[0].decide]}. "
        "All others may be chance."
    )


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
            spread = "" if np.isnan(low) else f" ({100 * low:.0f}-{100 * high:.0f})"
            cells.append(("–" if np.isnan(mean) else f"{100 * mean:.1f}{spread}", mean))
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
    sentences += [calibration_verdict(study, rate) for rate in study["missed"]]
    return {
        "plots": plots,
        "header": lines_of_table[0],
        "rows": lines_of_table[2:],
        "sentences": [sentence for sentence in sentences if sentence],
        "seeds": study["seeds"],
        "images": study["images"],
    }
