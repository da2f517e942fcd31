"""Batches read ahead of the training step, in a fixed order."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ltml_benchmark.pixels import Pixels

READ_AHEAD = 3


@dataclass(frozen=True)
class Batch:
    """Images and labels on the device."""

    rows: Tensor
    """(B,) int64 rows of the split, on the CPU."""
    images: Tensor
    """(B, S, S) uint8."""
    labels: Tensor
    """(B, C) bool; int8 with -1 for left out where the split leaves labels out."""


class BatchReader:
    """Reads batches in background threads while the device works.

    Threads suffice: decoding and copying release the interpreter lock, and nothing has to be pickled.
    """

    def __init__(
        self, pixels: Pixels, labels: NDArray[np.bool_] | NDArray[np.int8], device: torch.device, workers: int
    ) -> None:
        self.pixels = pixels
        self.labels = labels
        self.device = device
        self._decoders = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="read")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._readers.shutdown(cancel_futures=True)
        self._decoders.shutdown(cancel_futures=True)

    def batches(self, chunks: Iterable[NDArray[np.int64]]) -> Iterator[Batch]:
        """One batch per chunk of rows, in order."""
        waiting: deque[Future[tuple[NDArray[np.int64], Tensor, Tensor]]] = deque()
        for rows in chunks:
            waiting.append(self._readers.submit(self._read, rows))
            if len(waiting) > READ_AHEAD:
                yield self._moved(waiting.popleft())
        while waiting:
            yield self._moved(waiting.popleft())

    def _read(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Tensor, Tensor]:
        images = torch.from_numpy(self.pixels.read(rows, self._decoders))
        labels = torch.from_numpy(self.labels[rows])
        if self.device.type == "cuda":
            images, labels = images.pin_memory(), labels.pin_memory()
        return rows, images, labels

    def _moved(self, pending: "Future[tuple[NDArray[np.int64], Tensor, Tensor]]") -> Batch:
        rows, images, labels = pending.result()
        return Batch(
            rows=torch.from_numpy(rows),
            images=images.to(self.device, non_blocking=True),
            labels=labels.to(self.device, non_blocking=True),
        )
