"""One training run: set up, fit, validate, save. Read it from top to bottom."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from numpy.typing import NDArray
from torch import Tensor, nn

from ltml_benchmark.batches import Batch, BatchReader
from ltml_benchmark.checkpoint import WEIGHTS_FILE, load_state, save_state, standing, state_path
from ltml_benchmark.config import Recipe
from ltml_benchmark.data import Folder, Split, only_verified
from ltml_benchmark.engine import device_name, predict, start_fabric, world_size
from ltml_benchmark.errors import UserError
from ltml_benchmark.jointly import alike_on_all, join_batch_norms
from ltml_benchmark.logs import Logger, Meter, make_loggers
from ltml_benchmark.losses import decision_warning, logit_of_share
from ltml_benchmark.metrics import best_thresholds
from ltml_benchmark.models import build_model, load_weights, save_weights
from ltml_benchmark.onlyone import only_one
from ltml_benchmark.optim import MovingAverage, learning_rate, make_optimizer
from ltml_benchmark.pixels import Pixels
from ltml_benchmark.preflight import check, loss_for
from ltml_benchmark.prepare import Prepared, Sources, prepare
from ltml_benchmark.runfiles import write_predictions
from ltml_benchmark.runrecord import finish_record, start_record
from ltml_benchmark.scoring import epoch_scalars, evaluate_split, metrics_content, selection_value
from ltml_benchmark.transforms import training_view, view_draws

logger = logging.getLogger(__name__)

T = TypeVar("T")


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

    prepared: Prepared
    out: Path
    fabric: Fabric
    net: nn.Module
    """The plain model; `model` is the same one behind precision and processes."""
    model: _FabricModule
    optimizer: torch.optim.Optimizer
    loss: nn.Module
    average: MovingAverage | None
    progress: Progress = field(default_factory=Progress)
    loggers: list[Logger] = field(default_factory=list)
    saved_at: int = 0
    """Batch of the last checkpoint."""

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        return self.prepared.recipe

    @property
    def folder(self) -> Folder:
        """The data set."""
        return self.prepared.folder

    @property
    def scored(self) -> nn.Module:
        """The weights that are validated and saved: the moving average where there is one."""
        return self.net if self.average is None else self.average.model

    def part(self, split: str) -> tuple[Pixels, Split]:
        """Pixels and rows of a split."""
        return self.prepared.pixels[split], self.folder.splits[split]


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
        recipe: Recipe.
        data: Folder that `ltml-build-labels` made.
        out: Run folder.
        images: Image root or cache; None reads the `image` column.
        device: `cpu`, `cuda`, `mps` or `auto`.
        devices: Processes, one per device; under torchrun its world size wins.
        resume: None refuses a folder that holds a run, `auto` goes on with the same one, a path names a state file.
        extra_loggers: Loggers beside those of the recipe.

    Returns:
        The run folder.

    Raises:
        UserError: Anything in recipe, data or folder that cannot work, or a folder that holds another run.
    """
    prepared = prepare(recipe, Sources(data, images), device, devices)
    check(prepared, set(), world_size(devices))
    return train_prepared(prepared, out, resume, extra_loggers)


def train_prepared(
    prepared: Prepared, out: Path, resume: str | None = None, extra_loggers: Sequence[Logger] = ()
) -> Path:
    """`train` for a run that was prepared and checked."""
    with only_one(out, "training into"):
        fabric = start_fabric(prepared.recipe, prepared.device, prepared.devices)
        if agreed(fabric, lambda: standing(prepared, out, resume)) == "finished":
            logger.info("%s is finished", out)
            return out
        run = set_up(prepared, out, fabric, resume)
        run.loggers += extra_loggers
        try:
            fit(run)
        except RuntimeError as error:
            if "deterministic" in str(error):
                raise UserError(
                    f"--deterministic cannot be kept here ({str(error).splitlines()[0]}); leave it away, or choose "
                    "another --model."
                ) from error
            raise
        finally:
            for each in run.loggers:
                each.close()
        save(run)
    return out


