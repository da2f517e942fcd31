"""Fig. 3 of the paper: the slope of one negative logit, closed forms against automatic differentiation."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ltml_benchmark.losses import make_loss
from ltml_benchmark.losses.gradients import adaptive_slope, adaptive_slope_released, scaled_slope, softmax_slope

Floats = NDArray[np.float64]
HALF = ([50.0], 100)
"""Class counts n and N whose log-odds v are 0."""
NEGATIVE_SCALE = 5.0
POSITIVE_LOGIT = 2.0


def curves(
    low: float = -4.0, high: float = 6.0, count: int = 201
) -> tuple[Floats, dict[str, Floats], dict[str, Floats]]:
    """Slopes of CE, BCE, NR and ANR over the value of a negative logit, without focal factor and with v = 0.

    Returns:
        Grid (K,), and by method the closed form and what autograd gives for the losses that train, (K,) each.
    """
    grid = np.linspace(low, high, count)
    closed = {
        f"CE, positive logit {POSITIVE_LOGIT:g}": softmax_slope(grid, POSITIVE_LOGIT),
        "BCE": scaled_slope(grid),
        f"NR, scale {NEGATIVE_SCALE:g}": scaled_slope(grid, NEGATIVE_SCALE),
        "ANR, beta 10": adaptive_slope(grid),
        "ANR, beta 10, as released": adaptive_slope_released(grid),
    }
    measured: tuple[Callable[[Tensor], Tensor], ...] = (
        _softmax,
        _negative(make_loss("bce", *HALF)),
        _negative(make_loss("nr", *HALF, scale=NEGATIVE_SCALE, gamma=0.0)),
        _negative(make_loss("anr", *HALF, beta=10.0, gamma=0.0)),
        _anr_released,
    )
    automatic = {name: _slope(loss, grid) for name, loss in zip(closed, measured, strict=True)}
    return grid, closed, automatic


def _slope(loss: Callable[[Tensor], Tensor], grid: Floats) -> Floats:
    logits = torch.tensor(grid[:, None], requires_grad=True)
    (slope,) = torch.autograd.grad(loss(logits).sum(), logits)
    return np.asarray(slope[:, 0])


def _negative(loss: nn.Module) -> Callable[[Tensor], Tensor]:
    """A loss of the registry as a sum over entries whose labels are all 0."""

    def total(u: Tensor) -> Tensor:
        mean: Tensor = loss(u, torch.zeros_like(u))
        return mean * u.numel()

    return total


def _softmax(u: Tensor) -> Tensor:
    both = torch.cat([torch.full_like(u, POSITIVE_LOGIT), u], dim=1)
    return functional.cross_entropy(both, torch.zeros(len(u), dtype=torch.int64), reduction="none")


def _anr_released(u: Tensor) -> Tensor:
    """The released arithmetic for one negative entry: the factor 1/lambda is detached."""
    scale = 1 + 10 * (1 - torch.sigmoid(u))
    return functional.softplus(scale * u) / scale.detach()
