"""Whether a loss and a decision at logit 0 fit together."""

from torch import nn


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
