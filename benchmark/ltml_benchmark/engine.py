"""Devices, processes and precision, and scoring a split on them."""

import logging
import os
import platform
from typing import Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from ltml_benchmark.batches import BatchReader
from ltml_benchmark.config import Recipe
from ltml_benchmark.data import Split
from ltml_benchmark.errors import UserError
from ltml_benchmark.pixels import Pixels
from ltml_benchmark.transforms import evaluation_view

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "32": "32-true",
    "tf32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


def chosen_accelerator(device: str) -> str:
    """`cpu`, `cuda` or `mps`: the one asked for, or the best that is there.

    Raises:
        UserError: There is no such device.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    if not there.get(device, False):
        raise UserError(f"--device {device} was asked for, but PyTorch sees no GPU of that kind; give --device cpu.")
    return device


def chosen_precision(precision: str, accelerator: str) -> str:
    """The arithmetic that `auto` stands for on a device.

    Raises:
        UserError: The device has no such arithmetic.
    """
    if precision == "auto":
        return "bf16" if accelerator == "cuda" else "32"
    if precision in {"fp16", "tf32"} and accelerator != "cuda":
        raise UserError(f"{precision} needs a CUDA GPU; give --precision 32 or bf16.")
    return precision


def world_size(devices: int) -> int:
    """Processes of the whole job: those that torchrun started on all machines, or `devices` on this one."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else devices


def start_fabric(recipe: Recipe, device: str, devices: int) -> Fabric:
    """Processes, devices and precision.

    Args:
        recipe: Precision and whether only deterministic kernels run.
        device: `cpu`, `cuda`, `mps` or `auto`.
        devices: Processes on this machine; under torchrun its own numbers win, over several machines too.

    Raises:
        UserError: No such device or precision, or processes that do not fit together.
    """
    accelerator = chosen_accelerator(device)
    precision = chosen_precision(recipe.precision, accelerator)
    if recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    exact = precision == "32"
    torch.set_float32_matmul_precision("highest" if exact else "high")
    torch.backends.cudnn.allow_tf32 = not exact
    torch.backends.cudnn.benchmark = not recipe.deterministic  # every batch has the same size
    world, nodes = world_size(devices), 1
    if "TORCHELASTIC_RUN_ID" in os.environ:  # started by torchrun
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = world // devices
        if nodes * devices != world:
            raise UserError(
                f"{world} processes are not the same number on every machine ({devices} on this one); "
                "give torchrun one --nproc-per-node for all."
            )
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if world > 1 else "auto",
        precision=PRECISIONS[precision],
    )
    fabric.launch()
    if not fabric.is_global_zero:  # one process tells the story
        logging.getLogger("ltml_benchmark").setLevel(logging.WARNING)
    return fabric


def device_name(fabric: Fabric) -> str:
    """The hardware in words."""
    if fabric.device.type == "cuda":
        return torch.cuda.get_device_name(fabric.device)
    if fabric.device.type == "mps":
        return f"Apple GPU, {platform.machine()}"
    return f"CPU, {torch.get_num_threads()} threads"


@torch.no_grad()
def predict(fabric: Fabric, model: nn.Module, pixels: Pixels, split: Split, recipe: Recipe) -> NDArray[np.float32]:
    """Probabilities of a split.

    Args:
        fabric: Precision and processes; the rows are divided over them and every process gets all scores.
        model: (B, 3, H, W) to (B, C) logits, on the device.
        pixels: Images of the split.
        split: Rows to score.
        recipe: View, batch size, memory format.

    Returns:
        (N, C) float32 in the order of the split.
    """
    size = recipe.eval_batch_size
    world, count = fabric.world_size, len(split)
    mine = np.arange(fabric.global_rank, count + (-count) % world, world) % count  # padded, equal on all
    was_training = model.training
    model.eval()
    parts: list[Tensor] = []
    with BatchReader(pixels, split.labels, fabric.device, recipe.workers) as reader:
        for batch in reader.batches(mine[start : start + size] for start in range(0, len(mine), size)):
            views = evaluation_view(batch.images, recipe.transforms)
            if recipe.channels_last:
                views = views.contiguous(memory_format=torch.channels_last)
            with fabric.autocast():
                logits = model(views)
            parts.append(torch.sigmoid(logits.float()))
    model.train(was_training)
    scores = torch.cat(parts)
    if world > 1:
        shares = [torch.empty_like(scores) for _ in range(world)]
        torch.distributed.all_gather(shares, scores.contiguous())
        scores = torch.stack(shares, dim=1).reshape(-1, scores.shape[1])
    return scores[:count].cpu().numpy()