def agreed(fabric: Fabric, work: Callable[[], T]) -> T:
    """What the first process finds, on all processes; its error too, so that none waits for the others in vain."""
    if fabric.world_size == 1:
        return work()
    answer: tuple[bool, Any] = (False, "")
    if fabric.is_global_zero:
        try:
            answer = (True, work())
        except UserError as error:
            answer = (False, str(error))
    went_well, value = fabric.broadcast(answer, 0)
    if not went_well:
        raise UserError(value)
    return cast(T, value)


# --- set up -----------------------------------------------------------------------------------------------------------


def set_up(prepared: Prepared, out: Path, fabric: Fabric, resume: str | None) -> Run:
    """Make model, loss, optimizer and, when resuming, the state they had."""
    recipe, folder = prepared.recipe, prepared.folder
    if recipe.data.decode_size < recipe.transforms.image_size:
        logger.warning(
            "images are decoded to %d pixels and enlarged to %d for the model; decode or cache them larger",
            recipe.data.decode_size, recipe.transforms.image_size,
        )  # fmt: skip
    state: dict[str, Any] = {}
    path = state_path(out, resume)
    if resume is not None and agreed(fabric, path.is_file):
        state = agreed(fabric, lambda: load_state(path, prepared, out))
    torch.manual_seed(recipe.seed)
    net = join_batch_norms(build_model(recipe.model, folder.labels), fabric.device)
    if recipe.channels_last:
        net = net.to(memory_format=torch.channels_last)
    net = net.to(fabric.device)
    alike_on_all(net)
    counts, n_images = folder.class_counts(recipe.data.class_counts)
    loss = loss_for(recipe, counts, n_images, len(folder.splits["train"])).to(fabric.device)
    for module in loss.modules():
        if hasattr(module, "equal_batches"):
            cast(Any, module).equal_batches = True  # no need to ask the other processes for their number of images
    warning = decision_warning(loss, class_aware=recipe.sampler.name == "class-aware")
    if warning:
        logger.warning(warning)
    average = MovingAverage(net, recipe.ema) if recipe.ema else None
    progress = Progress()
    if state:
        net.load_state_dict(state["model"])
        loss.load_state_dict(state["loss"])
        progress = Progress(**state["progress"])
        if average is not None:
            average.model.load_state_dict(state["average"])
    compiled = cast(nn.Module, torch.compile(net, mode=recipe.compile_mode)) if recipe.compile else net
    model, optimizer = fabric.setup(compiled, make_optimizer(net.parameters(), recipe.optimizer, recipe.precision))
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
        start_record(out, prepared.question, folder, facts)
        loggers = make_loggers(recipe.loggers, out, recipe.name, recipe.model_dump(), progress.step)
    return Run(prepared, out, fabric, net, model, optimizer, loss, average, progress, loggers, progress.step)


# --- fit --------------------------------------------------------------------------------------------------------------


def fit(run: Run) -> None:
    """Train from where `progress` stands to the last step, validating after every epoch."""
    recipe, progress, fabric = run.recipe, run.progress, run.fabric
    pixels, split = run.part("train")
    per_epoch, total = run.prepared.steps_per_epoch, run.prepared.total_steps
    with BatchReader(pixels, split.labels, fabric.device, recipe.workers) as reader:
        while progress.step < total:
            epoch = progress.step // per_epoch
            last = min((epoch + 1) * per_epoch, total)
            rows = run.prepared.order.epoch_indices(epoch)
            run.model.train()
            meter = Meter()
            first = progress.step - epoch * per_epoch
            for batch in reader.batches(local_rows(run, rows, first, last - epoch * per_epoch)):
                window = window_of(progress.step - epoch * per_epoch, last - epoch * per_epoch, recipe)
                value = training_step(run, batch, epoch, window)
                progress.step += 1
                meter.count(recipe.batch_size)
                if progress.step % recipe.log_every == 0 or progress.step == total:
                    report_step(run, epoch, value, meter)
                due = progress.step - run.saved_at >= recipe.checkpoint_every
                if window.is_update and due and progress.step < last:
                    progress.seconds += meter.lap()
                    checkpoint(run)
            progress.seconds += meter.lap()
            validate(run, epoch)
            checkpoint(run)


