"""Which negatives have the largest losses: exact, deterministic, over the batches of all processes."""

import math

import torch
from torch import Tensor, distributed

from ltml_benchmark.errors import UserError
from ltml_benchmark.losses.processes import gather_flat, process_count, total_over_processes


def count_to_reconsider(rate: float, n_entries: int) -> int:
    """k = ⌈rate · B · C⌉, with the product rounded to 9 decimals first so that 0.3 · 20 gives 6 and not 7.

    Raises:
        UserError: If `rate` is outside [0, 1].
    """
    if not 0.0 <= rate <= 1.0:
        raise UserError(f"the share of entries to reconsider is {rate!r}, but must lie between 0 and 1")
    return math.ceil(round(rate * n_entries, 9))


def largest_negatives(
    values: Tensor,
    positive: Tensor,
    rate: float,
    known: Tensor | None = None,
    *,
    across_processes: bool = False,
    equal_batches: bool = False,
) -> Tensor:
    """Mark the k = min(#negatives, ⌈rate·B·C⌉) negatives with the largest values.

    Exactly k are marked: of equal values those with the lowest row-major index are taken (across processes: the lowest
    rank first). No step waits for the device (with several processes: if `equal_batches`).

    Args:
        values: (B, C) losses >= 0; not differentiated.
        positive: (B, C) bool.
        rate: Share of all entries, positive ones included.
        known: (B, C) bool, False for entries that are left out: they are never marked and do not count in B·C.
        across_processes: Select over the concatenated batches of all processes of the default group, which then all
            have to call this together; B may differ between them.
        equal_batches: B is known to be the same on all; then no step waits for the device, which asking would need.

    Returns:
        (B, C) bool.
    """
    barred = positive if known is None else positive | ~known
    candidates = values.detach().masked_fill(barred, -math.inf).flatten()
    if not (across_processes and process_count() > 1):
        n_known = None if known is None else known.sum()
        return _largest_of_known(candidates, rate, candidates.numel(), n_known).view_as(positive)
    everyone, sizes = gather_flat(candidates, fill=-math.inf, equal=equal_batches)
    n_known = None if known is None else total_over_processes(known.sum())
    marked = _largest_of_known(everyone.flatten(), rate, sum(sizes), n_known).view_as(everyone)
    return marked[distributed.get_rank(), : candidates.numel()].view_as(positive)


def _largest_of_known(candidates: Tensor, rate: float, n_entries: int, n_known: Tensor | None) -> Tensor:
    """Mask of the ⌈rate·n⌉ largest, n being the number of entries or, where given, of known ones (on the device)."""
    k = count_to_reconsider(rate, n_entries)
    if n_known is None or k == 0:
        return _largest(candidates, k)
    exact = n_known.cpu() if n_known.device.type == "mps" else n_known  # which has no float64
    k_known = torch.ceil(torch.round(rate * exact.double(), decimals=9)).to(torch.int64).to(n_known.device)
    descending = candidates.topk(min(k, candidates.numel()), sorted=True).values
    threshold = descending.gather(0, (k_known - 1).clamp(min=0).view(1))
    above = candidates > threshold
    tied = (candidates == threshold) & (threshold > -math.inf)
    return (above | (tied & (tied.cumsum(0) <= k_known - above.sum()))) & (k_known > 0)


def _largest(candidates: Tensor, k: int) -> Tensor:
    """Mask of the k largest entries of a vector; entries of −∞ are never marked."""
    if k == 0:
        return torch.zeros_like(candidates, dtype=torch.bool)
    largest = candidates.topk(min(k, candidates.numel()), sorted=False).values
    threshold = largest.min()
    tied = (candidates == threshold) & (threshold > -math.inf)
    room = (largest == threshold).sum()
    return (candidates > threshold) | (tied & (tied.cumsum(0) <= room))
