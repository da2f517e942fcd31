"""Real pixels: the folder that `ltml-build-labels split` makes of a table with images trains and scores."""

import json
from pathlib import Path

import pytest
from shared_data import shared

from ltml_benchmark import cli
from ltml_benchmark.data import open_folder
from ltml_dataset import cli as labels_cli


@pytest.fixture(scope="module")
def nih_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = shared("data/images/nih1000_64px.parquet")
    out = tmp_path_factory.mktemp("nih") / "data"
    assert labels_cli.main(["split", str(table), "--out", str(out), "--group", "patient"]) == 0
    return out


def test_labels_and_groups_come_from_the_data(nih_folder: Path) -> None:
    folder = open_folder(nih_folder)
    manifest = json.loads((nih_folder / "manifest.json").read_text())
    assert len(folder.labels) == 15
    assert {group: len(places) for group, places in folder.groups.items()} == {
        group: len(names) for group, names in manifest["groups"].items()
    }
    counts = {name: split.target.sum(axis=0).tolist() for name, split in folder.splits.items()}
    assert counts["train"] == [manifest["label_counts"]["train"][name] for name in folder.labels]


def test_the_baseline_trains_on_real_pixels_and_scores(nih_folder: Path, tmp_path: Path, capsys) -> None:
    flags = ["--model", "tiny_cnn", "--weights", "none", "--data.decode-size", "64", "--transforms.image-size", "64"]
    flags += ["--epochs", "2", "--steps-per-epoch", "8", "--schedule.warmup-steps", "0", "--bootstrap", "20"]
    out = tmp_path / "run"
    command = ["run", "baseline", "--data", str(nih_folder), "--out", str(out), "--device", "cpu", *flags]
    assert cli.main(command) == 0
    assert "| baseline | ours" in capsys.readouterr().out
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["images"] == len(open_folder(nih_folder).splits["test"])
    undefined = [name for name, values in metrics["classes"].items() if values["auc"] is None]
    assert metrics["groups"]["total"]["undefined"]["auc"] == len(undefined)
    assert metrics["groups"]["total"]["mean"]["auc"] > 0
