"""Tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ltml_benchmark.data import GROUPS
from ltml_benchmark.report.tables import SAID, VERIFIED
from ltml_benchmark.scored import Comparison

ROWS = ("total", *GROUPS)
COMPARED = ("bacc", "auc", "ap")


def metrics_table(content: Mapping[str, Any]) -> Table:
    """Groups, then classes, of `metrics.json`: positives of counted labels, BACC, AUC, AP, F1 in percent, intervals."""
    title = f"{content['images']} {content['split']} images, percent, BACC at {SAID[content['decide']]}"
    if content["labels_counted"] == "verified":
        title += f", {VERIFIED}"
    elif content["labels_left_out"]:
        title += f", {content['labels_left_out']:,} labels left out"
    if content["images_left_out"]:
        title += f", {content['images_left_out']:,} images that are not there left out"
    others = [rule for rule in content["decisions"] if rule != content["decide"]]
    caption = "* fewer than 10 patients have the class: its numbers say little." if _any_few(content) else None
    table = Table(
        "class", "positives", "of", "BACC", "AUC", "AP", "F1", title=title, title_justify="left", box=None,
        caption=caption, caption_justify="left",
    )  # fmt: skip
    for rule in others:
        table.add_column(f"BACC, {rule}")
    intervals = content.get("intervals", {"groups": {}, "classes": {}})
    for group in ROWS:
        entry = content["groups"][group]
        name = f"{group.capitalize()} ({entry['classes']} classes)"
        cells = _cells(entry["mean"], intervals["groups"].get(group, {}))
        table.add_row(name, "", "", *cells, *_decided(content, "groups", group, others))
    table.add_section()
    for name in content["labels"]:
        entry = content["classes"][name]
        cells = _cells(entry, intervals["classes"].get(name, {}))
        shown = f"{name} *" if entry["few"] else name
        numbers = (str(entry["positives"]), str(entry["images"]))
        table.add_row(shown, *numbers, *cells, *_decided(content, "classes", name, others))
    return unwrapped(table)


def comparison_table(comparison: Comparison) -> Table:
    """Groups, then classes: difference in points, its 95 % interval, p-value, and the p-value corrected for classes."""
    a, b = comparison.names
    difference = comparison.difference
    title = f"{b} minus {a}, {comparison.images} test images of {comparison.patients} patients, points"
    if difference.seeds > 1:
        title += f", {difference.seeds} pairs of seeds"
    if comparison.decide != "raw":
        title += f", BACC at {SAID[comparison.decide]}"
    if comparison.only_verified:
        title += f", {VERIFIED}"
    if comparison.images_left_out:
        title += f", {comparison.images_left_out:,} images that a run lacked left out"
    notes = ["p of a class: alone, then corrected for all classes (Holm)."]
    if difference.few.any():
        notes.append(
            "* fewer than 10 patients have the class: no interval for AUC and AP, there is too little to draw from."
        )
    table = Table("class", title=title, title_justify="left", box=None, caption=" ".join(notes), caption_justify="left")
    for metric in COMPARED:
        for column in (metric.upper(), "95 %", "p"):
            table.add_column(column, justify="right")
    for group, members in difference.groups.items():
        cells = []
        for metric in COMPARED:
            mean, bounds = difference.of_group_point(metric, group), difference.of_group(metric, group)
            cells += _difference(mean, bounds, f"{difference.p_value_of_group(metric, group):.3f}")
        table.add_row(f"{group.capitalize()} ({len(members)} classes)", *cells)
    table.add_section()
    bounds_of = {metric: difference.by_class(metric) for metric in COMPARED}
    p_values = {metric: difference.p_values(metric) for metric in COMPARED}
    corrected = {metric: difference.corrected_p_values(metric) for metric in COMPARED}
    for place, name in enumerate(comparison.labels):
        cells = []
        for metric in COMPARED:
            low, high = bounds_of[metric][place]
            p = f"{p_values[metric][place]:.3f}, {corrected[metric][place]:.3f}"
            cells += _difference(float(difference.point[metric][place]), (low, high), p)
        table.add_row(f"{name} *" if difference.few[place] else name, *cells)
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
        console = Console(width=240)
    console.print(table)


def _difference(value: float, bounds: tuple[float, float], p: str) -> list[str]:
    if np.isnan(value):
        return ["-", "-", "-"]
    if np.isnan(bounds).any():
        return [f"{100 * value:+.2f}", "none", "-"]
    return [f"{100 * value:+.2f}", f"{100 * bounds[0]:+.2f} to {100 * bounds[1]:+.2f}", p]


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


def _decided(content: Mapping[str, Any], kind: str, name: str, rules: Sequence[str]) -> list[str]:
    cells = []
    for rule in rules:
        entry = content["decisions"][rule][kind][name]
        value = entry["mean"]["bacc"] if kind == "groups" else entry["bacc"]
        cells.append("-" if value is None else f"{100 * value:.2f}")
    return cells


def _any_few(content: Mapping[str, Any]) -> bool:
    return any(entry["few"] for entry in content["classes"].values())
