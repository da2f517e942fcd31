"""From a recipe to everything a run needs before torch has done anything: data, pixels, order, steps, its question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from ltml_benchmark.config import Recipe
from ltml_benchmark.data import SPLITS, Folder, Split, only_verified, open_folder
from ltml_benchmark.errors import UserError
from ltml_benchmark.identity import Question, file_hash
from ltml_benchmark.pixels import Pixels, open_pixels, pixels_facts

if TYPE_CHECKING:  # where torch is not installed a dry run still opens data and pixels
    from ltml_benchmark.order import EpochOrder

Opened = Mapping[str, tuple[Pixels, Split]]


@dataclass(frozen=True)
class Prepared:
    """One run, ready to be checked and trained."""

    recipe: Recipe
    """Resolved: nothing in it depends on the machine or the data any more."""
    folder: Folder
    """The data set with the rows whose images are there."""
    pixels: Mapping[str, Pixels]
    order: "EpochOrder"
    steps_per_epoch: int
    total_steps: int
    question: Question
    left_out: Mapping[str, Sequence[str]]
    """Split name to the images that are not there and that the run goes on without."""
    unscored: int
    """Test images among them with a label that would count."""
    device: str
    devices: int


class Sources:
    """Data sets and pixels that the runs of one command share, opened once."""

    def __init__(self, data: Path, images: Path | None) -> None:
        self.images = images
        self.folder = open_folder(data)
        self._opened: dict[tuple[str, int, str], Opened] = {}

    def open(self, recipe: Recipe) -> tuple[Path | None, Opened]:
        """Image source of a recipe and the pixels of every split."""
        images = self.images if self.images is not None else Path(recipe.data.images) if recipe.data.images else None
        key = (str(images), recipe.data.decode_size, recipe.data.missing_images)
        if key not in self._opened:
            self._opened[key] = {
                name: open_pixels(self.folder.splits[name], images, recipe.data.decode_size, recipe.data.missing_images)
                for name in SPLITS
            }
        return images, self._opened[key]


def prepare(recipe: Recipe, sources: Sources, device: str = "auto", devices: int = 1) -> Prepared:
    """Resolve a recipe against data, pixels and device.

    Args:
        recipe: Recipe as read.
        sources: Data and pixels.
        device: `cpu`, `cuda`, `mps` or `auto`.
        devices: Processes on this machine.

    Raises:
        UserError: Data, pixels or settings that cannot work.
    """
    from ltml_benchmark.engine import chosen_accelerator, chosen_precision
    from ltml_benchmark.models import resolved
    from ltml_benchmark.order import make_order

    images, opened = sources.open(recipe)
    accelerator = chosen_accelerator(device)
    folder = replace(sources.folder, splits={name: split for name, (_, split) in opened.items()})
    whole = sources.folder.splits["test"]
    if recipe.verified_only:
        only_verified(folder.splits["test"])  # says now what would be missing at the end
        whole = only_verified(whole)
        whole = whole.take(whole.rows_with_labels())
    facts = pixels_facts(opened, images)
    recipe = recipe.model_copy(
        update={
            "model": resolved(recipe.model),
            "precision": chosen_precision(recipe.precision, accelerator),
            "data": recipe.data.model_copy(update={"decode_size": facts["size"], "images": facts["path"]}),
        }
    )
    order = make_order(recipe, folder.splits["train"].target)
    steps_per_epoch, total_steps = steps_of(recipe, len(order.epoch_indices(0)))
    weights = Path(recipe.model.weights)
    own_weights = recipe.model.weights not in {"default", "none"}
    if own_weights and not weights.is_file():
        raise UserError(f"The weights {weights} were not found; give --weights default, none, or a file.")
    question = Question(recipe, folder.manifest_sha256, facts, file_hash(weights) if own_weights else "")
    pixels = {name: each for name, (each, _) in opened.items()}
    left_out = {name: missing_of(sources.folder.splits[name], split) for name, split in folder.splits.items()}
    left_out = {name: missing for name, missing in left_out.items() if missing}
    return Prepared(
        recipe, folder, pixels, order, steps_per_epoch, total_steps, question, left_out,
        len(missing_of(whole, folder.splits["test"])), accelerator, devices,
    )  # fmt: skip


def missing_of(whole: Split, there: Split) -> list[str]:
    """Ids of the rows of a split that are not among those that are there."""
    found = pc.is_in(whole.image_id, value_set=there.image_id.combine_chunks())
    return [str(name) for name in whole.image_id.filter(pc.invert(found)).to_pylist()]


def steps_of(recipe: Recipe, epoch_images: int) -> tuple[int, int]:
    """Batches in an epoch and in the run.

    Raises:
        UserError: An epoch has less than one batch.
    """
    per_epoch = epoch_images // recipe.batch_size
    if recipe.steps_per_epoch:
        per_epoch = min(per_epoch, recipe.steps_per_epoch)
    if per_epoch == 0:
        raise UserError(
            f"An epoch has {epoch_images} images, fewer than batch_size {recipe.batch_size}; lower --batch-size."
        )
    total = per_epoch * recipe.epochs
    return per_epoch, min(total, recipe.max_steps) if recipe.max_steps else total
