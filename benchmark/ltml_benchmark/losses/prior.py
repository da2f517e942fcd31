"""Class counts as the losses see them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ltml_benchmark.errors import UserError

Counts = Sequence[float] | NDArray[np.generic] | Tensor


def class_counts(class_freq: Counts, n_total: float) -> Tensor:
    """Class counts n_i in float64, brought into [1, N - 1] so that their log-odds are finite.

    Args:
        class_freq: (C,) number of images with each class.
        n_total: Number of images N.

    Returns:
        (C,) float64 on the CPU.

    Raises:
        UserError: If a count is negative, above N, not finite, or N is below 2.
    """
    given = class_freq.detach().cpu() if isinstance(class_freq, Tensor) else class_freq
    counts = torch.tensor(np.asarray(given, dtype=np.float64)).reshape(-1)
    if counts.numel() == 0 or not bool(torch.isfinite(counts).all()):
        raise UserError(f"`class_freq` holds {counts.numel()} counts, finite numbers were expected, one per class")
    if n_total < 2:
        raise UserError(f"`n_total` is {n_total:g}, but at least 2 images are needed to weigh classes by their counts")
    if float(counts.min()) < 0 or float(counts.max()) > n_total:
        raise UserError(
            f"`class_freq` runs from {float(counts.min()):g} to {float(counts.max()):g}, but must lie between 0 and "
            f"`n_total` = {n_total:g}; count both on the same images"
        )
    return counts.clamp(min=1.0, max=float(n_total) - 1.0)


def log_odds_against(counts: Tensor, n_total: float) -> Tensor:
    """v_i = log(N / n_i - 1), the log-odds that an image does not show class i; large for rare classes."""
    return torch.log(float(n_total) / counts - 1.0)


class DeviceCopies:
    """A float64 vector handed out in the type and on the device of the logits, converted once for each."""

    def __init__(self, vector: Tensor) -> None:
        self._vector = vector
        self._copies: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def like(self, logits: Tensor) -> Tensor:
        """The vector, shaped (C,), with the type and device of `logits`."""
        key = (logits.dtype, logits.device)
        if key not in self._copies:
            self._copies[key] = self._vector.to(dtype=logits.dtype, device=logits.device)
        return self._copies[key]
