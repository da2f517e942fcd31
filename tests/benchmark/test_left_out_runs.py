"""Folders with labels of -1 and with verified labels, from the folder to the printed table."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from tiny_recipe import TINY

from ltml_benchmark import cli
from ltml_benchmark.config import Recipe, load_recipe
from ltml_benchmark.data import Folder, only_verified, open_folder
from ltml_benchmark.errors import UserError
from ltml_benchmark.launch import data_summary
from ltml_benchmark.metrics import evaluate
from ltml_benchmark.phantoms import LABELS
from ltml_benchmark.train import loss_for, train

SETTINGS = {**TINY, "schedule": {"warmup_steps": 0}, "epochs": 2, "steps_per_epoch": 2, "bootstrap": 5}


def lists(matrix: NDArray[np.int8]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])


@pytest.fixture(scope="module")
def uncertain_folder(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fifth of all labels left out, the first class of the training split completely; every other test row read."""
    copy = shutil.copytree(phantom_folder, tmp_path_factory.mktemp("data") / "uncertain")
    rng = np.random.default_rng(0)
    for path in sorted((copy / "data").glob("*.parquet")):
        table = pq.read_table(path)
        target = np.array(table["target"].to_pylist(), dtype=np.int8)
        target[rng.random(target.shape) < 0.2] = -1
        if path.name.startswith("train"):
            target[:, 0] = -1
        table = table.set_column(table.schema.get_field_index("target"), "target", lists(target))
        if path.name.startswith("test"):
            verified = np.zeros_like(target)
            verified[::2, 1:] = 1
            table = table.append_column("verified", lists(verified))
        pq.write_table(table, path)
    return copy


