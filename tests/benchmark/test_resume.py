"""A finished run is the answer to its own question only."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_recipe import TINY

from ltml_benchmark.config import Recipe, load_recipe, merge
from ltml_benchmark.errors import UserError
from ltml_benchmark.onlyone import only_one
from ltml_benchmark.phantoms import write_folder
from ltml_benchmark.report.runs import read_runs
from ltml_benchmark.report.tables import rows_of, table_of_runs
from ltml_benchmark.train import train

SETTINGS = {**TINY, "schedule": {"warmup_steps": 0}, "epochs": 2, "steps_per_epoch": 2, "bootstrap": 10}


def recipe(**more) -> Recipe:
    loaded = load_recipe("bce", merge(SETTINGS, more))
    assert isinstance(loaded, Recipe)
    return loaded


@pytest.fixture(scope="module")
def finished_run(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe(), phantom_folder, tmp_path_factory.mktemp("runs") / "bce", device="cpu")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"optimizer": {"lr": 0.5}}, "`optimizer.lr`"),
        ({"seed": 7}, "`seed`"),
        ({"loss": {"name": "focal"}}, "`loss.name`"),
        ({"loss": {"formulation": "released"}}, "`loss.formulation`"),
        ({"steps_per_epoch": 3}, "`steps_per_epoch`"),
        ({"name": "other"}, "`name`"),
        ({"data": {"decode_size": 40}}, "decode"),
    ],
)
def test_another_recipe_is_refused_by_name(finished_run: Path, phantom_folder: Path, more, named: str) -> None:
    before = (finished_run / "metrics.json").stat().st_mtime_ns
    with pytest.raises(UserError, match=named):
        train(recipe(**more), phantom_folder, finished_run, device="cpu", resume="auto")
    assert (finished_run / "metrics.json").stat().st_mtime_ns == before


def test_other_data_images_and_code_are_refused(
    finished_run, phantom_folder, phantom_files, monkeypatch, tmp_path
) -> None:
    other = write_folder(tmp_path / "other", {"train": 96, "validation": 60, "test": 60}, image_size=32, seed=2)
    with pytest.raises(UserError, match="data set"):
        train(recipe(), other, finished_run, device="cpu", resume="auto")
    changed = shutil.copytree(phantom_folder, tmp_path / "changed")
    shutil.copyfile(next((other / "data").glob("train-*")), next((changed / "data").glob("train-*")))
    with pytest.raises(UserError, match="images"):
        train(recipe(), changed, finished_run, device="cpu", resume="auto")
    monkeypatch.setattr("ltml_benchmark.identity.FORMULATION", 99)
    with pytest.raises(UserError, match="way of computing"):
        train(recipe(), phantom_folder, finished_run, device="cpu", resume="auto")


def test_the_same_command_is_answered_and_another_scoring_scores_again(finished_run, phantom_folder, tmp_path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    before = (run / "metrics.json").stat().st_mtime_ns
    train(recipe(workers=2, log_every=1), phantom_folder, run, device="cpu", resume="auto")
    assert (run / "metrics.json").stat().st_mtime_ns == before
    train(recipe(decide="prior", bootstrap=0), phantom_folder, run, device="cpu", resume="auto")
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["decide"] == "prior"
    assert "intervals" not in metrics
    assert (
        metrics["groups"]["total"]["mean"]["bacc"] == metrics["decisions"]["prior"]["groups"]["total"]["mean"]["bacc"]
    )


def test_more_epochs_go_on_to_what_a_longer_run_is(finished_run: Path, phantom_folder: Path, tmp_path: Path) -> None:
    longer = shutil.copytree(finished_run, tmp_path / "longer")
    train(recipe(epochs=3), phantom_folder, longer, device="cpu", resume="auto")
    whole = train(recipe(epochs=3), phantom_folder, tmp_path / "whole", device="cpu")
    one, other = (load_file(run / "model.safetensors") for run in (longer, whole))
    assert all(torch.equal(value, other[key]) for key, value in one.items())
    with pytest.raises(UserError, match="`epochs`"):
        train(recipe(epochs=1), phantom_folder, longer, device="cpu", resume="auto")


def test_a_length_that_changes_past_learning_rates_is_refused(phantom_folder: Path, tmp_path: Path) -> None:
    cosine = {"schedule": {"name": "cosine"}}
    train(recipe(**cosine), phantom_folder, tmp_path / "run", device="cpu")
    with pytest.raises(UserError, match="learning rates"):
        train(recipe(**cosine, epochs=3), phantom_folder, tmp_path / "run", device="cpu", resume="auto")
    train(recipe(max_steps=1), phantom_folder, tmp_path / "trial", device="cpu")
    with pytest.raises(UserError, match="inside an epoch"):
        train(recipe(), phantom_folder, tmp_path / "trial", device="cpu", resume="auto")


def test_image_source_and_size_are_recorded(finished_run: Path, phantom_files, tmp_path: Path) -> None:
    assert json.loads((finished_run / "manifest.json").read_text())["images"]["source"] == "column"
    folder, root = phantom_files
    run = train(recipe(), folder, tmp_path / "files", root, device="cpu")
    assert json.loads((run / "manifest.json").read_text())["images"]["path"] == str(root.resolve())
    assert f"images: {root.resolve()}" in (run / "config.yaml").read_text()
    assert load_recipe(str(run / "config.yaml")).data.decode_size == 32


def test_the_second_job_in_one_folder_is_told(phantom_folder: Path, tmp_path: Path) -> None:
    with (
        only_one(tmp_path / "run", "training into"),
        pytest.raises(UserError, match=r"is training into .* at this moment"),
    ):
        train(recipe(), phantom_folder, tmp_path / "run", device="cpu", resume="auto")


def test_namesakes_with_other_settings_are_no_seeds(finished_run: Path, phantom_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run, tmp_path / "runs" / "again")
    train(recipe(seed=1), phantom_folder, tmp_path / "runs" / "seed", device="cpu")
    train(recipe(seed=2, optimizer={"lr": 0.5}), phantom_folder, tmp_path / "runs" / "faster", device="cpu")
    found = read_runs([tmp_path / "runs", finished_run])
    rows = {row.name: row.seeds for row in rows_of(found)}
    assert sorted(rows.values()) == [1, 2]
    assert any("optimizer.lr 0.5" in name for name in rows)
    assert "1 runs repeat the seed of another one" in table_of_runs(found)
