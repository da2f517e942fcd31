"""Train, validation and test: splits that keep patients whole and every label at its share."""

from ltml_dataset.splits.balance import ALL_ROWS, Cell, balance_notes, balance_table
from ltml_dataset.splits.given import (
    GivenSplit,
    crossing_note,
    crossing_patients,
    official_splits,
    read_ids,
    splits_from_ids,
)
from ltml_dataset.splits.grouped import RATIOS, assign_folds, assign_splits
from ltml_dataset.splits.iterative import iterative_image_split

__all__ = [
    "ALL_ROWS",
    "RATIOS",
    "Cell",
    "GivenSplit",
    "assign_folds",
    "assign_splits",
    "balance_notes",
    "balance_table",
    "crossing_note",
    "crossing_patients",
    "iterative_image_split",
    "official_splits",
    "read_ids",
    "splits_from_ids",
]
