"""Where numbers go while a run trains: JSONL and CSV always, other loggers when asked."""

import csv
import importlib
import json
import math
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ltml_benchmark.extras import needs_extra
from ltml_benchmark.runfiles import write_text

Scalars = Mapping[str, float | int | str]


class Logger(Protocol):
    """What every logger can do."""

    def log(self, event: str, step: int, values: Scalars) -> None:
        """Record scalars of an event (`step` or `epoch`) after this many batches."""
        ...

    def close(self) -> None:
        """Flush and release."""
        ...


class FileLogger:
    """`metrics.jsonl` with every event and `metrics.csv` with the epochs.

    When a run resumes, lines of steps that will be run again are dropped first.
    """

    def __init__(self, out: Path, resumed_at: int = 0) -> None:
        self.jsonl = out / "metrics.jsonl"
        self.csv = out / "metrics.csv"
        lines = self.jsonl.read_text("utf-8").splitlines() if self.jsonl.is_file() else []
        self.kept = [line for line in lines if _step_of(line) <= resumed_at] if resumed_at else []
        self.jsonl.write_text("".join(f"{line}\n" for line in self.kept), "utf-8")
        self.epochs = [entry for entry in map(json.loads, self.kept) if entry["event"] == "epoch"]

    def log(self, event: str, step: int, values: Scalars) -> None:
        """Append a line; NaN becomes null."""
        entry = {"event": event, "step": step, **{key: _plain(value) for key, value in values.items()}}
        with self.jsonl.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        if event == "epoch":
            self.epochs.append(entry)
            with self.csv.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(self.epochs[-1]), extrasaction="ignore")
                writer.writeheader()
                writer.writerows(self.epochs)

    def close(self) -> None:
        """Nothing is held open."""


class TensorBoardLogger:
    """Event files under `tensorboard/` in the run folder; steps that a resumed run takes again are hidden."""

    def __init__(self, out: Path, name: str, settings: Mapping[str, Any], resumed_at: int = 0) -> None:
        with needs_extra("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter
        self.writer: Any = SummaryWriter(str(out / "tensorboard"), purge_step=resumed_at + 1 if resumed_at else None)

    def log(self, event: str, step: int, values: Scalars) -> None:
        """Numbers as scalars `event/name`."""
        for key, value in values.items():
            if not isinstance(value, str):
                self.writer.add_scalar(f"{event}/{key}", value, step)

    def close(self) -> None:
        """Write what is buffered."""
        self.writer.close()


class WandbLogger:
    """A Weights & Biases run; `WANDB_MODE=offline` needs no account. A resumed run goes on in the same one."""

    def __init__(self, out: Path, name: str, settings: Mapping[str, Any], resumed_at: int = 0) -> None:
        with needs_extra("wandb"):
            import wandb
        earlier = remembered(out, "wandb") if resumed_at else None
        identity = earlier or uuid.uuid4().hex
        self.run: Any = wandb.init(
            project="ltml-benchmark", name=name, dir=str(out), config=dict(settings), id=identity, resume="allow"
        )
        remember(out, "wandb", identity)

    def log(self, event: str, step: int, values: Scalars) -> None:
        """Values as `event/name`."""
        self.run.log({f"{event}/{key}": value for key, value in values.items()}, step=step)

    def close(self) -> None:
        """End the run."""
        self.run.finish()


class MlflowLogger:
    """An MLflow run at the tracking URI of the environment, or in `mlflow.db` in the run folder; resumed like W&B's."""

    def __init__(self, out: Path, name: str, settings: Mapping[str, Any], resumed_at: int = 0) -> None:
        with needs_extra("mlflow"):
            import mlflow
        import os

        self.mlflow: Any = mlflow
        if "MLFLOW_TRACKING_URI" not in os.environ:
            mlflow.set_tracking_uri(f"sqlite:///{(out / 'mlflow.db').absolute()}")
        mlflow.set_experiment("ltml-benchmark")
        earlier = remembered(out, "mlflow") if resumed_at else None
        run = mlflow.start_run(run_id=earlier) if earlier else mlflow.start_run(run_name=name)
        remember(out, "mlflow", str(run.info.run_id))
        if not earlier:  # MLflow refuses to change a parameter
            mlflow.log_params({key: str(value)[:500] for key, value in settings.items()})

    def log(self, event: str, step: int, values: Scalars) -> None:
        """Numbers as `event.name`."""
        numbers = {f"{event}.{key}": float(value) for key, value in values.items() if not isinstance(value, str)}
        self.mlflow.log_metrics(numbers, step=step)

    def close(self) -> None:
        """End the run."""
        self.mlflow.end_run()


def remembered(out: Path, service: str) -> str | None:
    """The identity that a service's run had in this folder before it was interrupted."""
    path = out / f"{service}-run.txt"
    return path.read_text("utf-8").strip() if path.is_file() else None


def remember(out: Path, service: str, identity: str) -> None:
    """Keep the identity of a service's run for resuming."""
    write_text(out / f"{service}-run.txt", identity + "\n")


LIBRARIES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
"""Logger to the library that it needs; each is an extra of the same name."""


def check_loggers(names: tuple[str, ...]) -> None:
    """Find the libraries of loggers before a run starts.

    Raises:
        UserError: One is not installed.
    """
    for name in names:
        with needs_extra(name):
            importlib.import_module(LIBRARIES[name])


def make_loggers(
    names: tuple[str, ...], out: Path, run: str, settings: Mapping[str, Any], resumed_at: int
) -> list[Logger]:
    """The file logger and those that the recipe names."""
    makers: dict[str, Callable[[Path, str, Mapping[str, Any], int], Logger]] = {
        "tensorboard": TensorBoardLogger,
        "wandb": WandbLogger,
        "mlflow": MlflowLogger,
    }
    return [FileLogger(out, resumed_at), *(makers[name](out, run, settings, resumed_at) for name in names)]


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):  # a line cut short by a kill
        return math.inf


def _plain(value: float | int | str) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Meter:
    """Images per second since the last report."""

    def __init__(self) -> None:
        self.started = self.reported = time.perf_counter()
        self.images = 0

    def count(self, images: int) -> None:
        """Add images."""
        self.images += images

    def rate(self) -> float:
        """Images per second since the last call."""
        now = time.perf_counter()
        rate, self.images, self.reported = self.images / max(now - self.reported, 1e-9), 0, now
        return rate

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        seconds, self.started = now - self.started, now
        return seconds
