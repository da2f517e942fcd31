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
    slope = None
    if slopes:
        slope = (1.0 - s).mul_(value).mul_(gamma).add_(s).mul_(factor)
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
    if scale == 1.0:
        sign = 1.0 - 2.0 * positive.to(u.dtype)
        value, slope = focal_softplus(u * sign, gamma, slopes=slopes)
        return value, None if slope is None else slope.mul_(sign)
    signed_scale = torch.full_like(u, scale).masked_fill_(positive, -1.0)
    value, slope = focal_softplus(u * signed_scale, gamma, slopes=slopes)
    size = signed_scale.abs()
    if slope is not None:
        slope = slope.mul_(signed_scale).div_(size)
    return value.div_(size), slope


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
    miss = torch.sigmoid(-u)  # 1 − σ(u), exact for confident entries
    scale = (miss * beta).add_(1.0).masked_fill_(positive, -1.0)  # λ, and −1 for positives: z = −u
    value, slope = focal_softplus(u * scale, gamma, slopes=slopes)
    size = scale.abs()
    value.div_(size)
    if slope is None:
        return value, None
    # λ'/λ, and 0 for positives
    change = (miss * miss).sub_(miss).mul_(beta).div_(size).masked_fill_(positive, 0.0)
    slope.mul_((u * change).add_(scale.sign_()))
    return value, slope.sub_(value * change)
