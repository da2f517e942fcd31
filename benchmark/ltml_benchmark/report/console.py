"""Tables for the terminal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ltml_benchmark.data import GROUPS
from ltml_benchmark.report.tables import VERIFIED
from ltml_benchmark.scored import Comparison

ROWS = ("total", *GROUPS)


def metrics_table(content: Mapping[str, Any]) -> Table:
    """Groups, then classes, of `metrics.json`: positives of counted labels, BACC, AUC, AP, F1 in percent, intervals."""
    title = f"{content['images']} {content['split']} images, percent, threshold {content['threshold']}"
    if content["labels_counted"] == "verified":
        title += f", {VERIFIED}"
    elif content["labels_left_out"]:
        title += f", {content['labels_left_out']:,} labels left out"
    table = Table("class", "positives", "of", "BACC", "AUC", "AP", "F1", title=title, title_justify="left", box=None)
    if "best_threshold" in content:
        table.add_column("BACC, threshold from validation")
    intervals = content.get("intervals", {"groups": {}, "classes": {}})
    for group in ROWS:
        entry = content["groups"][group]
        name = f"{group.capitalize()} ({entry['classes']} classes)"
        table.add_row(
            name, "", "", *_cells(entry["mean"], intervals["groups"].get(group, {})), *_best(content, "groups", group)
        )
    table.add_section()
    for name in content["labels"]:
        entry = content["classes"][name]
        cells = _cells(entry, intervals["classes"].get(name, {}))
        table.add_row(name, str(entry["positives"]), str(entry["images"]), *cells, *_best(content, "classes", name))
    return unwrapped(table)


def comparison_table(comparison: Comparison) -> Table:
    """Groups, then classes: difference in points, its 95 % interval and p-value, for BACC and AUC."""
    a, b = comparison.names
    title = f"{b} minus {a}, {comparison.images} test images of {comparison.patients} patients, points"
    if comparison.only_verified:
        title += f", {VERIFIED}"
    table = Table("class", title=title, title_justify="left", box=None)
    for metric in ("BACC", "AUC"):
        for column in (metric, "95 %", "p"):
            table.add_column(column, justify="right")
    difference = comparison.difference
    for group, members in difference.a.groups.items():
        cells = []
        for metric in ("bacc", "auc"):
            values = comparison.point[metric][members]
            defined = values[~np.isnan(values)]
            mean = float(defined.mean()) if len(defined) else float("nan")
            cells += _difference(mean, difference.of_group(metric, group), difference.p_value_of_group(metric, group))
        table.add_row(f"{group.capitalize()} ({len(members)} classes)", *cells)
    table.add_section()
    bounds = {metric: difference.by_class(metric) for metric in ("bacc", "auc")}
    p_values = {metric: difference.p_values(metric) for metric in ("bacc", "auc")}
    for place, name in enumerate(comparison.labels):
        cells = []
        for metric in ("bacc", "auc"):
            low, high = bounds[metric][place]
            cells += _difference(float(comparison.point[metric][place]), (low, high), float(p_values[metric][place]))
        table.add_row(name, *cells)
    return unwrapped(table)


def unwrapped(table: Table) -> Table:
    """The same table with every cell on one line."""
    for column in table.columns:
        column.no_wrap = True
    return table


def show(table: Table) -> None:
    """Print a table; into a file or pipe it is as wide as it needs to be."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


def _difference(value: float, bounds: tuple[float, float], p: float) -> list[str]:
    if np.isnan(value):
        return ["-", "-", "-"]
    return [f"{100 * value:+.2f}", f"{100 * bounds[0]:+.2f} to {100 * bounds[1]:+.2f}", f"{p:.3f}"]


def _cells(values: Mapping[str, Any], bounds: Mapping[str, Any]) -> list[str]:
    cells = []
    for metric in ("bacc", "auc", "ap", "f1"):
        if values[metric] is None:
            cells.append("-")
            continue
        limits = bounds.get(metric)
        defined = limits is not None and None not in limits and not np.isnan(limits).any()
        interval = f" ({100 * limits[0]:.1f}-{100 * limits[1]:.1f})" if limits is not None and defined else ""
        cells.append(f"{100 * values[metric]:.2f}{interval}")
    return cells


def _best(content: Mapping[str, Any], kind: str, name: str) -> list[str]:
    if "best_threshold" not in content:
        return []
    entry = content["best_threshold"][kind][name]
    value = entry["mean"]["bacc"] if kind == "groups" else entry["bacc"]
    return ["-" if value is None else f"{100 * value:.2f}"]
