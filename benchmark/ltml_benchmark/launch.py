"""From a recipe's name and some flags to finished runs: suites, seeds, what is finished already."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltml_benchmark.config import Recipe, Suite, dump_yaml, load_recipe
from ltml_benchmark.data import GROUPS, Folder, Split
from ltml_benchmark.errors import UserError

if TYPE_CHECKING:
    from ltml_benchmark.prepare import Sources

logger = logging.getLogger(__name__)

SAID_OF_FOLDERS = {"new": "", "finished": "; finished already", "goes on": "; goes on from its state.pt"}
"""What a dry run says of a run folder."""


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
    check_resume(resume, len(plan))
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


def check_resume(resume: str | None, runs: int) -> None:
    """Refuse the state of one run for several of them.

    Raises:
        UserError: `resume` is a path, but there are several runs.
    """
    if runs > 1 and resume not in (None, "auto"):
        raise UserError(f"--resume {resume} is the state of one run, but this command makes {runs}; use auto.")


def is_first_process() -> bool:
    """Whether this process is the one that prints, among those of a distributed run."""
    from torch import distributed

    return not distributed.is_initialized() or distributed.get_rank() == 0


def describe(
    name: str,
    overrides: Mapping[str, Any],
    data: Path,
    images: Path | None,
    seeds: int = 1,
    device: str = "auto",
    devices: int = 1,
    out: Path | None = None,
    resume: str | None = None,
) -> str:
    """What a command line would do: resolved recipes, data and steps.

    All that a run checks before its first step is checked: data, images, device, loggers, losses, models (without
    downloading weights) and the run folders. Where torch is not installed the text says what was not tried.

    Args:
        name: Recipe or suite.
        overrides: Settings of the command line.
        data: Folder that `ltml-build-labels` made.
        images: Image root or cache.
        seeds: Runs with consecutive seeds.
        device: As in `run_recipe`.
        devices: Processes.
        out: Run folder; None checks none.
        resume: As in `run_recipe`.

    Raises:
        UserError: Something would stop one of the runs.
    """
    from ltml_benchmark.prepare import Sources

    plan = planned_runs(name, overrides, Path("RUN"), seeds)
    check_resume(resume, len(plan))
    sources = Sources(data, images)
    steps, note = tried(plan, sources, device, devices, out, resume)
    parts = [data_summary(sources.folder, images), note]
    for (path, recipe), (batches, total, said) in zip(plan, steps, strict=True):
        parts.append(
            f"# {path}: {batches} batches an epoch, {total} in all, {total * recipe.batch_size} images shown{said}\n"
            + dump_yaml(recipe.model_dump(mode="json"))
        )
    return "\n".join(parts)


def tried(
    plan: list[tuple[Path, Recipe]], sources: "Sources", device: str, devices: int, out: Path | None, resume: str | None
) -> tuple[list[tuple[int, int, str]], str]:
    """Try every run of a plan as the run itself would.

    Returns:
        For every run its batches in an epoch, those in all, and how it stands to the folder; a line that says what was
        tried.

    Raises:
        UserError: One of them cannot work.
    """
    try:
        from ltml_benchmark.checkpoint import standing
        from ltml_benchmark.engine import world_size
        from ltml_benchmark.preflight import check
        from ltml_benchmark.prepare import prepare
    except ImportError as error:
        return [without_torch(recipe, sources) for _, recipe in plan], (
            f"# losses and models were not tried: {error.name} is not installed"
        )
    seen: set[str] = set()
    found = []
    for path, recipe in plan:
        run = prepare(recipe, sources, device, devices)
        check(run, seen, world_size(devices), downloads=False)
        said = "" if out is None else SAID_OF_FOLDERS[standing(run, out / path.relative_to("RUN"), resume)]
        found.append((run.steps_per_epoch, run.total_steps, said))
    return found, "# loss and model of every run were tried on empty images"


def without_torch(recipe: Recipe, sources: "Sources") -> tuple[int, int, str]:
    """Steps of a run whose images are there.

    Raises:
        UserError: Images are missing, or an epoch has no batch.
    """
    from ltml_benchmark.prepare import steps_of

    _, opened = sources.open(recipe)
    return (*steps_of(recipe, epoch_images(recipe, opened["train"][1])), "")


def epoch_images(recipe: Recipe, split: Split) -> int:
    """Images in one epoch of the recipe's sampler over the training split."""
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
