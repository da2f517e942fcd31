"""Negative regularisation: constant scale on negatives (paper, equations 1 to 3)."""

from torch import Tensor

from ltml_benchmark.losses.base import ElementwiseLoss
from ltml_benchmark.losses.curves import scaled_entries
from ltml_benchmark.losses.prior import Counts, DeviceCopies, Total, class_counts, log_odds_against


class NegativeRegularization(ElementwiseLoss):
    """BCE on shifted logits whose negatives are scaled by a constant λ.

    u = p − s·v,  v = log(N / n − 1)
    L = mean[ y·log(1 + e^−u) + (1 − y)·log(1 + e^{λu}) / λ ],  each term times (1 − p_t)^γ

    Args:
        class_freq: (C,) counts n.
        n_total: N, or (C,) images whose label of each class is known.
        scale: λ.
        gamma: Focal exponent; 0 gives the equations without focal factor.
        bias_scale: s; 1 is equation 3, 0.01 what the released configuration implies.
    """

    def __init__(
        self, class_freq: Counts, n_total: Total, scale: float = 5.0, gamma: float = 2.0, bias_scale: float = 1.0
    ) -> None:
        counts = class_counts(class_freq, n_total)
        super().__init__(len(counts))
        self.scale = scale
        self.gamma = gamma
        self.bias_scale = bias_scale
        self._shift = DeviceCopies(bias_scale * log_odds_against(counts, n_total))

    def shift(self, logits: Tensor) -> Tensor:
        """s·v with the type and device of `logits`; p − s·v is what the loss calls a decision at 0."""
        return self._shift.like(logits)

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """See `ElementwiseLoss.closed_form`."""
        return scaled_entries(logits - self.shift(logits), positive, self.scale, self.gamma, slopes=slopes)

    def extra_repr(self) -> str:
        """Parameters for `print(loss)`."""
        return f"scale={self.scale:g}, gamma={self.gamma:g}, bias_scale={self.bias_scale:g}"
