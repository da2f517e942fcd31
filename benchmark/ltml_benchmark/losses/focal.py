"""Focal loss (Lin et al., ICCV 2017) for many labels."""

from torch import Tensor

from ltml_benchmark.losses.base import ElementwiseLoss
from ltml_benchmark.losses.curves import scaled_entries


class FocalLoss(ElementwiseLoss):
    """Focal loss on logits p; the modulating factor is differentiated.

    L = mean[ c·(1 − p_t)^γ·l ],  l the cross-entropy of the entry,  p_t = e^−l

    Args:
        n_classes: C.
        gamma: Focal exponent γ.
        balance: Constant factor c on both signs alike (the released code has 0.25 as class default and 2 inside the
            distribution-balanced loss; which of them the paper's focal row used is not known).
    """

    def __init__(self, n_classes: int, gamma: float = 2.0, balance: float = 1.0) -> None:
        super().__init__(n_classes)
        self.gamma = gamma
        self.balance = balance

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """See `ElementwiseLoss.closed_form`."""
        values, slope = scaled_entries(logits, positive, 1.0, self.gamma, slopes=slopes)
        if self.balance != 1.0:
            values.mul_(self.balance)
            if slope is not None:
                slope.mul_(self.balance)
        return values, slope

    def extra_repr(self) -> str:
        """Parameters for `print(loss)`."""
        return f"gamma={self.gamma:g}, balance={self.balance:g}"
