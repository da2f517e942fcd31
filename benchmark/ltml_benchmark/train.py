"""One training run: set up, fit, validate, save. Read it from top to bottom."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from numpy.typing import NDArray
from torch import Tensor, nn

from ltml_benchmark.batches import Batch, BatchReader
from ltml_benchmark.checkpoint import load_state, save_state, state_to_resume
from ltml_benchmark.config import Recipe
from ltml_benchmark.data import Folder, Split, only_verified, open_folder
from ltml_benchmark.engine import device_name, predict, start_fabric
from ltml_benchmark.errors import UserError
from ltml_benchmark.logs import Logger, Meter, make_loggers
from ltml_benchmark.losses import decision_warning, loss_parameters, make_loss
from ltml_benchmark.metrics import best_thresholds
from ltml_benchmark.models import build_model, load_weights, resolved, save_weights
from ltml_benchmark.optim import MovingAverage, learning_rate, make_optimizer
from ltml_benchmark.order import EpochOrder, make_order
from ltml_benchmark.pixels import Pixels, open_pixels
from ltml_benchmark.runfiles import write_predictions
from ltml_benchmark.runrecord import finish_record, start_record
from ltml_benchmark.scoring import epoch_scalars, evaluate_split, metrics_content, selection_value
from ltml_benchmark.transforms import training_view, view_draws

logger = logging.getLogger(__name__)

WEIGHTS_FILE = "model.safetensors"


@dataclass
class Progress:
    """Where a run stands; part of the checkpoint."""

    step: int = 0
    """Batches done in the whole run."""
    best: float = -math.inf
    best_epoch: int = -1
    seconds: float = 0.0
    """Training time of all attempts together."""


@dataclass
class Run:
    """Everything that `fit` needs."""

    recipe: Recipe
    folder: Folder
    out: Path
    fabric: Fabric
    net: nn.Module
    """The plain model; `model` is the same one behind precision and processes."""
    model: _FabricModule
    optimizer: torch.optim.Optimizer
    loss: nn.Module
    average: MovingAverage | None
    order: EpochOrder
    train: tuple[Pixels, Split]
    validation: tuple[Pixels, Split]
    steps_per_epoch: int
    total_steps: int
    progress: Progress = field(default_factory=Progress)
    loggers: list[Logger] = field(default_factory=list)

    @property
    def scored(self) -> nn.Module:
        """The weights that are validated and saved: the moving average where there is one."""
        return self.net if self.average is None else self.average.model


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    images: Path | None = None,
    device: str = "auto",
    devices: int = 1,
    resume: str | None = None,
    extra_loggers: Sequence[Logger] = (),
) -> Path:
    """Train, choose the epoch on validation, score the test split and write the run folder.

    Args:
        recipe: Resolved recipe.
        data: Folder that `ltml-build-labels` made.
        out: Run folder.
        images: Image root or cache; None reads the `image` column.
        device: `cpu`, `cuda`, or `auto`.
        devices: Processes, one per device; under torchrun its world size wins.
        resume: None refuses a folder that holds a run, `auto` goes on with one, a path names a state file.
        extra_loggers: Loggers beside those of the recipe.

    Returns:
        The run folder.

    Raises:
        UserError: Anything in recipe, data or folder that cannot work.
    """
    run = set_up(recipe, data, out, images, device, devices, resume)
    run.loggers += extra_loggers
    try:
        fit(run)
    finally:
        for each in run.loggers:
            each.close()
    save(run, images)
    return out


# --- set up -----------------------------------------------------------------------------------------------------------


def set_up(
    recipe: Recipe, data: Path, out: Path, images: Path | None, device: str, devices: int, resume: str | None
) -> Run:
    """Open data, model, loss, optimizer and, when resuming, the state they had."""
    state_path = state_to_resume(out, resume)
    recipe = recipe.model_copy(update={"model": resolved(recipe.model)})
    folder = open_folder(data)
    if recipe.verified_only:
        only_verified(folder.splits["test"])  # says now what would be missing at the end
    size = recipe.data.decode_size
    train_pixels, train_split = open_pixels(folder.splits["train"], images, size, recipe.data.missing_images)
    validation = open_pixels(folder.splits["validation"], images, size, recipe.data.missing_images)
    if train_pixels.size < recipe.transforms.image_size:
        logger.warning(
            "images are decoded to %d pixels and enlarged to %d for the model; decode or cache them larger",
            train_pixels.size, recipe.transforms.image_size,
        )  # fmt: skip
    order = make_order(recipe, train_split.target)
    steps_per_epoch, total_steps = steps_of(recipe, len(order.epoch_indices(0)))

    fabric = start_fabric(recipe, device, devices)
    if recipe.batch_size % fabric.world_size:
        raise UserError(
            f"batch_size {recipe.batch_size} does not divide over {fabric.world_size} processes; give a multiple of it."
        )
    torch.manual_seed(recipe.seed)
    net = build_model(recipe.model, folder.labels)
    if recipe.channels_last:
        net = net.to(memory_format=torch.channels_last)
    net = net.to(fabric.device)
    counts, n_images = folder.class_counts(recipe.data.class_counts)
    loss = loss_for(recipe, counts, n_images, len(train_split)).to(fabric.device)
    average = MovingAverage(net, recipe.ema) if recipe.ema else None
    progress = Progress()
    state: dict[str, Any] = {}
    if state_path is not None:
        state = load_state(state_path, recipe, folder)
        net.load_state_dict(state["model"])
        loss.load_state_dict(state["loss"])
        progress = Progress(**state["progress"])
        if average is not None:
            average.model.load_state_dict(state["average"])
    compiled = cast(nn.Module, torch.compile(net)) if recipe.compile else net
    model, optimizer = fabric.setup(compiled, make_optimizer(net.parameters(), recipe.optimizer))
    if state:
        optimizer.load_state_dict(state["optimizer"])
        fabric.strategy.precision.load_state_dict(state["precision"])
    loggers: list[Logger] = []
    if fabric.is_global_zero:
        facts = {
            "device": device_name(fabric),
            "processes": fabric.world_size,
            "precision": str(fabric.strategy.precision.precision),
        }
        start_record(out, recipe, folder, facts)
        loggers = make_loggers(recipe.loggers, out, recipe.name, recipe.model_dump(), progress.step)
    return Run(
        recipe, folder, out, fabric, net, model, optimizer, loss, average, order,
        (train_pixels, train_split), validation, steps_per_epoch, total_steps, progress, loggers,
    )  # fmt: skip


def loss_for(recipe: Recipe, counts: NDArray[np.int64], n_images: int | NDArray[np.int64], n_rows: int) -> nn.Module:
    """The recipe's loss; one with a memory gets a row for every training image."""
    name, formulation, parameters = recipe.loss.name, recipe.loss.formulation, dict(recipe.loss.parameters)
    if "n_samples" in loss_parameters(name, formulation):
        parameters.setdefault("n_samples", n_rows)
    loss = make_loss(name, counts, n_images, formulation=formulation, **parameters)
    if getattr(loss, "uses_ema", False) and not recipe.ema:
        raise UserError(f"The loss {name} compares with a moving average of the weights; give --ema 0.99.")
    warning = decision_warning(loss, class_aware=recipe.sampler.name == "class-aware")
    if warning:
        logger.warning(warning)
    return loss


