"""Splits and folds in which no group crosses and every label keeps its share."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ltml_dataset.schema import SPLITS
from ltml_dataset.splits.problem import Ints, Problem, mix, whole_shares
from ltml_dataset.splits.search import deal_groups

RATIOS = (0.7, 0.1, 0.2)
"""Shares of train, validation and test."""

_BLOCK = 1 << 18


def assign_splits(
    labels: npt.ArrayLike,
    groups: npt.ArrayLike | pa.Array | pa.ChunkedArray | None = None,
    ratios: Sequence[float] = RATIOS,
    seed: int = 0,
) -> npt.NDArray[np.str_]:
    """Name of the split of every row: train, validation or test.

    Rows of one group (patient) stay together. Sizes and the share of every label follow the ratios as nearly as the
    groups allow; a label with as many groups as there are splits has a positive in each, if any assignment can give
    all such labels one. The outcome depends on the rows of each group and the seed, not on the order of rows (without
    groups: of different rows) or the platform.

    Args:
        labels: (N, C) 0/1 or boolean.
        groups: (N,) integers or strings; None treats every row as a group of its own.
        ratios: Shares of train, validation and test; they need not add up to 1, and one or two may be 0.
        seed: Any non-negative integer; another seed gives another assignment of the same quality.

    Returns:
        (N,) array of names.

    Raises:
        ValueError: Shapes differ, a label is neither 0 nor 1, a group is null, or ratios make no sense.

    Example:
        >>> split = assign_splits([[1], [1], [1], [0]] * 5, groups=[0, 0, 1, 2] * 5)
        >>> sorted(set(split[np.array([0, 0, 1, 2] * 5) == 0].tolist()))
        ['train']
    """
    if len(ratios) != len(SPLITS):
        raise ValueError(f"ratios must be three numbers for train, validation and test, got {tuple(ratios)}")
    return np.array(SPLITS)[assign_parts(labels, groups, whole_shares(ratios), seed)]


def assign_folds(
    labels: npt.ArrayLike,
    groups: npt.ArrayLike | pa.Array | pa.ChunkedArray | None = None,
    k: int = 5,
    seed: int = 0,
) -> npt.NDArray[np.int64]:
    """Fold number, 0 to k - 1, of every row: like `assign_splits` with k equal parts.

    Raises:
        ValueError: As `assign_splits`, or k below 2.
    """
    if k < 2:
        raise ValueError(f"k must be at least 2 folds, got {k}")
    return assign_parts(labels, groups, np.ones(k, dtype=np.int64), seed)


def assign_parts(
    labels: npt.ArrayLike, groups: npt.ArrayLike | pa.Array | pa.ChunkedArray | None, parts: Ints, seed: int
) -> Ints:
    """(N,) index of the part of every row, for whole-number shares of any number of parts."""
    table = check_labels(labels)
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if len(table) == 0:
        return np.zeros(0, dtype=np.int64)
    codes = group_codes(groups, len(table))
    kinds, counts = group_kinds(table, codes)
    problem = Problem(counts, np.bincount(kinds), parts)
    deal = deal_groups(problem, seed)
    return _hand_out(kinds, deal, seed)[codes]


def check_labels(labels: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """(N, C) int8 of 0 and 1, or a ValueError that names the offending value."""
    table = np.asarray(labels)
    if table.ndim != 2:
        raise ValueError(f"labels must be a table of rows by labels, got shape {table.shape}")
    if table.dtype == np.bool_:
        return table.view(np.int8)
    wrong = (table != 0) & (table != 1)
    if wrong.any():
        raise ValueError(f"labels must be 0 or 1, got {table[wrong][0]!s}: decide on uncertain and missing ones first")
    return table.astype(np.int8, copy=False)


def group_codes(groups: npt.ArrayLike | pa.Array | pa.ChunkedArray | None, n_rows: int) -> Ints:
    """(N,) rank of each row's group among the sorted groups."""
    if groups is None:
        return np.arange(n_rows, dtype=np.int64)
    if isinstance(groups, pa.Array):
        column = groups
    elif isinstance(groups, pa.ChunkedArray):
        column = groups.combine_chunks()
    else:
        column = pa.array(np.asarray(groups), from_pandas=True)
    if len(column) != n_rows:
        raise ValueError(f"groups must have one entry per row, got {len(column)} for {n_rows} rows")
    if column.null_count:
        raise ValueError(f"groups must not be null, got {column.null_count} nulls: give those rows ids of their own")
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    encoded = column.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    ranked: Ints = rank[encoded.indices.to_numpy()]
    return ranked


def group_kinds(labels: npt.NDArray[np.int8], codes: Ints) -> tuple[Ints, Ints]:
    """Groups with equal counts share a kind.

    Args:
        labels: (N, C) 0/1.
        codes: (N,) group of each row.

    Returns:
        (groups,) kind of each group and (kinds, 1 + C) images and positives in a group of each kind.
    """
    n_labels = labels.shape[1]
    n_groups = int(codes.max()) + 1
    keys = mix(np.arange(n_labels + 1))
    hashes = np.zeros(n_groups, dtype=np.uint64)
    for start in range(0, len(labels), _BLOCK):
        block = labels[start : start + _BLOCK]
        row_hash = np.full(len(block), keys[0])
        for label in range(n_labels):
            row_hash[block[:, label] != 0] += keys[label + 1]
        np.add.at(hashes, codes[start : start + _BLOCK], row_hash)
    distinct, first, kinds = np.unique(hashes, return_index=True, return_inverse=True)
    kind_of_group = np.full(n_groups, -1, dtype=np.int64)
    kind_of_group[first] = np.arange(len(distinct))
    counts = np.zeros((len(distinct), n_labels + 1), dtype=np.int64)
    for start in range(0, len(labels), _BLOCK):
        kind = kind_of_group[codes[start : start + _BLOCK]]
        chosen = kind >= 0
        kind = kind[chosen]
        counts[:, 0] += np.bincount(kind, minlength=len(distinct))
        row, label_index = np.nonzero(labels[start : start + _BLOCK][chosen])
        cells = np.bincount(kind[row] * n_labels + label_index, minlength=len(distinct) * n_labels)
        counts[:, 1:] += cells.reshape(len(distinct), n_labels)
    return kinds.reshape(-1), counts


def _hand_out(kinds: Ints, deal: Ints, seed: int) -> Ints:
    """(groups,) part of each group: those of one kind are shuffled by the seed and dealt out in order of parts."""
    shuffled = np.lexsort((mix(mix(np.arange(len(kinds))) + mix(seed)), kinds))
    n_parts = deal.shape[1]
    parts = np.empty(len(kinds), dtype=np.int64)
    parts[shuffled] = np.repeat(np.tile(np.arange(n_parts), len(deal)), deal.reshape(-1))
    return parts
