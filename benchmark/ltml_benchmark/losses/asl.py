"""Asymmetric loss (Ridnik et al., ICCV 2021)."""

from typing import Literal

import torch
from torch import Tensor

from ltml_benchmark.losses.base import ElementwiseLoss
from ltml_benchmark.losses.curves import focal_softplus, softplus

Reduction = Literal["mean", "sum"]


class AsymmetricLoss(ElementwiseLoss):
    """Focal loss with its own exponents for positives and negatives and a margin on negatives.

    q = σ(p),  q_m = max(q − m, 0)
    L = mean[ −y·(1 − q)^γ₊·log q − (1 − y)·q_m^γ₋·log(1 − q_m) ]

    Args:
        n_classes: C.
        gamma_neg: γ₋.
        gamma_pos: γ₊.
        clip: Margin m.
        detach_focal: Leave the focusing factors out of the derivative, as the published plain class does by default.
        reduction: `mean` over B*C like every loss here, or the `sum` of the published code.
    """

    def __init__(
        self,
        n_classes: int,
        gamma_neg: float = 4.0,
        gamma_pos: float = 1.0,
        clip: float = 0.05,
        detach_focal: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(n_classes)
        self.gamma_neg = gamma_neg
        self.gamma_pos = gamma_pos
        self.clip = clip
        self.detach_focal = detach_focal
        self.reduction = reduction

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """See `ElementwiseLoss.closed_form`."""
        on_positive, up = self._positives(logits, slopes=slopes)
        on_negative, down = self._negatives(logits, slopes=slopes)
        values = torch.where(positive, on_positive, on_negative)
        return values, None if up is None or down is None else torch.where(positive, up, down)

    def forward(self, logits: Tensor, labels: Tensor, epoch: int = 0) -> Tensor:
        """Mean over B*C, or the sum."""
        values = self.elementwise(logits, labels)
        return values.sum() if self.reduction == "sum" else self.mean(values, labels)

    def _positives(self, p: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        value, slope = focal_softplus(-p, self.gamma_pos, slopes=slopes)
        if slope is None:
            return value, None
        if self.detach_focal:
            miss = torch.sigmoid(-p)
            return value, -(miss * miss**self.gamma_pos)
        return value, -slope

    def _negatives(self, p: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        q = torch.sigmoid(p)
        miss = torch.sigmoid(-p)  # 1 − q
        reached = (q - self.clip).clamp(min=0.0)  # q_m
        entropy = softplus(p) if self.clip == 0 else -torch.log((miss + self.clip).clamp(max=1.0))
        factor = reached**self.gamma_neg
        value = factor * entropy
        if not slopes:
            return value, None
        # d entropy / dp = q (1 − q) / (1 − q_m) where the margin is passed, 0 elsewhere
        by_logit = q * miss
        inside = by_logit * (q > self.clip) if self.clip > 0 else by_logit
        slope = factor * (inside / (miss + self.clip) if self.clip > 0 else q)
        if not self.detach_focal and self.gamma_neg > 0:
            slope = slope + self.gamma_neg * reached ** (self.gamma_neg - 1.0) * inside * entropy
        return value, slope

    def extra_repr(self) -> str:
        """Parameters for `print(loss)`."""
        return f"gamma_neg={self.gamma_neg:g}, gamma_pos={self.gamma_pos:g}, clip={self.clip:g}"
