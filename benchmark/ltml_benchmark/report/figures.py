"""Figures as SVG text: curves, classes with intervals, increments over a reference, gradients, the noise study."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltml_benchmark.report.runs import RunResult
from ltml_benchmark.runfiles import read_json, write_text

Floats = NDArray[np.float64]
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#a23b72", "#6b7280", "#2f4858", "#9aa33a")
"""Okabe and Ito's colours first."""
GROUP_COLOURS = {"head": "#0072b2", "medium": "#e69f00", "tail": "#a23b72"}
"""As in the figures of the data set; told apart by colour-blind eyes too."""


def new_figure(width: float, height: float, right: float = 0.15, bottom: float = 0.5, **grid: Any) -> tuple[Any, Any]:
    """A figure and its axes, drawn without a display.

    Margins are given, since fitting them takes longer than the drawing.

    Args:
        width: Inches.
        height: Inches.
        right: Inches right of the axes.
        bottom: Inches below them.
        **grid: Rows and columns, see `matplotlib.figure.Figure.subplots`.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    axes = figure.subplots(**grid)
    figure.subplots_adjust(
        left=0.65 / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - 0.35 / height,
        wspace=0.28,
        hspace=0.12,
    )
    for each in np.atleast_1d(axes).reshape(-1):
        each.spines[["top", "right"]].set_visible(False)
        each.grid(axis="y", color="#e3e6ea", linewidth=0.6)
        each.set_axisbelow(True)
    return figure, axes


def label_room(names: Sequence[str]) -> float:
    """Inches that these names need below an axis when they are turned by 60 degrees."""
    return 0.3 + 0.068 * max(map(len, names), default=0)


def as_svg(figure: Any) -> str:
    """The figure as an SVG element; the same figure gives the same text."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "ltml", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    content = text.getvalue()
    return content[content.index("<svg") :]


def events(run: Path) -> list[dict[str, Any]]:
    """Lines of `metrics.jsonl`; empty where there is none."""
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def curves(runs: Mapping[str, Path]) -> str:
    """Training loss by batch, validation BACC and AUC by epoch, one colour per run."""
    figure, (left, middle, right) = new_figure(
        10, 2.8 + 0.12 * max(0, len(runs) - 8), right=1.8 if len(runs) > 1 else 0.15, ncols=3
    )
    for place, (name, path) in enumerate(runs.items()):
        colour = COLOURS[place % len(COLOURS)]
        lines = events(path)
        steps = [entry for entry in lines if entry["event"] == "step"]
        epochs = [entry for entry in lines if entry["event"] == "epoch"]
        left.plot([e["step"] for e in steps], [e["loss"] for e in steps], color=colour, linewidth=1, label=name)
        for axes, metric in ((middle, "bacc_total"), (right, "auc_total")):
            values = [np.nan if e[metric] is None else 100 * e[metric] for e in epochs]
            axes.plot(
                [e["epoch"] + 1 for e in epochs], values, "o-", color=colour, markersize=3, linewidth=1, label=name
            )
    left.set(title="training loss", xlabel="batch")
    middle.set(title="validation BACC, %", xlabel="epoch")
    right.set(title="validation AUC, %", xlabel="epoch")
    if len(runs) > 1:
        figure.legend(*middle.get_legend_handles_labels(), loc="center right", fontsize=9, frameon=False)
    return as_svg(figure)


def classes(run: RunResult) -> str:
    """BACC and AUC of every class with their intervals, most frequent class first."""
    names = by_count(run)
    figure, both = new_figure(max(6.0, 0.32 * len(names)), 5.2, bottom=label_room(names), nrows=2, sharex=True)
    of_class = class_groups(run)
    for axes, metric in zip(both, ("bacc", "auc"), strict=True):
        values = 100 * np.array(class_values(run, metric, names))
        axes.bar(
            range(len(names)),
            values,
            color=[GROUP_COLOURS.get(of_class.get(n, ""), "#6b7280") for n in names],
            width=0.7,
        )
        bounds = run.metrics.get("intervals", {}).get("classes")
        if bounds:
            limits = np.array([[np.nan if v is None else 100 * v for v in bounds[n][metric]] for n in names])
            axes.vlines(range(len(names)), limits[:, 0], limits[:, 1], color="#222", linewidth=1)
        axes.axhline(50, color="#888", linewidth=0.8, linestyle="--")
        lowest = np.append(values, limits[:, 0] if bounds else 40)
        axes.set(ylabel=f"{metric.upper()}, %", ylim=(min(40, np.nanmin(lowest)) - 1, 101))
    both[1].set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    return as_svg(figure)


