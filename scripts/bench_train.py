"""What a training step costs, part by part, and what the whole run of a recipe would.

    python scripts/bench_train.py [--model resnet50] [--size 224] [--batch 32] [--device cuda] [--write]

Parts: views (augmentation), forward and backward of the model, the loss, the optimizer. The peer is the plainest
loop with the same model and BCEWithLogits on normalised float images. On a CPU, CPU seconds of one thread count;
on a GPU, seconds with the device synchronised. `--write` puts the result into docs/performance.md.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping

import torch
from performance_page import machine, write_section
from torch import Tensor, nn

from ltml_benchmark.config import ModelConfig, OptimizerConfig, Recipe, TransformConfig, load_recipe
from ltml_benchmark.losses import make_loss
from ltml_benchmark.models import RESNETS, build_model
from ltml_benchmark.optim import make_optimizer
from ltml_benchmark.transforms import training_view, view_draws

N_CLASSES, N_IMAGES, N_LARGEST = 39, 148_662, 39_765
"""Classes, training images and positives of the most frequent class (72 % of 55,229 in Fig. 1) as in the paper."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--loss", default="anr-lla")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--frozen", type=int, default=1, help="frozen ResNet stages, 1 as in the recipe with weights")
    parser.add_argument("--write", action="store_true", help="write the section of docs/performance.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    amp = torch.bfloat16 if device.type == "cuda" else None
    config = ModelConfig(name=options.model, weights="none")
    if RESNETS.match(options.model):
        config = config.model_copy(update={"frozen_stages": options.frozen, "norm_eval": options.frozen >= 0})
    model = build_model(config, tuple(f"class {c}" for c in range(N_CLASSES))).to(
        device, memory_format=torch.channels_last
    )
    model.train()
    optimizer = make_optimizer(model.parameters(), OptimizerConfig())
    images = torch.randint(0, 256, (options.batch, 256, 256), dtype=torch.uint8, device=device)
    labels = (torch.rand(options.batch, N_CLASSES, device=device) < 0.05).float()
    views = TransformConfig(image_size=options.size)
    batch = training_view(images, views, view_draws(options.batch, 0)).contiguous(memory_format=torch.channels_last)
    recipe = load_recipe(options.loss)
    if not isinstance(recipe, Recipe):
        parser.error(f"{options.loss} is a suite")
    counts = torch.linspace(N_LARGEST, 50, N_CLASSES).long().tolist()
    loss = make_loss(recipe.loss.name, counts, N_IMAGES, **recipe.loss.parameters).to(device)
    bce = nn.BCEWithLogitsLoss()
    clip = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def forward() -> Tensor:
        with torch.autocast(device.type, dtype=amp or torch.bfloat16, enabled=amp is not None):
            logits: Tensor = model(batch)
        return logits.float()

    def plain() -> None:
        bce(forward(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    def ours() -> None:
        nonlocal batch
        batch = training_view(images, views, view_draws(options.batch, 1)).contiguous(memory_format=torch.channels_last)
        loss(forward(), labels, 2).backward()
        nn.utils.clip_grad_norm_(clip, 35.0)
        optimizer.step()
        optimizer.zero_grad()

    logits = forward().detach().requires_grad_()
    parts: dict[str, Callable[[], object]] = {
        "views": lambda: training_view(images, views, view_draws(options.batch, 1)),
        f"{options.loss} and its gradient": lambda: loss(logits, labels, 2).backward(),
        "plain loop with BCEWithLogits": plain,
        "our step": ours,
    }
    what = "GPU" if device.type == "cuda" else "CPU"
    name = (
        f"{torch.cuda.get_device_name(device)}, bf16" if device.type == "cuda" else f"one thread, float32, {machine()}"
    )
    seconds = timed(parts, device, options.steps)
    peer = seconds["plain loop with BCEWithLogits"]
    shown = N_LARGEST * N_CLASSES // 4 * 8
    hours = shown / options.batch * seconds["our step"] / 3600
    rows = [
        f"| {part} | {1000 * taken:.2f} | {options.batch / taken:.1f} | {taken / peer:.3f} |"
        for part, taken in seconds.items()
    ]
    body = (
        f"`python scripts/bench_train.py {' '.join(sys.argv[1:])}`: {options.model}, batch {options.batch} at "
        f"{options.size} pixels, {name}. Median of {options.steps} rounds over all parts.\n\n"
        f"| part | ms | images per {what} second | share of the plain loop |\n| --- | ---: | ---: | ---: |\n"
        + "\n".join(rows)
        + f"\n\nEight class-aware epochs on data of the paper's size show {shown / 1e6:.2f} million images, which at "
        f"this speed are {hours:.1f} {what} hours."
    )
    if device.type == "cuda":
        body += f" Largest memory {torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB."
    print(body)
    if options.write:
        write_section(f"training-{device.type}", f"A training step on a {what}", body)


def timed(parts: Mapping[str, Callable[[], object]], device: torch.device, steps: int) -> dict[str, float]:
    """Median seconds of every part after a warm-up call; parts take turns, so that they share what disturbs them."""
    for work in parts.values():
        work()
    taken: dict[str, list[float]] = {part: [] for part in parts}
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    for _ in range(steps):
        for part, work in parts.items():
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            start = clock()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            taken[part].append(clock() - start)
    return {part: statistics.median(each) for part, each in taken.items()}


if __name__ == "__main__":
    main()
