"""What would stop a run later, found before the first step: loss in every epoch, model at its size, loggers."""

import json
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ltml_benchmark.config import ModelConfig, Recipe
from ltml_benchmark.errors import UserError
from ltml_benchmark.logs import check_loggers
from ltml_benchmark.losses import loss_parameters, make_loss
from ltml_benchmark.models import build_model
from ltml_benchmark.prepare import Prepared

logger = logging.getLogger(__name__)


def check(run: Prepared, seen: set[str], world: int = 1, *, downloads: bool = True) -> None:
    """Try everything of one run that costs no training.

    Args:
        run: The run.
        seen: Models that were tried already; this one is added.
        world: Processes.
        downloads: Whether default weights may be fetched; without, the model is tried with random ones.

    Raises:
        UserError: What would have stopped the run.
    """
    recipe = run.recipe
    if recipe.batch_size % world:
        raise UserError(
            f"batch_size {recipe.batch_size} does not divide over {world} processes; give a multiple of it."
        )
    check_loggers(recipe.loggers)
    counts, n_images = run.folder.class_counts(recipe.data.class_counts)
    check_loss(recipe, counts, n_images)
    model, batch = recipe.model, min(2, recipe.batch_size // world)
    if not downloads and model.weights == "default" and model.name != "tiny_cnn":
        model = model.model_copy(update={"weights": "none"})
    key = json.dumps([model.model_dump(), recipe.transforms.image_size, batch])
    if key not in seen:
        check_model(model, run.folder.labels, recipe.transforms.image_size, batch)
        seen.add(key)


def loss_for(recipe: Recipe, counts: NDArray[np.int64], n_images: int | NDArray[np.int64], n_rows: int) -> nn.Module:
    """The recipe's loss; one with a memory gets a row for every training image.

    Raises:
        UserError: An unknown loss or parameter, or a loss that needs a moving average and has none.
    """
    name, formulation, parameters = recipe.loss.name, recipe.loss.formulation, dict(recipe.loss.parameters)
    if "n_samples" in loss_parameters(name, formulation):
        parameters.setdefault("n_samples", n_rows)
    loss = make_loss(name, counts, n_images, formulation=formulation, **parameters)
    if getattr(loss, "uses_ema", False) and not recipe.ema:
        raise UserError(f"The loss {name} compares with a moving average of the weights; give --ema 0.99.")
    return loss


def check_loss(recipe: Recipe, counts: NDArray[np.int64], n_images: int | NDArray[np.int64]) -> None:
    """Compute the loss of two empty images in every epoch.

    Raises:
        UserError: The loss cannot be made, or stops in some epoch.
    """
    loss = loss_for(recipe, counts, n_images, 1).eval()
    logits = torch.zeros(2, len(counts), requires_grad=True)
    labels = torch.zeros(2, len(counts), dtype=torch.bool)
    try:
        for epoch in range(recipe.epochs):
            value: Tensor = loss(logits, labels, epoch)
            value.backward()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"The loss {recipe.loss.name} cannot be computed with {recipe.loss.parameters} in epoch {epoch} ({error})."
        ) from error


def check_model(config: ModelConfig, labels: tuple[str, ...], size: int, batch: int) -> None:
    """Show a batch of empty images to the model while it trains.

    Raises:
        UserError: The model cannot be made, cannot take images of this size, or gives something else than logits.
    """
    model = build_model(config, labels).train()
    found = outcome(lambda: model(torch.zeros(batch, 3, size, size)))
    if isinstance(found, Exception):
        raise UserError(
            f"{config.name} cannot train on {batch} images of {size} x {size} pixels "
            f"({' '.join(str(found).split())[:160]}); give another --transforms.image-size, --batch-size or --model."
        ) from found
    if not isinstance(found, Tensor):
        raise UserError(
            f"{config.name} gives a {type(found).__name__} instead of one matrix of logits while it trains; "
            "choose another --model."
        )
    if found.shape != (batch, len(labels)):
        raise UserError(f"{config.name} gives {tuple(found.shape)} instead of ({batch}, {len(labels)}) logits.")


@torch.no_grad()
def outcome(work: Callable[[], Any]) -> Any:
    """What a call returns, or the exception it raises: foreign models raise many kinds."""
    try:
        return work()
    except Exception as error:
        return error
