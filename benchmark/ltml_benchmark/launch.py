"""From a recipe's name and some flags to finished runs: suites, seeds, what is finished already."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ltml_benchmark.config import Recipe, Suite, dump_yaml, load_recipe
from ltml_benchmark.data import GROUPS, Folder, open_folder
from ltml_benchmark.errors import UserError

logger = logging.getLogger(__name__)


def planned_runs(name: str, overrides: Mapping[str, Any], out: Path, seeds: int) -> list[tuple[Path, Recipe]]:
    """Run folders and recipes that a command line stands for.

    One seed of one recipe is `out` itself; a suite adds a folder per recipe, several seeds one per seed.

    Raises:
        UserError: Unknown recipe or setting, or fewer than one seed.
    """
    if seeds < 1:
        raise UserError(f"--seeds is {seeds}; it counts runs, so give 1 or more.")
    loaded = load_recipe(name, overrides)
    recipes = [load_recipe(part, overrides) for part in loaded.recipes] if isinstance(loaded, Suite) else [loaded]
    plan: list[tuple[Path, Recipe]] = []
    for recipe in recipes:
        if isinstance(recipe, Suite):
            raise UserError(f"The suite {name} lists the suite {recipe.name}; list recipes instead.")
        folder = out / recipe.name if isinstance(loaded, Suite) else out
        for offset in range(seeds):
            seed = recipe.seed + offset
            plan.append((folder / f"seed-{seed}" if seeds > 1 else folder, recipe.model_copy(update={"seed": seed})))
    return plan


def run_recipe(
    name: str,
    overrides: Mapping[str, Any],
    data: Path,
    out: Path,
    images: Path | None = None,
    seeds: int = 1,
    resume: str | None = None,
    device: str = "auto",
    devices: int = 1,
) -> list[Path]:
    """Train everything that a command line stands for, one run after the other.

    All of them are checked before the first one takes a step. With `resume="auto"` runs that are the answer already are
    skipped and unfinished ones go on.

    Returns:
        The run folders.

    Raises:
        UserError: Any of the runs cannot work, or a folder holds another run.
    """
    from ltml_benchmark.checkpoint import standing
    from ltml_benchmark.engine import world_size
    from ltml_benchmark.preflight import check
    from ltml_benchmark.prepare import Sources, prepare
    from ltml_benchmark.train import train_prepared

    plan = planned_runs(name, overrides, out, seeds)
    if len(plan) > 1 and resume not in (None, "auto"):
        raise UserError(f"--resume {resume} is the state of one run, but this command makes {len(plan)}; use auto.")
    sources = Sources(data, images)
    prepared = [(folder, prepare(recipe, sources, device, devices)) for folder, recipe in plan]
    seen: set[str] = set()
    for folder, run in prepared:
        check(run, seen, world_size(devices))
        if world_size(devices) == 1:
            standing(run, folder, resume)
    for folder, run in prepared:
        if len(plan) > 1:
            logger.info("%s, seed %d -> %s", run.recipe.name, run.recipe.seed, folder)
        train_prepared(run, folder, resume)
    return [folder for folder, _ in plan]


def is_first_process() -> bool:
    """Whether this process is the one that prints, among those of a distributed run."""
    from torch import distributed

    return not distributed.is_initialized() or distributed.get_rank() == 0


def describe(name: str, overrides: Mapping[str, Any], data: Path, images: Path | None, seeds: int = 1) -> str:
    """What a command line would do: resolved recipes, data and steps.

    Losses, and models without their weights, are tried as the run itself would try them; where torch is not installed
    the text says that they were not.

    Raises:
        UserError: Something would stop one of the runs.
    """
    folder = open_folder(data)
    parts = [data_summary(folder, images)]
    plan = planned_runs(name, overrides, Path("RUN"), seeds)
    parts.append(tried([recipe for _, recipe in plan], folder))
    for path, recipe in plan:
        batches = epoch_images(recipe, folder) // recipe.batch_size
        if recipe.steps_per_epoch:
            batches = min(batches, recipe.steps_per_epoch)
        if batches == 0:
            raise UserError(f"An epoch of {path} has no batch of {recipe.batch_size} images; lower --batch-size.")
        total = batches * recipe.epochs
        total = min(total, recipe.max_steps) if recipe.max_steps else total
        parts.append(
            f"# {path}: {batches} batches an epoch, {total} in all, {total * recipe.batch_size} images shown\n"
            + dump_yaml(recipe.model_dump(mode="json"))
        )
    return "\n".join(parts)


def tried(recipes: list[Recipe], folder: Folder) -> str:
    """Try loss and model of every recipe; a comment line that says what was tried.

    Raises:
        UserError: One of them cannot work.
    """
    try:
        from ltml_benchmark.models import resolved
        from ltml_benchmark.preflight import check_loss, check_model
    except ImportError as error:
        return f"# losses and models were not tried: {error.name} is not installed"
    seen = set()
    for recipe in recipes:
        counts, n_images = folder.class_counts(recipe.data.class_counts)
        check_loss(recipe, counts, n_images)
        model = resolved(recipe.model)
        if model.weights == "default" and model.name != "tiny_cnn":  # nothing is downloaded for a dry run
            model = model.model_copy(update={"weights": "none"})
        key = (model.model_dump_json(), recipe.transforms.image_size)
        if key not in seen:
            check_model(model, folder.labels, recipe.transforms.image_size, min(2, recipe.batch_size))
            seen.add(key)
    return "# loss and model of every run were tried on empty images"


def epoch_images(recipe: Recipe, folder: Folder) -> int:
    """Images in one epoch of the recipe's sampler."""
    split = folder.splits["train"]
    if recipe.sampler.name == "uniform":
        return len(split)
    counts = split.target.sum(axis=0)
    return int(counts.max(initial=0)) * int((counts > 0).sum()) // recipe.sampler.reduce


def data_summary(folder: Folder, images: Path | None) -> str:
    """Splits, labels and groups in a few comment lines."""
    counts, _ = folder.class_counts("train")
    rows = ", ".join(f"{name} {len(split)}" for name, split in folder.splits.items())
    lines = [f"# data {folder.path}: {rows}; manifest {folder.manifest_sha256[:12]}"]
    lines.append(f"# pixels from {images if images is not None else 'the image column'}")
    left_out = {name: int((~split.known).sum()) for name, split in folder.splits.items() if split.known is not None}
    if left_out:
        lines.append(f"# labels left out: {', '.join(f'{name} {count}' for name, count in left_out.items())}")
    for group in GROUPS:
        names = [f"{folder.labels[place]} ({counts[place]})" for place in folder.groups[group]]
        lines.append(f"# {group} ({len(names)}): {', '.join(names) or 'no class'}")
    return "\n".join(lines)
