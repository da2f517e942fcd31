"""Search for the deal in which every label keeps its share.

Groups with the same counts (images, positives of each label) are one *kind*: only how many groups of each kind go to
each part is decided. A systematic deal comes first, then the best single moves, swaps for labels out of tolerance,
weights that lean on those, and kicks; from several starts, and the best deal seen is kept.
"""

import numpy as np

from ltml_dataset.splits.deal import Badness, Deal
from ltml_dataset.splits.presence import cover_parts
from ltml_dataset.splits.problem import Floats, Ints, Problem, label_weights, mix

_GUIDED_ROUNDS = 8
_EXCHANGE_UP_TO = 400
"""Kinds up to which any two groups are tried for a swap."""
_START_WORK = 16_000
_STARTS = (4, 40)
_KICKS = 600
_KICK_WORK = 8_000_000


def first_deal(problem: Problem, seed: int) -> Ints:
    """(kinds, parts) systematic deal: whole shares of each kind, the remaining groups in turn along similar kinds."""
    deal = problem.copies[:, None] * problem.parts // problem.whole
    left = problem.copies - deal.sum(axis=1)
    rarest_first = np.argsort(problem.totals[1:], kind="stable") + 1
    with_label = problem.counts[:, rarest_first] > 0
    shuffle = mix(mix(np.arange(len(deal))) + mix(seed))
    packed = np.packbits(~with_label, axis=1)
    order = np.lexsort((shuffle, *packed.T[::-1]))
    waiting = np.repeat(order, left[order])
    turn = np.arange(len(waiting), dtype=np.uint64) * np.uint64(11400714819323198485) + mix(seed + 1)
    share = (turn >> np.uint64(32)).astype(np.int64) * problem.whole >> 32
    part = np.searchsorted(np.cumsum(problem.parts), share, side="right")
    np.add.at(deal, (waiting, part), 1)
    return deal


def deal_groups(problem: Problem, seed: int) -> Ints:
    """Best deal of several starts: more where groups are few, because a small table has many dead ends.

    Returns:
        (kinds, parts) number of groups of each kind in each part; rows add up to `copies`.
    """
    weights = label_weights(problem)
    n_groups = int(problem.copies.sum())
    starts = int(np.clip(min(_START_WORK // len(problem.copies), n_groups // 4), *_STARTS))
    kicks = min(_KICKS // starts, _KICK_WORK // len(problem.copies), n_groups)
    best: tuple[Badness, Ints] | None = None
    for start in range(starts):
        start_seed = (seed * 1_000_003 + start) % 2**62
        state = Deal(problem, first_deal(problem, start_seed), weights)
        state.descend()
        if np.any(problem.needed & (state.held == 0)):
            state = Deal(problem, cover_parts(problem.counts, problem.copies, problem.needed, state.deal), weights)
            state.descend()
        found = _improve(state, weights, start_seed, kicks)
        if best is None or found[0] < best[0]:
            best = found
        if best[0][:2] == (0, 0):
            break
    return best[1] if best is not None else first_deal(problem, seed)


def _improve(state: Deal, weights: Floats, seed: int, kicks: int) -> tuple[Badness, Ints]:
    """Swap; lean on labels out of tolerance by doubling their weight; then kick. The best deal seen is kept."""
    state.swap_all()
    best = state.badness(weights), state.deal.copy()
    factor = np.ones_like(weights)
    for _ in range(_GUIDED_ROUNDS):
        if best[0][1] == 0:
            return best
        outside = state.problem.out_of_tolerance(state.error).any(axis=0)
        factor = np.where(outside, np.minimum(factor * 2, 16), np.maximum(factor / 2, 1))
        state.reweigh(weights * factor)
        state.descend()
        state.swap_all()
        now = state.badness(weights)
        if now < best[0]:
            best = now, state.deal.copy()
    state = Deal(state.problem, best[1], weights)
    return _kick(state, best[0], seed, kicks)


def _kick(state: Deal, badness: Badness, seed: int, kicks: int) -> tuple[Badness, Ints]:
    """Force one group of a label out of tolerance to where it is wanted and mend the rest, again and again."""
    problem = state.problem
    for turn in range(kicks):
        cells = np.argwhere(problem.out_of_tolerance(state.error))
        if not len(cells):
            break
        draw = [int(number) for number in mix(mix(np.arange(3) + 3 * turn) + mix(seed))]
        part, label = (int(index) for index in cells[draw[0] % len(cells)])
        others = [k for k in range(len(problem.parts)) if k != part and problem.parts[k] > 0]
        other = others[draw[1] % len(others)]
        source, target = (part, other) if state.error[part, label] > 0 else (other, part)
        kinds = np.flatnonzero((problem.counts[:, label] > 0) & (state.deal[:, source] > 0))
        if not len(kinds):
            continue
        kind = int(kinds[draw[2] % len(kinds)])
        if not state.keeps_presence(kind, source):
            continue
        mark = len(state.log)
        state.move(kind, source, target)
        state.descend(held=kind)
        if len(problem.copies) <= _EXCHANGE_UP_TO:
            state.exchange()
        now = state.badness(state.weights)
        if now <= badness:
            badness = now
        else:
            state.undo_to(mark)
    return badness, state.deal
