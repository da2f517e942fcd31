"""The leaderboard: one JSON file per method and data set, one page built from all of them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ltml_benchmark.errors import UserError
from ltml_benchmark.report.runs import RunResult, without_repeats
from ltml_benchmark.report.tables import BESIDE, COLUMNS, METRICS, VERIFIED, beside, paper
from ltml_benchmark.runfiles import read_json, write_json, write_text
from ltml_benchmark.scoring import RULES

RESULT_FORMAT = "ltml-benchmark-result/1"


def result_of(runs: Sequence[RunResult], description: str) -> dict[str, Any]:
    """One row: several seeds of one recipe on one data set.

    Args:
        runs: Runs that differ in their seed alone.
        description: What the data are, in words.

    Raises:
        UserError: The runs differ in recipe, data set or code.
    """
    for what, values in (
        ("recipe", {run.shown_name(runs) for run in runs}),
        ("data set", {run.data_sha256 for run in runs}),
        ("choice of labels", {str(run.metrics.get("labels_counted", "known")) for run in runs}),
        ("commit", {run.manifest["code"].get("commit", run.manifest["code"]["version"]) for run in runs}),
    ):
        if len(values) > 1:
            raise UserError(f"One row of the leaderboard is one {what}, but the runs have {', '.join(sorted(values))}.")
    first = runs[0]
    means: dict[str, Any] = {}
    for metric in METRICS:
        table = np.array([[100 * run.summary(metric, column) for column in COLUMNS] for run in runs])
        means[metric] = {
            "mean": np.round(table.mean(axis=0), 2),
            "sd": np.round(table.std(axis=0, ddof=1), 2) if len(runs) > 1 else None,
        }
    decided = {
        rule: np.round([np.mean([100 * run.summary("bacc", group, rule) for run in runs]) for group in BESIDE], 2)
        for rule in RULES
        if all(rule in run.rules for run in runs)
    }
    return {
        "format": RESULT_FORMAT,
        "recipe": first.name,
        "seeds": sorted(run.seed for run in runs),
        "data": {"name": first.data_name, "description": description, "manifest_sha256": first.data_sha256},
        "images": first.metrics["images"],
        "labels_counted": first.metrics.get("labels_counted", "known"),
        "undefined_classes": first.undefined("auc"),
        "results": means,
        "decide": first.decide,
        "decided": decided,
        "code": first.manifest["code"],
        "date": str(first.manifest.get("finished", ""))[:10],
        "hardware": first.manifest["hardware"].get("device", ""),
    }


def add_results(runs: Sequence[RunResult], folder: Path, description: str) -> list[Path]:
    """Write one file per recipe, data set and choice of labels; a later result of the same replaces the earlier one."""
    grouped: dict[tuple[str, tuple[str, bool]], list[RunResult]] = {}
    for run in without_repeats(runs):
        grouped.setdefault((run.shown_name(runs), run.scored_on), []).append(run)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for (name, (data, verified_only)), members in grouped.items():
        stem = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}-{data[:12]}{'-verified' if verified_only else ''}"
        paths.append(folder / f"{stem}.json")
        write_json(paths[-1], result_of(members, description))
    return paths


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Every result file, sorted by name.

    Raises:
        UserError: A file is not a result.
    """
    results = []
    for path in sorted(folder.glob("*.json")):
        content = read_json(path, "results are written by `scripts/leaderboard.py add`")
        if content.get("format") != RESULT_FORMAT:
            raise UserError(f"{path} is no result of the leaderboard; write it with `scripts/leaderboard.py add`.")
        results.append(content)
    return results


def leaderboard_page(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: one table per data set, best Total AUC first, and the paper's numbers as the paper's."""
    means = [f"{m.upper()} {c.capitalize()}" for m in METRICS for c in COLUMNS]
    header = ["method", "seeds", *means, *beside()]
    facts = ["hardware", "date", "commit"]
    lines = [
        "# Leaderboard",
        "",
        "Built by `python scripts/leaderboard.py build` from `results/*.json`; nothing is typed by hand. Percent; BACC",
        "at a score of 0.5, and in the columns raw, prior and validation at 0.5, at the share of positives that",
        "training showed, and at the threshold that was best on validation; the epoch was chosen on validation for",
        "every method; ± is the standard deviation over seeds. Each table is one data set, named by the hash of its",
        "manifest; rows of two tables are not comparable.",
        "",
    ]
    by_data: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for result in results:
        verified_only = result.get("labels_counted") == "verified"
        by_data.setdefault((result["data"]["manifest_sha256"], verified_only), []).append(result)
    for (sha, verified_only), rows in sorted(by_data.items(), key=lambda item: item[1][0]["data"]["description"]):
        about = rows[0]
        lines += [f"## {about['data']['description']}", ""]
        lines += [
            f"{about['images']} test images{f', {VERIFIED}' if verified_only else ''}, manifest `{sha[:16]}`.",
            "",
            _line([*header, *facts]),
            _rule(len(header) + 3),
        ]
        for row in sorted(rows, key=lambda row: -(row["results"]["auc"]["mean"][0] or 0)):
            commit = row["code"].get("commit", "")[:8] or row["code"]["version"]
            lines.append(
                _line([row["recipe"], str(len(row["seeds"])), *_values(row), row["hardware"], row["date"], commit])
            )
        lines.append("")
    content = paper()
    lines += ["## The paper's own numbers", "", f"{content['source']}. Data: {content['data']}. Not measured here.", ""]
    lines += [_line(["method", *means]), _rule(len(means) + 1)]
    for name, printed in content["rows"].items():
        lines.append(_line([name, *(f"{value:.2f}" for metric in METRICS for value in printed[metric])]))
    return "\n".join(lines) + "\n"


def write_leaderboard(folder: Path, page: Path) -> None:
    """Build the page from the result files."""
    write_text(page, leaderboard_page(read_results(folder)))


def _values(row: dict[str, Any]) -> list[str]:
    cells = []
    for metric in METRICS:
        values = row["results"][metric]
        spreads = values["sd"] or [None] * len(values["mean"])
        for mean, spread in zip(values["mean"], spreads, strict=True):
            cells.append("-" if mean is None else f"{mean:.2f}" + ("" if spread is None else f" ± {spread:.2f}"))
    for rule in RULES:
        values = row.get("decided", {}).get(rule, [None] * len(BESIDE))
        cells += ["-" if value is None else f"{value:.2f}" for value in values]
    return cells


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _rule(count: int) -> str:
    return "|" + " --- |" * count