def steps_of(recipe: Recipe, epoch_images: int) -> tuple[int, int]:
    """Batches in an epoch and in the run."""
    per_epoch = epoch_images // recipe.batch_size
    if recipe.steps_per_epoch:
        per_epoch = min(per_epoch, recipe.steps_per_epoch)
    if per_epoch == 0:
        raise UserError(
            f"An epoch has {epoch_images} images, fewer than batch_size {recipe.batch_size}; lower --batch-size."
        )
    total = per_epoch * recipe.epochs
    return per_epoch, min(total, recipe.max_steps) if recipe.max_steps else total


# --- fit --------------------------------------------------------------------------------------------------------------


def fit(run: Run) -> None:
    """Train from where `progress` stands to the last step, validating after every epoch."""
    recipe, progress, fabric = run.recipe, run.progress, run.fabric
    pixels, split = run.train
    with BatchReader(pixels, split.labels, fabric.device, recipe.workers) as reader:
        while progress.step < run.total_steps:
            epoch = progress.step // run.steps_per_epoch
            last = min((epoch + 1) * run.steps_per_epoch, run.total_steps)
            rows = run.order.epoch_indices(epoch)
            run.model.train()
            meter = Meter()
            first = progress.step - epoch * run.steps_per_epoch
            for batch in reader.batches(local_rows(run, rows, first, last - epoch * run.steps_per_epoch)):
                is_update = (progress.step + 1) % recipe.optimizer.accumulate == 0 or progress.step + 1 == last
                value = training_step(run, batch, epoch, is_update)
                progress.step += 1
                meter.count(recipe.batch_size)
                if progress.step % recipe.log_every == 0 or progress.step == run.total_steps:
                    report_step(run, epoch, value, meter)
                if is_update and progress.step % recipe.checkpoint_every == 0 and progress.step < last:
                    progress.seconds += meter.lap()
                    checkpoint(run)
            progress.seconds += meter.lap()
            validate(run, epoch)
            checkpoint(run)


