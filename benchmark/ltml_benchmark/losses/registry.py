"""Losses by name."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast, get_args

from torch import nn

from ltml_benchmark.errors import UserError
from ltml_benchmark.losses.anr import AdaptiveNegativeRegularization
from ltml_benchmark.losses.asl import AsymmetricLoss, Reduction
from ltml_benchmark.losses.bce import BinaryCrossEntropy
from ltml_benchmark.losses.db import DistributionBalancedLoss
from ltml_benchmark.losses.focal import FocalLoss
from ltml_benchmark.losses.llr import LargeLossReconsideration, Scheme
from ltml_benchmark.losses.llr_permanent import PermanentCorrection
from ltml_benchmark.losses.llr_released import ModScheme, ReleasedLargeLoss
from ltml_benchmark.losses.nr import NegativeRegularization
from ltml_benchmark.losses.nvum import NonVolatileUnbiasedMemory
from ltml_benchmark.losses.prior import Counts, Total, class_counts, usable_total
from ltml_benchmark.losses.released import ReleasedResampleLoss
from ltml_benchmark.recommended import recommended_for

Formulation = Literal["paper", "released"]
Factory = Callable[..., nn.Module]

# Growth of the rate per epoch in the method that large-loss reconsideration comes from (0.1 % to 0.5 % there).
_CITED_DELTA = 0.002
# The authors' NR class tabulates clean rates 1.0, 0.9 ... 0.2 and stays at the last.
_NR_LOWEST_CLEAN_RATE = 0.2


def _bce(class_freq: Counts, n_total: Total) -> nn.Module:
    return BinaryCrossEntropy(len(class_counts(class_freq, n_total)))


def _focal(class_freq: Counts, n_total: Total, gamma: float = 2.0, balance: float = 1.0) -> nn.Module:
    return FocalLoss(len(class_counts(class_freq, n_total)), gamma, balance)


def _focal_released(class_freq: Counts, n_total: Total, gamma: float = 2.0, balance_param: float = 0.25) -> nn.Module:
    return FocalLoss(len(class_counts(class_freq, n_total)), gamma, balance_param)


def _asl(
    class_freq: Counts,
    n_total: Total,
    gamma_neg: float = 4.0,
    gamma_pos: float = 1.0,
    clip: float = 0.05,
    detach_focal: bool = False,
    reduction: Reduction = "mean",
) -> nn.Module:
    n_classes = len(class_counts(class_freq, n_total))
    return AsymmetricLoss(n_classes, gamma_neg, gamma_pos, clip, detach_focal, reduction)


def _asl_released(
    class_freq: Counts,
    n_total: Total,
    gamma_neg: float = 4.0,
    gamma_pos: float = 1.0,
    clip: float = 0.05,
    detach_focal: bool = True,
    reduction: Reduction = "sum",
) -> nn.Module:
    return _asl(class_freq, n_total, gamma_neg, gamma_pos, clip, detach_focal, reduction)


def _resample_released(
    class_freq: Counts,
    n_total: Total,
    focal: Mapping[str, Any] | None = None,
    logit_reg: Mapping[str, Any] | None = None,
    map_param: Mapping[str, Any] | None = None,
    reweight_func: str = "rebalance",
    weight_norm: str | None = None,
    CB_loss: Mapping[str, Any] | None = None,
) -> nn.Module:
    return ReleasedResampleLoss(
        class_freq, n_total, False, focal, logit_reg, map_param, reweight_func, weight_norm, CB_loss
    )


def _anr_released(
    class_freq: Counts,
    n_total: Total,
    focal: Mapping[str, Any] | None = None,
    logit_reg: Mapping[str, Any] | None = None,
    map_param: Mapping[str, Any] | None = None,
    reweight_func: str = "rebalance",
    weight_norm: str | None = None,
    CB_loss: Mapping[str, Any] | None = None,
) -> nn.Module:
    return ReleasedResampleLoss(
        class_freq, n_total, True, focal, logit_reg, map_param, reweight_func, weight_norm, CB_loss
    )


_ENTRYWISE: dict[str, dict[Formulation, Factory]] = {
    "bce": {"paper": _bce, "released": _bce},
    "focal": {"paper": _focal, "released": _focal_released},
    "db": {"paper": DistributionBalancedLoss, "released": _resample_released},
    "nr": {"paper": NegativeRegularization, "released": _resample_released},
    "anr": {"paper": AdaptiveNegativeRegularization, "released": _anr_released},
}


def _reconsidering(base: str, scheme: Scheme) -> Factory:
    inner = _ENTRYWISE[base]["paper"]

    def build(
        class_freq: Counts,
        n_total: Total,
        delta: float = 0.1,
        cap: float = 0.5,
        rate: float | None = None,
        **of_base: Any,
    ) -> nn.Module:
        return LargeLossReconsideration(inner(class_freq, n_total, **of_base), scheme, delta, cap, rate)

    return _with_parameters_of(inner, build)


def _reconsidering_released(base: str, scheme: ModScheme) -> Factory:
    inner = _ENTRYWISE[base]["released"]
    floor = _NR_LOWEST_CLEAN_RATE if base in ("db", "nr") else float("-inf")

    def build(
        class_freq: Counts,
        n_total: Total,
        mod_scheme: ModScheme = scheme,
        delta_rel: float = 0.1,
        clean_rate: float | None = None,
        positive_share: float = 0.0,
        **of_base: Any,
    ) -> nn.Module:
        return ReleasedLargeLoss(
            inner(class_freq, n_total, **of_base),
            mod_scheme,
            delta_rel=delta_rel,
            lowest=floor,
            clean_rate=clean_rate,
            positive_share=positive_share,
        )

    return _with_parameters_of(inner, build)


def _with_parameters_of(inner: Factory, outer: Factory) -> Factory:
    """`outer` with a signature that names the parameters of `inner` in place of its `**of_base`."""
    given = list(inspect.signature(outer).parameters.values())[:-1]
    names = {parameter.name for parameter in given}
    added = [p for p in inspect.signature(inner).parameters.values() if p.name not in names]
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in added]
    outer.__signature__ = inspect.Signature([*given, *keyword])  # type: ignore[attr-defined]
    return outer


def _cited(scheme: Scheme) -> Factory:
    def build(
        class_freq: Counts,
        n_total: Total,
        delta: float = _CITED_DELTA,
        cap: float = 0.5,
        rate: float | None = None,
    ) -> nn.Module:
        return LargeLossReconsideration(_bce(class_freq, n_total), scheme, delta, cap, rate)

    return build


def _cited_permanent(
    class_freq: Counts, n_total: Total, delta: float = _CITED_DELTA, n_samples: int | None = None
) -> nn.Module:
    base = _bce(class_freq, n_total)
    rows = int(usable_total(n_total).max()) if n_samples is None else n_samples
    return PermanentCorrection(base, rows, len(class_counts(class_freq, n_total)), delta)


def _cited_released(scheme: ModScheme) -> Factory:
    def build(
        class_freq: Counts,
        n_total: Total,
        mod_scheme: ModScheme = scheme,
        delta_rel: float = _CITED_DELTA,
        clean_rate: float | None = None,
    ) -> nn.Module:
        base = _bce(class_freq, n_total)
        return ReleasedLargeLoss(base, mod_scheme, delta_rel=delta_rel, delta=delta_rel, clean_rate=clean_rate)

    return build


def _registry() -> dict[str, dict[Formulation, Factory]]:
    losses = dict(_ENTRYWISE)
    for base in _ENTRYWISE:
        losses[f"{base}-lla"] = {
            "paper": _reconsidering(base, "abandon"),
            "released": _reconsidering_released(base, "LL-R"),
        }
        losses[f"{base}-llm"] = {
            "paper": _reconsidering(base, "modify"),
            "released": _reconsidering_released(base, "LL-Ct"),
        }
    losses["nvum"] = {"paper": NonVolatileUnbiasedMemory, "released": NonVolatileUnbiasedMemory}
    losses["asl"] = {"paper": _asl, "released": _asl_released}
    losses["llr-r"] = {"paper": _cited("abandon"), "released": _cited_released("LL-R")}
    losses["llr-ct"] = {"paper": _cited("modify"), "released": _cited_released("LL-Ct")}
    # From a command line the released LL-Cp runs as LL-Ct; mod_scheme="LL-Cp" is what its authors intended.
    losses["llr-cp"] = {"paper": _cited_permanent, "released": _cited_released("LL-Ct")}
    return losses


_LOSSES = _registry()


def loss_names() -> tuple[str, ...]:
    """Names that `make_loss` knows."""
    return tuple(_LOSSES)


def loss_parameters(name: str, formulation: str = "paper") -> dict[str, Any]:
    """Parameters of a loss with their defaults.

    Raises:
        UserError: If the name or the formulation is unknown.
    """
    signature = inspect.signature(_factory(name, formulation))
    return {p.name: p.default for p in signature.parameters.values() if p.name not in ("class_freq", "n_total")}


def recommended_parameters(name: str) -> dict[str, Any]:
    """What a training run should set apart from the defaults, which are the paper's equations.

    Raises:
        UserError: If the name is unknown.
    """
    _factory(name, "paper")
    return dict(recommended_for(name))


def make_loss(
    name: str, class_freq: Counts, n_total: Total, formulation: str = "paper", **parameters: Any
) -> nn.Module:
    """The loss called `name`.

    `loss(logits, labels, epoch=0)` is the scalar mean over B*C, `loss.elementwise(logits, labels)` the (B, C) matrix.
    Inputs are never modified; half precision is computed in float32.

    Args:
        name: One of `loss_names()`: `bce`, `focal`, `db`, `nr`, `anr`, each also as `NAME-lla` and `NAME-llm` (large
            loss reconsideration), `nvum`, `asl`, and `llr-r`, `llr-ct`, `llr-cp` (the cited large-loss method on BCE).
        class_freq: (C,) number of images with each class.
        n_total: Number of images, or (C,) images whose label of each class is known.
        formulation: `paper` (the equations, completely differentiated, exact top-k) or `released` (what the authors'
            code computes; parameters are the keys of its configuration files).
        **parameters: See `loss_parameters(name, formulation)`.

    Returns:
        A module; those with `uses_indices` also take `indices=...` (rows of the training set), those with `uses_ema`
        also `ema_logits=...` (logits of the averaged model).

    Raises:
        UserError: If the name, the formulation, a parameter or the counts cannot be used.

    Example:
        >>> loss = make_loss("anr-lla", class_freq=[900, 20], n_total=1000, bias_scale=0.01)
        >>> loss.rate_at(2)
        0.2
    """
    factory = _factory(name, formulation)
    known = loss_parameters(name, formulation)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise UserError(
            f"the loss {name!r} ({formulation}) has no parameter {', '.join(unknown)}; it takes "
            f"{', '.join(known) if known else 'none'}"
        )
    for key, value in parameters.items():
        _check_kind(name, key, value, known[key])
    return factory(class_freq, n_total, **parameters)


def _check_kind(loss: str, key: str, value: object, default: object) -> None:
    """Refuse a word where a number belongs, and the like, before anything is computed with it.

    Raises:
        UserError: If the value is not of the kind of the default.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(default, bool):
        fits, expected = isinstance(value, bool), "true or false"
    elif isinstance(default, (int, float)):
        fits, expected = is_number and math.isfinite(float(cast(float, value))), "a number"
    elif isinstance(default, str):
        fits, expected = isinstance(value, str), "a word"
    else:
        return
    if not fits:
        raise UserError(f"the parameter {key} of the loss {loss!r} is {value!r}, but {expected} is expected")


def _factory(name: str, formulation: str) -> Factory:
    if name not in _LOSSES:
        raise UserError(f"there is no loss {name!r}; expected one of {', '.join(_LOSSES)}")
    if formulation not in get_args(Formulation):
        raise UserError(f"the formulation is {formulation!r}, expected `paper` or `released`")
    return _LOSSES[name]["paper" if formulation == "paper" else "released"]
