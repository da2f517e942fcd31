"""What callers rely on: signatures, precision, extremes, large-loss selection, memory."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ltml_benchmark.errors import UserError
from ltml_benchmark.losses import (
    decision_warning,
    gradients,
    loss_names,
    loss_parameters,
    make_loss,
    recommended_parameters,
)
from ltml_benchmark.losses.llr import LargeLossReconsideration
from ltml_benchmark.losses.selection import largest_negatives

COUNTS, N_TOTAL = [900.0, 120.0, 30.0, 4.0, 1.0], 1000
BOTH = [(name, formulation) for name in loss_names() for formulation in ("paper", "released")]


def batch(n: int = 16, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random logits and labels for the five classes above."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, len(COUNTS), generator=generator, dtype=torch.float64)
    labels = (torch.rand(n, len(COUNTS), generator=generator) < 0.2).to(torch.int64)
    return logits.to(dtype), labels


def slope(loss: nn.Module, logits: Tensor, labels: Tensor, epoch: int = 2) -> tuple[Tensor, Tensor]:
    """Value and gradient by the logits."""
    leaf = logits.detach().clone().requires_grad_(True)
    value = loss(leaf, labels, epoch=epoch)
    value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


@pytest.mark.parametrize("name,formulation", BOTH)
def test_every_loss_is_the_mean_of_its_matrix_and_leaves_its_inputs_alone(name: str, formulation: str) -> None:
    loss = make_loss(name, COUNTS, N_TOTAL, formulation)
    logits, labels = batch()
    logits_before, labels_before = logits.clone(), labels.clone()
    value, gradient = slope(loss, logits, labels, epoch=0)
    matrix = loss.elementwise(logits, labels)
    total = matrix.sum() if (name, formulation) == ("asl", "released") else matrix.mean()
    assert value.shape == ()
    assert matrix.shape == logits.shape
    assert torch.allclose(value, total)
    assert torch.isfinite(gradient).all()
    assert torch.equal(logits, logits_before)
    assert torch.equal(labels, labels_before)


@pytest.mark.parametrize("name,formulation", BOTH)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_extremes_stay_finite(name: str, formulation: str, dtype: torch.dtype) -> None:
    loss = make_loss(name, [0, 1000, 500, 1, 999], N_TOTAL, formulation)
    logits = torch.tensor([[-100.0, 100, 0, 50, -50], [100, -100, 1, -1, 0]]).repeat(3, 1).to(dtype)
    labels = torch.tensor([[1, 1, 1, 1, 1]] * 2 + [[0, 0, 0, 0, 0]] * 2 + [[0, 1, 0, 1, 0]] * 2)
    for epoch in (0, 1, 3):
        value, gradient = slope(loss, logits, labels, epoch)
        assert value.dtype == torch.float32
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()
        assert gradient.dtype == dtype


@pytest.mark.parametrize("name", loss_names())
def test_half_precision_inputs_are_computed_in_float32_also_under_autocast(name: str) -> None:
    loss = make_loss(name, COUNTS, N_TOTAL)
    logits, labels = batch(dtype=torch.bfloat16)
    expected, _ = slope(copy.deepcopy(loss), logits.float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, _ = slope(loss, logits, labels)
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)


@pytest.mark.parametrize("name", ["bce", "focal", "db", "nr", "anr", "asl", "anr-lla", "anr-llm", "llr-ct", "llr-cp"])
@pytest.mark.parametrize("gamma", [None, 1.5])
def test_closed_form_gradients_are_the_derivative(name: str, gamma: float | None) -> None:
    options = {"gamma": gamma} if gamma is not None and "gamma" in loss_parameters(name) else {}
    loss = make_loss(name, COUNTS, N_TOTAL, **options)
    logits, labels = batch(8, torch.float64)
    logits.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda p: loss(p, labels, epoch=2), (logits,), rtol=1e-6)


@pytest.mark.parametrize("name", ["db", "anr"])
def test_released_gradients_detach_one_over_lambda(name: str) -> None:
    loss = make_loss(name, COUNTS, N_TOTAL, "released")
    logits, labels = batch(8, torch.float64)
    logits.requires_grad_(True)
    same = torch.autograd.gradcheck(lambda p: loss(p, labels), (logits,), rtol=1e-6, raise_exception=False)
    assert same == (name == "db")  # a constant lambda has nothing to detach


def test_float32_agrees_with_float64() -> None:
    for name in loss_names():
        logits, labels = batch(64)
        loss = make_loss(name, COUNTS, N_TOTAL)
        single, _ = slope(copy.deepcopy(loss), logits, labels)
        double, _ = slope(copy.deepcopy(loss), logits.double(), labels)
        assert double.dtype == torch.float64
        assert single.item() == pytest.approx(double.item(), rel=2e-6), name


def test_a_worked_example_of_equations_4_and_5() -> None:
    # n = N / 2, so v = 0 and u = p = 0: lambda = 1 + 10 / 2 = 6, negative log(2) / 6, positive log(2).
    loss = make_loss("anr", [5], 10, gamma=0.0)
    values = loss.elementwise(torch.zeros(2, 1, dtype=torch.float64), torch.tensor([[0], [1]]))
    assert values[:, 0].tolist() == pytest.approx([math.log(2) / 6, math.log(2)])


def test_bias_scale_moves_the_logit_by_the_log_odds() -> None:
    plain = make_loss("nr", COUNTS, N_TOTAL, bias_scale=0.0)
    shifted = make_loss("nr", COUNTS, N_TOTAL, bias_scale=0.5)
    logits, labels = batch(dtype=torch.float64)
    v = torch.log(N_TOTAL / torch.tensor(COUNTS, dtype=torch.float64) - 1)
    assert torch.allclose(shifted.elementwise(logits + 0.5 * v, labels), plain.elementwise(logits, labels))
    assert torch.allclose(shifted.shift(logits), 0.5 * v)


def test_slope_of_a_negative_has_no_dead_zone() -> None:
    u = torch.linspace(-20, 20, 2001, dtype=torch.float64)[:, None].requires_grad_(True)
    make_loss("anr", [5], 10, gamma=0.0).elementwise(u, torch.zeros(2001, 1)).sum().backward()
    assert u.grad is not None
    assert 0 <= float(u.grad.min()) <= float(u.grad.max()) < 1.0035
    assert float(u.grad[u > 2].min()) > 0.98


def test_labels_may_be_of_any_type() -> None:
    loss = make_loss("anr-llm", COUNTS, N_TOTAL, rate=0.1)
    logits, labels = batch()
    values = [loss(logits, labels.to(t)) for t in (torch.bool, torch.int8, torch.int64, torch.float32)]
    assert all(torch.equal(value, values[0]) for value in values)


def test_unknown_names_parameters_and_counts_are_user_errors() -> None:
    with pytest.raises(UserError, match="no loss 'anrr'"):
        make_loss("anrr", COUNTS, N_TOTAL)
    with pytest.raises(UserError, match="no parameter betta; it takes beta"):
        make_loss("anr", COUNTS, N_TOTAL, betta=3)
    with pytest.raises(UserError, match="formulation"):
        make_loss("anr", COUNTS, N_TOTAL, "exact")
    with pytest.raises(UserError, match="must lie between 0 and `n_total`"):
        make_loss("anr", [1, 1001], N_TOTAL)
    with pytest.raises(UserError, match="has no key gama"):
        make_loss("db", COUNTS, N_TOTAL, "released", focal={"gama": 2})
    with pytest.raises(UserError, match="one count per class"):
        make_loss("anr", COUNTS, N_TOTAL)(torch.zeros(2, 3), torch.zeros(2, 3))


def test_every_default_can_be_given_explicitly() -> None:
    for name, formulation in BOTH:
        given = loss_parameters(name, formulation)
        assert repr(make_loss(name, COUNTS, N_TOTAL, formulation, **given)) == repr(
            make_loss(name, COUNTS, N_TOTAL, formulation)
        )


def test_training_defaults_use_the_bias_of_the_published_tables_and_the_literal_equation_is_warned_about() -> None:
    for name in ("nr", "anr", "anr-lla", "anr-llm"):
        assert recommended_parameters(name) == {"bias_scale": 0.01}
        literal = make_loss(name, COUNTS, N_TOTAL)
        recommended = make_loss(name, COUNTS, N_TOTAL, **recommended_parameters(name))
        assert "bias_scale=1" in (decision_warning(literal, class_aware=True) or "")
        assert decision_warning(literal, class_aware=True, shifted=True) is None
        assert decision_warning(literal, class_aware=False) is None
        assert decision_warning(recommended, class_aware=True) is None
    assert recommended_parameters("bce") == {}


def test_rate_grows_by_epoch_up_to_the_cap() -> None:
    loss = make_loss("anr-lla", COUNTS, N_TOTAL)
    assert [loss.rate_at(e) for e in (0, 1, 5, 9)] == [0.0, 0.1, 0.5, 0.5]
    cited = make_loss("llr-ct", COUNTS, N_TOTAL)
    assert cited.rate_at(5) == pytest.approx(0.01)


@pytest.mark.parametrize("k", [0, 1, 7, 50, 64, 80])
def test_exactly_k_negatives_are_selected_first_index_first(k: int) -> None:
    generator = torch.Generator().manual_seed(k)
    values = torch.randint(0, 4, (16, 5), generator=generator).float()  # many ties
    positive = torch.rand(16, 5, generator=generator) < 0.2
    selected = largest_negatives(values, positive, k / 80)
    order = sorted((i for i in range(80) if not positive.flatten()[i]), key=lambda i: (-values.flatten()[i].item(), i))
    assert selected.flatten().nonzero().flatten().tolist() == sorted(order[:k])


def test_abandoned_entries_have_no_gradient_and_modified_ones_that_of_a_positive() -> None:
    logits, labels = batch(32, torch.float64)
    base = make_loss("anr", COUNTS, N_TOTAL)
    reference = base.elementwise(logits, labels)
    for scheme in ("abandon", "modify"):
        loss = LargeLossReconsideration(base, scheme, rate=0.1)
        selected = loss.select(reference, labels, epoch=0)
        assert int(selected.sum()) == 16
        assert not (selected & (labels > 0)).any()
        _, gradient = slope(loss, logits, labels)
        _, untouched = slope(base, logits, labels)
        assert torch.equal(gradient[~selected], untouched[~selected])
        if scheme == "abandon":
            assert (gradient[selected] == 0).all()
        else:
            assert (gradient[selected] < 0).all()


def test_reconsideration_wraps_anybodys_loss() -> None:
    class Hinge(nn.Module):
        def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
            return (1 - (2 * labels - 1) * logits).clamp(min=0)

    logits, labels = batch()
    value = LargeLossReconsideration(Hinge(), "abandon", rate=1.0)(logits, labels)
    hinge = (1 - logits).clamp(min=0) * labels
    assert value.item() == pytest.approx(hinge.mean().item())


def test_released_schedule_says_when_it_runs_out_of_entries() -> None:
    logits, labels = batch()
    released = make_loss("anr-lla", COUNTS, N_TOTAL, "released")
    assert released(logits, labels, epoch=10).item() == 0.0
    with pytest.raises(UserError, match="epoch 11"):
        released(logits, labels, epoch=11)
    # The NR class tabulates its rates and stays at the last.
    assert torch.isfinite(make_loss("nr-llm", COUNTS, N_TOTAL, "released")(logits, labels, epoch=30))


def test_released_command_line_ll_cp_is_ll_ct() -> None:
    logits, labels = batch(64)
    as_run = make_loss("llr-cp", COUNTS, N_TOTAL, "released", clean_rate=0.9)
    flexible = make_loss("llr-ct", COUNTS, N_TOTAL, "released", clean_rate=0.9)
    intended = make_loss("llr-cp", COUNTS, N_TOTAL, "released", clean_rate=0.9, mod_scheme="LL-Cp", delta_rel=0.01)
    assert torch.equal(as_run(logits, labels), flexible(logits, labels))
    assert not torch.equal(as_run(logits, labels), intended(logits, labels))


def test_permanent_corrections_stay_and_survive_a_checkpoint() -> None:
    logits, labels = batch(16)
    rows = torch.arange(16)
    loss = make_loss("llr-cp", COUNTS, N_TOTAL, delta=0.05, n_samples=16)
    assert torch.equal(loss(logits, labels, 0, indices=rows), make_loss("bce", COUNTS, N_TOTAL)(logits, labels))
    assert not loss.corrected.any()
    loss(logits, labels, 1, indices=rows)
    # k = 4 count as positive in the batch, the three strictly above the k-th stay so.
    assert int(loss.corrected.sum()) == 3
    assert not (loss.corrected & (labels > 0)).any()
    again = make_loss("llr-cp", COUNTS, N_TOTAL, delta=0.05, n_samples=16)
    again.load_state_dict(loss.state_dict())
    bce = make_loss("bce", COUNTS, N_TOTAL)
    assert torch.equal(again(logits, labels, 0, indices=rows), bce(logits, labels | loss.corrected))
    again.eval()
    before = again.corrected.clone()
    again(logits, labels, 3, indices=rows)
    assert torch.equal(again.corrected, before)
    with pytest.raises(UserError, match="rows 0 to 16"):
        loss(logits, labels, 1, indices=torch.arange(1, 17) - torch.tensor([1] + [0] * 15))


def test_nvum_remembers_the_last_of_equal_images_and_resumes_exactly() -> None:
    logits, labels = batch(4)
    average = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    rows = torch.tensor([3, 7, 3, 1])
    loss = make_loss("nvum", COUNTS, N_TOTAL, n_samples=10)
    loss(logits, labels, indices=rows, ema_logits=average)
    prior = torch.log(torch.tensor(COUNTS) / N_TOTAL + 1e-12)
    assert torch.allclose(loss.memory[3], 0.1 * (average[2] - prior))
    assert torch.allclose(loss.memory[7], 0.1 * (average[1] - prior))
    assert not loss.memory[[0, 2, 4, 5, 6, 8, 9]].any()
    resumed = make_loss("nvum", COUNTS, N_TOTAL, n_samples=10)
    resumed.load_state_dict(loss.state_dict())
    values = [m(logits, labels, indices=rows, ema_logits=average) for m in (loss, resumed)]
    assert torch.equal(values[0], values[1])
    assert torch.equal(loss.memory, resumed.memory)
    with pytest.raises(UserError, match="memory for 10 images"):
        loss(logits, labels, indices=rows + 5, ema_logits=average)


def test_nvum_without_a_memory_row_is_bce() -> None:
    logits, labels = batch()
    nvum, bce = make_loss("nvum", COUNTS, N_TOTAL), make_loss("bce", COUNTS, N_TOTAL)
    assert torch.equal(nvum(logits, labels), bce(logits, labels))


def test_asymmetric_loss_is_asymmetric() -> None:
    loss = make_loss("asl", COUNTS, N_TOTAL)
    logits = torch.full((1, 5), math.log(0.04 / 0.96))  # probability 0.04, below the margin
    assert loss.elementwise(logits, torch.zeros(1, 5)).abs().max() == 0
    expected = -0.96 * np.log(0.04)
    assert loss.elementwise(logits, torch.ones(1, 5))[0, 0].item() == pytest.approx(expected, rel=1e-6)


def test_numbers_of_the_method_page() -> None:
    """The slopes and the float32 limit that docs/methods.md states."""
    u = np.linspace(0, 6, 6001)
    released = gradients.adaptive_slope_released(u, 10.0)
    assert u[released.argmin()] == pytest.approx(2.40, abs=0.01)
    assert released.min() == pytest.approx(0.0009, abs=5e-5)
    assert gradients.adaptive_slope_released(u, 10.1).min() < 0
    assert gradients.adaptive_slope(np.linspace(-20, 20, 40001)).max() == pytest.approx(1.003, abs=5e-4)
    loss = make_loss("anr", [500, 500], 1000, "released")
    for dtype, last in ((torch.float32, -1.57), (torch.float64, -3.14)):
        logits = torch.tensor([[last - 0.03, last + 0.05]], dtype=dtype)
        values = loss.elementwise(logits, torch.zeros(1, 2))
        assert values[0, 0] == 0
        assert values[0, 1] > 0
    paper = make_loss("anr", [500, 500], 1000).elementwise(torch.full((1, 2), -3.14), torch.zeros(1, 2))
    assert (paper > 0).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_accelerator_agrees_with_the_cpu() -> None:
    logits, labels = batch(64)
    for name, formulation in BOTH:
        loss = make_loss(name, COUNTS, N_TOTAL, formulation)
        on_cpu = slope(copy.deepcopy(loss), logits, labels)
        on_device = slope(copy.deepcopy(loss).cuda(), logits.cuda(), labels.cuda())
        for expected, actual in zip(on_cpu, on_device, strict=True):
            torch.testing.assert_close(actual.cpu(), expected, rtol=1e-5, atol=1e-8, msg=f"{name} {formulation}")
