"""A dry run refuses what the run would refuse, and a run is named for what it trains."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_recipe import TINY as SMALL

from ltml_benchmark import cli
from ltml_benchmark.config import Recipe, load_recipe, merge
from ltml_benchmark.errors import UserError
from ltml_benchmark.launch import describe, run_recipe


@pytest.mark.parametrize(
    ("settings", "more", "named"),
    [
        ({}, {"images": Path("no/such")}, "image folder no/such was not found"),
        ({"precision": "fp16"}, {}, "fp16 needs a CUDA GPU"),
        ({"verified_only": True}, {}, "does not say which labels were verified"),
        ({"loggers": ["no-such"]}, {}, "loggers"),
        ({"model": {"weights": "no-such.pt"}}, {}, r"no-such.pt were not found"),
        ({}, {"devices": 3}, "does not divide over 3 processes"),
        ({"batch_size": 100000}, {}, "fewer than batch_size 100000"),
    ],
)
def test_a_dry_run_refuses_what_the_run_refuses(phantom_folder: Path, tmp_path: Path, settings, more, named) -> None:
    for call in (describe, run_recipe):
        options = {"images": None, **more, "device": "cpu"} | ({"out": tmp_path} if call is run_recipe else {})
        with pytest.raises(UserError, match=named):
            call("bce", merge(SMALL, settings), phantom_folder, **options)
    assert not list(tmp_path.iterdir())


def test_a_dry_run_without_pixels_is_refused(phantom_files, tmp_path: Path) -> None:
    folder, root = phantom_files
    with pytest.raises(UserError, match="holds no pixels"):
        describe("bce", SMALL, folder, None)
    assert "1 batches an epoch" in describe("bce", SMALL, folder, root)


def test_a_missing_logger_is_named_before_anything_is_read(phantom_folder: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match="wandb is not installed"):
        describe("bce", merge(SMALL, {"loggers": ["wandb"]}), phantom_folder, None)


def test_a_dry_run_says_how_it_stands_to_the_folder(phantom_folder: Path, tmp_path: Path, capsys) -> None:
    flags = ["--model", "tiny_cnn", "--weights", "none", "--data.decode-size", "32", "--transforms.image-size", "32"]
    flags += ["--steps-per-epoch", "1", "--batch-size", "8", "--bootstrap", "0", "--device", "cpu"]
    command = ["run", "bce", "--data", str(phantom_folder), "--out", str(tmp_path / "run"), *flags]
    assert cli.main([*command, "--epochs", "1"]) == 0
    assert cli.main([*command, "--epochs", "1", "--resume", "auto", "--dry-run"]) == 0
    assert "finished already" in capsys.readouterr().out
    assert cli.main([*command, "--epochs", "2", "--resume", "auto", "--dry-run"]) == 0
    assert "goes on from its state.pt" in capsys.readouterr().out
    assert cli.main([*command, "--epochs", "1", "--seed", "4", "--resume", "auto", "--dry-run"]) == 1
    assert "another `seed`" in capsys.readouterr().err
    assert cli.main([*command, "--epochs", "1", "--dry-run"]) == 1
    assert "already holds a run" in capsys.readouterr().err


def test_without_torch_a_dry_run_still_checks_data_and_images(phantom_folder: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from ltml_benchmark.cli import main\n"
        f"command = ['run', 'tiny', '--data', {str(phantom_folder)!r}, '--out', 'no/such', '--dry-run']\n"
        "print(main(command), main([*command, '--images', 'no/images']))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "0 1"
    assert "torch is not installed" in done.stdout
    assert "batches an epoch" in done.stdout
    assert "image folder no/images was not found" in done.stderr


def test_a_recipe_with_another_loss_is_neither_named_nor_placed_as_before() -> None:
    changed = load_recipe("anr-lla", {"loss": {"name": "bce"}})
    assert isinstance(changed, Recipe)
    assert (changed.name, changed.paper_row, changed.description) == ("anr-lla-with-bce", "", "")
    kept = load_recipe("anr-lla", {"loss": {"parameters": {"delta": 0.2}}})
    assert isinstance(kept, Recipe)
    assert (kept.name, kept.paper_row) == ("anr-lla", "ANR-LLA")
    assert load_recipe("anr-lla", {"loss": {"name": "bce"}, "name": "mine"}).name == "mine"
    assert load_recipe("db", {"loss": {"formulation": "released"}}).name == "db-released"


def test_a_file_with_another_loss_is_not_the_papers_row(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: anr-lla\nloss: {name: focal}\n")
    recipe = load_recipe(str(tmp_path / "mine.yaml"))
    assert isinstance(recipe, Recipe)
    assert (recipe.name, recipe.paper_row, recipe.loss.parameters) == ("mine", "", {})


def test_one_loss_for_all_rows_of_a_suite_is_refused(phantom_folder: Path) -> None:
    with pytest.raises(UserError, match="the loss of every row of the suite table1"):
        describe("table1", merge(SMALL, {"loss": {"name": "focal"}}), phantom_folder, None)
    text = describe("table1", merge(SMALL, {"loss": {"formulation": "released"}}), phantom_folder, None)
    assert "RUN/anr-lla-released" in text
