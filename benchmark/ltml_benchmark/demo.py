"""`demo`: every recipe on simulated images, without and with false negatives injected into the labels."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ltml_benchmark.config import Recipe, Suite, load_recipe, shipped_recipes
from ltml_benchmark.data import open_folder
from ltml_benchmark.errors import UserError
from ltml_benchmark.noise import STUDY_FILE
from ltml_benchmark.onlyone import only_one
from ltml_benchmark.phantoms import read_truth, write_folder
from ltml_benchmark.runfiles import read_json, write_json
from ltml_benchmark.scoring import RULES

SIZES = {"train": 2400, "validation": 600, "test": 1500}
IMAGE_SIZE = 32
SETTINGS: dict[str, Any] = {
    "data": {"decode_size": IMAGE_SIZE},
    "model": {"name": "tiny_cnn", "weights": "none"},
    "transforms": {"image_size": IMAGE_SIZE, "flip": 0.0, "crop": 0.9},
    "optimizer": {"lr": 0.1},
    "schedule": {"warmup_steps": 20},
    "steps_per_epoch": 30,
    "batch_size": 64,
    "eval_batch_size": 500,
    "log_every": 30,
    "workers": 1,
    "bootstrap": 200,
    "checkpoint_every": 100000,
}
"""What the demo changes in every recipe alike: a network and a number of steps for a CPU."""
RECOVERED_FILE = "recovered.json"
SAME_AS_ANOTHER = {"baseline", "tiny"}
"""Recipes that differ from another one in name, or in what SETTINGS set."""


@dataclass(frozen=True)
class Job:
    """One run of the demo."""

    recipe: str
    missed: float
    seed: int
    data: Path
    cache: Path
    out: Path


def demo_recipes() -> list[str]:
    """Every shipped method once, those of the paper's tables last."""
    methods = [name for name in shipped_recipes() if name not in SAME_AS_ANOTHER]
    recipes = [recipe for recipe in map(load_recipe, methods) if isinstance(recipe, Recipe)]
    return [recipe.name for recipe in sorted(recipes, key=lambda recipe: (rank(recipe), recipe.name))]


def rank(recipe: Recipe) -> int:
    """Order in the demo's tables: plain losses, memory and large-loss methods, then the paper's family."""
    families = (("bce",), ("focal", "asl", "db"), ("nvum", "llr-r", "llr-ct", "llr-cp"), ("nr",))
    return next((place for place, names in enumerate(families) if recipe.name in names), len(families))