@dataclass(frozen=True)
class Window:
    """The batches that make one optimizer step together."""

    size: int
    is_update: bool
    """Whether this batch is the last of them."""


def window_of(batch: int, batches: int, recipe: Recipe) -> Window:
    """The window of a 0-based batch in an epoch of so many; windows begin with the epoch, the last may be shorter."""
    wanted = recipe.optimizer.accumulate
    start = batch - batch % wanted
    size = min(wanted, batches - start)
    return Window(size, batch + 1 == start + size)


def local_rows(run: Run, rows: NDArray[np.int64], first: int, last: int) -> Iterator[NDArray[np.int64]]:
    """This process's part of the batches `first` to `last` (exclusive) of the epoch."""
    size = run.recipe.batch_size
    part = size // run.fabric.world_size
    offset = run.fabric.global_rank * part
    for index in range(first, last):
        yield rows[index * size + offset :][:part]


def training_step(run: Run, batch: Batch, epoch: int, window: Window) -> Tensor:
    """Forward, loss in float32, backward, and an update at the end of a window of batches.

    Random numbers depend on seed, step and process alone, so a resumed run draws the same ones; a model that draws for
    the joint batch gets the same seed on every process.
    """
    recipe, step, fabric = run.recipe, run.progress.step, run.fabric
    part = len(batch.rows)
    draws = view_draws(recipe.batch_size, seed_of(recipe.seed, step, 0))[fabric.global_rank * part :][:part]
    if fabric.device.type == "cuda":
        draws = draws.pin_memory()  # or the copy to the device would wait for it
    views = training_view(batch.images, recipe.transforms, draws)
    if recipe.channels_last:
        views = views.contiguous(memory_format=torch.channels_last)
    joint = getattr(run.net, "draws_jointly", False)
    torch.manual_seed(seed_of(recipe.seed, step, 1 if joint else 1 + fabric.global_rank))
    per_epoch, total = run.prepared.steps_per_epoch, run.prepared.total_steps
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(recipe.optimizer.lr, recipe.schedule, step, per_epoch, total)
    with fabric.no_backward_sync(run.model, enabled=not window.is_update):
        logits = run.model(views).float()
        memory: dict[str, Any] = {}
        if getattr(run.loss, "uses_indices", False):
            memory["indices"] = batch.rows
        if getattr(run.loss, "uses_ema", False):
            memory["ema_logits"] = averaged_logits(run, views)
        value: Tensor = run.loss(logits, batch.labels, epoch, **memory)
        fabric.backward(value / window.size)
    if window.is_update:
        if recipe.optimizer.clip:
            fabric.clip_gradients(run.model, run.optimizer, max_norm=recipe.optimizer.clip, error_if_nonfinite=False)
        run.optimizer.step()
        run.optimizer.zero_grad()
        if run.average is not None:
            run.average.update(run.net)
    return value.detach()


@torch.no_grad()
def averaged_logits(run: Run, views: Tensor) -> Tensor | None:
    """Logits of the moving average on the same views, in the mode that the recipe wants."""
    if run.average is None:
        return None
    run.average.model.train(run.recipe.ema_mode == "train")
    with run.fabric.autocast():
        logits: Tensor = run.average.model(views).float()
    run.average.model.eval()
    return logits


def seed_of(seed: int, step: int, stream: int) -> int:
    """A seed for one step and one purpose."""
    return int(np.random.SeedSequence([seed, step, stream]).generate_state(1, np.uint64)[0] >> 1)


# --- validate ---------------------------------------------------------------------------------------------------------


def validate(run: Run, epoch: int) -> None:
    """Score the validation split and keep the weights when they are the best so far."""
    pixels, split = run.part("validation")
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


