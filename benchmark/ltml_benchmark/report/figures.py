"""Figures as SVG text: curves, classes with intervals, increments over a reference, gradients, the noise study."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltml_benchmark.noise import tested
from ltml_benchmark.report.runs import RunResult
from ltml_benchmark.runfiles import read_json, write_text

Floats = NDArray[np.float64]
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#a23b72", "#6b7280", "#2f4858", "#9aa33a")
"""Okabe and Ito's colours first."""
IN_THE_DARK = {
    "#0072b2": "#4da6dd", "#d55e00": "#f5894a", "#009e73": "#2fc79a", "#cc79a7": "#dd9cc0", "#e69f00": "#f0b429",
    "#56b4e9": "#9bd6ff", "#a23b72": "#e06aa6", "#6b7280": "#a9b1bd", "#2f4858": "#b7a1ff", "#9aa33a": "#c3cc5e",
    "#1d2530": "#e4e8ee", "#e3e6ea": "#39424e", "#888d94": "#8d96a1",
}  # fmt: skip
"""What stands for each colour of the figures on a dark page."""
INK, GRID, GUIDE = "#1d2530", "#e3e6ea", "#888d94"
CHANCE = 50.0
"""BACC and AUC of a coin, in percent: where bars begin."""
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

    figure = Figure(figsize=(width, height), facecolor="none")
    FigureCanvasSVG(figure)
    axes = figure.subplots(**grid)
    figure.subplots_adjust(
        left=0.85 / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - 0.35 / height,
        wspace=0.28,
        hspace=0.12,
    )
    for each in np.atleast_1d(axes).reshape(-1):
        each.set_facecolor("none")
        each.spines[["top", "right"]].set_visible(False)
        each.spines[["left", "bottom"]].set_color(INK)
        each.tick_params(colors=INK)
        for text in (each.title, each.xaxis.label, each.yaxis.label):
            text.set_color(INK)
        each.grid(axis="y", color=GRID, linewidth=0.6)
        each.set_axisbelow(True)
    return figure, axes


def label_room(names: Sequence[str]) -> float:
    """Inches that these names need below an axis when they are turned by 60 degrees."""
    return 0.25 + 0.058 * max(map(len, names), default=0)


def themed(svg: str) -> str:
    """A figure for the page, where each colour is a variable that a dark page sets to another one."""
    for place, colour in enumerate(IN_THE_DARK):
        svg = svg.replace(colour, f"var(--f{place})")
    return svg


def themes() -> tuple[dict[str, str], dict[str, str]]:
    """The variables of `themed` on a light and on a dark page."""
    light = {f"--f{place}": colour for place, colour in enumerate(IN_THE_DARK)}
    return light, dict(zip(light, IN_THE_DARK.values(), strict=True))


def styled(place: int) -> dict[str, str]:
    """Colour, line and marker of the method at this place: lines tell apart those that share a colour."""
    turn = place // len(COLOURS) % 3
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": ("-", "--", ":")[turn], "marker": "osD"[turn]}


def legend(where: Any, *given: Any, **more: Any) -> None:
    """A legend that can be read on light and dark pages."""
    where.legend(*given, fontsize=9, frameon=False, labelcolor=INK, handlelength=2.6, **more)


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
        style = styled(place)
        lines = events(path)
        steps = [entry for entry in lines if entry["event"] == "step"]
        epochs = [entry for entry in lines if entry["event"] == "epoch"]
        left.plot(
            [e["step"] for e in steps], [e["loss"] for e in steps], linewidth=1.2, **{**style, "marker": ""}
        )  # fmt: skip
        for axes, metric in ((middle, "bacc_total"), (right, "auc_total")):
            values = [np.nan if e[metric] is None else 100 * e[metric] for e in epochs]
            axes.plot([e["epoch"] + 1 for e in epochs], values, markersize=3, linewidth=1.2, label=name, **style)
    left.set(title="training loss", xlabel="batch")
    middle.set(title="validation BACC, %", xlabel="epoch")
    right.set(title="validation AUC, %", xlabel="epoch")
    if len(runs) > 1:
        legend(figure, *middle.get_legend_handles_labels(), loc="center right")
    return as_svg(figure)


