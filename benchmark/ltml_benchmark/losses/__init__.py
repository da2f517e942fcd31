"""Losses for long-tailed multi-label images with noisy labels."""

from ltml_benchmark.losses.base import ElementwiseLoss
from ltml_benchmark.losses.decisions import decision_warning, logit_of_share
from ltml_benchmark.losses.registry import loss_names, loss_parameters, make_loss, recommended_parameters

__all__ = [
    "ElementwiseLoss",
    "decision_warning",
    "logit_of_share",
    "loss_names",
    "loss_parameters",
    "make_loss",
    "recommended_parameters",
]
