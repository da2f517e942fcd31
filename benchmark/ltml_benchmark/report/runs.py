"""Finished runs and scored predictions, read back from their folders."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltml_benchmark.errors import UserError
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
    def scored_on(self) -> tuple[str, bool]:
        """Data set and which of its labels counted; results are comparable where this is the same."""
        return self.data_sha256, self.verified_only

    @property
    def labels(self) -> list[str]:
        """Class names in order."""
        return [str(name) for name in self.metrics["labels"]]

    def summary(self, metric: str, group: str, threshold: str = "0.5") -> float:
        """A group mean; NaN where it is undefined.

        Args:
            metric: `bacc`, `auc`, `ap` or `f1`.
            group: `total`, `head`, `medium` or `tail`.
            threshold: `0.5`, or `validation` for thresholds that were best there.

        Raises:
            UserError: The run has no thresholds from validation.
        """
        if threshold != "0.5" and "best_threshold" not in self.metrics:
            raise UserError(f"{self.path} has no thresholds from validation; its predictions did not cover that split.")
        chosen = self.metrics if threshold == "0.5" else self.metrics["best_threshold"]
        value = chosen["groups"][group]["mean"][metric]
        return float("nan") if value is None else float(value)

    def per_class(self, metric: str) -> list[float]:
        """One value per class; NaN where it is undefined."""
        values = [self.metrics["classes"][name][metric] for name in self.labels]
        return [float("nan") if value is None else float(value) for value in values]

    def undefined(self, metric: str) -> int:
        """Number of classes without a defined value."""
        return int(self.metrics["groups"]["total"]["undefined"][metric])

    def seeds_differ(self, other: "RunResult") -> bool:
        """Whether two runs are the same recipe and data with different seeds."""
        return (self.name, self.scored_on) == (other.name, other.scored_on) and self.seed != other.seed


def read_runs(paths: Sequence[Path]) -> list[RunResult]:
    """Finished runs at or below the paths, each folder once, in the order found.

    Raises:
        UserError: A path holds no finished run.
    """
    found: dict[Path, RunResult] = {}
    for path in paths:
        folders = sorted(file.parent for file in path.rglob("metrics.json")) if path.is_dir() else []
        if not folders:
            raise UserError(
                f"{path} holds no finished run (a folder with metrics.json); train one with `ltml-benchmark run`."
            )
        for folder in folders:
            found.setdefault(
                folder.resolve(),
                RunResult(
                    path=folder,
                    metrics=read_json(folder / "metrics.json", "a finished run holds it"),
                    manifest=read_json(folder / "manifest.json", "a finished run holds it"),
                ),
            )
    return list(found.values())
