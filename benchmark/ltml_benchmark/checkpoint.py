"""`state.pt`: what exact resuming needs, written whole or not at all, read without unpickling code."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from ltml_benchmark.errors import UserError
from ltml_benchmark.identity import LENGTH, SCORING, differences
from ltml_benchmark.optim import learning_rate
from ltml_benchmark.prepare import Prepared
from ltml_benchmark.runfiles import read_json
from ltml_benchmark.runrecord import is_finished

STATE_FILE = "state.pt"
WEIGHTS_FILE = "model.safetensors"
Standing = Literal["new", "finished", "goes on"]


def standing(run: Prepared, out: Path, resume: str | None) -> Standing:
    """What a folder is to a run: nothing yet, its answer, or a beginning of it.

    A finished run is the answer to the same question only: recipe, data, pixels, starting weights and the code's way of
    computing. Scored differently it is scored again; more epochs go on where it stopped, when that is what a longer run
    would have done.

    Args:
        run: The run.
        out: Its folder.
        resume: None, `auto`, or the path of a state file.

    Raises:
        UserError: The folder holds another run (the sentence names the difference), or one and resuming was not asked
            for, or the state file is missing.
    """
    own = out / STATE_FILE
    finished = is_finished(out)
    if resume is None:
        if own.exists() or finished:
            raise UserError(f"{out} already holds a run; go on with it by --resume auto, or give another --out.")
        return "new"
    if resume != "auto":
        if not Path(resume).is_file():
            raise UserError(f"The checkpoint {resume} was not found; --resume takes `auto` or the path of a state.pt.")
        if (own.exists() or finished) and Path(resume).resolve() != own.resolve():
            raise UserError(f"{out} already holds a run; give the state of another one with another --out.")
        return "goes on"
    if finished:
        theirs = read_json(out / "manifest.json", "it describes the run").get("answers", {})
        if not differences(run.question.content(), theirs, frozenset()):
            return "finished"
        other = differences(run.question.content(), theirs, SCORING | LENGTH)
        if other:
            raise UserError(
                f"{out} holds a finished run with another {other[0]}; give the settings it was made with, or another "
                "--out."
            )
        if not own.is_file():
            raise UserError(
                f"{out} holds a finished run without its {STATE_FILE}, so it cannot go on; give another --out."
            )
    return "goes on" if own.is_file() else "new"


def state_path(out: Path, resume: str | None) -> Path:
    """The state file that a run goes on from."""
    return out / STATE_FILE if resume in (None, "auto") else Path(resume)


def save_state(out: Path, state: Mapping[str, Any], run: Prepared) -> None:
    """Write the checkpoint with the question it belongs to."""
    partial = out / f"{STATE_FILE}.part"
    torch.save({**state, "question": run.question.content()}, partial)
    partial.replace(out / STATE_FILE)


def load_state(path: Path, run: Prepared, out: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted.

    Weights of the best epoch so far that lie beside a checkpoint of another folder come along.

    Raises:
        UserError: No checkpoint, one of another run, or one that a run of another length would not have come through.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        theirs, step, best = state["question"], int(state["progress"]["step"]), int(state["progress"]["best_epoch"])
    except Exception as error:  # torch raises many kinds on foreign files
        raise UserError(
            f"{path} is no checkpoint of this benchmark ({type(error).__name__}); start in another --out."
        ) from error
    other = differences(run.question.content(), theirs, SCORING | LENGTH)
    if other:
        raise UserError(f"{path} was started with another {other[0]}; resume with the same, or give another --out.")
    refuse_other_path(path, run, theirs["recipe"], step)
    if best >= 0 and path.parent.resolve() != out.resolve():
        weights = path.parent / WEIGHTS_FILE
        if not weights.is_file():
            raise UserError(f"{path} goes with the weights of epoch {best} in {weights}, which are not there.")
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(weights, out / WEIGHTS_FILE)
    return state


def refuse_other_path(path: Path, run: Prepared, theirs: Mapping[str, Any], step: int) -> None:
    """Refuse to go on to another length when the steps already taken would have been others.

    Raises:
        UserError: The new length is behind the checkpoint, cuts an epoch elsewhere, or changes learning rates.
    """
    recipe = run.recipe
    changed = [key for key in sorted(LENGTH) if theirs[key] != getattr(recipe, key)]
    if not changed:
        return
    shown = f"`{changed[0]}` ({theirs[changed[0]]}, now {getattr(recipe, changed[0])})"
    if step > run.total_steps:
        raise UserError(f"{path} stands at batch {step} and was started with another {shown}; give another --out.")
    before = run.steps_per_epoch * theirs["epochs"]
    before = min(before, theirs["max_steps"]) if theirs["max_steps"] else before
    if step == before and step % run.steps_per_epoch:
        raise UserError(f"{path} ended inside an epoch and was started with another {shown}; give another --out.")
    rates = (
        [learning_rate(recipe.optimizer.lr, recipe.schedule, s, run.steps_per_epoch, total) for s in range(step)]
        for total in (before, run.total_steps)
    )
    if len({tuple(each) for each in rates}) > 1:
        raise UserError(
            f"{path} was started with another {shown}, and its learning rates up to batch {step} would have differed "
            f"(schedule {recipe.schedule.name}, warm-up {recipe.schedule.warmup_steps}); give another --out."
        )
