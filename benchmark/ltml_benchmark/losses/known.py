"""Labels that are left out (-1): which they are, and means over the others."""

import torch
from torch import Tensor, distributed

from ltml_benchmark.losses.processes import process_count


def known_entries(labels: Tensor) -> Tensor | None:
    """Where labels are known, or None when that is everywhere.

    Bool and uint8 labels cannot say -1 and are never looked at. Other types are looked at where that is free; on
    another device, and between several processes, which have to take the same path, the mask is returned whatever it
    holds.

    Args:
        labels: (B, C) 1, 0, or -1 for left out.

    Returns:
        (B, C) bool, False where a label is left out.
    """
    if labels.dtype in (torch.bool, torch.uint8):
        return None
    if labels.device.type == "cpu" and process_count() == 1 and not (labels.numel() and labels.min() < 0):
        return None
    return labels >= 0


def left_out_as_zero(values: Tensor, known: Tensor | None) -> Tensor:
    """The values with exact zeros, also for the gradient, where labels are left out."""
    return values if known is None else values.masked_fill(~known, 0.0)


def known_count(known: Tensor, like: Tensor, *, across_processes: bool) -> Tensor:
    """What a sum over known entries is divided by: their number, at least 1.

    Across processes it is their number in all batches over the number of processes, so that the mean of the processes'
    losses and gradients, which is what data-parallel training takes, is the mean over all known entries.

    Args:
        known: (B, C) bool.
        like: Gives the type.
        across_processes: Count over all processes, which then have to call this together.

    Returns:
        Scalar on the device of `known`.
    """
    count = known.sum()
    if not (across_processes and process_count() > 1):
        return count.clamp(min=1).to(like.dtype)
    distributed.all_reduce(count)
    return count.clamp(min=1).to(like.dtype) / process_count()


def mean_of_known(values: Tensor, known: Tensor | None, *, across_processes: bool) -> Tensor:
    """Mean of (B, C) values, zero where left out, over the known entries; 0 where there is none."""
    if known is None:
        return values.mean()
    return values.sum() / known_count(known, values, across_processes=across_processes)
