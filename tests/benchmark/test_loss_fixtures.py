"""Every loss against reference outputs: values and gradients in float64."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from loss_fixtures import LOSS_FAMILIES, Case, compact_cases, full_cases, loss_of
from torch import nn

from ltml_benchmark.losses import gradients, make_loss
from ltml_benchmark.losses.llr_released import ReleasedLargeLoss
from ltml_benchmark.losses.nvum import Mixing, NonVolatileUnbiasedMemory
from ltml_benchmark.losses.prior import class_counts, log_odds_against
from ltml_benchmark.losses.selection import count_to_reconsider
from ltml_benchmark.losses.weights import entry_weights

Cases = Callable[[str], Iterator[Case]]


@pytest.fixture(params=["compact", "full"])
def cases(request: pytest.FixtureRequest) -> Cases:
    """Both sets of fixtures; the full one skips where it is absent."""
    if request.param == "compact":
        return compact_cases
    if next(full_cases("bce"), None) is None:
        pytest.skip("needs the full fixture set, which is not part of the repository; set LTML_SHARED")
    return full_cases


@pytest.mark.parametrize("family", LOSS_FAMILIES)
def test_loss_and_gradient_agree_with_the_reference(family: str, cases: Cases) -> None:
    compared = 0
    for case in cases(family):
        if case.params.get("reduction") == "mean" and family == "noise_ce_released":
            continue  # its own test below
        loss = loss_of(case)
        logits = torch.tensor(case["logits"], requires_grad=True)
        labels = torch.tensor(case.integers("labels"))
        value = loss(logits, labels, epoch=case.params.get("epoch", 0))
        value.backward()
        case.check("loss", value.item(), "out_loss")
        assert logits.grad is not None
        case.check("gradient", logits.grad.numpy(), "out_grad")
        assert np.array_equal(logits.detach().numpy(), case["logits"]), "the caller's logits were changed"
        if "out_loss_matrix" in case.arrays:
            case.check("matrix", loss.elementwise(logits, labels).detach().numpy(), "out_loss_matrix")
        compared += 1
    assert compared


def test_selected_negatives_are_those_of_the_paper(cases: Cases) -> None:
    for case in cases("paper_anr_llr"):
        loss = loss_of(case)
        labels = torch.tensor(case.integers("labels"))
        values = loss.base.elementwise(torch.tensor(case["logits"]), labels)
        selected = loss.select(values, labels, epoch=1)
        assert np.array_equal(selected.numpy(), case["out_selected"] > 0), case.name


def test_released_float32_collapses_and_the_paper_form_does_not(cases: Cases) -> None:
    for case in cases("float32_collapse"):
        labels = torch.tensor(case.integers("labels"))
        released = loss_of(case)
        value = released(torch.tensor(case["logits"], dtype=torch.float32), labels, epoch=case.params["epoch"])
        np.testing.assert_allclose(value.item(), case["out_loss_f32"], rtol=1e-5, atol=1e-9, err_msg=case.name)
        name = "anr-lla" if case.params["mod_scheme"] == "LL-R" else "anr-llm"
        paper = make_loss(name, case["class_freq"], float(case["n_total"]), bias_scale=0.01)
        single, double = (
            paper(torch.tensor(case["logits"], dtype=t), labels, epoch=case.params["epoch"]).item()
            for t in (torch.float32, torch.float64)
        )
        assert single > 0
        assert single == pytest.approx(double, rel=1e-5)


def test_large_loss_on_an_already_averaged_loss_is_meaningless_as_documented(cases: Cases) -> None:
    class Averaged(nn.Module):
        def elementwise(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            mean = nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
            return mean.expand_as(logits)

    (case,) = (c for c in cases("noise_ce_released") if c.params["reduction"] == "mean")
    logits = torch.tensor(case["logits"], requires_grad=True)
    loss = ReleasedLargeLoss(Averaged(), "LL-R")
    value = loss(logits, torch.tensor(case.integers("labels")), epoch=1)
    value.backward()
    case.check("loss", value.item(), "out_loss")
    assert logits.grad is not None
    case.check("gradient", logits.grad.numpy(), "out_grad")


def test_entry_weights_and_bias(cases: Cases) -> None:
    for case in cases("weights"):
        params = case.params
        n_total = float(case["n_total"])
        counts = class_counts(case["class_freq"], n_total)
        cb = params.get("CB_loss", {"CB_beta": 0.9, "CB_mode": "by_class"})
        weight = entry_weights(
            torch.tensor(case["labels"]) > 0,
            counts,
            n_total,
            params["reweight_func"],
            alpha=params["map_param"]["alpha"],
            beta=params["map_param"]["beta"],
            mu=params["map_param"]["gamma"],
            cb_beta=cb["CB_beta"],
            cb_mode=cb["CB_mode"],
            normalisation=params.get("weight_norm"),
        )
        shape = case["out_weight"].shape
        case.check("weight", np.broadcast_to(weight.numpy(), shape), "out_weight")
        share = params["logit_reg"]["init_bias"] / params["logit_reg"]["neg_scale"]
        case.check("bias", -share * log_odds_against(counts, n_total).numpy(), "out_init_bias")


def test_number_of_reconsidered_entries(cases: Cases) -> None:
    (case,) = cases("k_schedule")
    loss = ReleasedLargeLoss(nn.Identity(), "LL-R")
    for batch, classes, epoch, released, exact, entries in case.integers("table"):
        assert entries == batch * classes
        if released <= entries:
            assert loss.count(int(entries), int(epoch)) == released
        if epoch <= 10:
            assert count_to_reconsider(0.1 * int(epoch), int(entries)) == exact


def test_nvum_steps(cases: Cases) -> None:
    for case in cases("nvum"):
        labels, order = case.integers("labels"), case.integers("order")
        steps, batch, classes = case["logits"].shape
        loss = NonVolatileUnbiasedMemory(np.ones(classes), 10, n_samples=len(labels), prior=case["prior"]).double()
        for step in range(steps):
            rows = torch.tensor(order[step * batch : (step + 1) * batch])
            logits = torch.tensor(case["logits"][step], requires_grad=True)
            mixing = Mixing(float(case["mixup_l"][step]), torch.tensor(case.integers("mix_index")[step]))
            average = torch.tensor(case["logits_ema"][step])
            value = loss(logits, torch.tensor(labels)[rows], indices=rows, ema_logits=average, mixing=mixing)
            value.backward()
            assert logits.grad is not None
            np.testing.assert_allclose(value.item(), case["out_loss"][step], rtol=1e-9)
            np.testing.assert_allclose(logits.grad.numpy(), case["out_grad"][step], rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(loss.recall(rows, mixing).numpy(), case["out_q"][step], rtol=1e-9, atol=1e-12)
            if "out_memory" in case.arrays:
                np.testing.assert_allclose(loss.memory.numpy(), case["out_memory"][step], rtol=1e-9, atol=1e-12)
        assert int(loss.step) == steps


def test_gradient_curves_of_a_negative_logit(cases: Cases) -> None:
    (case,) = cases("fig3")
    u = case["u"]
    for name in case.arrays:
        if name.startswith("ce_grad_pos"):
            case.check(name, gradients.softmax_slope(u, float(name.removeprefix("ce_grad_pos"))), name)
        elif name.endswith("_grad_released"):
            beta = float(name.removeprefix("anr").removesuffix("_grad_released"))
            case.check(name, gradients.adaptive_slope_released(u, beta), name)
        elif name.endswith("_grad"):
            closed, loss = _curve(name.removesuffix("_grad"), u)
            case.check(name, closed, name)
            logits = torch.tensor(u[:, None], requires_grad=True)
            entries = loss.elementwise(logits, torch.zeros(logits.shape, dtype=torch.int64))
            case.check(name, entries.detach().numpy()[:, 0], name.replace("_grad", "_loss"))
            entries.sum().backward()
            assert logits.grad is not None
            case.check(name, logits.grad.numpy()[:, 0], name)
        elif name.startswith("anr") and name.endswith("lambda_const"):
            beta = float(name.removeprefix("anr").removesuffix("_grad_lambda_const"))
            case.check(name, gradients.adaptive_slope_constant(u, beta), name)


def _curve(name: str, u: np.ndarray) -> tuple[np.ndarray, nn.Module]:
    gamma = 2.0 if name.startswith("focal_") else 0.0
    name = name.removeprefix("focal_")
    if name.startswith("anr"):
        beta = float(name.removeprefix("anr"))
        loss = make_loss("anr", [5], 10, beta=beta, gamma=gamma, bias_scale=0.0)
        return gradients.adaptive_slope(u, beta, gamma), loss
    scale = float(name.removeprefix("nr")) if name.startswith("nr") else 1.0
    return gradients.scaled_slope(u, scale, gamma), make_loss("nr", [5], 10, scale=scale, gamma=gamma, bias_scale=0.0)
