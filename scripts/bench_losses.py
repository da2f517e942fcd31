#!/usr/bin/env python3
"""What each loss costs, forward and backward, as a multiple of torch's BCEWithLogitsLoss.

    python scripts/bench_losses.py [--write] [--rounds 40] [--device cpu]

Beside ours stands the released two-pass computation written with plain autograd operations, measured in the same run.
`--write` puts the table into docs/performance.md.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from performance_page import machine, write_section
from torch import Tensor, nn
from torch.nn import functional

from ltml_benchmark.losses import make_loss

SHAPES = ((32, 39), (256, 39))
NAMES = ("bce", "focal", "db", "nr", "anr", "anr-lla", "anr-llm", "asl", "llr-r", "llr-ct")
EPOCH = 2
# Repetitions of one measurement, so that it is long against the clock's resolution.
INNER = 40


class PlainReleased(nn.Module):
    """The released ANR with large-loss replacement as a sequence of autograd operations, both passes always run."""

    def __init__(self, counts: Tensor, n_total: float, scheme: str | None) -> None:
        super().__init__()
        self.register_buffer("rarity", 1 / counts)
        self.register_buffer("bias", -torch.log(n_total / counts - 1) * 0.01)
        self.scheme = scheme

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        """One pass, (B, C)."""
        drawn = (labels * self.rarity).sum(dim=1, keepdim=True)
        weight = torch.sigmoid(10.0 * (self.rarity / drawn - 0.3)) + 0.1
        scale = 1 + 10 * (1 - torch.sigmoid(logits))
        u = logits + self.bias
        z = u * (1 - labels) * scale + u * labels
        weight = weight / scale.detach() * (1 - labels) + weight * labels
        p_t = torch.exp(-functional.binary_cross_entropy_with_logits(z.clone(), labels, reduction="none"))
        loss = functional.binary_cross_entropy_with_logits(z, labels, reduction="none") * weight
        return 2.0 * (1 - p_t) ** 2 * loss

    def forward(self, logits: Tensor, labels: Tensor, epoch: int) -> Tensor:
        """Mean over B*C."""
        values = self.entries(logits, labels)
        if self.scheme is None:
            return values.mean()
        flipped = self.entries(logits + self.bias, 1 - labels)
        k = int(-(-values.numel() * 0.1 * epoch // 1))
        masked = values.detach() * (labels == 0)
        threshold = torch.topk(masked.flatten(), k).values[-1]
        other = torch.zeros_like(values) if self.scheme == "lla" else flipped
        return torch.where(masked < threshold, values, other).mean()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    # On some processors torch's log1p, the heart of BCE, is ten times slower until pow has run once in the process.
    torch.ones(64).pow(1.5)
    columns = [measure(shape, options.rounds, options.device) for shape in SHAPES]
    lines = [
        "| loss | " + " | ".join(f"{b} x {c}, µs | times BCEWithLogits" for b, c in SHAPES) + " |",
        "| --- |" + " ---: | ---: |" * len(SHAPES),
    ]
    for name in columns[0]:
        cells = [f"{column[name]:.0f} | {column[name] / column['BCEWithLogitsLoss']:.1f}" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    table = "\n".join(lines)
    print(table)
    if options.write:
        device = machine() if options.device == "cpu" else torch.cuda.get_device_name(options.device)
        write_section(
            "losses",
            "Losses",
            f"`python scripts/bench_losses.py --write`: forward and backward in float32, epoch {EPOCH} (so large-loss "
            f"reconsideration works on a fifth of the entries), median of {options.rounds} interleaved rounds, "
            f"{device}, torch {torch.__version__.split('+')[0]}. The last rows are the released computation written "
            f"with plain autograd operations.\n\n{table}\n\n"
            "Against one training step of a ResNet-50 all of these are negligible.",
        )


def measure(shape: tuple[int, int], rounds: int, device: str) -> dict[str, float]:
    """Median microseconds of forward plus backward for each loss, interleaved."""
    classes = shape[1]
    generator = torch.Generator().manual_seed(0)
    counts = torch.logspace(2, 4.7, classes)
    n_total = 150_000
    logits = (2 * torch.randn(shape, generator=generator) - 2).to(device).requires_grad_(True)
    labels = (torch.rand(shape, generator=generator) < counts / n_total).to(device)
    as_float = labels.float()
    steps: dict[str, Callable[[], Tensor]] = {}
    plain_bce = nn.BCEWithLogitsLoss()
    steps["BCEWithLogitsLoss"] = lambda: plain_bce(logits, as_float)
    for name in NAMES:
        loss = make_loss(name, counts, n_total).to(device)
        steps[name] = lambda loss=loss: loss(logits, labels, EPOCH)
    for name, scheme in (("anr", None), ("anr-lla", "lla"), ("anr-llm", "llm")):
        plain = PlainReleased(counts, n_total, scheme).to(device)
        steps[f"{name}, released steps"] = lambda plain=plain: plain(logits, as_float, EPOCH)
    spent: dict[str, list[float]] = {name: [] for name in steps}
    clock = time.process_time if device == "cpu" else time.perf_counter
    for turn in range(rounds + 3):
        for name, step in steps.items():
            if device != "cpu":
                torch.cuda.synchronize()
            start = clock()
            for _ in range(INNER):
                logits.grad = None
                step().backward()
            if device != "cpu":
                torch.cuda.synchronize()
            if turn >= 3:
                spent[name].append((clock() - start) / INNER * 1e6)
    return {name: statistics.median(times) for name, times in spent.items()}


if __name__ == "__main__":
    main()