def local_rows(run: Run, rows: NDArray[np.int64], first: int, last: int) -> Iterator[NDArray[np.int64]]:
    """This process's part of the batches `first` to `last` (exclusive) of the epoch."""
    size = run.recipe.batch_size
    part = size // run.fabric.world_size
    offset = run.fabric.global_rank * part
    for index in range(first, last):
        yield rows[index * size + offset :][:part]


def training_step(run: Run, batch: Batch, epoch: int, is_update: bool) -> Tensor:
    """Forward, loss in float32, backward, and an update every `accumulate` batches.

    Random numbers depend on seed, step and process alone, so a resumed run draws the same ones.
    """
    recipe, step, fabric = run.recipe, run.progress.step, run.fabric
    part = len(batch.rows)
    draws = view_draws(recipe.batch_size, seed_of(recipe.seed, step, 0))
    views = training_view(batch.images, recipe.transforms, draws[fabric.global_rank * part :][:part])
    if recipe.channels_last:
        views = views.contiguous(memory_format=torch.channels_last)
    torch.manual_seed(seed_of(recipe.seed, step, 1 + fabric.global_rank))
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(recipe.optimizer.lr, recipe.schedule, step, run.steps_per_epoch, run.total_steps)
    with fabric.no_backward_sync(run.model, enabled=not is_update):
        logits = run.model(views).float()
        memory: dict[str, Any] = {}
        if getattr(run.loss, "uses_indices", False):
            memory["indices"] = batch.rows.to(logits.device)
        if getattr(run.loss, "uses_ema", False):
            memory["ema_logits"] = averaged_logits(run, views)
        value: Tensor = run.loss(logits, batch.labels, epoch, **memory)
        fabric.backward(value / recipe.optimizer.accumulate)
    if is_update:
        if recipe.optimizer.clip:
            fabric.clip_gradients(run.model, run.optimizer, max_norm=recipe.optimizer.clip, error_if_nonfinite=False)
        run.optimizer.step()
        run.optimizer.zero_grad()
        if run.average is not None:
            run.average.update(run.net)
    return value.detach()


@torch.no_grad()
def averaged_logits(run: Run, views: Tensor) -> Tensor | None:
    """Logits of the moving average on the same views."""
    if run.average is None:
        return None
    with run.fabric.autocast():
        logits: Tensor = run.average.model(views).float()
    return logits


def seed_of(seed: int, step: int, stream: int) -> int:
    """A seed for one step and one purpose."""
    return int(np.random.SeedSequence([seed, step, stream]).generate_state(1, np.uint64)[0] >> 1)


