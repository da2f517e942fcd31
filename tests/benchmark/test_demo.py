"""The demo and its noise study: truth is known, runs resume, verdicts follow from numbers."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ltml_benchmark import cli, demo, noise
from ltml_benchmark.config import Recipe, Suite, load_recipe, shipped_recipes
from ltml_benchmark.data import open_folder
from ltml_benchmark.errors import UserError
from ltml_benchmark.phantoms import LABELS, read_truth


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SIZES", {"train": 200, "validation": 80, "test": 80})
    monkeypatch.setitem(demo.SETTINGS, "steps_per_epoch", 2)
    monkeypatch.setitem(demo.SETTINGS, "batch_size", 16)
    monkeypatch.setitem(demo.SETTINGS, "epochs", 2)
    monkeypatch.setitem(demo.SETTINGS, "bootstrap", 5)


def test_the_demo_covers_every_shipped_method_once() -> None:
    names = demo.demo_recipes()
    assert len(names) == len(set(names))
    losses = {json.dumps(load_recipe(name).loss.model_dump(), sort_keys=True) for name in names}
    for name in shipped_recipes():
        recipe = load_recipe(name)
        assert isinstance(recipe, Suite) or json.dumps(recipe.loss.model_dump(), sort_keys=True) in losses


def test_the_demo_trains_reports_and_goes_on(short, tmp_path: Path, capsys) -> None:
    command = ["demo", "--out", str(tmp_path), "--seeds", "2", "--recipes", "bce", "--recipes", "anr-lla"]
    command += ["--missed", "0.0", "--missed", "0.5", "--workers", "1"]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert "| bce " in out
    assert "ours, 2 seeds" in out
    assert "Tail AUC with 50% of positives missed, against bce" in out
    study = json.loads((tmp_path / "noise_study.json").read_text())
    assert study["runs_trained"] == 8
    assert [len(v) for v in study["results"]["auc"]["tail"]["bce"].values()] == [2, 2]
    recovered = study["results"]["recovered"]["total"]["bce"]
    assert recovered["0"] == [None, None]
    assert all(0 <= value <= 1 for value in recovered["0.5"])
    page = (tmp_path / "report.html").read_text()
    assert "Labels that miss findings" in page
    assert cli.main(command) == 0
    assert json.loads((tmp_path / "noise_study.json").read_text())["runs_trained"] == 0


def test_noise_folders_share_images_and_truth_but_not_labels(short, tmp_path: Path) -> None:
    rates = ((0.0, 0), (0.5, 0), (0.5, 1))
    jobs = [
        demo.Job("bce", rate, seed, demo.data_folder(tmp_path, rate, seed), tmp_path / "cache", tmp_path)
        for rate, seed in rates
    ]
    demo.prepare(tmp_path, jobs)
    targets = [open_folder(job.data).splits["train"].target for job in jobs]
    truths = [read_truth(job.data, "train") for job in jobs]
    assert (targets[0] == truths[0]).all()
    assert (truths[0] == truths[1]).all()
    assert not (targets[1] == targets[2]).all()
    lost = 1 - targets[1].sum() / truths[1].sum()
    assert lost == pytest.approx(0.5, abs=0.05)
    for job in jobs:
        assert (open_folder(job.data).splits["test"].target == read_truth(job.data, "test")).all()


@pytest.mark.parametrize(
    ("options", "named"),
    [({"seeds": 0}, "--seeds is 0"), ({"missed": (1.0,)}, "rates in"), ({"recipes": ("table1",)}, "is a suite")],
)
def test_an_impossible_study_is_one_sentence(tmp_path: Path, options, named: str) -> None:
    with pytest.raises(UserError, match=named):
        demo.run_demo(tmp_path, **options)


def study_of(values: dict[str, list[float]]) -> dict:
    by_method = {name: {"0.4": numbers} for name, numbers in values.items()}
    return {"methods": list(values), "missed": [0.4], "seeds": 3, "results": {"auc": {"tail": by_method}}}


def test_a_verdict_names_only_differences_beyond_the_interval() -> None:
    study = study_of(
        {"bce": [0.70, 0.71, 0.72], "a": [0.80, 0.812, 0.818], "b": [0.60, 0.80, 0.75], "c": [0.6, 0.612, 0.618]}
    )
    sentence = noise.verdict(study, "auc", 0.4)
    assert "above beyond the interval: a (+10.0*);" in sentence
    assert "below: c (-10.0*)." in sentence
    assert "b (" not in sentence


def test_intervals_are_those_of_students_t() -> None:
    values = [0.5, 0.6, 0.7]
    mean, low, high = noise.interval(values)
    assert mean == pytest.approx(0.6)
    turned = [math.asin(math.sqrt(value)) for value in values]
    half = 4.302653 * np.std(turned, ddof=1) / math.sqrt(3)
    assert low == pytest.approx(math.sin(np.mean(turned) - half) ** 2, rel=1e-6)
    assert high == pytest.approx(math.sin(np.mean(turned) + half) ** 2, rel=1e-6)
    assert noise.interval([None, 0.5])[0] == 0.5
    assert np.isnan(noise.interval([None])[0])


@pytest.mark.parametrize("values", [[0.62, 0.98, 0.46], [1.0, 1.0, 0.9], [0.0, 0.02, 0.3]])
def test_intervals_over_seeds_stay_between_0_and_100_percent(values: list[float]) -> None:
    mean, low, high = noise.interval(values)
    assert 0 <= low <= mean <= high <= 1


def test_what_survives_the_number_of_methods_has_a_star() -> None:
    clear = {f"m{k}": [0.7 + 0.01 * k * (seed - 1) for seed in range(3)] for k in range(1, 12)}
    study = study_of({"bce": [0.70, 0.70, 0.70], "alone": [0.74, 0.75, 0.76], **clear})
    change = noise.differences(study, "auc", "tail", 0.4, "bce")["alone"]
    assert change.low > 0
    assert change.p < 0.05 < change.corrected
    assert "alone (+5.0);" in noise.verdict(study, "auc", 0.4)


def test_the_study_says_how_much_of_a_gain_is_calibration() -> None:
    values = {"bacc": [0.8, 0.81, 0.82], "bacc_prior": [0.71, 0.73, 0.72], "bacc_validation": [0.72, 0.71, 0.71]}
    results = {
        metric: {"tail": {"bce": {"0.4": [0.7, 0.71, 0.72]}, "a": {"0.4": numbers}}}
        for metric, numbers in values.items()
    }
    study = {"methods": ["bce", "a"], "missed": [0.4], "seeds": 3, "results": results}
    sentence = noise.calibration_verdict(study, 0.4)
    assert "+10.0 points on average at 0.5, +1.0 when all decide at the prior, +0.3 when all decide" in sentence
    assert "bce itself has 71.0 at 0.5 and 71.0 at the prior; the best of the others at 0.5 is a with 81.0" in sentence


def test_every_recipe_of_the_demo_shares_its_settings() -> None:
    for name in demo.demo_recipes():
        recipe = load_recipe(name, demo.SETTINGS)
        assert isinstance(recipe, Recipe)
        assert recipe.transforms.image_size == demo.IMAGE_SIZE
    assert len(LABELS) == 14