def classes(run: RunResult) -> str:
    """BACC and AUC of every class with their intervals, most frequent class first; bars rise from chance."""
    names = by_count(run)
    figure, both = class_axes(names)
    of_class = class_groups(run)
    for axes, metric in zip(both, ("bacc", "auc"), strict=True):
        values = 100 * np.array(class_values(run, metric, names))
        colours = [GROUP_COLOURS.get(of_class.get(n, ""), "#6b7280") for n in names]
        axes.bar(range(len(names)), values - CHANCE, bottom=CHANCE, color=colours, width=0.7)
        bounds = run.metrics.get("intervals", {}).get("classes")
        lowest = values
        if bounds:
            limits = np.array([[np.nan if v is None else 100 * v for v in bounds[n][metric]] for n in names])
            axes.vlines(range(len(names)), limits[:, 0], limits[:, 1], color=INK, linewidth=1.2)
            lowest = np.append(values, limits[:, 0])
        axes.axhline(CHANCE, color=GUIDE, linewidth=0.8)
        floor = np.nanmin(lowest) if np.isfinite(lowest).any() else CHANCE
        axes.set(ylabel=f"{metric.upper()}, %", ylim=(min(CHANCE, floor) - 2, 101))
    name_classes(both[1], names)
    return as_svg(figure)


def class_axes(names: Sequence[str]) -> tuple[Any, Any]:
    """A figure with two axes, one above the other, as wide as the classes need."""
    return new_figure(
        max(7.0, 0.27 * len(names) + 0.9), 3.8 + label_room(names), bottom=label_room(names), nrows=2, sharex=True
    )


def name_classes(axes: Any, names: Sequence[str]) -> None:
    """Class names below an axis."""
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_xlim(-0.7, len(names) - 0.3)


def increments(method: tuple[str, Sequence[RunResult]], reference: tuple[str, Sequence[RunResult]]) -> str:
    """Fig. 4: BACC and AUC of every class minus those of a reference, most frequent class first.

    Args:
        method: Name and runs; several seeds are averaged, and pairs of seeds give the 95 % intervals.
        reference: The same of the reference.
    """
    names = by_count(method[1][0])
    figure, both = class_axes(names)
    base = {run.seed: run for run in reference[1]}
    pairs = [(run, base[run.seed]) for run in method[1] if run.seed in base] or [(method[1][0], reference[1][0])]
    for axes, metric in zip(both, ("bacc", "auc"), strict=True):
        values = [(class_values(a, metric, names), class_values(b, metric, names)) for a, b in pairs]
        gains = 100 * np.array([np.subtract(ours, theirs) for ours, theirs in values])
        mean, half = np.array([tested(column.tolist())[:2] for column in gains.T]).T
        axes.bar(range(len(names)), mean, color=np.where(mean >= 0, "#0072b2", "#d55e00"), width=0.7)
        axes.vlines(range(len(names)), mean - half, mean + half, color=INK, linewidth=1.2)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_ylabel(f"{metric.upper()}, points")
    name_classes(both[1], names)
    seeds = f", mean of {len(pairs)} pairs of seeds" if len(pairs) > 1 else ""
    both[0].set_title(f"{method[0]} minus {reference[0]}{seeds}", fontsize=10)
    return as_svg(figure)


def gradients(grid: Floats, closed: Mapping[str, Floats], automatic: Mapping[str, Floats]) -> str:
    """Fig. 3: gradient of one negative logit; lines are closed forms, dots what autograd gives.

    Args:
        grid: (K,) logits.
        closed: Method to (K,) closed-form gradients.
        automatic: The same from autograd.
    """
    figure, axes = new_figure(8.0, 3.4, right=2.4)
    for place, (name, values) in enumerate(closed.items()):
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(grid, values, color=colour, linewidth=1.4, label=name)
        axes.plot(grid[::8], automatic[name][::8], "o", color=colour, markersize=3)
    axes.set(xlabel="negative logit", ylabel="gradient")
    legend(figure, *axes.get_legend_handles_labels(), loc="center right")
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
        ylabel: What is shown, above the axes.
    """
    figure, axes = new_figure(8.0, 4.0, right=1.8)
    step = 0.012 * (max(x) - min(x) or 1)
    shown = [place for place in range(len(x)) if any(not np.isnan(mean[place]) for mean, _ in series.values())]
    for place, (name, (mean, bounds)) in enumerate(series.items()):
        reach = np.abs(np.asarray(bounds) - np.asarray(mean)[:, None]).T
        shifted = np.asarray(x) + step * (place - len(series) / 2)
        axes.errorbar(
            shifted, mean, yerr=np.nan_to_num(reach), markersize=3.5, linewidth=1.2, capsize=2, label=name,
            **styled(place),
        )  # fmt: skip
    axes.set(xlabel=xlabel)
    axes.set_title(ylabel, fontsize=10, loc="left", color=INK)
    axes.set_xticks([x[place] for place in shown])
    axes.margins(x=0.03)
    legend(figure, *axes.get_legend_handles_labels(), loc="center right")
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
    for name, svg in (("curves", curves({run.name: out})), ("classes", classes(run))):
        write_text(out / "figures" / f"{name}.svg", alone(svg))


def alone(svg: str) -> str:
    """A figure as a file of its own: on white, whatever the viewer's background."""
    return '<?xml version="1.0" encoding="utf-8"?>\n' + svg.replace("<svg ", '<svg style="background: #fff" ', 1)
