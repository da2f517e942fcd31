"""Whether a loss and a decision at logit 0 fit together, and where a loss puts a prior."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ltml_benchmark.losses.base import ElementwiseLoss

_FARTHEST = 60.0
_HALVINGS = 70


@runtime_checkable
class Pulling(Protocol):
    """A loss with a term that depends on the image and not on its label."""

    def pull(self, rows: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """Slope of that term for a typical image: a function of (C,) logits to (C,) slopes."""


def logit_of_share(loss: nn.Module, share: Tensor, rows: Tensor | None = None) -> Tensor:
    """The logit that a loss teaches for images of which a share are positive.

    It is where π·ℓ₊'(p) + (1 − π)·ℓ₋'(p) = 0: logit π for BCE; focal factors, scales on negatives and shifts move it,
    since their scores are no probabilities. Of large-loss reconsideration only the loss inside counts. A memory that
    pulls every image somewhere else counts as its mean over images.

    Args:
        loss: A loss of `make_loss`.
        share: (C,) π, float64, between 0 and 1.
        rows: Rows of the memory to average over; None takes all.

    Returns:
        (C,) float64; logit π for a loss without closed form.
    """
    inner = getattr(loss, "base", loss)
    if not isinstance(inner, ElementwiseLoss):
        return torch.logit(share)
    count = len(share)
    alone, nobody = torch.eye(count, dtype=torch.bool), torch.zeros(1, count, dtype=torch.bool)
    pull = inner.pull(rows) if isinstance(inner, Pulling) else None
    low, high = torch.full_like(share, -_FARTHEST), torch.full_like(share, _FARTHEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        of_positives = inner.closed_form(middle.expand(count, count), alone, slopes=True)[1]
        of_negatives = inner.closed_form(middle[None], nobody, slopes=True)[1]
        if of_positives is None or of_negatives is None:
            return torch.logit(share)
        slope = share * of_positives.diagonal() + (1 - share) * of_negatives[0]
        rising = (slope if pull is None else slope + pull(middle)) > 0
        high, low = torch.where(rising, middle, high), torch.where(rising, low, middle)
    return (low + high) / 2


def decision_warning(loss: nn.Module, *, class_aware: bool, shifted: bool = False) -> str | None:
    """A sentence for the log when a run would decide at the wrong logit, else None.

    A loss with bias scale s teaches the classifier that u = p − s·v is 0 where a class is as likely as not. Equation 3
    and 5 have s = 1. Class-aware sampling has shifted the prior already, so that deciding on p > 0 then puts nearly all
    images on one side: balanced accuracy falls to chance while AUC does not change.

    Args:
        loss: A loss of `make_loss`.
        class_aware: Whether training draws images with the class-aware sampler.
        shifted: Whether decisions are taken on u rather than on p.
    """
    scale = getattr(getattr(loss, "base", loss), "bias_scale", 0.0)
    if not class_aware or shifted or scale < 0.5:
        return None
    return (
        f"bias_scale={scale:g} shifts the logits by the class frequencies although class-aware sampling has evened "
        "them out, so balanced accuracy at probability 0.5 will be close to chance; set bias_scale to 0.01, choose "
        "thresholds on validation, or decide on the shifted logits"
    )
