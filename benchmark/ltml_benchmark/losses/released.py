"""DB, NR and ANR as the authors' code computes them, quirks included, to reproduce published runs."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ltml_benchmark.errors import UserError
from ltml_benchmark.losses.base import Differentiated, ElementwiseLoss, KnownOnly, check_shapes, differentiated
from ltml_benchmark.losses.known import known_entries
from ltml_benchmark.losses.prior import Counts, DeviceCopies, Total, class_counts, log_odds_against, usable_total
from ltml_benchmark.losses.weights import entry_weights

# The adaptive scale's β stands as a literal in the released class; its `neg_scale` only divides the bias.
_RELEASED_BETA = 10.0


class ReleasedResampleLoss(ElementwiseLoss):
    """`ResampleLoss` (constant λ) and `LamdaResampleLoss` (adaptive λ) of the release.

    b = −v·k/L,  q = p,  u = p + b,  λ = L or 1 + 10 (1 − σ(q)),  z = u where y = 1, λu elsewhere
    L = mean[ c·w·(1 − e^−l)^γ·l / (1 or λ) ],  l the cross-entropy of z

    Quirks kept:
        - the bias is 1 % of v with k = 0.05 and L = 5, not v;
        - every variant carries the rebalanced weight w and c = 2 times the focal factor;
        - λ is taken of the logit before the bias, with β = 10 whatever the configuration says;
        - λ inside the softplus is differentiated, the factor 1/λ is not, so the slope of a negative falls to 0.0009 at
          u = 2.40;
        - 1 − p_t is 1 − e^−l, which is exactly 0 in float32 for confident negatives (p <= −1.57 with ANR);
        - the bias is added in place: `flipped`, the second pass of large-loss relabelling, sees logits p + b, takes
          λ there and u = p + 2b, with weights of the flipped label row. The caller's logits are *not* modified here.

    Args:
        class_freq: (C,) counts n.
        n_total: N, or (C,) images whose label of each class is known.
        adaptive: λ of the entry (ANR) instead of the constant L.
        focal: `focal` (switch), `balance_param` (c), `gamma` (γ).
        logit_reg: `init_bias` (k), `neg_scale` (L).
        map_param: `alpha`, `beta`, `gamma` of the rebalanced weight (its μ is called gamma).
        reweight_func: `rebalance`, `inv`, `sqrt_inv`, `CB` or `ones`; the release has no run without weights.
        weight_norm: None, `by_instance` or `by_batch`.
        CB_loss: `CB_beta`, `CB_mode` of the class-balanced weight.
    """

    def __init__(
        self,
        class_freq: Counts,
        n_total: Total,
        adaptive: bool = False,
        focal: Mapping[str, Any] | None = None,
        logit_reg: Mapping[str, Any] | None = None,
        map_param: Mapping[str, Any] | None = None,
        reweight_func: Any = "rebalance",
        weight_norm: Any = None,
        CB_loss: Mapping[str, Any] | None = None,
    ) -> None:
        counts = class_counts(class_freq, n_total)
        super().__init__(len(counts))
        focal = _filled("focal", focal, {"focal": True, "balance_param": 2.0, "gamma": 2})
        logit_reg = _filled("logit_reg", logit_reg, {"init_bias": 0.05, "neg_scale": 5.0})
        self.map_param = _filled("map_param", map_param, {"alpha": 0.1, "beta": 10.0, "gamma": 0.3})
        self.cb = _filled("CB_loss", CB_loss, {"CB_beta": 0.9, "CB_mode": "by_class"})
        self._total = DeviceCopies(usable_total(n_total))
        self.adaptive = adaptive
        self.gamma = float(focal["gamma"]) if focal["focal"] else 0.0
        self.balance = float(focal["balance_param"]) if focal["focal"] else 1.0
        self.scale = float(logit_reg["neg_scale"])
        self.reweight_func = reweight_func
        self.weight_norm = weight_norm
        bias_scale = float(logit_reg["init_bias"]) / self.scale
        self._bias = DeviceCopies(-bias_scale * log_odds_against(counts, n_total))
        self._counts = DeviceCopies(counts)

    def shift(self, logits: Tensor) -> Tensor:
        """−b with the type and device of `logits`."""
        return -self._bias.like(logits)

    def weights(self, logits: Tensor, positive: Tensor, known: Tensor | None = None) -> Tensor:
        """w, broadcastable to (B, C); `known` as in `entry_weights`."""
        return entry_weights(
            positive,
            self._counts.like(logits),
            self._total.like(logits),
            self.reweight_func,
            alpha=self.map_param["alpha"],
            beta=self.map_param["beta"],
            mu=self.map_param["gamma"],
            cb_beta=self.cb["CB_beta"],
            cb_mode=self.cb["CB_mode"],
            normalisation=self.weight_norm,
            known=known,
        )

    def among(self, known: Tensor | None) -> Differentiated:
        """See `ElementwiseLoss.among`."""
        return self if known is None else KnownOnly(_Pass(self, known, 0), known)

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """See `ElementwiseLoss.closed_form`."""
        return self._entries(logits, positive, None, slopes=slopes)

    def flipped(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss under the opposite labels, with the bias added twice (see the class)."""
        check_shapes(logits, labels, self.n_classes)
        known = known_entries(labels)
        second = _Pass(self, known, 1)
        return differentiated(second if known is None else KnownOnly(second, known), logits, labels == 0)

    def _entries(
        self, q: Tensor, positive: Tensor, known: Tensor | None, *, slopes: bool
    ) -> tuple[Tensor, Tensor | None]:
        u = q + self._bias.like(q)
        s = torch.sigmoid(q)
        if self.adaptive:
            scale = 1.0 + _RELEASED_BETA * (1.0 - s)
            growth = -_RELEASED_BETA * s * (1.0 - s)  # dλ/dp
        else:
            scale = torch.full_like(q, self.scale)
            growth = torch.zeros_like(q)
        scale = scale.masked_fill(positive, 1.0)
        z = scale * u
        y = positive.to(q.dtype)
        entropy = functional.binary_cross_entropy_with_logits(z, y, reduction="none")
        p_t = torch.exp(-entropy)
        miss = 1.0 - p_t
        weight = self.balance * self.weights(q, positive, known) / scale
        factor = miss**self.gamma
        values = weight * factor * entropy
        if not slopes:
            return values, None
        by_entropy = factor
        if self.gamma:
            by_entropy = factor + self.gamma * miss ** (self.gamma - 1.0) * p_t * entropy
        inner = scale + u * growth.masked_fill(positive, 0.0)
        return values, weight * by_entropy * (torch.sigmoid(z) - y) * inner

    def extra_repr(self) -> str:
        """Parameters for `print(loss)`."""
        return f"adaptive={self.adaptive}, gamma={self.gamma:g}, reweight_func={self.reweight_func}"


class _Pass:
    """The released loss on logits that carry the bias of the passes before, weights normalised among known entries."""

    def __init__(self, loss: ReleasedResampleLoss, known: Tensor | None, passes_before: int) -> None:
        self._loss = loss
        self._known = known
        self._passes_before = passes_before

    def closed_form(self, logits: Tensor, positive: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """See `ElementwiseLoss.closed_form`."""
        biased = logits + self._loss._bias.like(logits) if self._passes_before else logits
        return self._loss._entries(biased, positive, self._known, slopes=slopes)


def _filled(block: str, given: Mapping[str, Any] | None, defaults: dict[str, Any]) -> dict[str, Any]:
    """A configuration block with its defaults, refusing keys the release does not know."""
    unknown = set(given or {}) - set(defaults)
    if unknown:
        raise UserError(
            f"the block `{block}` has no key {', '.join(sorted(unknown))}; its keys are {', '.join(defaults)}"
        )
    return defaults | dict(given or {})
