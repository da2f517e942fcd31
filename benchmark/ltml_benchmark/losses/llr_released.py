"""Large-loss replacement as the authors' code and the method it cites compute it."""

import math
from typing import Literal, Protocol, cast, get_args

import torch
from torch import Tensor, nn

from ltml_benchmark.errors import UserError
from ltml_benchmark.losses.base import ElementwiseLoss
from ltml_benchmark.losses.known import known_entries, left_out_as_zero, mean_of_known
from ltml_benchmark.losses.processes import gather_flat, process_count, total_over_processes

ModScheme = Literal["LL-R", "LL-Ct", "LL-Cp"]


class Flippable(Protocol):
    """What the released replacement needs of a loss."""

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(B, C) losses."""

    def flipped(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(B, C) losses under the opposite labels."""


class ReleasedLargeLoss(nn.Module):
    """Replacement of every entry whose masked loss reaches the k-th largest.

    a = ℓ·(y = 0),  t = k-th largest of a,  replaced = {a >= t},  k = ⌈B·C·(1 − r)⌉,  r = 1 − δ·e,  e 0-based
    LL-R: replaced entries become 0 (LLA). LL-Ct: the loss under the flipped label (LLM). Epoch 0 (r = 1) is untouched.

    Quirks kept:
        - all entries tied with the k-th go, positives as well once t = 0, so a batch of well-classified negatives loses
          its gradient completely (LL-R) or has all labels flipped (LL-Ct);
        - k counts all entries, not the negatives, in plain floating point: 20 entries at epoch 3 give 7, not 6;
        - k passes B·C at epoch 11 with δ = 0.1, where the release stops with an index error and this with a UserError;
        - `LL-Cp` is LL-Ct with a constant k = ⌈B·C·δ_rel⌉; nothing is relabelled for good. In the cited method the name
          is compared by identity, so that a command line's `LL-Cp` runs as LL-Ct (`make_loss` does the same).

    Args:
        base: Loss with `elementwise` and `flipped`.
        mod_scheme: `LL-R`, `LL-Ct` or `LL-Cp`.
        delta_rel: δ_rel of `LL-Cp`.
        delta: δ of the schedule; 0.1 is a literal in the authors' code.
        lowest: Floor of r; the authors' NR class has 0.2.
        clean_rate: A fixed r in place of the schedule.
        positive_share: Share of k (rounded up, at most the number of positives) that is replaced among positives
            instead of negatives: 0.1 in the `NP` variant that stands in the release but not in the paper.
    """

    def __init__(
        self,
        base: nn.Module,
        mod_scheme: ModScheme,
        delta_rel: float = 0.1,
        delta: float = 0.1,
        lowest: float = -math.inf,
        clean_rate: float | None = None,
        positive_share: float = 0.0,
    ) -> None:
        super().__init__()
        if mod_scheme not in get_args(ModScheme):
            raise UserError(f"`mod_scheme` is {mod_scheme!r}, expected one of {', '.join(get_args(ModScheme))}")
        self.base = base
        self.mod_scheme = mod_scheme
        self.delta_rel = delta_rel
        self.delta = delta
        self.lowest = lowest
        self.clean_rate = clean_rate
        self.positive_share = positive_share

    def clean_rate_at(self, epoch: int) -> float:
        """r of the 0-based `epoch`."""
        return max(self.lowest, 1 - self.delta * epoch) if self.clean_rate is None else self.clean_rate

    def count(self, n_entries: int, epoch: int) -> int:
        """k among `n_entries` = B*C entries, in the release's own arithmetic.

        Raises:
            UserError: If the schedule asks for more entries than there are.
        """
        if self.mod_scheme == "LL-Cp":
            k = math.ceil(n_entries * self.delta_rel)
        else:
            k = math.ceil(n_entries * (1 - self.clean_rate_at(epoch)))
        if k > n_entries:
            raise UserError(
                f"the released schedule asks for {k} of {n_entries} entries in epoch {epoch}; train fewer epochs or "
                "use the formulation `paper`, whose rate is capped"
            )
        return k

    def replaced(self, values: Tensor, labels: Tensor, epoch: int, known: Tensor | None = None) -> Tensor:
        """(B, C) bool: entries that are replaced, given their (B, C) losses; never one that is left out.

        Args:
            values: (B, C) losses.
            labels: (B, C) 0/1; -1 leaves an entry out.
            epoch: 0-based.
            known: (B, C) bool; taken from the labels where not given.
        """
        positive = labels > 0
        values = values.detach()
        known = known_entries(labels) if known is None else known
        k = self.count(self._total(values) if known is None else self._total_known(known), epoch)
        if not self.positive_share:
            return self._reaching(values.masked_fill(positive, 0.0), k, known)
        among_positives = math.ceil(k * self.positive_share)
        marked = self._reaching(values.masked_fill(positive, 0.0), k - among_positives, known)
        n_positive = min(among_positives, self._total(values[positive]))
        return marked | self._reaching(values.masked_fill(~positive, 0.0), n_positive, known)

    def elementwise(self, logits: Tensor, labels: Tensor, epoch: int = 0) -> Tensor:
        """(B, C) losses after replacement."""
        return self._entries(logits, labels, epoch, known_entries(labels))

    def forward(self, logits: Tensor, labels: Tensor, epoch: int = 0) -> Tensor:
        """Mean over B*C."""
        known = known_entries(labels)
        values = self._entries(logits, labels, epoch, known)
        return mean_of_known(values, known, across_processes=self.training)

    def _entries(self, logits: Tensor, labels: Tensor, epoch: int, known: Tensor | None) -> Tensor:
        base = cast(Flippable, self.base)
        given = labels if known is None or isinstance(self.base, ElementwiseLoss) else labels.clamp(min=0)
        values = left_out_as_zero(base.elementwise(logits, given), known)
        if self.clean_rate_at(epoch) == 1:
            return values
        replaced = self.replaced(values, given, epoch, known)
        if self.mod_scheme == "LL-R":
            return values.masked_fill(replaced, 0.0)
        return torch.where(replaced, base.flipped(logits, given), values)

    def _joined(self) -> bool:
        return self.training and process_count() > 1

    def _total(self, values: Tensor) -> int:
        if not self._joined():
            return values.numel()
        return sum(gather_flat(values.flatten(), fill=0.0)[1])

    def _total_known(self, known: Tensor) -> int:
        return int(total_over_processes(known.sum()) if self._joined() else known.sum())

    def _reaching(self, masked: Tensor, k: int, known: Tensor | None) -> Tensor:
        """Known entries at or above the k-th largest of them, over the batches of all processes while training."""
        if k < 1:
            return torch.zeros_like(masked, dtype=torch.bool)
        if known is not None:
            masked = masked.masked_fill(~known, -math.inf)
        everyone = gather_flat(masked.flatten(), fill=-math.inf)[0].flatten() if self._joined() else masked.flatten()
        return masked >= everyone.topk(k, sorted=False).values.min()

    def extra_repr(self) -> str:
        """Parameters for `print(loss)`."""
        return f"mod_scheme={self.mod_scheme}, delta_rel={self.delta_rel:g}, delta={self.delta:g}"
