"""Talking to the other processes of data-parallel training."""

import torch
from torch import Tensor, distributed


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


def total_over_processes(count: Tensor) -> Tensor:
    """Sum of an integer scalar over all processes."""
    total = count.clone()
    distributed.all_reduce(total)
    return total
