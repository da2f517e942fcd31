"""Which negatives have the largest losses: exact, deterministic, over the batches of all processes."""

import math

import torch
from torch import Tensor, distributed

from ltml_benchmark.errors import UserError


def count_to_reconsider(rate: float, n_entries: int) -> int:
    """k = ⌈rate · B · C⌉, with the product rounded to 9 decimals first so that 0.3 · 20 gives 6 and not 7.

    Raises:
        UserError: If `rate` is outside [0, 1].
    """
    if not 0.0 <= rate <= 1.0:
        raise UserError(f"the share of entries to reconsider is {rate!r}, but must lie between 0 and 1")
    return math.ceil(round(rate * n_entries, 9))


def largest_negatives(values: Tensor, positive: Tensor, rate: float, *, across_processes: bool = False) -> Tensor:
    """Mark the k = min(#negatives, ⌈rate·B·C⌉) negatives with the largest values.

    Exactly k are marked: of equal values those with the lowest row-major index are taken (across processes: the lowest
    rank first). No step waits for the device.

    Args:
        values: (B, C) losses >= 0; not differentiated.
        positive: (B, C) bool.
        rate: Share of all entries, positive ones included.
        across_processes: Select over the concatenated batches of all processes of the default group, which then all
            have to call this together; B may differ between them.

    Returns:
        (B, C) bool.
    """
    candidates = values.detach().masked_fill(positive, -math.inf).flatten()
    if not (across_processes and process_count() > 1):
        return _largest(candidates, count_to_reconsider(rate, candidates.numel())).view_as(positive)
    everyone, sizes = gather_flat(candidates, fill=-math.inf)
    marked = _largest(everyone.flatten(), count_to_reconsider(rate, sum(sizes))).view_as(everyone)
    return marked[distributed.get_rank(), : candidates.numel()].view_as(positive)


def _largest(candidates: Tensor, k: int) -> Tensor:
    """Mask of the k largest entries of a vector; entries of −∞ are never marked."""
    if k == 0:
        return torch.zeros_like(candidates, dtype=torch.bool)
    largest = candidates.topk(min(k, candidates.numel()), sorted=False).values
    threshold = largest.min()
    tied = (candidates == threshold) & (threshold > -math.inf)
    room = (largest == threshold).sum()
    return (candidates > threshold) | (tied & (tied.cumsum(0) <= room))


def process_count() -> int:
    """Number of processes of the default group; 1 where none was set up."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def gather_flat(vector: Tensor, fill: float) -> tuple[Tensor, list[int]]:
    """Vectors of all processes as rows of a matrix, padded with `fill`, and their true lengths.

    Args:
        vector: (n,) on the device of the process group; n may differ between processes.
        fill: What pads shorter vectors.

    Returns:
        (processes, longest n) and the list of n.
    """
    world = distributed.get_world_size()
    length = torch.tensor([vector.numel()], device=vector.device)
    lengths = [torch.empty_like(length) for _ in range(world)]
    distributed.all_gather(lengths, length)
    sizes = [int(n) for n in torch.cat(lengths)]
    padded = vector.new_full((max(sizes),), fill)
    padded[: vector.numel()] = vector
    rows = [torch.empty_like(padded) for _ in range(world)]
    distributed.all_gather(rows, padded)
    return torch.stack(rows), sizes
