"""Large-loss reconsideration around any entry-wise loss (paper, section on LLR)."""

from typing import Literal, Protocol, cast, get_args

import torch
from torch import Tensor, nn

from ltml_benchmark.errors import UserError
from ltml_benchmark.losses.base import Differentiated, ElementwiseLoss, averaged, check_shapes, differentiated
from ltml_benchmark.losses.known import known_entries, left_out_as_zero, mean_of_known
from ltml_benchmark.losses.selection import largest_negatives

Scheme = Literal["abandon", "modify"]


class Entrywise(Protocol):
    """What reconsideration needs of a loss: its unreduced matrix."""

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(B, C) losses of (B, C) logits and 0/1 labels; -1 is given to an `ElementwiseLoss` only."""


class LargeLossReconsideration(nn.Module):
    """The k largest losses among negatives are dropped (LLA) or their labels turned positive (LLM).

    k = min(#negatives, ⌈rate(e) · B · C⌉),  rate(e) = min(cap, δ·e),  e the 0-based epoch
    LLA: L = mean[ ℓ · (1 − selected) ]        LLM: L = mean[ ℓ under the label max(y, selected) ]

    The mean runs over all B·C entries, dropped ones included. Positives are never touched. The selection is not
    differentiated. Entries whose label is left out (-1) are never selected and count neither in B·C nor in k. While
    training under `torch.distributed`, k and the ranking refer to the batches of all processes together, so that N
    processes give what one process with the joined batch gives.

    Args:
        base: Loss with `elementwise(logits, labels)`; kept as `base`.
        scheme: `abandon` (LLA) or `modify` (LLM).
        delta: δ, growth of the rate per epoch: 0.1 in the released code, 0.001 to 0.005 in the method it cites.
        cap: Largest rate. Without it every negative is reconsidered at epoch 1/δ.
        rate: A fixed rate in place of the schedule.
    """

    equal_batches = False
    """Set where all processes are known to have batches of one size, as in our training."""

    def __init__(
        self,
        base: nn.Module,
        scheme: Scheme,
        delta: float = 0.1,
        cap: float = 0.5,
        rate: float | None = None,
    ) -> None:
        super().__init__()
        if scheme not in get_args(Scheme):
            raise UserError(f"the reconsideration scheme is {scheme!r}, expected one of {', '.join(get_args(Scheme))}")
        self.base = base
        self.scheme = scheme
        self.delta = delta
        self.cap = cap
        self.rate = rate

    def rate_at(self, epoch: int) -> float:
        """Share of entries reconsidered in the 0-based `epoch`."""
        return min(self.cap, self.delta * epoch) if self.rate is None else self.rate

    def select(self, values: Tensor, labels: Tensor, epoch: int, known: Tensor | None = None) -> Tensor:
        """(B, C) bool: the negatives that are reconsidered, given their (B, C) losses.

        Args:
            values: (B, C) losses.
            labels: (B, C) 0/1; -1 leaves an entry out.
            epoch: 0-based.
            known: (B, C) bool; taken from the labels where not given.
        """
        positive = labels if labels.dtype == torch.bool else labels > 0
        known = known_entries(labels) if known is None else known
        return largest_negatives(
            values,
            positive,
            self.rate_at(epoch),
            known,
            across_processes=self.training,
            equal_batches=self.equal_batches,
        )

    def elementwise(self, logits: Tensor, labels: Tensor, epoch: int = 0) -> Tensor:
        """(B, C) losses after reconsideration."""
        return self._entries(logits, labels, epoch, known_entries(labels))

    def forward(self, logits: Tensor, labels: Tensor, epoch: int = 0) -> Tensor:
        """Mean over B*C."""
        known = known_entries(labels)
        if not isinstance(self.base, ElementwiseLoss) or self.rate_at(epoch) == 0:
            values = self._entries(logits, labels, epoch, known)
            return mean_of_known(values, known, across_processes=self.training)
        check_shapes(logits, labels, self.base.n_classes)
        law = _Reconsidered(self, self.base, epoch, known)
        return averaged(law, logits, labels > 0, known, across_processes=self.training)

    def _entries(self, logits: Tensor, labels: Tensor, epoch: int, known: Tensor | None) -> Tensor:
        if isinstance(self.base, ElementwiseLoss):
            check_shapes(logits, labels, self.base.n_classes)
            base = self.base.among(known)
            law = base if self.rate_at(epoch) == 0 else _Reconsidered(self, self.base, epoch, known)
            return differentiated(law, logits, labels > 0)
        foreign = cast(Entrywise, self.base)
        given = labels if known is None else labels.clamp(min=0)
        if self.rate_at(epoch) == 0:
            return left_out_as_zero(foreign.elementwise(logits, given), known)
        if self.scheme == "abandon":
            values = left_out_as_zero(foreign.elementwise(logits, given), known)
            return values.masked_fill(self.select(values, given, epoch, known), 0.0)
        with torch.no_grad():
            selected = self.select(foreign.elementwise(logits, given), given, epoch, known)
        return left_out_as_zero(foreign.elementwise(logits, given.masked_fill(selected, 1)), known)

    def extra_repr(self) -> str:
        """Parameters for `print(loss)`."""
        schedule = f"delta={self.delta:g}, cap={self.cap:g}" if self.rate is None else f"rate={self.rate:g}"
        return f"scheme={self.scheme}, {schedule}"


class _Reconsidered:
    """Closed form of a reconsidered loss whose base has one: the same numbers without a graph in between."""

    def __init__(
        self, outer: LargeLossReconsideration, base: ElementwiseLoss, epoch: int, known: Tensor | None
    ) -> None:
        self._outer = outer
        self._base: Differentiated = base.among(known)
        self._epoch = epoch
        self._known = known

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """See `ElementwiseLoss.closed_form`."""
        abandon = self._outer.scheme == "abandon"
        values, slope = self._base.closed_form(logits, positive, slopes=slopes and abandon)
        selected = self._outer.select(values, positive, self._epoch, self._known)
        if not abandon:
            return self._base.closed_form(logits, positive | selected, slopes=slopes)
        return values.masked_fill_(selected, 0.0), None if slope is None else slope.masked_fill_(selected, 0.0)
