"""Labels of -1 in losses: as if the entry were not there."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ltml_benchmark.losses import loss_names, make_loss
from ltml_benchmark.losses.llr import LargeLossReconsideration
from ltml_benchmark.losses.prior import class_counts, log_odds_against
from ltml_benchmark.losses.selection import largest_negatives

COUNTS, N_TOTAL = [900.0, 120.0, 30.0, 4.0, 1.0], 1000
BOTH = [(name, formulation) for name in loss_names() for formulation in ("paper", "released")]
EPOCHS = (0, 3)


def make(name: str, formulation: str, counts: list[float] = COUNTS) -> nn.Module:
    """A loss with a memory of 40 images and without random mixing."""
    options: dict[str, object] = {"n_samples": 40} if (name, formulation) == ("llr-cp", "paper") else {}
    if name == "nvum":
        options = {"n_samples": 40, "mix": False}
    return make_loss(name, counts, N_TOTAL, formulation, **options).double()


def called(loss: nn.Module, logits: Tensor, labels: Tensor, epoch: int, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient by the logits."""
    leaf = logits.detach().clone().requires_grad_(True)
    memory = {"indices": rows} if getattr(loss, "uses_indices", False) else {}
    value = loss(leaf, labels, epoch, **memory)
    value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


def batch(seed: int, n: int = 16, n_classes: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels of which a quarter is left out, and image rows."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    labels = (torch.rand(n, n_classes, generator=generator) < 0.2).to(torch.int8)
    labels[torch.rand(n, n_classes, generator=generator) < 0.25] = -1
    return logits, labels, torch.randperm(40, generator=generator)[:n]


@pytest.mark.parametrize("name,formulation", BOTH)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.floats(1, 999))
def test_of_one_class_leaving_out_is_removing_the_rows(name: str, formulation: str, seed: int, count: float) -> None:
    logits, labels, rows = batch(seed, n_classes=1)
    labels[0] = 0  # something is known
    known = (labels >= 0)[:, 0]
    masked, reduced = make(name, formulation, [count]), make(name, formulation, [count])
    for epoch in EPOCHS:
        value, gradient = called(masked, logits, labels, epoch, rows)
        expected, expected_gradient = called(reduced, logits[known], labels[known], epoch, rows[known])
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-15)
        torch.testing.assert_close(gradient[known], expected_gradient, rtol=1e-12, atol=1e-15)
        assert not gradient[~known].any()
    for key, state in masked.state_dict().items():
        torch.testing.assert_close(state, reduced.state_dict()[key], msg=key)


@pytest.mark.parametrize("name,formulation", BOTH)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31), strange=st.floats(-100, 100))
def test_logits_of_left_out_entries_change_nothing(name: str, formulation: str, seed: int, strange: float) -> None:
    logits, labels, rows = batch(seed)
    left_out = labels < 0
    first, second = make(name, formulation), make(name, formulation)
    for epoch in EPOCHS:
        value, gradient = called(first, logits, labels, epoch, rows)
        other, other_gradient = called(second, logits.masked_fill(left_out, strange), labels, epoch, rows)
        assert torch.equal(value, other)
        assert torch.equal(gradient, other_gradient)
        assert not gradient[left_out].any()
    for key, state in first.state_dict().items():
        assert torch.equal(state, second.state_dict()[key]), key


@pytest.mark.parametrize("name,formulation", BOTH)
def test_the_matrix_is_zero_there_and_the_value_its_sum_over_known_entries(name: str, formulation: str) -> None:
    logits, labels, rows = batch(1)
    loss = make(name, formulation)
    matrix = loss.elementwise(logits, labels)
    value, _ = called(make(name, formulation), logits, labels, 0, rows)
    known = labels >= 0
    assert not matrix[~known].any()
    assert matrix[known].any()
    if name != "nvum":  # whose value has a memory term besides
        total = matrix.sum() if (name, formulation) == ("asl", "released") else matrix.sum() / known.sum()
        torch.testing.assert_close(value, total)


@pytest.mark.parametrize("name,formulation", BOTH)
def test_a_batch_without_any_known_label_costs_nothing(name: str, formulation: str) -> None:
    logits, labels, rows = batch(2)
    loss = make(name, formulation)
    for epoch in EPOCHS:
        value, gradient = called(loss, logits, torch.full_like(labels, -1), epoch, rows)
        assert value.item() == 0
        assert not gradient.any()


