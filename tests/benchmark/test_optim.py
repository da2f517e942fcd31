"""Learning rate, optimizer, moving average, order of images, and loggers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ltml_benchmark.config import OptimizerConfig, Recipe, ScheduleConfig, load_recipe
from ltml_benchmark.logs import FileLogger, make_loggers
from ltml_benchmark.optim import MovingAverage, learning_rate, make_optimizer
from ltml_benchmark.order import UniformOrder, make_order


def test_the_published_schedule_warms_up_and_steps_down_twice() -> None:
    config = ScheduleConfig()
    rates = [learning_rate(0.02, config, step, 1000, 8000) for step in range(8000)]
    assert rates[0] == pytest.approx(0.02 / 3)
    assert rates[250] == pytest.approx(0.02 * (1 / 3 + 2 / 3 * 0.5))
    assert rates[500] == rates[4999] == 0.02
    assert rates[5000] == pytest.approx(0.002)
    assert rates[6999] == pytest.approx(0.002)
    assert rates[7000] == rates[7999] == pytest.approx(0.0002)


@given(total=st.integers(1, 400), warmup=st.integers(0, 600), name=st.sampled_from(["step", "cosine", "constant"]))
def test_a_rate_is_never_negative_and_never_above_its_setting(total: int, warmup: int, name: str) -> None:
    config = ScheduleConfig(name=name, warmup_steps=warmup)
    rates = [learning_rate(1.0, config, step, max(total // 8, 1), total) for step in range(total)]
    assert min(rates) >= 0
    assert max(rates) <= 1.0 + 1e-12


def test_only_what_learns_is_given_to_the_optimizer() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    for name, kind in (("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)):
        optimizer = make_optimizer(model.parameters(), OptimizerConfig(name=name))
        assert type(optimizer) is kind
        assert len(optimizer.param_groups[0]["params"]) == 2
        assert optimizer.param_groups[0]["weight_decay"] == 1e-4


def test_a_moving_average_moves_by_its_decay_and_copies_counters() -> None:
    model = nn.BatchNorm1d(2)
    average = MovingAverage(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(2.0)
        model.running_mean.fill_(10.0)
        model.num_batches_tracked.fill_(7)
    average.update(model)
    assert average.model.weight.tolist() == pytest.approx([1.1, 1.1])
    assert average.model.running_mean.tolist() == pytest.approx([1.0, 1.0])
    assert int(average.model.num_batches_tracked) == 7
    assert not average.model.weight.requires_grad


def test_a_uniform_epoch_is_a_permutation_that_seed_and_epoch_decide() -> None:
    order = UniformOrder(20, seed=3)
    first = order.epoch_indices(0)
    assert sorted(first.tolist()) == list(range(20))
    assert (UniformOrder(20, 3).epoch_indices(0) == first).all()
    assert not (order.epoch_indices(1) == first).all()
    assert not (UniformOrder(20, 4).epoch_indices(0) == first).all()


def test_the_recipe_names_its_sampler() -> None:
    labels = np.eye(6, 3, dtype=np.uint8)
    aware, uniform = load_recipe("bce"), load_recipe("bce", {"sampler": {"name": "uniform"}})
    assert isinstance(aware, Recipe)
    assert isinstance(uniform, Recipe)
    assert set(make_order(aware.model_copy(update={"sampler": aware.sampler.model_copy(update={"reduce": 1})}), labels)
               .epoch_indices(0).tolist()) <= {0, 1, 2}  # fmt: skip
    assert len(make_order(uniform, labels).epoch_indices(0)) == 6


def test_a_log_cut_short_by_a_kill_goes_on_where_the_checkpoint_is(tmp_path: Path) -> None:
    log = FileLogger(tmp_path)
    for step in (1, 2):
        log.log("step", step, {"loss": float("nan") if step == 1 else 0.5})
    log.log("epoch", 2, {"epoch": 0, "auc_total": 0.7})
    log.log("step", 3, {"loss": 0.4})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"event": "step", "st')
    again = FileLogger(tmp_path, resumed_at=2)
    again.log("epoch", 4, {"epoch": 1, "auc_total": 0.8})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["event"], line["step"]) for line in lines] == [("step", 1), ("step", 2), ("epoch", 2), ("epoch", 4)]
    assert lines[0]["loss"] is None
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "event,step,epoch,auc_total", "epoch,2,0,0.7", "epoch,4,1,0.8"
    ]  # fmt: skip


def test_tensorboard_gets_the_same_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    loggers = make_loggers(("tensorboard",), tmp_path, "tiny", {}, 0)
    for each in loggers:
        each.log("epoch", 5, {"auc_total": 0.75, "note": "words are left out"})
        each.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert events.Tags()["scalars"] == ["epoch/auc_total"]
    assert events.Scalars("epoch/auc_total")[0].step == 5
    assert events.Scalars("epoch/auc_total")[0].value == 0.75
