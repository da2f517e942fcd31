"""Closed forms shared by the losses: values and slopes of one entry, for matrices of entries.

Notation: u the (shifted) logit, z the argument of the softplus, σ the logistic function, sp(z) = log(1 + e^z).
Every entry of every loss here is f(z) = sp(z) σ(z)^γ up to factors, with z = −u for a positive entry. 1 − p_t is taken
as σ(z), never as 1 − e^{−sp(z)}, which loses all digits for well-classified entries.
"""

import torch
from torch import Tensor
from torch.nn import functional

# Above this argument log(1 + e^z) and z agree in float64; torch's default of 20 is off by 1e-10.
_LINEAR_ABOVE = 40.0


def softplus(z: Tensor) -> Tensor:
    """log(1 + e^z) to full precision in float32 and float64."""
    return functional.softplus(z, threshold=_LINEAR_ABOVE)


def focal_softplus(z: Tensor, gamma: float, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
    """f(z) = sp(z) σ(z)^γ and f'(z) = σ^γ (σ + γ (1 − σ) sp).

    Args:
        z: Arguments of any shape.
        gamma: Focal exponent γ >= 0; 0 gives the softplus itself.
        slopes: Whether f' is wanted.

    Returns:
        f and f' (None where not wanted), shaped like z.
    """
    value = softplus(z)
    if gamma == 0:
        return value, torch.sigmoid(z) if slopes else None
    s = torch.sigmoid(z)
    factor = s * s if gamma == 2 else s.pow(gamma)
    slope = torch.addcmul(s, 1.0 - s, value, value=gamma).mul_(factor) if slopes else None
    return value.mul_(factor), slope


def scaled_entries(
    u: Tensor, positive: Tensor, scale: float, gamma: float, *, slopes: bool
) -> tuple[Tensor, Tensor | None]:
    """Entries with a constant negative scale λ: f(−u) where positive, f(λu) / λ elsewhere.

    Args:
        u: (B, C) shifted logits.
        positive: (B, C) bool.
        scale: λ > 0; 1 gives BCE (γ = 0) and focal loss.
        gamma: Focal exponent.
        slopes: Whether the derivative by u is wanted.

    Returns:
        values and slopes, (B, C) each.
    """
    signed_scale = torch.full_like(u, scale).masked_fill_(positive, -1.0)
    value, slope = focal_softplus(u * signed_scale, gamma, slopes=slopes)
    if scale != 1.0:
        value.div_(signed_scale.abs())
    return value, None if slope is None else slope.mul_(signed_scale.sign_())


def adaptive_entries(
    u: Tensor, positive: Tensor, beta: float, gamma: float, *, slopes: bool
) -> tuple[Tensor, Tensor | None]:
    """Entries with λ = 1 + β (1 − σ(u)): f(−u) where positive, f(λu) / λ elsewhere, differentiated completely.

    d/du [f(λu) / λ] = f'(λu) (1 + u λ'/λ) − f(λu) λ'/λ²,  λ' = −β σ(u) (1 − σ(u))

    Args:
        u: (B, C) shifted logits.
        positive: (B, C) bool.
        beta: β >= 0.
        gamma: Focal exponent.
        slopes: Whether the derivative by u is wanted.

    Returns:
        values and slopes, (B, C) each.
    """
    miss = torch.sigmoid(-u).masked_fill_(positive, 0.0)  # 1 − σ(u), exact for confident entries; 0 for positives
    scale = torch.rsub(miss, 1.0, alpha=-beta)  # λ; 1 for positives
    signed_scale = scale.masked_fill(positive, -1.0)  # z = λu; −u for positives
    value, slope = focal_softplus(u * signed_scale, gamma, slopes=slopes)
    value.div_(scale)
    if slope is None:
        return value, None
    change = torch.addcmul(miss, miss, miss, value=-1.0).div_(scale)  # −λ'/(βλ); 0 for positives
    by_u = signed_scale.sign_().addcmul_(u, change, value=-beta)
    return value, slope.mul_(by_u).addcmul_(value, change, value=beta)
