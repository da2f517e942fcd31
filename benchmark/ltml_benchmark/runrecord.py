"""What a run folder says about itself: `config.yaml`, `manifest.json`, `metrics.json`, `figures/`."""

import datetime
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from ltml_benchmark.config import dump_yaml
from ltml_benchmark.data import Folder
from ltml_benchmark.identity import Question
from ltml_benchmark.runfiles import code_version, read_json, write_json, write_text

RUN_FORMAT = "ltml-benchmark-run/1"


def start_record(out: Path, question: Question, folder: Folder, facts: dict[str, Any]) -> None:
    """Write the resolved config and a manifest that says the run is under way.

    Args:
        out: Run folder.
        question: What the run answers: resolved recipe, data, pixels.
        folder: Data set.
        facts: Device, precision, processes and the like.
    """
    import torch

    recipe = question.recipe
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.json").unlink(missing_ok=True)  # of a finished run that goes on: no reader takes it for the new one
    write_text(out / "config.yaml", dump_yaml(recipe.model_dump(mode="json")))
    earlier = read_json(out / "manifest.json", "it describes the run") if (out / "manifest.json").is_file() else {}
    content = {
        "format": RUN_FORMAT,
        "recipe": recipe.name,
        "paper_row": recipe.paper_row,
        "seed": recipe.seed,
        "status": "running",
        "started": earlier.get("started", now()),
        "code": code_version(),
        "data": data_facts(folder),
        "images": dict(question.pixels),
        "answers": question.content(),
        "hardware": {"machine": platform.machine(), "cpus": os.cpu_count(), **facts},
        "software": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
    }
    write_json(out / "manifest.json", content)


def finish_record(out: Path, metrics: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write metrics and figures, then mark the run finished; readers look for that mark.

    Args:
        out: Run folder.
        metrics: Content of `metrics.json`.
        facts: Steps, seconds, images per second, the chosen epoch, images left out.
    """
    from ltml_benchmark.report.figures import save_run_figures

    write_json(out / "metrics.json", metrics)
    save_run_figures(out)
    manifest = read_json(out / "manifest.json", "it describes the run")
    write_json(out / "manifest.json", {**manifest, "status": "finished", "finished": now(), "training": facts})


def is_finished(out: Path) -> bool:
    """Whether a folder holds a run that came to its end."""
    path = out / "manifest.json"
    return path.is_file() and read_json(path, "it describes the run").get("status") == "finished"


def data_facts(folder: Folder) -> dict[str, Any]:
    """What a run's manifest says about its data."""
    return {
        "path": str(folder.path.resolve()),
        "name": folder.path.resolve().name,
        "manifest_sha256": folder.manifest_sha256,
        "labels": list(folder.labels),
        "groups": {group: [folder.labels[place] for place in places] for group, places in folder.groups.items()},
        "config": folder.manifest.get("config", {}),
    }


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