# --- validate ---------------------------------------------------------------------------------------------------------


def validate(run: Run, epoch: int) -> None:
    """Score the validation split and keep the weights when they are the best so far."""
    pixels, split = run.validation
    scores = predict(run.fabric, run.scored, pixels, split, run.recipe)
    result = evaluate_split(scores, split, run.folder)
    value = selection_value(result, run.recipe.select, epoch)
    is_best = value > run.progress.best or run.progress.best_epoch < 0
    for each in run.loggers:
        each.log("epoch", run.progress.step, {"epoch": epoch, "seconds": run.progress.seconds, **epoch_scalars(result)})
    logger.info(
        "epoch %d: validation BACC %.4f, AUC %.4f%s", epoch, result.mean("bacc"), result.mean("auc"),
        " (kept)" if is_best else "",
    )  # fmt: skip
    if is_best:
        run.progress.best, run.progress.best_epoch = value, epoch
        if run.fabric.is_global_zero:
            about = {"recipe": run.recipe.name, "epoch": str(epoch)}
            save_weights(run.out / WEIGHTS_FILE, run.scored.state_dict(), run.folder.labels, about)


# --- save -------------------------------------------------------------------------------------------------------------


def save(run: Run, images: Path | None) -> None:
    """Load the chosen epoch, score validation and test, write predictions and the record."""
    run.fabric.barrier()
    load_weights(run.net, run.out / WEIGHTS_FILE, run.folder.labels)
    test = open_pixels(run.folder.splits["test"], images, run.recipe.data.decode_size, run.recipe.data.missing_images)
    scored = [
        (split, predict(run.fabric, run.net, pixels, split, run.recipe)) for pixels, split in (run.validation, test)
    ]
    if not run.fabric.is_global_zero:
        return
    parts: list[tuple[str, pa.ChunkedArray, NDArray[np.float32]]] = [(s.name, s.image_id, p) for s, p in scored]
    write_predictions(run.out / "predictions.parquet", run.folder.labels, parts)
    (validation, validation_scores), (test_split, test_scores) = scored
    counted = only_verified(test_split) if run.recipe.verified_only else test_split
    thresholds = best_thresholds(validation_scores, validation.labels)
    metrics = metrics_content(test_scores, counted, run.folder, thresholds, run.recipe.bootstrap)
    shown = run.progress.step * run.recipe.batch_size
    facts = {
        **asdict(run.progress),
        "total_steps": run.total_steps,
        "images_per_second": shown / max(run.progress.seconds, 1e-9),
        "images": {split.name: len(split) for split in (run.train[1], validation, test_split)},
        "parameters": sum(parameter.numel() for parameter in run.net.parameters()),
    }
    finish_record(run.out, metrics, facts)


def checkpoint(run: Run) -> None:
    """Write `state.pt`: everything that exact resuming needs."""
    if not run.fabric.is_global_zero:
        return
    state = {
        "model": run.net.state_dict(),
        "average": None if run.average is None else run.average.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "precision": run.fabric.strategy.precision.state_dict(),
        "loss": run.loss.state_dict(),
        "progress": asdict(run.progress),
    }
    save_state(run.out, state, run.recipe, run.folder)


def report_step(run: Run, epoch: int, value: Tensor, meter: Meter) -> None:
    """Log the loss of the last batch and the speed."""
    loss = float(value)
    if not math.isfinite(loss):
        raise UserError(
            f"The loss became {loss} at batch {run.progress.step}; lower --optimizer.lr or use --precision 32."
        )
    rate = meter.rate()
    values = {"epoch": epoch, "loss": loss, "lr": run.optimizer.param_groups[0]["lr"], "images_per_second": rate}
    for each in run.loggers:
        each.log("step", run.progress.step, values)
    logger.info("batch %d of %d, loss %.4f, %.0f images/s", run.progress.step, run.total_steps, loss, rate)
