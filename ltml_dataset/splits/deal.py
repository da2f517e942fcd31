"""A deal of groups to parts that can be bettered: single moves, swaps, and what they do to every label.

All numbers are whole and below 2**53, held in float64: sums are exact in any order, so the outcome does not depend on
the platform or its linear algebra.
"""

from itertools import combinations

import numpy as np

from ltml_dataset.splits.problem import Floats, Ints, Problem

_MAX_MOVES = 200_000
Badness = tuple[int, int, int]

_SWAP_OUT, _SWAP_IN = 48, 256
"""Groups looked at on either side of a swap for one label."""


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
            if self._may_swap(leaving, arriving, source, target):
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

    def exchange(self) -> None:
        """Make the swap of any two groups that lowers the error most, until none does. Quadratic in kinds."""
        counts = self.problem.counts.astype(np.float64)
        both = (counts * (2.0 * self.problem.whole * self.weights)) @ counts.T
        pairs = list(combinations(np.flatnonzero(self.problem.parts > 0).tolist(), 2))
        for _ in range(_MAX_MOVES):
            found: tuple[float, int, int, int, int] | None = None
            for source, target in pairs:
                leave = np.flatnonzero(self.deal[:, source] > 0)
                arrive = np.flatnonzero(self.deal[:, target] > 0)
                if not len(leave) or not len(arrive):
                    continue
                rise = self.slope[target] - self.slope[source]
                change = (self.cost + rise)[leave][:, None] + (self.cost - rise)[arrive][None, :]
                change -= both[np.ix_(leave, arrive)]
                for _ in range(4):
                    i, j = divmod(int(np.argmin(change)), len(arrive))
                    swap = (float(change[i, j]), int(leave[i]), int(arrive[j]), source, target)
                    if swap[0] >= 0 or (found is not None and swap >= found):
                        break
                    if self._may_swap(*swap[1:]):
                        found = swap
                        break
                    change[i, j] = np.inf
            if found is None:
                return
            _, leaving, arriving, source, target = found
            self.move(leaving, source, target)
            self.move(arriving, target, source)

    def _may_swap(self, leaving: int, arriving: int, source: int, target: int) -> bool:
        """Whether both parts keep a positive of every label they need."""
        return self.keeps_presence(leaving, source, arriving) and self.keeps_presence(arriving, target, leaving)

    def badness(self, weights: Floats) -> Badness:
        """Owed labels missing, excess over tolerance, weighted squared error: less is better, in this order."""
        missing = int(np.count_nonzero(self.problem.needed & (self.held == 0)))
        excess = int(self.problem.excess(self.error).sum())
        squares = (int(w) * sum(int(e) ** 2 for e in column) for w, column in zip(weights, self.error.T, strict=True))
        return missing, excess, sum(squares)


def _cheapest(kinds: Ints, costs: Floats, n: int) -> tuple[Ints, Floats]:
    """The `n` kinds with the lowest cost, ties by position."""
    best = np.argsort(costs, kind="stable")[:n]
    return kinds[best], costs[best]
