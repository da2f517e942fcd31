"""Give every part at least one positive of every label that has enough groups."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_MAX_STEPS = 4000


def cover_parts(counts: Ints, copies: Ints, needed: npt.NDArray[np.bool_], deal: Ints) -> Ints:
    """Change a deal so that each needed (part, label) holds a group with the label, moving few groups.

    Depth-first over the cell with the fewest groups left to choose from; a group already in the part is tried first,
    then the one with the fewest labels and images. When no complete cover is found (some label sets have none),
    the fullest partial one is used.

    Args:
        counts: (kinds, 1 + labels) images and positives in a group of each kind.
        copies: (kinds,) groups of each kind.
        needed: (parts, 1 + labels) cells that need a positive.
        deal: (kinds, parts) groups of each kind in each part.

    Returns:
        A deal of the same shape and row sums.
    """
    has = counts > 0
    burden = has.sum(axis=1) * (counts.sum() + 1) + counts[:, 0]
    pinned = np.zeros_like(deal)
    free = copies.copy()
    choices = free @ has  # groups not pinned yet, by label
    holding = np.zeros(needed.shape, dtype=np.int64)  # pinned groups, by part and label

    def pin(kind: int, part: int, groups: int) -> None:
        """Pin groups of a kind to a part, or release them (-1)."""
        pinned[kind, part] += groups
        free[kind] -= groups
        choices[has[kind]] -= groups
        holding[part, has[kind]] += groups

    trail: list[tuple[int, int, list[tuple[int, int]]]] = []
    fullest, fewest_open = pinned.copy(), np.iinfo(np.int64).max
    for _ in range(_MAX_STEPS):
        open_cells = needed & (holding == 0)
        open_by_label = open_cells.sum(axis=0)
        n_open = int(open_by_label.sum())
        if n_open < fewest_open:
            fullest, fewest_open = pinned.copy(), n_open
        if n_open == 0:
            break
        slack = np.where(open_by_label > 0, choices - open_by_label, np.iinfo(np.int64).max)
        label = int(np.argmin(slack))
        candidates: list[tuple[int, int]] = []
        if slack[label] >= 0:
            kinds = np.flatnonzero((free > 0) & has[:, label])
            part = int(np.flatnonzero(open_cells[:, label])[0])
            elsewhere = deal[kinds, part] <= pinned[kinds, part]
            kinds = kinds[np.lexsort((burden[kinds], elsewhere))]
            candidates = [(int(kind), part) for kind in kinds]
        while not candidates and trail:
            kind, part, candidates = trail.pop()
            pin(kind, part, -1)
        if not candidates:
            break
        kind, part = candidates.pop(0)
        pin(kind, part, 1)
        trail.append((kind, part, candidates))
    return _make_room(deal, fullest)


def _make_room(deal: Ints, pinned: Ints) -> Ints:
    """Move spare groups of each kind to the parts where pinned ones are owed."""
    result = deal.copy()
    for kind in np.flatnonzero((pinned > deal).any(axis=1)):
        for part in np.flatnonzero(pinned[kind] > result[kind]):
            while result[kind, part] < pinned[kind, part]:
                giver = int(np.argmax(result[kind] - pinned[kind]))
                result[kind, giver] -= 1
                result[kind, part] += 1
    return result
