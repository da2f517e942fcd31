"""The three figures of a data set: its long tail, which labels come together, how even the split is.

Equal input gives equal bytes: no date, no version, fixed ids inside the SVG.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ltml_dataset.export.parquet import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

Counts = Mapping[str, int]

COLOURS = {"head": "#0072b2", "medium": "#e69f00", "tail": "#a23b72"}
"""Colours of the frequency groups, distinguishable in every common kind of colour vision."""

_STYLE: "dict[RcKeyType, Any]" = {
    "svg.hashsalt": "ltml",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
}
_DPI = 150
_MAX_NAMED = 80
"""Beyond so many labels the matrix shows every second, third, ... name."""


def conditional_probabilities(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(C, C) share of images with label j that also have label i, at [j, i]; NaN rows for labels without images.

    Example:
        >>> conditional_probabilities(np.array([[4, 1], [1, 2]])).tolist()
        [[1.0, 0.25], [0.5, 1.0]]
    """
    own = np.diag(pairs).astype(np.float64)[:, None]
    shares = np.full(pairs.shape, np.nan)
    np.divide(pairs, own, out=shares, where=own > 0)
    return shares


def draw_long_tail(counts: Counts, groups: Mapping[str, Sequence[str]], thresholds: Counts, folder: Path) -> list[Path]:
    """Fig. 1a of the paper: images per label on a logarithmic axis, most frequent first, in the colour of its group.

    Args:
        counts: Positive images of each label.
        groups: Labels of head, medium and tail.
        thresholds: Least number of images of head and medium.
        folder: Where `long_tail.svg` and `long_tail.png` go.

    Returns:
        Paths written.
    """
    names = by_frequency(counts)
    group_of = {name: group for group, members in groups.items() for name in members}
    figure, axes = _canvas(max(5.0, 0.21 * len(names) + 1.5), 4.2)
    heights = [counts[name] for name in names]
    axes.bar(range(len(names)), heights, color=[COLOURS[group_of[name]] for name in names], width=0.8)
    top = max(10, *heights, 1) * 6
    axes.set_yscale("log")
    axes.set_ylim(0.7, top)
    for place, height in enumerate(heights):
        axes.text(
            place,
            max(height, 0.7) * 1.15,
            f"{height:,}",
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
        )
    for group in ("head", "medium"):
        if thresholds[group] < top:
            axes.axhline(thresholds[group], color="#555555", linewidth=0.7, linestyle=(0, (4, 3)))
    for group, colour in COLOURS.items():
        axes.bar([0], [0], color=colour, label=f"{group} ({len(groups[group])})")
    axes.legend(frameon=False, loc="upper right")
    axes.set_ylabel("images (log)")
    _name_ticks(axes, names, axis="x")
    axes.set_xlim(-0.8, len(names) - 0.2)
    axes.set_title("Images per label")
    return _save(figure, folder / "long_tail")


def draw_conditional_probability(names: Sequence[str], pairs: npt.NDArray[np.int64], folder: Path) -> list[Path]:
    """Fig. 1b of the paper: P(label i | label j), rows j and columns i, most frequent label first.

    Args:
        names: The C label names.
        pairs: (C, C) images that have both labels.
        folder: Where `conditional_probability.svg` and `.png` go.

    Returns:
        Paths written.
    """
    order = sorted(range(len(names)), key=lambda label: -int(pairs[label, label]))
    shown = conditional_probabilities(pairs)[np.ix_(order, order)]
    side = min(max(4.5, 0.16 * len(names) + 2.6), 24.0)
    figure, axes = _canvas(side + 1.8, side)
    axes.set_facecolor("#dddddd")
    image = axes.imshow(shown, vmin=0, vmax=1, cmap="viridis", interpolation="none")
    figure.colorbar(image, ax=axes, fraction=0.045, pad=0.02, label="P(column | row)")
    ordered = [names[label] for label in order]
    _name_ticks(axes, ordered, axis="x")
    _name_ticks(axes, ordered, axis="y")
    axes.set_title("Labels that come together")
    return _save(figure, folder / "conditional_probability")


