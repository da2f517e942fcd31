"""The order in which training images are shown: a pure function of seed and epoch, so nothing has to be resumed."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ltml_benchmark.config import Recipe
from ltml_benchmark.sampler import ClassAwareSampler


class EpochOrder(Protocol):
    """Rows of every epoch, of all processes together."""

    def epoch_indices(self, epoch: int) -> NDArray[np.int64]:
        """Rows of the 0-based epoch."""
        ...


class UniformOrder:
    """Every image once an epoch."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed

    def epoch_indices(self, epoch: int) -> NDArray[np.int64]:
        """A permutation of all rows, (N,)."""
        return np.random.default_rng([self.seed, epoch]).permutation(self.count)


def make_order(recipe: Recipe, target: NDArray[np.uint8]) -> EpochOrder:
    """The recipe's sampler over (N, C) training labels."""
    if recipe.sampler.name == "uniform":
        return UniformOrder(len(target), recipe.seed)
    return ClassAwareSampler(target, seed=recipe.seed, reduce=recipe.sampler.reduce)
