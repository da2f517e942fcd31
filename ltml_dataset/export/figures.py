"""The three figures of a data set: its long tail, which labels come together, how even the split is.

Equal input gives equal bytes: no date, no version, fixed ids inside the SVG.
"""

import warnings
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
_FURTHEST = 3
"""Deviation, in tolerances, beyond which a point of the balance figure stays at the edge."""
_BAR = 0.21
"""Width of a label on an axis, in inches."""
_LETTER = 0.058
"""Width of a letter of a label's name, in inches."""


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
    figure, [axes] = _canvas(_width(names), 2.8, bottom=_room(names), left=0.75)
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
    axes.legend(loc="upper right", framealpha=1, edgecolor="none")
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
    side = min(max(2.5, 0.17 * len(names)), 21.0)
    figure, [axes] = _canvas(side, side, bottom=_room(names), left=_room(names), right=1.1)
    axes.set_facecolor("#dddddd")
    image = axes.imshow(shown, vmin=0, vmax=1, cmap="viridis", interpolation="none", aspect="auto")
    scale = axes.inset_axes((1 + 0.15 / side, 0, 0.2 / side, 1))
    figure.colorbar(image, cax=scale, label="P(column | row)")
    ordered = [names[label] for label in order]
    _name_ticks(axes, ordered, axis="x")
    _name_ticks(axes, ordered, axis="y")
    axes.set_title("Labels that come together")
    return _save(figure, folder / "conditional_probability")


def draw_split_balance(
    label_counts: Mapping[str, Counts], split_rows: Counts, ratios: Mapping[str, float], folder: Path
) -> list[Path]:
    """How far each label's count in each split is from the share asked for, in tolerances; the band is within.

    A tolerance is 0.1 % of the label's images, or one image if that is more. Labels without images are left out.

    Args:
        label_counts: Positive images of each label, under `all` and the name of each split.
        split_rows: Rows of each split.
        ratios: Share that each split should have.
        folder: Where `split_balance.svg` and `split_balance.png` go.

    Returns:
        Paths written.
    """
    names = [name for name in by_frequency(label_counts["all"]) if label_counts["all"][name]]
    totals = np.array([label_counts["all"][name] for name in names], dtype=np.float64)
    tolerances = np.maximum(0.001 * totals, 1)
    figure, panels = _canvas(_width(names), 1.1, bottom=_room(names), left=1.2, top=0.85, n_panels=len(ratios))
    places = np.arange(len(names))
    n_rows = sum(split_rows.values())
    for axes, (split, ratio) in zip(panels, ratios.items(), strict=True):
        counts = np.array([label_counts[split][name] for name in names], dtype=np.float64)
        off = (counts - ratio * totals) / tolerances
        shown = np.clip(off, -_FURTHEST, _FURTHEST)
        inside = np.abs(off) <= 1 + 1e-9
        axes.axhspan(-1, 1, color="#e3e3e3", linewidth=0)
        axes.axhline(0, color="#555555", linewidth=0.7)
        axes.plot(places[inside], shown[inside], "o", markersize=3.2, color=COLOURS["head"])
        axes.plot(places[~inside], shown[~inside], "D", markersize=4, color=COLOURS["tail"], clip_on=False)
        for place in np.flatnonzero(~inside).tolist():
            axes.annotate(
                f"{counts[place]:,.0f} of {totals[place]:,.0f}",
                (place, shown[place]),
                (5, 0),
                textcoords="offset points",
                fontsize=5.5,
                va="center",
                color=COLOURS["tail"],
            )
        axes.set_ylim(-_FURTHEST - 0.3, _FURTHEST + 0.3)
        axes.set_yticks(
            [-_FURTHEST, -1, 0, 1, _FURTHEST], [f"-{_FURTHEST} or less", "-1", "0", "1", f"{_FURTHEST} or more"]
        )
        share = 100 * split_rows[split] / max(n_rows, 1)
        axes.set_title(
            f"{split}: {split_rows[split]:,} rows, {share:.2f} % ({100 * ratio:.2f} % asked for)", fontsize=8
        )
    _name_ticks(panels[-1], names, axis="x")
    panels[-1].set_xlim(-0.8, len(names) - 0.2)
    panels[0].annotate(
        "Images of a label more (+) or fewer (-) than the share asked for:\n"
        "1 is 0.1 % of the label's images, or one image",
        (0, 1),
        (0, 26),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=9,
    )
    return _save(figure, folder / "split_balance")


def by_frequency(counts: Counts) -> list[str]:
    """Label names, most frequent first, ties in label order."""
    return sorted(counts, key=lambda name: -counts[name])


def _width(names: Sequence[str]) -> float:
    """Inches of an axis along which the labels stand."""
    return max(4.5, _BAR * len(names))


def _room(names: Sequence[str]) -> float:
    """Inches that the names need beside or below an axis."""
    return 0.25 + _LETTER * max(map(len, names), default=0)


def _canvas(
    width: float,
    height: float,
    *,
    bottom: float,
    left: float,
    right: float = 0.2,
    top: float = 0.4,
    n_panels: int = 1,
) -> "tuple[Figure, list[Axes]]":
    """Axes of a size below each other, and margins around them, all in inches.

    No window system and no global state is touched.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    gap = 0.35
    whole = bottom + n_panels * height + (n_panels - 1) * gap + top
    with rc_context(_STYLE):
        figure = Figure(figsize=(left + width + right, whole))
        axes: list[Axes] = []
        for panel in range(n_panels):
            floor = bottom + (n_panels - 1 - panel) * (height + gap)
            place = (left / (left + width + right), floor / whole, width / (left + width + right), height / whole)
            axes.append(figure.add_axes(place, sharex=axes[0] if axes else None))
            if panel < n_panels - 1:
                axes[-1].tick_params(labelbottom=False)
        return figure, axes


def _name_ticks(axes: "Axes", names: Sequence[str], *, axis: str) -> None:
    """Label names along one axis, in letters as large as fit."""
    extent = axes.get_window_extent()
    points = 0.95 * (extent.width if axis == "x" else extent.height) * 72 / axes.figure.dpi
    size = min(7.0, points / max(len(names), 1))
    plain = [" ".join(name.split()).replace("$", r"\$") for name in names]  # a dollar sign would start a formula
    if axis == "x":
        axes.set_xticks(range(len(plain)), plain, rotation=90, fontsize=size)
    else:
        axes.set_yticks(range(len(plain)), plain, fontsize=size)


def _save(figure: "Figure", stem: Path) -> list[Path]:
    """Write SVG and PNG without date and version, each under a temporary name first."""
    from matplotlib import rc_context

    paths = []
    with rc_context(_STYLE), writing(stem), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing from font"
        )  # boxes in the PNG; the SVG has the name
        stem.parent.mkdir(parents=True, exist_ok=True)
        for kind, metadata in (("svg", {"Date": None, "Creator": None}), ("png", {"Software": None})):
            path = stem.with_suffix(f".{kind}")
            unfinished = path.with_name(f".{path.name}.unfinished")
            figure.savefig(unfinished, format=kind, dpi=_DPI, metadata=metadata)
            unfinished.replace(path)
            paths.append(path)
    return paths
