"""One process of `benchmark/test_losses_distributed.py`: several processes give what one gives."""

import itertools
import sys
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from ltml_benchmark.losses import make_loss

COUNTS, N_TOTAL, EPOCHS = [900.0, 120.0, 30.0, 4.0, 1.0], 1000, (0, 1, 3)
CASES = (
    ("anr-lla", "paper"),
    ("anr-llm", "paper"),
    ("anr-lla", "released"),
    ("db-llm", "released"),
    ("llr-ct", "paper"),
    ("llr-cp", "paper"),
    ("nvum", "paper"),
)


def joined_batch(*, with_left_out: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits with ties, labels, image rows and logits of an averaged model for 12 images; the first half knows less."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randint(-4, 5, (12, 5), generator=generator).double() / 2
    labels = (torch.rand(12, 5, generator=generator) < 0.2).to(torch.int64)
    if with_left_out:
        labels[:6][torch.rand(6, 5, generator=torch.Generator().manual_seed(1)) < 0.6] = -1
    average = torch.randn(12, 5, generator=generator, dtype=torch.float64)
    return logits, labels, torch.randint(0, 30, (12,), generator=generator), average


def run(share: slice, gradient_scale: float) -> dict[str, Tensor]:
    """Values, gradients and state of all cases on a share of the joined batch, once with labels left out."""
    outputs: dict[str, Tensor] = {}
    for (name, formulation), kind in itertools.product((("bce", "paper"), *CASES), ("", " left out")):
        loss = build(name, formulation)
        for epoch in EPOCHS:
            logits, labels, rows, average = (t[share] for t in joined_batch(with_left_out=bool(kind)))
            logits.requires_grad_(True)
            extra: dict[str, Tensor] = {}
            if getattr(loss, "uses_indices", False):
                extra["indices"] = rows
            if getattr(loss, "uses_ema", False):
                extra["ema_logits"] = average
            value = loss(logits, labels, epoch, **extra)
            value.backward()
            assert logits.grad is not None
            outputs[f"{name} {formulation}{kind} {epoch} value"] = value.detach()
            outputs[f"{name} {formulation}{kind} {epoch} gradient"] = logits.grad * gradient_scale
        outputs |= {f"{name} {formulation}{kind} state {k}": v for k, v in loss.state_dict().items()}
    return outputs


def build(name: str, formulation: str) -> nn.Module:
    """A loss in float64 with a memory of 30 images and without random mixing."""
    options: dict[str, object] = {}
    if name in ("nvum", "llr-cp"):
        options["n_samples"] = 30
    if name == "nvum":
        options["mix"] = False
    if formulation == "released" and name.startswith("anr"):
        options["positive_share"] = 0.1
    if name.startswith("llr"):
        options["delta"] = 0.1
    return make_loss(name, COUNTS, N_TOTAL, formulation, **options).double()


def main() -> None:
    """Join the group, run this process's share, save what came out."""
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'group'}", rank=rank, world_size=2)
    torch.save(run(slice(6 * rank, 6 * rank + 6), gradient_scale=0.5), folder / f"{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