def save(run: Run) -> None:
    """Load the chosen epoch, score validation and test, write predictions and the record."""
    run.fabric.barrier()
    agreed(run.fabric, lambda: load_weights(run.net, run.out / WEIGHTS_FILE, run.folder.labels))
    alike_on_all(run.net)
    scored = [
        (split, predict(run.fabric, run.net, pixels, split, run.recipe))
        for pixels, split in (run.part("validation"), run.part("test"))
    ]
    if not run.fabric.is_global_zero:
        return
    (validation, validation_scores), (test_split, test_scores) = scored
    prior = taught_thresholds(run, shown_prior(run))
    parts: list[tuple[str, pa.ChunkedArray, NDArray[np.float32]]] = [(s.name, s.image_id, p) for s, p in scored]
    write_predictions(run.out / "predictions.parquet", run.folder.labels, parts, prior, run.prepared.left_out)
    counted = test_split
    if run.recipe.verified_only:  # as `score` does it
        counted = only_verified(test_split)
        rows = counted.rows_with_labels()
        counted, test_scores = counted.take(rows), test_scores[rows]
    thresholds = {"prior": prior, "validation": best_thresholds(validation_scores, validation.labels)}
    metrics = metrics_content(
        test_scores, counted, run.folder, thresholds, run.recipe.bootstrap, decide=run.recipe.decide,
        left_out=run.prepared.unscored,
    )  # fmt: skip
    shown = run.progress.step * run.recipe.batch_size
    facts = {
        **asdict(run.progress),
        "total_steps": run.prepared.total_steps,
        "images_per_second": shown / max(run.progress.seconds, 1e-9),
        "images": {name: len(split) for name, split in run.folder.splits.items()},
        "parameters": sum(parameter.numel() for parameter in run.net.parameters()),
    }
    finish_record(run.out, metrics, facts)


def shown_rows(run: Run) -> NDArray[np.int64]:
    """Rows that the first epoch shows, as often as it does; other epochs show nearly the same."""
    batches = run.prepared.steps_per_epoch * run.recipe.batch_size
    return run.prepared.order.epoch_indices(0)[:batches]


def shown_prior(run: Run) -> NDArray[np.float64]:
    """(C,) share of positives among the known labels that training shows."""
    split, rows = run.folder.splits["train"], shown_rows(run)
    known = np.ones(split.target.shape, dtype=bool) if split.known is None else split.known
    positives, seen = split.target[rows].sum(axis=0, dtype=np.int64), known[rows].sum(axis=0, dtype=np.int64)
    return np.asarray(positives / np.maximum(seen, 1), dtype=np.float64)


def taught_thresholds(run: Run, shown: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C,) scores that the loss teaches for images of which the shown share are positive: the prior correction."""
    share = torch.tensor(np.clip(shown, 1e-6, 1 - 1e-6))
    rows = torch.from_numpy(shown_rows(run))
    return np.asarray(torch.sigmoid(logit_of_share(run.loss.cpu(), share, rows)), dtype=np.float64)


def checkpoint(run: Run) -> None:
    """Write `state.pt`: everything that exact resuming needs."""
    run.saved_at = run.progress.step
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
    save_state(run.out, state, run.prepared)


def report_step(run: Run, epoch: int, value: Tensor, meter: Meter) -> None:
    """Log the loss of the last batch, of all processes together, and the speed."""
    loss = float(cast(Tensor, run.fabric.all_reduce(value, reduce_op="mean")))
    if not math.isfinite(loss):
        raise UserError(
            f"The loss became {loss} at batch {run.progress.step}; lower --optimizer.lr or use --precision 32."
        )
    rate = meter.rate()
    values = {"epoch": epoch, "loss": loss, "lr": run.optimizer.param_groups[0]["lr"], "images_per_second": rate}
    for each in run.loggers:
        each.log("step", run.progress.step, values)
    logger.info("batch %d of %d, loss %.4f, %.0f images/s", run.progress.step, run.prepared.total_steps, loss, rate)
