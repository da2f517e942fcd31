"""Optimizer, learning rate as a pure function of the step, and the moving average of weights."""

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ltml_benchmark.config import OptimizerConfig, ScheduleConfig

LONGEST_WARMUP = 0.2
"""Largest share of a run that is warm-up."""


def make_optimizer(
    parameters: Iterable[nn.Parameter], config: OptimizerConfig, precision: str = "32"
) -> torch.optim.Optimizer:
    """The optimizer over the parameters that learn.

    On a CUDA GPU all of a step is one kernel (`fused`), but not in fp16, where a fused optimizer would undo the loss
    scaling itself and gradients could not be clipped before.
    """
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    fused = True if precision != "fp16" and learning and all(p.is_cuda for p in learning) else None
    if config.name == "sgd":
        return torch.optim.SGD(
            learning, config.lr, momentum=config.momentum, weight_decay=config.weight_decay, fused=fused
        )
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return kind(
        learning,
        config.lr,
        betas=(config.momentum, 0.999),
        eps=config.eps,
        weight_decay=config.weight_decay,
        fused=fused,
    )


def learning_rate(lr: float, config: ScheduleConfig, step: int, steps_per_epoch: int, total_steps: int) -> float:
    """Learning rate of one batch.

    It depends on the step alone, so a resumed run needs no scheduler state.

    Args:
        lr: Rate after warm-up.
        config: Warm-up and shape.
        step: 0-based batch in the whole run.
        steps_per_epoch: Batches in an epoch.
        total_steps: Batches in the run.
    """
    warmup = min(config.warmup_steps, int(total_steps * LONGEST_WARMUP))
    if step < warmup:
        lr *= config.warmup_ratio + (1 - config.warmup_ratio) * step / warmup
    if config.name == "step":
        epoch = step // steps_per_epoch
        lr *= config.gamma ** sum(epoch >= milestone for milestone in config.milestones)
    elif config.name == "cosine" and step >= warmup:
        lr *= 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total_steps - warmup, 1)))
    return lr


class MovingAverage:
    """Weights and buffers averaged over steps: m <- decay m + (1 - decay) w."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the weights of `model`; integer buffers are copied."""
        theirs = model.state_dict()
        floats: list[Tensor] = []
        news: list[Tensor] = []
        for name, mine in self.model.state_dict().items():
            if mine.is_floating_point():
                floats.append(mine)
                news.append(theirs[name].to(mine.dtype))
            else:
                mine.copy_(theirs[name])
        torch._foreach_lerp_(floats, news, 1 - self.decay)
