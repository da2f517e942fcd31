"""What a GPU needs, as far as it can be tested without one.

Tensors on the device `meta` have no values, so whatever reads one back, which would make a step wait for a GPU, fails.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_recipe import TINY as SMALL
from torch import distributed, nn
from torch.testing._internal.distributed.fake_pg import FakeStore

from ltml_benchmark import engine
from ltml_benchmark import train as training
from ltml_benchmark.config import OptimizerConfig, Recipe, TransformConfig, load_recipe, merge
from ltml_benchmark.engine import start_fabric
from ltml_benchmark.errors import UserError
from ltml_benchmark.losses import loss_names, loss_parameters, make_loss
from ltml_benchmark.optim import MovingAverage, make_optimizer
from ltml_benchmark.train import train
from ltml_benchmark.transforms import evaluation_view, training_view, view_draws

COUNTS = [50, 20, 4, 1]


def small(**more: Any) -> Recipe:
    recipe = load_recipe("bce", merge(SMALL, more))
    assert isinstance(recipe, Recipe)
    return recipe


@pytest.fixture
def two_processes() -> Iterator[None]:
    """A process group of two in which nothing is sent: the shapes are right, values do not matter here."""
    distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    yield
    distributed.destroy_process_group()


def step(name: str, labels: torch.Tensor) -> None:
    """Forward and backward in the third epoch, as training calls it."""
    more = {"n_samples": 30} if "n_samples" in loss_parameters(name) else {}
    loss = make_loss(name, COUNTS, 100, **more).to("meta").train()
    for module in loss.modules():
        if hasattr(module, "equal_batches"):
            module.equal_batches = True
    logits = torch.zeros(6, 4, device="meta", requires_grad=True)
    memory: dict[str, Any] = {}
    if getattr(loss, "uses_indices", False):
        memory["indices"] = torch.arange(6)
    if getattr(loss, "uses_ema", False):
        memory["ema_logits"] = torch.zeros(6, 4, device="meta")
    value = loss(logits, labels, 2, **memory)
    value.backward()
    assert logits.grad is not None
    assert logits.grad.shape == (6, 4)


@pytest.mark.parametrize("kind", [torch.bool, torch.int8])
@pytest.mark.parametrize("name", loss_names())
def test_no_loss_reads_a_value_back(name: str, kind: torch.dtype) -> None:
    step(name, torch.zeros(6, 4, dtype=kind, device="meta"))


@pytest.mark.parametrize("name", ["anr-lla", "anr-llm", "nvum", "llr-cp"])
def test_no_loss_of_several_processes_reads_a_value_back(name: str, two_processes: None) -> None:
    step(name, torch.zeros(6, 4, dtype=torch.bool, device="meta"))


def test_reading_back_would_be_noticed(two_processes: None) -> None:
    with pytest.raises(RuntimeError, match="meta"):
        torch.zeros((), device="meta").item()
    loss = make_loss("anr-lla", COUNTS, 100).to("meta").train()  # does not know that all processes have six images
    with pytest.raises(RuntimeError, match="meta"):
        loss(torch.zeros(6, 4, device="meta"), torch.zeros(6, 4, dtype=torch.bool, device="meta"), 2)


def test_views_and_the_average_read_nothing_back() -> None:
    images = torch.zeros(3, 64, 64, dtype=torch.uint8, device="meta")
    config = TransformConfig(image_size=32)
    assert training_view(images, config, view_draws(3, 0)).shape == (3, 3, 32, 32)
    assert evaluation_view(images, config).shape == (3, 3, 32, 32)
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).to("meta")
    MovingAverage(net, 0.9).update(net)


def test_constants_are_copied_to_the_device_once() -> None:
    from ltml_benchmark.transforms import _constants

    _constants.cache_clear()
    for _ in range(3):
        evaluation_view(torch.zeros(1, 32, 32, dtype=torch.uint8), TransformConfig(image_size=32))
    assert (_constants.cache_info().misses, _constants.cache_info().hits) == (1, 2)


class OnGpu(nn.Parameter):
    """A parameter that says it is on a GPU."""

    is_cuda = property(lambda self: True)  # type: ignore[assignment]


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_the_optimizer_is_fused_on_a_gpu_but_not_in_fp16(name: str) -> None:
    config = OptimizerConfig(name=name)
    parameters = [OnGpu(torch.zeros(2))]
    assert make_optimizer(parameters, config, "bf16").defaults["fused"] is True
    assert not make_optimizer(parameters, config, "fp16").defaults["fused"]
    assert not make_optimizer([nn.Parameter(torch.zeros(2))], config, "32").defaults["fused"]


@pytest.fixture
def settings_of_torch() -> Iterator[None]:
    """Puts the global settings back that `start_fabric` makes."""
    before = (
        torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(),
    )  # fmt: skip
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before[1:3]
    torch.use_deterministic_algorithms(before[3])


@pytest.mark.parametrize(
    ("precision", "matmul", "rounds"), [("32", "highest", False), ("tf32", "high", True), ("bf16", "high", True)]
)
def test_32_is_full_float32_and_tf32_is_asked_for(
    precision: str, matmul: str, rounds: bool, monkeypatch, settings_of_torch: None
) -> None:
    monkeypatch.setattr(engine, "chosen_precision", lambda precision, accelerator: precision)
    start_fabric(small(precision=precision), "cpu", 1)
    assert torch.get_float32_matmul_precision() == matmul
    assert torch.backends.cudnn.allow_tf32 is rounds


@pytest.mark.parametrize("deterministic", [False, True])
def test_kernels_are_tried_out_unless_they_have_to_be_the_same(deterministic: bool, settings_of_torch: None) -> None:
    start_fabric(small(deterministic=deterministic), "cpu", 1)
    assert torch.backends.cudnn.benchmark is not deterministic
    assert torch.are_deterministic_algorithms_enabled() is deterministic


def test_arithmetic_that_a_device_lacks_is_refused() -> None:
    for precision in ("tf32", "fp16"):
        with pytest.raises(UserError, match="needs a CUDA GPU"):
            engine.chosen_precision(precision, "cpu")
    assert [engine.chosen_precision("auto", device) for device in ("cuda", "mps", "cpu")] == ["bf16", "32", "32"]


def test_the_best_device_is_found(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert engine.chosen_accelerator("auto") == "mps"
    assert engine.chosen_accelerator("mps") == "mps"
    with pytest.raises(UserError, match="sees no GPU"):
        engine.chosen_accelerator("cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert engine.chosen_accelerator("auto") == "cpu"


def test_the_compile_mode_reaches_the_compiler(phantom_folder: Path, tmp_path: Path, monkeypatch) -> None:
    asked: list[str | None] = []

    def compiled(model: nn.Module, *, mode: str | None = None) -> nn.Module:
        asked.append(mode)
        return model

    monkeypatch.setattr(torch, "compile", compiled)
    train(small(compile=True, compile_mode="max-autotune"), phantom_folder, tmp_path / "run", device="cpu")
    assert asked == ["max-autotune"]


def test_a_kernel_that_is_not_deterministic_is_one_sentence(phantom_folder: Path, tmp_path: Path, monkeypatch) -> None:
    def fit(run: Any) -> None:
        raise RuntimeError(
            "adaptive_max_pool2d_backward_cuda does not have a deterministic implementation, but you set"
        )

    monkeypatch.setattr(training, "fit", fit)
    with pytest.raises(UserError, match=r"--deterministic cannot be kept here \(adaptive_max_pool2d"):
        train(small(), phantom_folder, tmp_path / "run", device="cpu")
