"""What every loss of the benchmark shares: shapes, precision, and closed-form slopes."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from ltml_benchmark.errors import UserError
from ltml_benchmark.losses.known import known_count, known_entries, mean_of_known


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
    def forward(ctx: Any, logits: Tensor, positive: Tensor, law: Differentiated, count: Tensor | None) -> Tensor:
        """Mean of the values of `law.closed_form`, or their sum over `count` where entries are left out."""
        values, slopes = law.closed_form(logits, positive, slopes=ctx.needs_input_grad[0])
        ctx.slopes = None if slopes is None else slopes.div_(slopes.numel() if count is None else count)
        return values.mean() if count is None else values.sum() / count

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None, None]:
        """Chain rule with the stored slopes."""
        return ctx.slopes * _once(upstream[0]), None, None, None


def _once(upstream: Tensor) -> Tensor:
    if torch.is_grad_enabled():
        raise RuntimeError("these losses can be differentiated once; call backward without create_graph")
    return upstream


class KnownOnly:
    """A law whose values and slopes are exactly 0 where labels are left out."""

    def __init__(self, law: Differentiated, known: Tensor) -> None:
        self._law = law
        self._left_out = ~known

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """See `ElementwiseLoss.closed_form`."""
        values, slope = self._law.closed_form(logits, positive, slopes=slopes)
        return (
            values.masked_fill(self._left_out, 0.0),
            None if slope is None else slope.masked_fill(self._left_out, 0.0),
        )


class ElementwiseLoss(nn.Module):
    """A loss that is a function of each (image, class) entry; the training value is the mean over B*C.

    A label of -1 leaves its entry out: no loss, no gradient, and not one of the B*C. Bool labels skip looking for them.
    Under data-parallel training the mean is that over the known entries of all processes.

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

    def among(self, known: Tensor | None) -> Differentiated:
        """The law behind this loss when only `known` (B, C) entries count; None: all of them."""
        return self if known is None else KnownOnly(self, known)

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of every entry, differentiable once.

        Args:
            logits: (B, C) raw classifier outputs of any float type.
            labels: (B, C) 0/1 of any type; -1 leaves an entry out.

        Returns:
            (B, C), float32 (float64 for float64 logits), 0 where left out.

        Raises:
            UserError: If the shapes are not (B, C) with the C the loss was made for.
        """
        check_shapes(logits, labels, self.n_classes)
        return differentiated(self.among(known_entries(labels)), logits, labels > 0)

    def flipped(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of every entry under the opposite label; large-loss relabelling of the released code uses it."""
        check_shapes(logits, labels, self.n_classes)
        return differentiated(self.among(known_entries(labels)), logits, labels == 0)

    def forward(self, logits: Tensor, labels: Tensor, epoch: int = 0) -> Tensor:
        """Mean over B*C; `epoch` (0-based) is there so that all losses are called alike."""
        check_shapes(logits, labels, self.n_classes)
        known = known_entries(labels)
        return averaged(self.among(known), logits, labels > 0, known, across_processes=self.training)

    def mean(self, values: Tensor, labels: Tensor) -> Tensor:
        """Mean of (B, C) values of `elementwise` over the known entries."""
        return mean_of_known(values, known_entries(labels), across_processes=self.training)


def averaged(
    law: Differentiated,
    logits: Tensor,
    positive: Tensor,
    known: Tensor | None = None,
    *,
    across_processes: bool = False,
) -> Tensor:
    """Mean of the values of `law` over the known entries, computed without autocast in float32 or float64.

    Args:
        law: Gives 0 where an entry is not known.
        logits: (B, C).
        positive: (B, C) bool.
        known: (B, C) bool; None: all.
        across_processes: Whether the mean is that over the known entries of all processes (see `known_count`).

    Returns:
        Scalar.
    """
    with full_precision(logits):
        wide = widen(logits)
        count = None if known is None else known_count(known, wide, across_processes=across_processes)
        return cast(Tensor, ClosedFormMean.apply(wide, positive, law, count))


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
