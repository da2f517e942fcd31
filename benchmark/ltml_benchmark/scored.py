"""Predictions of any framework: read, matched with a split by image id, scored, compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ltml_benchmark.data import only_verified, open_folder
from ltml_benchmark.errors import UserError
from ltml_benchmark.metrics import Difference, best_thresholds, compare, evaluate
from ltml_benchmark.report.runs import RunResult
from ltml_benchmark.runfiles import code_version, write_json
from ltml_benchmark.runrecord import RUN_FORMAT, data_facts, now
from ltml_benchmark.scoring import Scores, counted, metrics_content

PREDICTIONS_FILE = "predictions.parquet"


def read_predictions(path: Path, labels: Sequence[str]) -> pa.Table:
    """Read `image_id` and one score column per class; other columns are ignored.

    Raises:
        UserError: Missing file or column, repeated images, or scores that are not probabilities.
    """
    if path.is_dir():
        path = path / PREDICTIONS_FILE
    if not path.is_file():
        raise UserError(f"The predictions {path} were not found; give a .parquet or .csv file, or a run folder.")
    try:
        table = pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise UserError(
            f"{path} is no readable table ({str(error).splitlines()[0]}); expected .parquet or .csv."
        ) from error
    missing = [name for name in ("image_id", *labels) if name not in table.column_names]
    if missing:
        raise UserError(
            f"{path} lacks the column `{missing[0]}`{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}; "
            "expected image_id and one column of probabilities per class, named as in manifest.json."
        )
    table = table.select(["image_id", *labels])
    table = table.set_column(0, "image_id", table["image_id"].cast(pa.string()))
    if len(pc.unique(table["image_id"])) != table.num_rows:
        raise UserError(f"{path} names an image twice; give one row per image.")
    return table


def scores_for(table: pa.Table, image_id: pa.ChunkedArray, labels: Sequence[str]) -> tuple[Scores, int]:
    """Scores in the order of `image_id`, and how many of those images have none.

    Returns:
        (N, C) with NaN rows for images without a prediction, and their number.

    Raises:
        UserError: A score outside [0, 1] or not a number.
    """
    place = pc.index_in(image_id, value_set=table["image_id"].combine_chunks())
    kind = pa.float32() if all(table[name].type == pa.float32() for name in labels) else pa.float64()
    columns = [table[name].cast(kind).take(place).to_numpy() for name in labels]
    scores = np.stack(columns, axis=1)
    known = scores[np.asarray(place.is_valid())]
    if len(known) and not ((known >= 0) & (known <= 1)).all():
        worst = known[~((known >= 0) & (known <= 1))][0]
        raise UserError(
            f"A prediction is {worst:g}, but probabilities in [0, 1] are expected; apply a sigmoid to logits."
        )
    return scores, place.null_count


def score(
    predictions: Path, data: Path, split: str = "test", replicates: int = 1000, verified_only: bool = False
) -> dict[str, Any]:
    """Score anybody's predictions on a split.

    Where the file also covers the whole validation split, thresholds that were best there (on all its known labels) are
    applied beside 0.5.

    Args:
        predictions: File or run folder.
        data: Data set.
        split: Split to score.
        replicates: Bootstrap replicates over patients; 0: none.
        verified_only: Count only labels that a person verified.

    Returns:
        Content of `metrics.json`.

    Raises:
        UserError: Unreadable predictions, images with a label that counts but no prediction, or nothing verified.
    """
    folder = open_folder(data)
    if split not in folder.splits:
        raise UserError(f"There is no split `{split}`; choose {', '.join(folder.splits)}.")
    table = read_predictions(predictions, folder.labels)
    chosen = only_verified(folder.splits[split]) if verified_only else folder.splits[split]
    if verified_only:
        chosen = chosen.take(chosen.rows_with_labels())
    scores, absent = scores_for(table, chosen.image_id, folder.labels)
    if absent:
        raise UserError(
            f"{absent} of {len(chosen)} {split} images have no prediction in {predictions}; predict all of them."
        )
    thresholds = None
    if split != "validation":
        validation = folder.splits["validation"]
        validation_scores, lacking = scores_for(table, validation.image_id, folder.labels)
        thresholds = best_thresholds(validation_scores, validation.labels) if not lacking else None
    return metrics_content(scores, chosen, folder, thresholds, replicates)


def write_scored(out: Path, metrics: dict[str, Any], predictions: Path, data: Path, name: str) -> None:
    """Write scored predictions: a .json file of metrics, or a folder that `table`, `compare` and `report` take."""
    if out.suffix == ".json":
        write_json(out, metrics)
        return
    folder = open_folder(data)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", metrics)
    pq.write_table(read_predictions(predictions, folder.labels), out / PREDICTIONS_FILE)
    manifest = {
        "format": RUN_FORMAT,
        "recipe": name,
        "paper_row": "",
        "seed": 0,
        "status": "finished",
        "finished": now(),
        "code": code_version(),
        "data": data_facts(folder),
        "hardware": {},
    }
    write_json(out / "manifest.json", manifest)


@dataclass(frozen=True)
class Comparison:
    """Paired bootstrap of two sets of predictions, B minus A."""

    names: tuple[str, str]
    labels: tuple[str, ...]
    difference: Difference
    point: dict[str, NDArray[np.float64]]
    """Metric to (C,) differences, in the metric's own unit."""
    images: int
    patients: int
    only_verified: bool = False


def compare_runs(
    a: RunResult, b: RunResult, data: Path | None = None, replicates: int = 1000, verified_only: bool = False
) -> Comparison:
    """Compare two runs on the test images of their common data set.

    Args:
        a: Reference.
        b: Compared with it.
        data: The data set; by default where run A was trained.
        replicates: Bootstrap replicates over patients.
        verified_only: Count only labels that a person verified.

    Raises:
        UserError: The data set is gone, nothing in it is verified, or the runs were scored on different ones.
    """
    where = data or Path(a.manifest["data"]["path"])
    folder = open_folder(where)
    if data is None:
        for run in (a, b):
            if run.data_sha256 != folder.manifest_sha256:
                raise UserError(
                    f"{run.path} was scored on another data set than {where}; name the one to use with --data."
                )
    split = folder.splits["test"]
    if verified_only:
        split = only_verified(split)
        split = split.take(split.rows_with_labels())
    scores = []
    for run in (a, b):
        values, absent = scores_for(read_predictions(run.path, folder.labels), split.image_id, folder.labels)
        if absent:
            raise UserError(f"{absent} of {len(split)} test images of {where} have no prediction in {run.path}.")
        scores.append(values)
    scores_a, scores_b = scores
    difference = compare(scores_a, scores_b, split.labels, split.subject, replicates, groups=folder.groups)
    first, second = (evaluate(values, split.labels, folder.groups) for values in scores)
    point = {metric: getattr(second, metric) - getattr(first, metric) for metric in ("bacc", "auc", "ap")}
    about = counted(split)
    return Comparison(
        (a.name, b.name), folder.labels, difference, point, about["images"], about["patients"], split.only_verified
    )