@pytest.fixture(scope="module")
def a_run(uncertain_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = load_recipe("anr-lla", SETTINGS)
    assert isinstance(recipe, Recipe)
    return train(recipe, uncertain_folder, tmp_path_factory.mktemp("runs") / "anr-lla", device="cpu")


def read_json(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def test_counts_are_those_of_known_labels(uncertain_folder: Path) -> None:
    folder = open_folder(uncertain_folder)
    train_split = folder.splits["train"]
    labels = np.array(pq.read_table(train_split.shards[0], columns=["target"])["target"].to_pylist())
    assert np.array_equal(train_split.labels, labels)
    counts, known = folder.class_counts("train")
    assert counts.tolist() == (labels == 1).sum(axis=0).tolist()
    assert np.asarray(known).tolist() == (labels >= 0).sum(axis=0).tolist()
    loss = loss_for(load_recipe("anr", SETTINGS), counts, known, len(labels))
    shift = np.log(np.asarray(known)[1] / counts[1] - 1)
    assert loss._shift._vector[1].item() == pytest.approx(loss.bias_scale * shift)
    rows = np.array([5, 3])
    assert np.array_equal(train_split.take(rows).labels, labels[rows])
    assert "labels left out" in data_summary(folder, None)


def test_known_folders_carry_no_mask(phantom_folder: Path) -> None:
    folder = open_folder(phantom_folder)
    assert all(split.known is None and split.labels.dtype == np.bool_ for split in folder.splits.values())
    assert "left out" not in data_summary(folder, None)


@pytest.mark.parametrize("name", ["bce", "nvum", "llr-cp"])
def test_methods_train_on_what_is_known(name: str, uncertain_folder: Path, tmp_path: Path) -> None:
    recipe = load_recipe(name, SETTINGS)
    metrics = read_json(train(recipe, uncertain_folder, tmp_path / "run", device="cpu") / "metrics.json")
    assert 0 < metrics["groups"]["total"]["mean"]["auc"] < 1


def test_a_run_scores_known_labels_and_says_how_many(a_run: Path, uncertain_folder: Path, capsys) -> None:
    metrics = read_json(a_run / "metrics.json")
    split = open_folder(uncertain_folder).splits["test"]
    known = (split.labels >= 0).sum(axis=0).tolist()
    assert [metrics["classes"][name]["images"] for name in LABELS] == known
    assert metrics["labels_counted"] == "known"
    assert metrics["labels_left_out"] == split.labels.size - sum(known)
    assert cli.main(["score", str(a_run), "--data", str(uncertain_folder), "--replicates", "5"]) == 0
    assert f"{metrics['labels_left_out']} labels left out" in capsys.readouterr().out


def scores_of(run: Path, folder: Folder) -> NDArray[np.float32]:
    table = pq.read_table(run / "predictions.parquet", filters=[("split", "=", "test")])
    return np.stack([table[name].to_numpy() for name in folder.labels], axis=1)


def test_only_verified_labels_are_scored(a_run: Path, uncertain_folder: Path, tmp_path: Path, capsys) -> None:
    folder = open_folder(uncertain_folder)
    predictions = pq.read_table(a_run / "predictions.parquet")
    read = predictions.filter(pa.array((np.arange(len(predictions)) - 60) % 2 == 0))  # no others need predictions
    pq.write_table(read, tmp_path / "read.parquet")
    out = tmp_path / "read"
    command = ["score", str(tmp_path / "read.parquet"), "--data", str(uncertain_folder), "--out", str(out)]
    assert cli.main([*command, "--verified-only", "--replicates", "5"]) == 0
    assert "verified labels only" in capsys.readouterr().out
    metrics = read_json(out / "metrics.json")
    labels = np.array(folder.splits["test"].labels)
    labels[1::2], labels[:, 0] = -1, -1
    expected = evaluate(scores_of(a_run, folder), labels, folder.groups)
    assert metrics["labels_counted"] == "verified"
    assert metrics["images"] == 30
    assert [metrics["classes"][name]["images"] for name in LABELS] == (labels >= 0).sum(axis=0).tolist()
    assert metrics["groups"]["total"]["mean"]["auc"] == pytest.approx(expected.mean("auc"))
    assert metrics["classes"][LABELS[0]]["auc"] is None
    assert cli.main(["table", str(a_run), str(out)]) == 0
    assert "read, verified labels only" in capsys.readouterr().out
    assert cli.main(["table", str(out)]) == 0
    assert "Scored on verified labels only." in capsys.readouterr().out
    assert cli.main(["compare", str(a_run), str(a_run), "--verified-only", "--replicates", "5"]) == 0
    assert "30 test images of" in (printed := capsys.readouterr().out)
    assert "verified labels only" in printed


def test_a_run_can_be_scored_on_verified_labels(uncertain_folder: Path, tmp_path: Path, capsys) -> None:
    flags = ["--model", "tiny_cnn", "--weights", "none", "--data.decode-size", "32", "--transforms.image-size", "32"]
    flags += ["--epochs", "1", "--steps-per-epoch", "1", "--batch-size", "8", "--bootstrap", "0", "--device", "cpu"]
    command = ["run", "bce", "--data", str(uncertain_folder), "--out", str(tmp_path / "run"), *flags]
    assert cli.main([*command, "--verified-only"]) == 0
    assert "Scored on verified labels only." in capsys.readouterr().out
    metrics = read_json(tmp_path / "run" / "metrics.json")
    split = only_verified(open_folder(uncertain_folder).splits["test"])
    assert sum(row["images"] for row in metrics["classes"].values()) == int((split.labels >= 0).sum())
    assert len(scores_of(tmp_path / "run", open_folder(uncertain_folder))) == 60


def test_rows_that_were_dropped_keep_their_verification(uncertain_folder: Path) -> None:
    split = open_folder(uncertain_folder).splits["test"]
    rows = np.array([7, 2, 4])
    assert np.array_equal(only_verified(split.take(rows)).labels, only_verified(split).labels[rows])


def test_nothing_verified_is_one_clear_sentence(phantom_folder: Path, uncertain_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not say which labels were verified; build it with --gold or --reviewed"):
        only_verified(open_folder(phantom_folder).splits["test"])
    copy = shutil.copytree(uncertain_folder, tmp_path / "copy")
    path = copy / "data" / "test-00000-of-00001.parquet"
    table = pq.read_table(path)
    zeros = lists(np.zeros((len(table), len(LABELS)), dtype=np.int8))
    pq.write_table(table.set_column(table.schema.get_field_index("verified"), "verified", zeros), path)
    with pytest.raises(UserError, match=r"No label of the split test in .* is verified"):
        only_verified(open_folder(copy).splits["test"])
    recipe = load_recipe("bce", {**SETTINGS, "verified_only": True})
    with pytest.raises(UserError, match="is verified"):
        train(recipe, copy, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_targets_outside_the_three_values_are_refused(phantom_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(phantom_folder, tmp_path / "copy")
    path = copy / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    target = np.full((len(table), len(LABELS)), -2, dtype=np.int8)
    pq.write_table(table.set_column(table.schema.get_field_index("target"), "target", lists(target)), path)
    with pytest.raises(UserError, match="values other than 1, 0 and -1"):
        open_folder(copy)
