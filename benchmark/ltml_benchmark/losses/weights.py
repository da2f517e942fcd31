"""Weights of entries from class counts, as the distribution-balanced loss and its relatives define them."""

from typing import Literal, get_args

import torch
from torch import Tensor

from ltml_benchmark.errors import UserError

Reweighting = Literal["rebalance", "inv", "sqrt_inv", "CB", "ones"]
ClassBalanced = Literal["by_class", "average_n", "average_w", "min_n"]
Normalisation = Literal["by_instance", "by_batch"]


def rebalanced_weight(
    positive: Tensor, counts: Tensor, alpha: float = 0.1, beta: float = 10.0, mu: float = 0.3
) -> Tensor:
    """w = α + σ(β (r − μ)),  r_i = (1/n_i) / Σ_{j: y_j = 1} 1/n_j (Wu et al., ECCV 2020).

    r is the share of class i among the reasons for which class-aware sampling would draw this image. An image without
    a positive label has r = ∞ and w = α + 1. The weight is the same for positive and negative entries.

    Args:
        positive: (B, C) bool.
        counts: (C,) float counts n, at least 1.
        alpha: α, floor of the weight.
        beta: β, steepness.
        mu: μ, share at which the weight is α + 1/2 (`gamma` in the released configs).

    Returns:
        (B, C) in the type of `counts`.
    """
    rarity = counts.reciprocal()
    drawn = (positive * rarity).sum(dim=1, keepdim=True)
    return torch.sigmoid((rarity / drawn).sub_(mu).mul_(beta)).add_(alpha)


def class_balanced_weight(positive: Tensor, counts: Tensor, b: float = 0.9, mode: ClassBalanced = "by_class") -> Tensor:
    """(1 − b) / (1 − b^n) of an effective count n (Cui et al., CVPR 2019), the numerator rounded to float32.

    The rounding is the released code's, which is the only user; it changes the weight by 1.5e-8 of itself.

    Args:
        positive: (B, C) bool.
        counts: (C,) float counts.
        b: Base of the effective number.
        mode: `by_class` the class's own n; `average_n` mean n of the image's positives; `average_w` mean weight of
            the image's positives; `min_n` smallest n of the image's positives (100,000 where there is none). The two
            means are NaN in an image without a positive label, as in the released code.

    Returns:
        (C,) for `by_class`, else (B, 1).
    """

    numerator = torch.tensor(1.0 - b, dtype=torch.float32).to(counts)

    def weigh(n: Tensor) -> Tensor:
        return numerator / (1.0 - torch.pow(torch.as_tensor(b, dtype=counts.dtype, device=counts.device), n))

    y = positive.to(counts.dtype)
    if mode == "by_class":
        return weigh(counts)
    if mode == "average_n":
        return weigh((y * counts).sum(dim=1, keepdim=True) / y.sum(dim=1, keepdim=True))
    if mode == "average_w":
        return (y * weigh(counts)).sum(dim=1, keepdim=True) / y.sum(dim=1, keepdim=True)
    return weigh((y * counts + (1.0 - y) * 100_000.0).amin(dim=1, keepdim=True))


def entry_weights(
    positive: Tensor,
    counts: Tensor,
    n_total: float | Tensor,
    reweighting: Reweighting,
    *,
    alpha: float = 0.1,
    beta: float = 10.0,
    mu: float = 0.3,
    cb_beta: float = 0.9,
    cb_mode: ClassBalanced = "by_class",
    normalisation: Normalisation | None = None,
    known: Tensor | None = None,
) -> Tensor:
    """Weights of one batch by name, broadcastable to (B, C).

    `rebalance` and `CB` are the functions above, `inv` is N/n, `sqrt_inv` its root, `ones` no weighting (the released
    classes cannot run without weights; their fixtures for it fix the weight to 1). Normalising looks for the largest
    weight among `known` (B, C) entries, all where not given.

    Raises:
        UserError: If `reweighting` or `cb_mode` is none of the names.
    """
    if reweighting not in get_args(Reweighting) or cb_mode not in get_args(ClassBalanced):
        raise UserError(
            f"`reweighting` is {reweighting!r} with mode {cb_mode!r}; expected one of "
            f"{', '.join(get_args(Reweighting))} with a mode of {', '.join(get_args(ClassBalanced))}"
        )
    if reweighting == "ones":
        weight = torch.ones((), dtype=counts.dtype, device=counts.device)
    elif reweighting == "rebalance":
        weight = rebalanced_weight(positive, counts, alpha, beta, mu)
    elif reweighting == "CB":
        weight = class_balanced_weight(positive, counts, cb_beta, cb_mode)
    else:
        weight = n_total / counts
        if reweighting == "sqrt_inv":
            weight = weight.sqrt()
    if normalisation is None:
        return weight
    compared = weight if known is None else weight.expand(known.shape).masked_fill(~known, 0.0)
    return weight / (compared.amax(dim=-1, keepdim=True) if normalisation == "by_instance" else compared.max())
