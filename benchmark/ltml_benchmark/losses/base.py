"""What every loss of the benchmark shares: shapes, precision, and closed-form slopes."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from ltml_benchmark.errors import UserError


class Differentiated(Protocol):
    """Whatever gives values and their derivative in one go."""

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """See `ElementwiseLoss.closed_form`."""


class ClosedForm(torch.autograd.Function):
    """Entry-wise values whose derivative was computed beside them, so that nothing is differentiated twice."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, positive: Tensor, law: Differentiated) -> Tensor:
        """Values of `law.closed_form`; its slopes are kept for the backward pass when a gradient is wanted."""
        values, ctx.slopes = law.closed_form(logits, positive, slopes=ctx.needs_input_grad[0])
        return values

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        """Chain rule with the stored slopes."""
        return ctx.slopes * _once(upstream[0]), None, None


class ClosedFormMean(torch.autograd.Function):
    """The mean of such values in one node of the graph, which is what training calls."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, positive: Tensor, law: Differentiated) -> Tensor:
        """Mean of the values of `law.closed_form`."""
        values, slopes = law.closed_form(logits, positive, slopes=ctx.needs_input_grad[0])
        ctx.slopes = None if slopes is None else slopes.div_(slopes.numel())
        return values.mean()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        """Chain rule with the stored slopes."""
        return ctx.slopes * _once(upstream[0]), None, None


def _once(upstream: Tensor) -> Tensor:
    if torch.is_grad_enabled():
        raise RuntimeError("these losses can be differentiated once; call backward without create_graph")
    return upstream


class ElementwiseLoss(nn.Module):
    """A loss that is a function of each (image, class) entry; the training value is the mean over B*C.

    Subclasses give `closed_form`. Half-precision inputs are computed in float32, float64 stays float64, autocast is
    switched off inside, and neither logits nor labels are modified.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """Values and their derivative by the logits.

        Args:
            logits: (B, C), float32 or float64.
            positive: (B, C) bool, True where the label is 1.
            slopes: Whether the derivative is wanted.

        Returns:
            values (B, C) and slopes (B, C), or None in place of the slopes.
        """
        raise NotImplementedError

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of every entry, differentiable once.

        Args:
            logits: (B, C) raw classifier outputs of any float type.
            labels: (B, C) 0/1 of any type.

        Returns:
            (B, C), float32 (float64 for float64 logits).

        Raises:
            UserError: If the shapes are not (B, C) with the C the loss was made for.
        """
        check_shapes(logits, labels, self.n_classes)
        return differentiated(self, logits, labels > 0)

    def flipped(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of every entry under the opposite label; large-loss relabelling of the released code uses it."""
        return self.elementwise(logits, 1 - (labels > 0).to(torch.int8))

    def forward(self, logits: Tensor, labels: Tensor, epoch: int = 0) -> Tensor:
        """Mean over B*C; `epoch` (0-based) is there so that all losses are called alike."""
        check_shapes(logits, labels, self.n_classes)
        return averaged(self, logits, labels > 0)


def averaged(law: Differentiated, logits: Tensor, positive: Tensor) -> Tensor:
    """Mean of the values of `law` over all entries, computed without autocast in float32 or float64."""
    with full_precision(logits):
        return cast(Tensor, ClosedFormMean.apply(widen(logits), positive, law))


def differentiated(law: Differentiated, logits: Tensor, positive: Tensor) -> Tensor:
    """Values of `law` as a node of the graph, computed without autocast in float32 or float64."""
    with full_precision(logits):
        return cast(Tensor, ClosedForm.apply(widen(logits), positive, law))


def check_shapes(logits: Tensor, labels: Tensor, n_classes: int) -> None:
    """Refuse anything but two (B, C) matrices.

    Raises:
        UserError: With both shapes, if they differ or C is not `n_classes`.
    """
    if logits.shape != labels.shape or logits.dim() != 2 or logits.shape[1] != n_classes:
        raise UserError(
            f"the loss was made for (batch, {n_classes}) matrices, but logits are {tuple(logits.shape)} and labels "
            f"{tuple(labels.shape)}; give `class_freq` one count per class of the data"
        )


def widen(logits: Tensor) -> Tensor:
    """The logits in float32, or untouched where they are float64 already."""
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


def full_precision(logits: Tensor) -> AbstractContextManager[Any]:
    """A context without autocast on the logits' device."""
    kind = logits.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()
