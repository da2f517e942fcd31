"""Slopes of a single negative logit in closed form (paper, Fig. 3), written apart from the losses as their check."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Curve = NDArray[np.float64]


def softmax_slope(u: Curve, positive_logit: float) -> Curve:
    """Softmax cross-entropy with one positive logit z: σ(u − z); falls as the positive logit rises."""
    slope: Curve = expit(u - positive_logit)
    return slope


def scaled_slope(u: Curve, scale: float = 1.0, gamma: float = 0.0) -> Curve:
    """Negative regularisation with constant λ (BCE for λ = 1): f'(λu), with f(z) = σ(z)^γ log(1 + e^z)."""
    return _slope_of_f(scale * u, gamma)


def adaptive_slope(u: Curve, beta: float = 10.0, gamma: float = 0.0) -> Curve:
    """Adaptive negative regularisation, completely differentiated: f'(λu)(1 + uλ'/λ) − f(λu)λ'/λ²."""
    scale, growth = _adaptive_scale(u, beta)
    z = scale * u
    return _slope_of_f(z, gamma) * (1 + u * growth / scale) - _f(z, gamma) * growth / scale**2


def adaptive_slope_constant(u: Curve, beta: float = 10.0, gamma: float = 0.0) -> Curve:
    """The same with λ held constant: f'(λu)."""
    return _slope_of_f(_adaptive_scale(u, beta)[0] * u, gamma)


def adaptive_slope_released(u: Curve, beta: float = 10.0) -> Curve:
    """What the released code differentiates: σ(λu)(1 + uλ'/λ), almost 0 at u = 2.4 for β = 10, below 0 for more."""
    scale, growth = _adaptive_scale(u, beta)
    slope: Curve = expit(scale * u) * (1 + u * growth / scale)
    return slope


def _adaptive_scale(u: Curve, beta: float) -> tuple[Curve, Curve]:
    """λ = 1 + β(1 − σ(u)) and λ' = −βσ(u)(1 − σ(u))."""
    return 1 + beta * expit(-u), -beta * expit(u) * expit(-u)


def _f(z: Curve, gamma: float) -> Curve:
    value: Curve = expit(z) ** gamma * np.logaddexp(0, z)
    return value


def _slope_of_f(z: Curve, gamma: float) -> Curve:
    slope: Curve = expit(z) ** gamma * (expit(z) + gamma * expit(-z) * np.logaddexp(0, z))
    return slope
