"""The moving average in both of its modes, and when checkpoints are written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_recipe import TINY

from ltml_benchmark import cli
from ltml_benchmark import train as training
from ltml_benchmark.checkpoint import STATE_FILE
from ltml_benchmark.config import Recipe, load_recipe, merge
from ltml_benchmark.train import train

SMALL = {**TINY, "schedule": {"warmup_steps": 0}, "epochs": 2, "steps_per_epoch": 4, "log_every": 1}
NECKED = {"model": {"name": "resnet18", "weights": "none", "neck": "pfc"}, "steps_per_epoch": 2, "ema": 0.9}
"""A network with batch normalisation and dropout, so that its two modes differ."""


def small(name: str, *more: Mapping[str, Any]) -> Recipe:
    settings: dict[str, Any] = SMALL
    for each in more:
        settings = merge(settings, each)
    recipe = load_recipe(name, settings)
    assert isinstance(recipe, Recipe)
    return recipe


def state_of(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(run / STATE_FILE, weights_only=True)
    return content


class StopAt:
    """Ends the process's work at one step, as a kill would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def log(self, event: str, step: int, values: Any) -> None:
        if step >= self.step:
            raise KeyboardInterrupt

    def close(self) -> None:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_average_answers_the_loss_in_the_mode_that_the_recipe_names(
    mode: str, phantom_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    asked: list[tuple[bool, bool, torch.Tensor]] = []
    averaged_logits = training.averaged_logits

    def watched(run, views):
        average = run.average.model
        average.neck[2].register_forward_pre_hook(lambda module, _: modes.append(module.training))
        modes: list[bool] = []
        logits = averaged_logits(run, views)
        asked.append((modes[0], average.training, logits))
        return logits

    monkeypatch.setattr(training, "averaged_logits", watched)
    run = train(small("nvum", NECKED, {"ema_mode": mode}), phantom_folder, tmp_path / "run", device="cpu")
    assert len(asked) == 4
    assert all(was_training is (mode == "train") for was_training, _, _ in asked)
    assert not any(left_training for _, left_training, _ in asked)  # scored in eval mode always
    assert not any(logits.requires_grad for _, _, logits in asked)
    assert f"ema_mode: {mode}" in (run / "config.yaml").read_text()


@pytest.mark.slow
def test_the_modes_differ_only_where_the_network_does(phantom_folder: Path, tmp_path: Path) -> None:
    def memory(name: str, mode: str, *more: Mapping[str, Any]) -> torch.Tensor:
        recipe = small("nvum", {"epochs": 1, "ema": 0.9, "ema_mode": mode}, *more)
        found: torch.Tensor = state_of(train(recipe, phantom_folder, tmp_path / f"{name}-{mode}", device="cpu"))[
            "loss"
        ]["memory"]
        return found

    assert torch.equal(memory("plain", "eval"), memory("plain", "train"))
    assert not torch.equal(memory("necked", "eval", NECKED), memory("necked", "train", NECKED))


@pytest.mark.slow
def test_a_killed_run_with_an_average_in_train_mode_ends_with_the_same_weights(
    phantom_folder: Path, tmp_path: Path
) -> None:
    recipe = small("nvum", NECKED, {"ema_mode": "train"})
    whole = train(recipe, phantom_folder, tmp_path / "whole", device="cpu")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, phantom_folder, tmp_path / "killed", device="cpu", extra_loggers=[StopAt(4)])
    train(recipe, phantom_folder, tmp_path / "killed", device="cpu", resume="auto")
    for part in ("model", "average", "loss"):
        for key, value in state_of(whole)[part].items():
            assert torch.equal(state_of(tmp_path / "killed")[part][key], value), (part, key)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_the_mode_is_a_flag_and_says_where_it_would_do_nothing(phantom_folder: Path, tmp_path: Path, capsys) -> None:
    command = ["run", "nvum", "--data", str(phantom_folder), "--out", str(tmp_path), "--dry-run", "--model", "tiny_cnn"]
    command += ["--weights", "none", "--batch-size", "8", "--ema-mode", "train"]
    assert cli.main(command) == 0
    assert "ema_mode: train" in capsys.readouterr().out
    assert cli.main([command[0], "bce", *command[2:]]) == 1
    assert "`ema_mode`" in capsys.readouterr().err


class Watch:
    """Notes where `state.pt` stands whenever a step or an epoch is logged."""

    def __init__(self, out: Path) -> None:
        self.path = out / STATE_FILE
        self.seen: list[tuple[str, int, int]] = []

    def log(self, event: str, step: int, values: Any) -> None:
        stands = torch.load(self.path, weights_only=True)["progress"]["step"] if self.path.is_file() else 0
        self.seen.append((event, step, stands))

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("every", "accumulate", "written"),
    [
        (500, 1, [4, 8]),  # after each epoch alone
        (1, 1, [1, 2, 3, 4, 5, 6, 7, 8]),
        (3, 1, [3, 4, 7, 8]),  # counted from the last one
        (1, 2, [2, 4, 6, 8]),  # never inside a window of accumulated batches
        (3, 3, [3, 4, 7, 8]),
    ],
)
def test_checkpoints_are_written_at_their_interval_and_after_epochs(
    every: int, accumulate: int, written: list[int], phantom_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    watch = Watch(out)
    recipe = small("bce", {"checkpoint_every": every, "optimizer": {"accumulate": accumulate}})
    train(recipe, phantom_folder, out, device="cpu", extra_loggers=[watch])
    stands = sorted({stand for _, _, stand in watch.seen if stand} | {state_of(out)["progress"]["step"]})
    assert stands == written
    # a step is logged before its own checkpoint is written, so the one before it stands there
    before = {step: max((w for w in written if w < step), default=0) for _, step, _ in watch.seen}
    assert [stand for event, step, stand in watch.seen if event == "step"] == [
        before[step] for event, step, _ in watch.seen if event == "step"
    ]


def test_the_interval_alters_no_number(phantom_folder: Path, tmp_path: Path) -> None:
    runs = [
        train(small("bce", {"checkpoint_every": every}), phantom_folder, tmp_path / str(every), device="cpu")
        for every in (1, 500)
    ]
    one, other = (load_file(run / "model.safetensors") for run in runs)
    assert all(torch.equal(value, other[key]) for key, value in one.items())
    train(small("bce", {"checkpoint_every": 7}), phantom_folder, runs[0], device="cpu", resume="auto")