def run_demo(
    out: Path,
    seeds: int = 3,
    missed: Sequence[float] = (0.0, 0.2, 0.4),
    recipes: Sequence[str] = (),
    workers: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Make data, train every method for every noise rate and seed, and write `noise_study.json`.

    A repeat call goes on where the last one stopped.

    Args:
        out: Folder for data and runs.
        seeds: Runs per method and rate; each seed has its own draw of missed labels.
        missed: Shares of positives that training and validation labels miss.
        recipes: Methods; all shipped ones when empty.
        workers: Processes; the number of cores by default, 1 stays in this one.
        progress: Called with runs done, runs in all and the last run's name.

    Returns:
        Content of `noise_study.json`.

    Raises:
        UserError: An unknown recipe, a suite, or a rate outside [0, 1).
    """
    if seeds < 1 or not all(0 <= rate < 1 for rate in missed):
        raise UserError(f"--seeds is {seeds} and --missed {list(missed)}; give 1 seed or more, rates in [0, 1).")
    names = list(recipes) or demo_recipes()
    for name in names:
        if isinstance(load_recipe(name), Suite):
            raise UserError(f"{name} is a suite; name its recipes with --recipes.")
    started = time.time()
    jobs = [
        Job(
            name, rate, seed, data_folder(out, rate, seed), out / "cache",
            out / "runs" / f"missed-{round(100 * rate):02d}" / name / f"seed-{seed}",
        )
        for rate in missed
        for name in names
        for seed in range(seeds)
    ]  # fmt: skip
    trained = 0
    with only_one(out, "running the demo in"):
        prepare(out, jobs)
        for place, (job, was_trained) in enumerate(finished(jobs, workers or os.cpu_count() or 1), start=1):
            trained += was_trained
            if progress is not None:
                progress(place, len(jobs), f"{job.recipe}, {job.missed:.0%} missed, seed {job.seed}")
        study = collect(jobs, names, list(missed))
        study["seconds"] = round(time.time() - started, 1)
        study["runs_trained"] = trained
        write_json(out / STUDY_FILE, study)
    return study


def finished(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, bool]]:
    """Jobs as they end, and whether they trained: in this process, or in several with one thread each."""
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, run_job(job)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_one_thread) as pool:
        waiting = {pool.submit(run_job, job): job for job in jobs}
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def data_folder(out: Path, missed: float, seed: int) -> Path:
    """One folder per rate and draw; without noise all seeds share one."""
    return out / "data" / (f"missed-{round(100 * missed):02d}-draw-{seed}" if missed else "true-labels")


def prepare(out: Path, jobs: Sequence[Job]) -> None:
    """Draw the images once, decode them into a cache once, and write the data folders."""
    from ltml_benchmark.cache import build_cache
    from ltml_benchmark.pixels import sources_of

    root = out / "images"
    for job in jobs:
        draw = job.seed if job.missed else 0
        if not (job.data / "manifest.json").is_file():
            write_folder(job.data, SIZES, IMAGE_SIZE, 0, job.missed, draw, root)
            continue
        folder = open_folder(job.data)
        sizes = {name: len(split) for name, split in folder.splits.items()}
        expected = {"seed": 0, "image_size": IMAGE_SIZE, "missed": job.missed, "noise_seed": draw}
        if sizes != SIZES or folder.manifest.get("config") != expected:
            raise UserError(f"{job.data} holds the data of another demo; give another --out, or delete {out}.")
    ids, sources = sources_of(open_folder(jobs[0].data), root)
    build_cache(ids, sources, out / "cache", IMAGE_SIZE)


def run_job(job: Job) -> bool:
    """Train one run unless it is the answer already, and measure how it ranks what its labels missed.

    Returns:
        Whether it was trained.
    """
    from ltml_benchmark.train import train

    recipe = load_recipe(job.recipe, {**SETTINGS, "seed": job.seed})
    if not isinstance(recipe, Recipe):
        raise UserError(f"{job.recipe} is a suite.")
    before = stamp(job.out)
    train(recipe, job.data, job.out, job.cache, device="cpu", resume="auto")
    is_new = stamp(job.out) != before
    if is_new or not (job.out / RECOVERED_FILE).is_file():
        write_json(job.out / RECOVERED_FILE, {"auc": recovered(job, recipe)})
    return is_new


def stamp(run: Path) -> int:
    """When the metrics of a run were written; 0 where there are none."""
    path = run / "metrics.json"
    return path.stat().st_mtime_ns if path.is_file() else 0


def recovered(job: Job, recipe: Recipe) -> dict[str, float]:
    """How well a run separates missed positives from true negatives among its own training negatives.

    Returns:
        AUC by group, averaged over classes that miss a label; 0.5 is chance.
    """
    from ltml_benchmark.engine import predict, start_fabric
    from ltml_benchmark.metrics import evaluate
    from ltml_benchmark.models import build_model, load_weights
    from ltml_benchmark.pixels import open_pixels

    folder = open_folder(job.data)
    pixels, split = open_pixels(folder.splits["train"], job.cache, IMAGE_SIZE)
    model = build_model(recipe.model, folder.labels)
    load_weights(model, job.out / "model.safetensors", folder.labels)
    scores = predict(start_fabric(recipe, "cpu", 1), model, pixels, split, recipe)
    truth = read_truth(job.data, "train")
    auc = np.full(len(folder.labels), np.nan)
    for place in range(len(folder.labels)):
        rows = split.target[:, place] == 0
        auc[place] = evaluate(scores[rows, place, None], truth[rows, place, None]).auc[0]
    groups = {"total": list(range(len(auc))), **folder.groups}
    return {
        group: float(np.nanmean(auc[members])) if (~np.isnan(auc[members])).any() else float("nan")
        for group, members in groups.items()
    }


def collect(jobs: Sequence[Job], names: Sequence[str], missed: Sequence[float]) -> dict[str, Any]:
    """Results of all jobs: metric -> group -> method -> rate -> values by seed."""
    results: dict[str, Any] = {}
    for job in jobs:
        metrics = read_json(job.out / "metrics.json", "the demo made it")
        recovery = read_json(job.out / RECOVERED_FILE, "the demo made it")["auc"]
        for group in ("total", "head", "medium", "tail"):
            mean = metrics["groups"][group]["mean"]
            decided = {rule: metrics["decisions"][rule]["groups"][group]["mean"]["bacc"] for rule in RULES}
            values = {
                "bacc": decided["raw"],
                "bacc_prior": decided["prior"],
                "bacc_validation": decided["validation"],
                "auc": mean["auc"],
                "recovered": recovery[group],
            }
            for metric, value in values.items():
                by_method = results.setdefault(metric, {}).setdefault(group, {})
                by_method.setdefault(job.recipe, {}).setdefault(f"{job.missed:g}", []).append(value)
    return {
        "methods": list(names),
        "missed": list(missed),
        "seeds": len({job.seed for job in jobs}),
        "images": SIZES,
        "settings": SETTINGS,
        "results": results,
    }


def _one_thread() -> None:
    import logging

    import torch

    torch.set_num_threads(1)
    logging.getLogger("ltml_benchmark").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
