"""Class counts as the losses see them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ltml_benchmark.errors import UserError

Counts = Sequence[float] | NDArray[np.generic] | Tensor
Total = float | Counts
"""N: one number, or one per class where labels are left out: images whose label of that class is known."""


def class_counts(class_freq: Counts, n_total: Total) -> Tensor:
    """Class counts n_i in float64, brought into [1, N - 1] so that their log-odds are finite.

    Args:
        class_freq: (C,) number of images with each class.
        n_total: Number of images N; or (C,).

    Returns:
        (C,) float64 on the CPU.

    Raises:
        UserError: If a count is negative, above N or not finite, or N is below 2 (for every class: one of which fewer
            than 2 labels are known counts as 1 in 2).
    """
    counts = _vector(class_freq)
    if counts.numel() == 0 or not bool(torch.isfinite(counts).all()):
        raise UserError(f"`class_freq` holds {counts.numel()} counts, finite numbers were expected, one per class")
    total = _vector(n_total)
    if total.numel() not in (1, counts.numel()):
        raise UserError(
            f"`n_total` holds {total.numel()} numbers for {counts.numel()} classes; give one or one per class"
        )
    if float(total.max()) < 2:
        shown = f"{float(total.max()):g}"
        raise UserError(f"`n_total` is {shown}, but at least 2 images are needed to weigh classes by their counts")
    if float(counts.min()) < 0 or bool((counts > total).any()):
        raise UserError(
            f"`class_freq` runs from {float(counts.min()):g} to {float(counts.max()):g}, but must lie between 0 and "
            f"`n_total` = {float(total.max()):g}; count both on the same images"
        )
    return torch.minimum(counts.clamp(min=1.0), usable_total(n_total) - 1.0)


def usable_total(n_total: Total) -> Tensor:
    """N in float64 on the CPU, (1,) or (C,), at least 2."""
    return _vector(n_total).clamp(min=2.0)


def log_odds_against(counts: Tensor, n_total: Total) -> Tensor:
    """v_i = log(N / n_i - 1), the log-odds that an image does not show class i; large for rare classes."""
    return torch.log(usable_total(n_total) / counts - 1.0)


def _vector(numbers: Total) -> Tensor:
    given = numbers.detach().cpu() if isinstance(numbers, Tensor) else numbers
    return torch.tensor(np.asarray(given, dtype=np.float64)).reshape(-1)


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
