"""Distribution-balanced loss (Wu et al., ECCV 2020)."""

from torch import Tensor

from ltml_benchmark.losses.curves import scaled_entries
from ltml_benchmark.losses.nr import NegativeRegularization
from ltml_benchmark.losses.prior import Counts, DeviceCopies, Total, class_counts
from ltml_benchmark.losses.weights import rebalanced_weight


class DistributionBalancedLoss(NegativeRegularization):
    """Rebalanced weight times negative-tolerant regularisation times focal factor.

    u = p − s·v,  v = log(N / n − 1),  w = α + σ(η (r − μ)),  r_i = (1/n_i) / Σ_{j: y_j = 1} 1/n_j
    L = mean[ c·w·( y·log(1 + e^−u) + (1 − y)·log(1 + e^{λu}) / λ ) ],  each term times (1 − p_t)^γ

    The defaults are those of the method's own published configuration, s = κ/λ = 0.05/5 among them.

    Args:
        class_freq: (C,) counts n.
        n_total: N, or (C,) images whose label of each class is known.
        scale: λ.
        gamma: Focal exponent.
        bias_scale: s.
        alpha: α, floor of the weight.
        steepness: η.
        mu: μ.
        balance: c.
    """

    def __init__(
        self,
        class_freq: Counts,
        n_total: Total,
        scale: float = 5.0,
        gamma: float = 2.0,
        bias_scale: float = 0.01,
        alpha: float = 0.1,
        steepness: float = 10.0,
        mu: float = 0.3,
        balance: float = 2.0,
    ) -> None:
        super().__init__(class_freq, n_total, scale=scale, gamma=gamma, bias_scale=bias_scale)
        self.alpha = alpha
        self.steepness = steepness
        self.mu = mu
        self.balance = balance
        self._counts = DeviceCopies(class_counts(class_freq, n_total))

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """See `ElementwiseLoss.closed_form`."""
        values, slope = scaled_entries(logits - self.shift(logits), positive, self.scale, self.gamma, slopes=slopes)
        weight = rebalanced_weight(positive, self._counts.like(logits), self.alpha, self.steepness, self.mu)
        weight.mul_(self.balance)
        return values.mul_(weight), None if slope is None else slope.mul_(weight)

    def extra_repr(self) -> str:
        """Parameters for `print(loss)`."""
        return (
            f"{super().extra_repr()}, alpha={self.alpha:g}, steepness={self.steepness:g}, mu={self.mu:g}, "
            f"balance={self.balance:g}"
        )