def increments(run: RunResult, reference: RunResult) -> str:
    """Fig. 4: BACC and AUC of every class minus those of a reference, most frequent class first."""
    names = [name for name in by_count(run) if name in reference.labels]
    figure, both = new_figure(max(6.0, 0.32 * len(names)), 5.2, bottom=label_room(names), nrows=2, sharex=True)
    for axes, metric in zip(both, ("bacc", "auc"), strict=True):
        gain = 100 * (np.array(class_values(run, metric, names)) - np.array(class_values(reference, metric, names)))
        axes.bar(range(len(names)), gain, color=np.where(gain >= 0, "#0072b2", "#d55e00"), width=0.7)
        axes.axhline(0, color="#222", linewidth=0.8)
        axes.set_ylabel(f"{metric.upper()} increment, points")
    both[1].set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    both[0].set_title(f"{run.name} minus {reference.name}", fontsize=9)
    return as_svg(figure)


def gradients(grid: Floats, closed: Mapping[str, Floats], automatic: Mapping[str, Floats]) -> str:
    """Fig. 3: gradient of one negative logit; lines are closed forms, dots what autograd gives.

    Args:
        grid: (K,) logits.
        closed: Method to (K,) closed-form gradients.
        automatic: The same from autograd.
    """
    figure, axes = new_figure(6, 3.2)
    for place, (name, values) in enumerate(closed.items()):
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(grid, values, color=colour, linewidth=1.4, label=name)
        axes.plot(grid[::8], automatic[name][::8], "o", color=colour, markersize=3)
    axes.set(xlabel="negative logit", ylabel="gradient")
    axes.legend(fontsize=9, frameon=False)
    return as_svg(figure)


def lines_with_intervals(
    x: Sequence[float],
    series: Mapping[str, tuple[Sequence[float], Sequence[tuple[float, float]]]],
    xlabel: str,
    ylabel: str,
) -> str:
    """Means with intervals over a common axis; points are shifted a little so that bars do not hide each other.

    Args:
        x: (K,) positions.
        series: Name to (K,) means and (K,) intervals, NaN where there is none.
        xlabel: Axis title.
        ylabel: Axis title.
    """
    figure, axes = new_figure(8.0, 3.8, right=1.8)
    step = 0.012 * (max(x) - min(x) or 1)
    for place, (name, (mean, bounds)) in enumerate(series.items()):
        reach = np.abs(np.asarray(bounds) - np.asarray(mean)[:, None]).T
        shifted = np.asarray(x) + step * (place - len(series) / 2)
        colour, style = COLOURS[place % len(COLOURS)], ("-", "--")[place // len(COLOURS) % 2]
        axes.errorbar(
            shifted,
            mean,
            yerr=np.nan_to_num(reach),
            color=colour,
            linestyle=style,
            marker="o",
            markersize=3,
            linewidth=1,
            capsize=2,
            label=name,
        )
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_xticks(list(x))
    figure.legend(*axes.get_legend_handles_labels(), loc="center right", fontsize=9, frameon=False)
    return as_svg(figure)


def by_count(run: RunResult) -> list[str]:
    """Class names by the number of positives in the scored split, most frequent first."""
    positives = {name: int(values["positives"]) for name, values in run.metrics["classes"].items()}
    return sorted(run.labels, key=lambda name: -positives[name])


def class_values(run: RunResult, metric: str, names: Sequence[str]) -> list[float]:
    """A metric of these classes; NaN where it is undefined."""
    known = dict(zip(run.labels, run.per_class(metric), strict=True))
    return [known[name] for name in names]


def class_groups(run: RunResult) -> dict[str, str]:
    """Class name to head, medium or tail."""
    groups = run.manifest["data"].get("groups", {})
    return {name: group for group, members in groups.items() for name in members}


def save_run_figures(out: Path) -> None:
    """Write `figures/curves.svg` and `figures/classes.svg` of a run folder."""
    (out / "figures").mkdir(exist_ok=True)
    run = RunResult(
        path=out,
        metrics=read_json(out / "metrics.json", "a finished run holds it"),
        manifest=read_json(out / "manifest.json", "a run holds it"),
    )
    header = '<?xml version="1.0" encoding="utf-8"?>\n'
    write_text(out / "figures" / "curves.svg", header + curves({run.name: out}))
    write_text(out / "figures" / "classes.svg", header + classes(run))