def draw_split_balance(
    label_counts: Mapping[str, Counts], split_rows: Counts, ratios: Mapping[str, float], folder: Path
) -> list[Path]:
    """Share of every label's images in each split against the share asked for, with the tolerance as a band.

    Args:
        label_counts: Positive images of each label, under `all` and the name of each split.
        split_rows: Rows of each split.
        ratios: Share that each split should have.
        folder: Where `split_balance.svg` and `split_balance.png` go.

    Returns:
        Paths written.
    """
    names = by_frequency(label_counts["all"])
    totals = np.array([label_counts["all"][name] for name in names], dtype=np.float64)
    figure, panels = _panels(len(ratios), max(5.0, 0.21 * len(names) + 1.5))
    places = np.arange(len(names))
    tolerance = 100 * np.maximum(0.001, np.divide(1.0, totals, out=np.ones(len(names)), where=totals > 0))
    n_rows = sum(split_rows.values())
    for axes, (split, ratio) in zip(panels, ratios.items(), strict=True):
        counts = np.array([label_counts[split][name] for name in names], dtype=np.float64)
        shares = 100 * np.divide(counts, totals, out=np.full(len(names), np.nan), where=totals > 0)
        axes.fill_between(
            places, 100 * ratio - tolerance, 100 * ratio + tolerance, color="#cccccc", step="mid", linewidth=0
        )
        axes.axhline(100 * ratio, color="#555555", linewidth=0.7)
        axes.plot(places, shares, "o", markersize=3.2, color=COLOURS["head"])
        reach = max(1.0, 1.15 * float(np.nanmax(np.abs(shares - 100 * ratio), initial=0)))
        axes.set_ylim(100 * ratio - reach, 100 * ratio + reach)
        axes.set_ylabel(f"{split}\n% of images")
        axes.set_title(f"{split_rows[split]:,} rows, {100 * split_rows[split] / max(n_rows, 1):.2f} %", fontsize=8)
    _name_ticks(panels[-1], names, axis="x")
    panels[-1].set_xlim(-0.8, len(names) - 0.2)
    figure.suptitle("Share of each label in each split (band: 0.1 points or one image)", fontsize=10)
    return _save(figure, folder / "split_balance")


def by_frequency(counts: Counts) -> list[str]:
    """Label names, most frequent first, ties in label order."""
    return sorted(counts, key=lambda name: -counts[name])


def _canvas(width: float, height: float) -> "tuple[Figure, Axes]":
    """One pair of axes; sizes in inches. No window system and no global state is touched."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(min(width, 48.0), height), layout="constrained")
        return figure, figure.subplots()


def _panels(n_panels: int, width: float) -> "tuple[Figure, list[Axes]]":
    """Axes below each other that share the labels."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(min(width, 48.0), 1.7 * n_panels + 2.0), layout="constrained")
        return figure, list(figure.subplots(n_panels, 1, sharex=True, squeeze=False)[:, 0])


def _name_ticks(axes: "Axes", names: Sequence[str], *, axis: str) -> None:
    """Label names along one axis."""
    step = -(-len(names) // _MAX_NAMED)
    places = list(range(0, len(names), step))
    shown = [names[place] for place in places]
    if axis == "x":
        axes.set_xticks(places, shown, rotation=90, fontsize=7)
    else:
        axes.set_yticks(places, shown, fontsize=7)


def _save(figure: "Figure", stem: Path) -> list[Path]:
    """Write SVG and PNG without date and version, each under a temporary name first."""
    from matplotlib import rc_context

    paths = []
    with rc_context(_STYLE), writing(stem):
        stem.parent.mkdir(parents=True, exist_ok=True)
        for kind, metadata in (("svg", {"Date": None, "Creator": None}), ("png", {"Software": None})):
            path = stem.with_suffix(f".{kind}")
            unfinished = path.with_name(f".{path.name}.unfinished")
            figure.savefig(unfinished, format=kind, dpi=_DPI, metadata=metadata)
            unfinished.replace(path)
            paths.append(path)
    return paths
