"""How evenly a split came out: every label and split, and the reason for each one out of tolerance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ltml_dataset.splits.grouped import RATIOS, check_labels, group_codes
from ltml_dataset.splits.problem import Ints, whole_shares
from ltml_dataset.splits.reach import TOLERANCE, can_balance

ALL_ROWS = "(all rows)"
"""Stands in the label column for the size of a split."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One label in one split.

    `share` is the part of the label's positives that is in the split (None without positives), `target` the ratio
    asked for, `deviation` their difference; `reason` says why a cell is out of tolerance, empty where it is not.
    """

    label: str
    split: str
    count: int
    total: int
    groups: int
    share: float | None
    target: float
    deviation: float | None
    within: bool
    reason: str


def balance_table(
    labels: npt.ArrayLike,
    splits: npt.ArrayLike,
    names: Sequence[str],
    groups: npt.ArrayLike | pa.Array | pa.ChunkedArray | None = None,
    ratios: Sequence[float] = RATIOS,
    split_names: Sequence[str] = ("train", "validation", "test"),
) -> list[Cell]:
    """Count, share and deviation of every label in every split; the first rows are the sizes (`ALL_ROWS`).

    A cell is within tolerance when its count is no further from `ratio * total` than 0.1 % of the label's images, or
    one image if that is more.

    Args:
        labels: (N, C) 0/1.
        splits: (N,) names out of `split_names`.
        names: The C label names.
        groups: (N,) what was kept whole; None for single rows.
        ratios: One share per split.
        split_names: Splits in the order of `ratios`; fold numbers do as well.

    Raises:
        ValueError: Shapes differ, or a split is not one of `split_names`.
    """
    table = check_labels(labels)
    given = np.asarray(splits)
    if table.shape[1] != len(names):
        raise ValueError(f"{table.shape[1]} label columns, but {len(names)} names")
    part_of = {name: index for index, name in enumerate(split_names)}
    distinct, inverse = np.unique(given, return_inverse=True)
    unknown = [str(name) for name in distinct.tolist() if name not in part_of]
    if unknown or len(given) != len(table):
        raise ValueError(f"splits must name one of {tuple(split_names)} for each of {len(table)} rows, got {unknown}")
    part = np.array([part_of[name] for name in distinct.tolist()], dtype=np.int64)[inverse.reshape(-1)]
    parts = whole_shares(ratios)
    codes = group_codes(groups, len(table))
    cells = _cells(ALL_ROWS, part, codes, split_names, parts)
    for index, name in enumerate(names):
        positive = np.flatnonzero(table[:, index])
        cells += _cells(name, part[positive], codes[positive], split_names, parts)
    return cells


def _cells(label: str, part: Ints, codes: Ints, split_names: Sequence[str], parts: Ints) -> list[Cell]:
    """The row of one label: `part` and `codes` are those of its positive images."""
    counts = np.bincount(part, minlength=len(split_names))
    total = len(part)
    sizes = np.bincount(np.unique(codes, return_inverse=True)[1]) if total else np.zeros(0, dtype=np.int64)
    targets = parts / parts.sum()
    off = np.abs(int(parts.sum()) * counts - parts * total) / parts.sum()
    within = off <= np.maximum(float(TOLERANCE) * total, 1) + 1e-9
    missing = (counts == 0) & (parts > 0) & (total > 0)
    reason = "" if within.all() and not missing.any() else _reason(sizes, parts, missing)
    return [
        Cell(
            label=label,
            split=str(split),
            count=int(counts[k]),
            total=total,
            groups=len(sizes),
            share=float(counts[k] / total) if total else None,
            target=float(targets[k]),
            deviation=float(counts[k] / total - targets[k]) if total else None,
            within=bool(within[k]),
            reason="" if within[k] and not missing[k] else reason,
        )
        for k, split in enumerate(split_names)
    ]


def _reason(sizes: Ints, parts: Ints, missing: npt.NDArray[np.bool_]) -> str:
    """Why a label is not where the ratios want it."""
    used = int(np.count_nonzero(parts))
    if len(sizes) < used:
        return f"too rare: {len(sizes)} group{'s' if len(sizes) != 1 else ''} for {used} splits"
    largest, total = int(sizes.max()), int(sizes.sum())
    if can_balance(sizes.tolist(), parts.tolist()) is False:
        if largest > 1:
            return f"too few to balance: {len(sizes)} groups, the largest with {largest} of {total} images"
        return f"too rare to balance: {total} images, of which every split gets one"
    if missing.any():
        return "no assignment was found that gives every label one in each split"
    return "shares its groups with other labels; nothing nearer was found"


def balance_notes(cells: Sequence[Cell]) -> list[str]:
    """One sentence for each label that is out of tolerance or missing in a split, and why.

    Example:
        >>> cells = balance_table([[1], [0], [0]], ["test", "train", "train"], ["Mass"])
        >>> balance_notes(cells)[-1]
        'Mass: 0 train, 0 validation, 1 test; too rare: 1 group for 3 splits.'
    """
    notes = []
    for label in dict.fromkeys(cell.label for cell in cells if cell.reason):
        row = [cell for cell in cells if cell.label == label]
        counts = ", ".join(f"{cell.count:,} {cell.split}" for cell in row)
        notes.append(f"{label}: {counts}; {next(cell.reason for cell in row if cell.reason)}.")
    return notes
