"""Class-aware re-sampling: rare classes are visited as often as common ones."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Sampler

from ltml_benchmark.errors import UserError

# Permutations of short lists are drawn this many items at a time.
_BLOCK_ITEMS = 4096
_CLASS_ORDER = 0
_IMAGE_ORDER = 1


class ClassAwareSampler(Sampler[int]):
    """Image indices in groups: a class, then `samples_per_class` images that show it.

    Classes are visited in random cyclic order, a new permutation after each full pass. Each class has its own cyclic
    shuffled list of images, shuffled anew when exhausted. An epoch has ⌊max_c n_c · C / reduce⌋ indices (the last
    group may be cut); class order and positions in the lists go on from epoch to epoch. Images without any positive
    label are never drawn, classes without images are left out. Source: the class-aware sampler of the released code,
    whose random stream cannot be reproduced; structure and frequencies are.

    The stream is a pure function of labels, seed and epoch, so that the state of a run is two integers, and any epoch
    can be drawn without drawing those before it. With several processes each takes every `world_size`-th index: the
    batches of one step together are the batch one process would have drawn.

    Args:
        labels: (N, C) 0/1; a label that is left out (-1) is no positive.
        seed: Seed of all permutations.
        reduce: Divisor of the epoch length.
        samples_per_class: Images per visit of a class.
        rank: This process.
        world_size: Number of processes; the end of an epoch that does not divide is dropped.

    Raises:
        UserError: If no label is positive or an option is out of range.
    """

    def __init__(
        self,
        labels: ArrayLike,
        seed: int = 0,
        reduce: float = 4,
        samples_per_class: int = 3,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        matrix = np.asarray(labels) > 0
        if matrix.ndim != 2 or not matrix.any():
            raise UserError(
                f"labels of shape {matrix.shape} hold {int(matrix.sum())} positives; class-aware sampling needs an "
                "(images, classes) matrix with at least one, use uniform sampling instead"
            )
        if reduce <= 0 or samples_per_class < 1 or seed < 0 or not 0 <= rank < world_size:
            raise UserError(
                f"reduce={reduce}, samples_per_class={samples_per_class}, seed={seed}, rank={rank} of {world_size}: "
                "reduce must be above 0, samples_per_class at least 1, seed at least 0 and rank below world_size"
            )
        self.seed = seed
        self.samples_per_class = samples_per_class
        self.rank = rank
        self.world_size = world_size
        self.n_images = len(matrix)
        self.epoch = 0
        self.position = 0
        class_of, image_of = np.nonzero(matrix.T)
        counts = np.bincount(class_of, minlength=matrix.shape[1])
        self._images = np.split(image_of, np.cumsum(counts)[:-1])
        self._classes = np.flatnonzero(counts)
        self.length = int(counts.max() * len(self._classes) / reduce)
        self._groups = -(-self.length // samples_per_class)
        self._drawn: tuple[int, NDArray[np.int64]] | None = None
        if self.length < world_size:
            raise UserError(
                f"an epoch of {self.length} draws is too short for {world_size} processes; lower `reduce`={reduce:g}"
            )

    def __len__(self) -> int:
        """Indices of this process in one epoch."""
        return self.length // self.world_size

    def __iter__(self) -> Iterator[int]:
        """Indices from the current position to the end of the epoch; the next call starts the next epoch."""
        mine = self._mine()
        while self.position < len(mine):
            self.position += 1
            yield int(mine[self.position - 1])
        self.epoch, self.position = self.epoch + 1, 0

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of `epoch`; a position within that same epoch is kept."""
        if epoch != self.epoch:
            self.epoch, self.position = epoch, 0

    def state_dict(self, position: int | None = None) -> dict[str, int]:
        """Where the stream stands.

        Args:
            position: Indices of this process and epoch that were trained on. Loaders with workers draw ahead; without
                this the number drawn counts.
        """
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "position": self.position if position is None else position,
            "world_size": self.world_size,
        }

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where `state_dict` was taken.

        Raises:
            UserError: If it was taken with another seed or number of processes.
        """
        if state["seed"] != self.seed or state["world_size"] != self.world_size:
            raise UserError(
                f"the sampler state is of seed {state['seed']} and {state['world_size']} processes, this run has seed "
                f"{self.seed} and {self.world_size}; resume with the settings the run was started with"
            )
        self.epoch, self.position = state["epoch"], state["position"]

    def epoch_indices(self, epoch: int) -> NDArray[np.int64]:
        """All indices of an epoch, of all processes together, (length,)."""
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = (epoch, self._draw(epoch))
        return self._drawn[1]

    def image_probability(self) -> NDArray[np.float64]:
        """Long-run probability of each image per draw, (N,): (1/C) Σ_{c: y_c = 1} 1/n_c over classes with images."""
        probability = np.zeros(self.n_images)
        for c in self._classes:
            probability[self._images[c]] += 1.0 / (len(self._images[c]) * len(self._classes))
        return probability

    def _mine(self) -> NDArray[np.int64]:
        return self.epoch_indices(self.epoch)[self.rank :: self.world_size][: len(self)]

    def _draw(self, epoch: int) -> NDArray[np.int64]:
        first = epoch * self._groups
        n_classes = len(self._classes)
        visited = self._cycle((_CLASS_ORDER,), self._classes, first, first + self._groups)
        begun = self._cycle((_CLASS_ORDER,), self._classes, first - first % n_classes, first)
        earlier = first // n_classes + np.bincount(begun, minlength=self._classes[-1] + 1)
        groups = np.empty((self._groups, self.samples_per_class), dtype=np.int64)
        by_class = np.argsort(visited, kind="stable")
        visits = np.bincount(visited, minlength=self._classes[-1] + 1)
        ends = np.cumsum(visits)
        for c in self._classes:
            start = earlier[c] * self.samples_per_class
            images = self._cycle(
                (_IMAGE_ORDER, int(c)), self._images[c], start, start + visits[c] * self.samples_per_class
            )
            groups[by_class[ends[c] - visits[c] : ends[c]]] = images.reshape(-1, self.samples_per_class)
        return groups.reshape(-1)[: self.length]

    def _cycle(self, key: Sequence[int], items: NDArray[np.int64], start: int, stop: int) -> NDArray[np.int64]:
        """Draws start to stop of an endless sequence of permutations of `items`, the same for the same key."""
        if stop <= start:
            return items[:0]
        per_block = max(1, _BLOCK_ITEMS // len(items))
        size = per_block * len(items)
        blocks = range(int(start) // size, -(-int(stop) // size))
        drawn = []
        for block in blocks:
            rng = np.random.default_rng([self.seed, *key, block])
            drawn.append(rng.permuted(np.tile(items, (per_block, 1)), axis=1).reshape(-1))
        offset = blocks.start * size
        return np.concatenate(drawn)[start - offset : stop - offset]
