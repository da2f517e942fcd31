"""Talking to the other processes of data-parallel training."""

import torch
from torch import Tensor, distributed

from ltml_benchmark.errors import UserError


def process_count() -> int:
    """Number of processes of the default group; 1 where none was set up."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def gather_flat(vector: Tensor, fill: float, *, equal: bool = False) -> tuple[Tensor, list[int]]:
    """Vectors of all processes as rows of a matrix, padded with `fill`, and their true lengths.

    Args:
        vector: (n,) on the device of the process group; n may differ between processes.
        fill: What pads shorter vectors.
        equal: n is known to be the same everywhere: nothing is asked, so that no step waits for the device.

    Returns:
        (processes, longest n) and the list of n.
    """
    world = distributed.get_world_size()
    if equal:
        sizes = [vector.numel()] * world
    else:
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


def rows_of_all(rows: Tensor) -> Tensor:
    """Rows of all processes in rank order; every process has to give the same number."""
    parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def check_rows(indices: Tensor, count: int, what: str) -> None:
    """Refuse row numbers outside a memory; those on a GPU are left to the indexing itself, so that nothing waits.

    Raises:
        UserError: A row number is outside.
    """
    if indices.device.type == "cpu" and indices.numel():
        first, last = int(indices.min()), int(indices.max())
        if not 0 <= first <= last < count:
            raise UserError(
                f"image rows {first} to {last} were given to a {what} for {count} images; make it with `n_samples` = "
                "number of training images"
            )