@pytest.mark.parametrize("name,formulation", BOTH)
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32])
def test_known_labels_of_any_type_give_the_same_bits(name: str, formulation: str, dtype: torch.dtype) -> None:
    logits, labels, rows = batch(3)
    labels = labels.clamp(min=0)
    for epoch in EPOCHS:
        value, gradient = called(make(name, formulation), logits, labels, epoch, rows)
        other, other_gradient = called(make(name, formulation), logits, labels.to(dtype), epoch, rows)
        assert torch.equal(value, other)
        assert torch.equal(gradient, other_gradient)


@settings(max_examples=50)
@given(seed=st.integers(0, 2**31), rate=st.floats(0, 1))
def test_the_selection_counts_and_takes_known_negatives_only(seed: int, rate: float) -> None:
    logits, labels, _ = batch(seed, n=6)
    values = logits.round().abs()  # ties
    known = labels >= 0
    marked = largest_negatives(values, labels > 0, rate, known)
    k = int(np.ceil(round(rate * int(known.sum()), 9)))
    negatives = known & (labels == 0)
    assert not (marked & ~negatives).any()
    assert int(marked.sum()) == min(k, int(negatives.sum()))
    if marked.any() and (negatives & ~marked).any():
        assert values[marked].min() >= values[negatives & ~marked].max()


@pytest.mark.parametrize("normalised", ["by_instance", "by_batch"])
def test_normalised_weights_look_at_known_entries_only(normalised: str) -> None:
    loss = make_loss("db", COUNTS, N_TOTAL, "released", weight_norm=normalised, reweight_func="inv")
    labels = torch.tensor([[1, 0, 0, 0, -1], [-1, 0, 1, 0, -1]])
    weights = loss.weights(torch.zeros(2, 5), labels > 0, labels >= 0)
    assert weights.expand(2, 5)[0].tolist() == pytest.approx(
        [4 / 900, 4 / 120, 4 / 30, 1, 4]
    )  # the rarest known class has 1
    values, strange = (loss.elementwise(logits, labels) for logits in (torch.zeros(2, 5), 9.0 * (labels < 0)))
    assert torch.equal(values, strange)


class Squares(nn.Module):
    """A loss of somebody else that knows no -1."""

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        assert labels.min() >= 0
        return (logits - labels) ** 2


@pytest.mark.parametrize("scheme", ["abandon", "modify"])
def test_a_foreign_loss_never_sees_what_is_left_out(scheme: str) -> None:
    logits, labels, _ = batch(4)
    loss = LargeLossReconsideration(Squares(), scheme)
    for epoch in EPOCHS:
        value, gradient = called(loss, logits, labels, epoch, labels)
        strange, strange_gradient = called(loss, logits.masked_fill(labels < 0, 50.0), labels, epoch, labels)
        assert torch.equal(value, strange)
        assert torch.equal(gradient, strange_gradient)
        assert not gradient[labels < 0].any()


def test_the_memory_is_neither_written_nor_mixed_in_where_a_label_is_left_out() -> None:
    loss = make_loss("nvum", COUNTS, N_TOTAL, n_samples=8)
    known = torch.tensor([[True, False, True, True, True], [True, True, True, True, False]])
    loss.remember(torch.tensor([0, 1]), torch.ones(2, 5), known)
    assert torch.equal(loss.memory[:2] != 0, known)
    mixed = loss.recall(torch.tensor([0, 1]), loss.mixing(2)._replace(permutation=torch.tensor([1, 0])), known)
    assert torch.equal(mixed[0, 4], loss.memory[0, 4])  # its partner is left out
    assert torch.equal(mixed[1, 1], loss.memory[1, 1])


def test_rarity_is_that_among_known_labels() -> None:
    counts = class_counts([30, 30, 0], [1000, 100, 0])
    assert log_odds_against(counts, [1000, 100, 0]).tolist() == pytest.approx([np.log(970 / 30), np.log(70 / 30), 0.0])
    logits, labels, _ = batch(5, n_classes=2)
    for name in ("nr", "db", "anr"):
        for formulation in ("paper", "released"):
            alike = make_loss(name, [30, 300], [100, 1000], formulation).elementwise(logits, labels)
            first = make_loss(name, [30, 300], 100 * 10, formulation).elementwise(logits, labels)
            assert torch.equal(alike[:, 1], first[:, 1])
            assert not torch.equal(alike[:, 0], first[:, 0])
