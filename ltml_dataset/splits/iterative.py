"""The image-level split of the paper: patients cross, kept for comparison with published numbers."""

import numpy as np
import numpy.typing as npt

from ltml_dataset.splits.grouped import check_labels

PAPER_TEST = 0.2
"""Share of all images that become test."""
PAPER_VALIDATION = 0.1
"""Share of the remaining images that become validation: 72/8/20 in all."""


def iterative_image_split(labels: npt.ArrayLike, image_ids: npt.ArrayLike, seed: int = 0) -> npt.NDArray[np.str_]:
    """Name of the split of every image by iterative stratification (Sechidis 2011), test first, then validation.

    Rows are sorted by image id before anything random happens, so their order does not matter. Images of one patient
    come to lie in several splits; use `assign_splits` for anything but reproduction.

    Args:
        labels: (N, C) 0/1.
        image_ids: (N,) unique ids.
        seed: Seed of the stratifier.

    Raises:
        ValueError: Image ids repeat, or a label is neither 0 nor 1.
    """
    table = check_labels(labels)
    ids = np.asarray(image_ids)
    order = np.argsort(ids, kind="stable")
    if len(ids) != len(table) or np.any(ids[order][1:] == ids[order][:-1]):
        raise ValueError("image_ids must be one distinct id per row of labels")
    rest, test = _cut(table, order, PAPER_TEST, seed)
    train, validation = _cut(table, rest, PAPER_VALIDATION, seed)
    splits = np.empty(len(table), dtype="<U10")
    splits[train], splits[validation], splits[test] = "train", "validation", "test"
    return splits


def _cut(
    labels: npt.NDArray[np.int8], rows: npt.NDArray[np.int64], share: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows that stay, rows cut off. Only `test_size` is given: with `train_size` the library misreads both."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    cutter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    stays, leaves = next(cutter.split(np.zeros(len(rows)), labels[rows]))
    return rows[np.sort(stays)], rows[np.sort(leaves)]
