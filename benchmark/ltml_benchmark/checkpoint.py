"""`state.pt`: what exact resuming needs, written whole or not at all, read without unpickling code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ltml_benchmark.config import Recipe
from ltml_benchmark.data import Folder
from ltml_benchmark.errors import UserError
from ltml_benchmark.runrecord import is_finished

STATE_FILE = "state.pt"
FREE_SETTINGS = {
    "workers",
    "log_every",
    "checkpoint_every",
    "loggers",
    "description",
    "eval_batch_size",
    "verified_only",
}
"""Settings that a resumed run may change, because they do not change what is learned."""


def state_to_resume(out: Path, resume: str | None) -> Path | None:
    """The checkpoint to go on with, if any; a folder in use is never overwritten silently.

    Args:
        out: Run folder.
        resume: None, `auto`, or the path of a state file.

    Raises:
        UserError: The folder holds a run and resuming was not asked for, or the file is missing.
    """
    own = out / STATE_FILE
    if resume is None:
        if own.exists() or is_finished(out):
            raise UserError(f"{out} already holds a run; go on with it by --resume auto, or give another --out.")
        return None
    if resume == "auto":
        return own if own.is_file() else None
    if not Path(resume).is_file():
        raise UserError(f"The checkpoint {resume} was not found; --resume takes `auto` or the path of a state.pt.")
    return Path(resume)


def save_state(out: Path, state: Mapping[str, Any], recipe: Recipe, folder: Folder) -> None:
    """Write the checkpoint with the recipe and the data it belongs to."""
    partial = out / f"{STATE_FILE}.part"
    belongs = {"recipe": recipe.model_dump(mode="json"), "data": folder.manifest_sha256}
    torch.save({**state, **belongs}, partial)
    partial.replace(out / STATE_FILE)


def load_state(path: Path, recipe: Recipe, folder: Folder) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted.

    Raises:
        UserError: No checkpoint, or one of another recipe or data set.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        theirs, data = state["recipe"], state["data"]
    except Exception as error:  # torch raises many kinds on foreign files
        raise UserError(
            f"{path} is no checkpoint of this benchmark ({type(error).__name__}); start in another --out."
        ) from error
    if data != folder.manifest_sha256:
        raise UserError(f"{path} was trained on another data set than {folder.path}; give that one, or another --out.")
    ours = recipe.model_dump(mode="json")
    changed = sorted(key for key in ours if key not in FREE_SETTINGS and theirs.get(key) != ours[key])
    if changed:
        raise UserError(
            f"{path} was started with another `{changed[0]}` ({_short(theirs.get(changed[0]))}, now "
            f"{_short(ours[changed[0]])}); resume with the same settings, or give another --out."
        )
    return state


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else text[:117] + "..."
