"""Layers that see the batch of all processes together, so that several processes train what one would."""

from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ltml_benchmark.losses.processes import process_count


class _SumOverProcesses(torch.autograd.Function):
    """Sum over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Tensor:
        total = upstream[0].clone()
        distributed.all_reduce(total)
        return total


class JointBatchNorm(_BatchNorm):
    """Batch normalisation whose statistics are those of the joint batch; on a GPU `nn.SyncBatchNorm` does this.

    Parameters, buffers and their names are those of the layer it stands for.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Any (B, C, ...) will do."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) to the same shape."""
        if not self.training or process_count() == 1:
            return super().forward(input)
        axes = [0, *range(2, input.dim())]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        wide = input.float()
        sums = torch.cat([wide.sum(axes), wide.new_tensor([wide.numel() / wide.shape[1]])])
        total: Tensor = _SumOverProcesses.apply(sums)
        count = total[-1].detach()
        mean = total[:-1] / count
        centred = wide - mean.view(shape)
        squares: Tensor = _SumOverProcesses.apply((centred * centred).sum(axes))
        variance = squares / count
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked += 1
                share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked or 1)
                self.running_mean.lerp_(mean.to(self.running_mean), share)
                self.running_var.lerp_((squares / (count - 1)).to(self.running_var), share)
        out = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(input.dtype)


class JointDropout(nn.Dropout):
    """Dropout whose mask is this process's part of one mask for the joint batch.

    All processes have to seed torch alike before the step.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(B, F) to the same shape."""
        if not self.training or self.p == 0:
            return input
        world = process_count()
        numbers = torch.rand((world * len(input), *input.shape[1:]), device=input.device)
        if world > 1:
            numbers = numbers[distributed.get_rank() * len(input) :][: len(input)]
        return input * ((numbers >= self.p) / (1.0 - self.p)).to(input.dtype)


def join_batch_norms(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with every batch normalisation taking the statistics of the joint batch of all processes."""
    if process_count() == 1:
        return model
    if device.type == "cuda":
        return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(model))  # type: ignore[no-untyped-call]
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            cast(Any, module).__class__ = JointBatchNorm  # the same parameters and buffers under the same names
    return model


@torch.no_grad()
def alike_on_all(model: nn.Module) -> None:
    """Give every process the weights and buffers of the first one."""
    if process_count() > 1:
        for value in model.state_dict().values():
            distributed.broadcast(value, 0)
