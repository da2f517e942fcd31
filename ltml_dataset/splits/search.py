"""Deal groups of images into parts so that every label keeps its share.

Groups with the same counts (images, positives of each label) are one *kind*: the search decides only how many
groups of each kind go to each part. It starts from a systematic deal, then makes the best single-group move or
targeted swap until no label gains. Everything is an integer below 2**53 held in float64, so sums are exact in any
order and the outcome does not depend on the platform or its linear algebra.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm

import numpy as np
import numpy.typing as npt

from ltml_dataset.splits.presence import cover_parts
from ltml_dataset.splits.reach import can_balance

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SIZE_TOLERANCE = 1e-4
"""Aim for the size of a part, as a share of all images."""
LABEL_TOLERANCE = 1e-3
"""A cell (label, part) is out of tolerance beyond this share of the label's images, or one image if that is more."""

_MAX_MOVES = 200_000
_GUIDED_ROUNDS = 8
_EXACT_BELOW = 100
_START_WORK = 4_000
_STARTS = (4, 24)
_KICKS = 2_400
_KICK_WORK = 8_000_000
_SWAP_OUT, _SWAP_IN = 48, 256


def mix(values: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """64-bit hash of integers (splitmix64): the source of every random choice, equal on all platforms."""
    x = np.asarray(values).astype(np.uint64)
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


@dataclass
class Problem:
    """What is to be dealt.

    Attributes:
        counts: (kinds, 1 + labels) images, then positives of each label, in one group of the kind.
        copies: (kinds,) number of groups of the kind.
        parts: shares of the parts as whole numbers (7, 1, 2).
        totals: (1 + labels,) images and positives in all.
        needed: (parts, 1 + labels) where at least one positive is owed.
        hopeless: (1 + labels,) labels whose groups cannot be dealt within tolerance even taken alone.
    """

    counts: Ints
    copies: Ints
    parts: Ints
    totals: Ints = field(init=False)
    hopeless: npt.NDArray[np.bool_] = field(init=False)
    needed: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        """Totals, and where at least one positive is owed: any label with as many groups as there are parts."""
        self.totals = self.copies @ self.counts
        groups = self.copies @ (self.counts > 0)
        wanted = groups >= np.count_nonzero(self.parts)
        wanted[0] = False
        self.needed = (self.parts > 0)[:, None] & wanted[None, :]
        self.hopeless = np.zeros(len(self.totals), dtype=np.bool_)
        for d in range(1, len(self.totals)):
            if self.totals[d] <= _EXACT_BELOW:
                sizes = np.repeat(self.counts[:, d], np.where(self.counts[:, d] > 0, self.copies, 0))
                self.hopeless[d] = can_balance(sizes.tolist(), self.parts.tolist()) is False

    @property
    def whole(self) -> int:
        """Sum of the shares."""
        return int(self.parts.sum())

    def deviations(self, deal: Ints) -> Ints:
        """(parts, 1 + labels) count minus target, times `whole`."""
        return self.whole * (deal.T @ self.counts) - np.outer(self.parts, self.totals)

    def out_of_tolerance(self, deviations: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
        """(parts, 1 + labels) cells beyond one image and `LABEL_TOLERANCE` of the total, hopeless labels aside."""
        limit = self.whole * np.maximum(self.totals, int(1 / LABEL_TOLERANCE))
        outside: npt.NDArray[np.bool_] = np.abs(deviations) * int(1 / LABEL_TOLERANCE) > limit
        return outside & ~self.hopeless


class Deal:
    """A deal under improvement: counts per part, deviations, and the slope of the error for every kind and part."""

    def __init__(self, problem: Problem, deal: Ints, weights: Floats) -> None:
        self.problem = problem
        self.deal = deal.copy()
        self.weights = weights
        self._columns = [np.flatnonzero(problem.counts[:, d]) for d in range(problem.counts.shape[1])]
        self._values = [problem.counts[c, d].astype(np.float64) for d, c in enumerate(self._columns)]
        self._labels = [np.flatnonzero(row) for row in problem.counts]
        self.held = self.deal.T @ (problem.counts > 0)
        self.error = problem.deviations(self.deal).astype(np.float64)
        self.log: list[tuple[int, int, int]] = []
        self.reweigh(weights)

    def reweigh(self, weights: Floats) -> None:
        """Take other weights of the labels and work out all slopes anew."""
        self.weights = weights
        self.cost = np.zeros(len(self.deal))
        self.slope = np.zeros((self.deal.shape[1], len(self.deal)))
        for d, (column, values) in enumerate(zip(self._columns, self._values, strict=True)):
            self.cost[column] += (self.problem.whole * weights[d]) * values * values
            for part, error in enumerate(weights[d] * self.error[:, d]):
                self.slope[part, column] += error * values

    def keeps_presence(self, kind: int, source: int, arriving: int | None = None) -> bool:
        """Whether `source` still has a positive of every label it needs when a group leaves (and another arrives)."""
        for d in self._labels[kind]:
            if self.problem.needed[source, d] and self.held[source, d] <= 1:
                if arriving is not None and self.problem.counts[arriving, d]:
                    continue
                return False
        return True

    def move(self, kind: int, source: int, target: int) -> None:
        """Move one group of `kind`."""
        whole = self.problem.whole
        for d in self._labels[kind]:
            step = whole * float(self.problem.counts[kind, d])
            self.error[source, d] -= step
            self.error[target, d] += step
            self.held[source, d] -= 1
            self.held[target, d] += 1
            change = self._values[d] * (self.weights[d] * step)
            self.slope[source, self._columns[d]] -= change
            self.slope[target, self._columns[d]] += change
        self.deal[kind, source] -= 1
        self.deal[kind, target] += 1
        self.log.append((kind, source, target))

    def undo_to(self, mark: int) -> None:
        """Take back every move after the first `mark` of the log."""
        while len(self.log) > mark:
            kind, source, target = self.log.pop()
            self.move(kind, target, source)
            self.log.pop()

    def descend(self, held: int | None = None) -> None:
        """Make the single move that lowers the error most, until none does; groups of kind `held` stay."""
        closed = np.where(self.deal.T > 0, 0.0, -np.inf)
        if held is not None:
            closed[:, held] = -np.inf
        closed_targets = np.where(self.problem.parts > 0, 0.0, np.inf)[:, None]
        for _ in range(_MAX_MOVES):
            gain = (self.slope + closed).max(axis=0) - (self.slope + closed_targets).min(axis=0) - self.cost
            kind = int(np.argmax(gain))
            if gain[kind] <= 0:
                return
            source = int(np.argmax(self.slope[:, kind] + closed[:, kind]))
            target = int(np.argmin(self.slope[:, kind] + closed_targets[:, 0]))
            if not self.keeps_presence(kind, source):
                closed[source, kind] = -np.inf
                continue
            self.move(kind, source, target)
            closed[target, kind] = 0.0
            if self.deal[kind, source] == 0:
                closed[source, kind] = -np.inf

    def swap(self, label: int, source: int, target: int) -> bool:
        """Swap a group with the label in `source` for one in `target` if that lowers the error."""
        counts = self.problem.counts
        out = self._columns[label][self.deal[self._columns[label], source] > 0]
        into = np.flatnonzero(self.deal[:, target] > 0)
        likewise = np.flatnonzero((self.deal[:, target] > 0) & (counts[:, label] > 0))
        cost_out = self.cost[out] + self.slope[target, out] - self.slope[source, out]
        cost_into = self.cost[into] + self.slope[source, into] - self.slope[target, into]
        out, cost_out = _cheapest(out, cost_out, _SWAP_OUT)
        into, cost_into = _cheapest(into, cost_into, _SWAP_IN)
        cost_likewise = self.cost[likewise] + self.slope[source, likewise] - self.slope[target, likewise]
        likewise, cost_likewise = _cheapest(likewise, cost_likewise, _SWAP_OUT)
        into, cost_into = np.concatenate([into, likewise]), np.concatenate([cost_into, cost_likewise])
        weighted = counts[out] * (2.0 * self.problem.whole * self.weights)
        change = cost_out[:, None] + cost_into[None, :] - weighted @ counts[into].T.astype(np.float64)
        for place in np.argsort(change, axis=None, kind="stable")[:8]:
            i, j = divmod(int(place), len(into))
            if change[i, j] >= 0:
                return False
            leaving, arriving = int(out[i]), int(into[j])
            if self.keeps_presence(leaving, source, arriving) and self.keeps_presence(arriving, target, leaving):
                self.move(leaving, source, target)
                self.move(arriving, target, source)
                return True
        return False

    def swap_all(self) -> None:
        """Swap for every cell out of tolerance until no swap helps."""
        tried: set[tuple[int, int]] = set()
        while True:
            outside = self.problem.out_of_tolerance(self.error)
            cells = [(int(part), int(d)) for part, d in np.argwhere(outside) if (int(part), int(d)) not in tried]
            if not cells:
                return
            part, label = cells[0]
            others = [k for k in np.argsort(self.error[:, label], kind="stable") if k != part]
            if self.error[part, label] > 0:
                swapped = any(self.swap(label, part, int(k)) for k in others)
            else:
                swapped = any(self.swap(label, int(k), part) for k in reversed(others))
            if swapped:
                self.descend()
            else:
                tried.add((part, label))

    def badness(self, weights: Floats) -> tuple[int, int, int]:
        """Owed labels missing, cells out of tolerance, weighted squared error: less is better, in this order."""
        missing = int(np.count_nonzero(self.problem.needed & (self.held == 0)))
        outside = int(np.count_nonzero(self.problem.out_of_tolerance(self.error)))
        squares = (int(w) * sum(int(e) ** 2 for e in column) for w, column in zip(weights, self.error.T, strict=True))
        return missing, outside, sum(squares)


def _cheapest(kinds: Ints, costs: Floats, n: int) -> tuple[Ints, Floats]:
    """The `n` kinds with the lowest cost, ties by position."""
    best = np.argsort(costs, kind="stable")[:n]
    return kinds[best], costs[best]


def label_weights(problem: Problem) -> Floats:
    """Whole-number weights of size and labels: one over the square of half the tolerance.

    Scaled by a power of two so that no sum in the search can reach 2**53.
    """
    totals = problem.totals.astype(np.float64)
    half = np.maximum(totals * (LABEL_TOLERANCE / 2), 0.5)
    half[0] = max(totals[0] * (SIZE_TOLERANCE / 2), 0.5)
    wish = 1.0 / (half * half)
    largest = problem.counts.max(axis=0, initial=1).astype(np.float64)
    worst = float(np.sum(wish * largest * problem.whole * np.maximum(totals, 1)))
    scale = int(np.floor(np.log2(2.0**48 / worst)))  # 2**5 of room: guided weights grow up to 2**4
    return np.maximum(np.rint(wish * 2.0 ** min(scale, 40)), 1.0)


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
    best: tuple[tuple[int, int, int], Ints] | None = None
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


def _improve(state: Deal, weights: Floats, seed: int, kicks: int) -> tuple[tuple[int, int, int], Ints]:
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


def _kick(state: Deal, badness: tuple[int, int, int], seed: int, kicks: int) -> tuple[tuple[int, int, int], Ints]:
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
        now = state.badness(state.weights)
        if now <= badness:
            badness = now
        else:
            state.undo_to(mark)
    return badness, state.deal


def whole_shares(ratios: Sequence[float]) -> Ints:
    """Ratios as small whole numbers: (.7, .1, .2) -> (7, 1, 2); at most 10,000 in all."""
    if len(ratios) < 2 or not all(np.isfinite(r) and r >= 0 for r in ratios) or sum(ratios) <= 0:
        raise ValueError(f"ratios must be two or more numbers >= 0 with a positive sum, got {tuple(ratios)}")
    exact = [Fraction(str(r)) for r in ratios]
    shares = [r / sum(exact) for r in exact]
    whole = lcm(*(s.denominator for s in shares))
    if whole > 10_000:
        whole = 10_000
    parts = np.array([round(s * whole) for s in shares], dtype=np.int64)
    parts[np.argmax(parts)] += whole - parts.sum()
    return parts
