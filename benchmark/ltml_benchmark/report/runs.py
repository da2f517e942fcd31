"""Finished runs and scored predictions, read back from their folders."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltml_benchmark.errors import UserError
from ltml_benchmark.identity import same_but_for_the_seed, short
from ltml_benchmark.runfiles import read_json


@dataclass(frozen=True)
class RunResult:
    """`metrics.json` and `manifest.json` of one run folder."""

    path: Path
    metrics: dict[str, Any]
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """Recipe name."""
        return str(self.manifest["recipe"])

    @property
    def paper_row(self) -> str:
        """Row of the paper's tables it stands beside, or an empty string."""
        return str(self.manifest.get("paper_row", ""))

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.manifest["seed"])

    @property
    def data_sha256(self) -> str:
        """Hash of the data set's manifest."""
        return str(self.manifest["data"]["manifest_sha256"])

    @property
    def data_name(self) -> str:
        """Folder name of the data set."""
        return str(self.manifest["data"]["name"])

    @property
    def verified_only(self) -> bool:
        """Whether only labels that a person verified were scored."""
        return self.metrics.get("labels_counted") == "verified"

    @property
    def images_left_out(self) -> int:
        """Test images that were not there, so that they were not scored."""
        return int(self.metrics.get("images_left_out", 0))

    @property
    def scored_on(self) -> tuple[str, bool]:
        """Data set and which of its labels counted; results are comparable where this is the same."""
        return self.data_sha256, self.verified_only

    @property
    def labels(self) -> list[str]:
        """Class names in order."""
        return [str(name) for name in self.metrics["labels"]]

    @property
    def decide(self) -> str:
        """Decision rule behind the run's own BACC."""
        return str(self.metrics.get("decide", "raw"))

    @property
    def rules(self) -> list[str]:
        """Decision rules that the run was scored under."""
        return list(self.metrics.get("decisions", {self.decide: None}))

    def summary(self, metric: str, group: str, decide: str | None = None) -> float:
        """A group mean; NaN where it is undefined.

        Args:
            metric: `bacc`, `auc`, `ap` or `f1`.
            group: `total`, `head`, `medium` or `tail`.
            decide: `raw`, `prior` or `validation`; None takes the run's own rule.

        Raises:
            UserError: The run was not scored under this rule.
        """
        if decide not in (None, *self.rules):
            raise UserError(
                f"{self.path} has no thresholds of the rule `{decide}`; its predictions did not cover validation."
            )
        own = decide in (None, self.decide) or metric not in ("bacc", "f1")
        chosen = self.metrics if own else self.metrics["decisions"][decide]
        value = chosen["groups"][group]["mean"][metric]
        return float("nan") if value is None else float(value)

    def per_class(self, metric: str) -> list[float]:
        """One value per class; NaN where it is undefined."""
        values = [self.metrics["classes"][name][metric] for name in self.labels]
        return [float("nan") if value is None else float(value) for value in values]

    def undefined(self, metric: str) -> int:
        """Number of classes without a defined value."""
        return int(self.metrics["groups"]["total"]["undefined"][metric])

    @property
    def method(self) -> tuple[str, str]:
        """What runs that are averaged as seeds have in common beside their data: name, and hash of every setting."""
        answers = self.manifest.get("answers")
        common = "" if answers is None else json.dumps(same_but_for_the_seed(answers), sort_keys=True)
        return self.name, hashlib.sha256((common + self.decide).encode()).hexdigest()

    def shown_name(self, others: Sequence["RunResult"]) -> str:
        """The name, with the settings that tell it from runs of the same name among these."""
        namesakes = [other for other in others if other.name == self.name and other.method != self.method]
        if not namesakes:
            return self.name
        mine = same_but_for_the_seed(self.manifest.get("answers", {})) | {"decide": self.decide}
        told = []
        for other in namesakes:
            theirs = same_but_for_the_seed(other.manifest.get("answers", {})) | {"decide": other.decide}
            told += [key for key in sorted(mine.keys() | theirs.keys()) if mine.get(key) != theirs.get(key)]
        shown = [f"{key} {short(mine.get(key))}" for key in dict.fromkeys(told)]
        return f"{self.name} ({', '.join(shown[:3])})"

    def seeds_differ(self, other: "RunResult") -> bool:
        """Whether two runs are the same recipe and data with different seeds."""
        return (self.method, self.scored_on) == (other.method, other.scored_on) and self.seed != other.seed


def read_runs(paths: Sequence[Path]) -> list[RunResult]:
    """Finished runs at or below the paths, each folder once, in the order found.

    Raises:
        UserError: A path holds no finished run.
    """
    found: dict[Path, RunResult] = {}
    for path in paths:
        folders = sorted(file.parent for file in path.rglob("metrics.json")) if path.is_dir() else []
        folders = [folder for folder in folders if (folder / "manifest.json").is_file()]
        if not folders:
            raise UserError(
                f"{path} holds no finished run (a folder with metrics.json); train one with `ltml-benchmark run`."
            )
        for folder in folders:
            found.setdefault(
                folder.resolve(),
                checked(
                    RunResult(
                        path=folder,
                        metrics=read_json(folder / "metrics.json", "a finished run holds it"),
                        manifest=read_json(folder / "manifest.json", "a finished run holds it"),
                    )
                ),
            )
    return list(found.values())


def checked(run: RunResult) -> RunResult:
    """The run, when its files say what tables need.

    Raises:
        UserError: A key is missing.
    """
    for name, content, keys in (
        ("metrics.json", run.metrics, ("labels", "classes", "groups")),
        ("manifest.json", run.manifest, ("recipe", "seed", "data", "code", "hardware")),
    ):
        missing = [key for key in keys if key not in content]
        if missing:
            raise UserError(f"{run.path / name} lacks `{missing[0]}`; it was not written by this benchmark.")
    return run


def without_repeats(runs: Sequence[RunResult]) -> list[RunResult]:
    """Runs of which no two have the same method, data and seed: a second one is no second seed."""
    kept: dict[tuple[object, ...], RunResult] = {}
    for run in runs:
        kept.setdefault((run.method, run.scored_on, run.seed), run)
    return list(kept.values())


def by_method(runs: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """Seeds of every method, by the name that tells it from the others."""
    found: dict[str, list[RunResult]] = {}
    kept = without_repeats(runs)
    for run in kept:
        found.setdefault(run.shown_name(kept), []).append(run)
    return found
