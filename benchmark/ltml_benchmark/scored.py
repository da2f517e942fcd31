"""Predictions of any framework: read, matched with a split by image id, scored, compared."""

import json
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

from ltml_benchmark.data import Folder, Split, only_verified, open_folder
from ltml_benchmark.errors import UserError
from ltml_benchmark.metrics import Difference, best_thresholds, compare_seeds
from ltml_benchmark.report.runs import RunResult
from ltml_benchmark.runfiles import LEFT_OUT_KEY, PRIOR_KEY, code_version, write_json
from ltml_benchmark.runrecord import RUN_FORMAT, data_facts, now
from ltml_benchmark.scoring import THRESHOLD, Scores, counted, metrics_content, prior_thresholds

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
    except (pa.ArrowException, OSError, ValueError) as error:  # damaged files raise all of these
        raise UserError(
            f"{path} is no readable table ({' '.join(str(error).split())[:160]}); expected .parquet or .csv."
        ) from error
    repeated = sorted(
        {name for name in table.column_names if table.column_names.count(name) > 1} & {"image_id", *labels}
    )
    if repeated:
        raise UserError(f"{path} has the column `{repeated[0]}` twice; give every class one column.")
    missing = [name for name in ("image_id", *labels) if name not in table.column_names]
    if missing:
        raise UserError(
            f"{path} lacks the column `{missing[0]}`{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}; "
            "expected image_id and one column of probabilities per class, named as in manifest.json."
        )
    table = table.select(["image_id", *labels])
    for name in labels:
        kind = table[name].type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise UserError(f"The column `{name}` of {path} holds {kind}, but probabilities are expected.")
    if pa.types.is_nested(table["image_id"].type):
        raise UserError(f"The column `image_id` of {path} holds {table['image_id'].type}, but names are expected.")
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


def prior_of(table: pa.Table, folder: Folder) -> NDArray[np.float64]:
    """(C,) thresholds of the prior correction: those that a run of ours kept, else the shares in the training split."""
    kept = (table.schema.metadata or {}).get(PRIOR_KEY)
    if kept is not None:
        by_name = json.loads(kept)
        if set(by_name) >= set(folder.labels):
            return np.array([by_name[name] for name in folder.labels], dtype=np.float64)
    counts, n_images = folder.class_counts("train")
    return prior_thresholds(counts / np.maximum(n_images, 1))


def with_pixels(split: Split, *tables: pa.Table) -> tuple[Split, int]:
    """The rows that every run of ours behind these predictions had an image for, and how many others there are.

    Runs with `--data.missing-images drop` name the images that they left out in their predictions.
    """
    gone: set[str] = set()
    for table in tables:
        kept = (table.schema.metadata or {}).get(LEFT_OUT_KEY)
        gone.update(json.loads(kept).get(split.name, []) if kept is not None else [])
    if not gone:
        return split, 0
    lost = pc.is_in(split.image_id, value_set=pa.array(sorted(gone), pa.string()))
    rows = np.flatnonzero(~np.asarray(lost.to_numpy(zero_copy_only=False), dtype=bool))
    return split.take(rows), len(split) - len(rows)


def score(
    predictions: Path,
    data: Path,
    split: str = "test",
    replicates: int = 1000,
    verified_only: bool = False,
    decide: str = "raw",
) -> dict[str, Any]:
    """Score anybody's predictions on a split.

    Where the file also covers the whole validation split, thresholds that were best there (on all its known labels) are
    applied beside 0.5. Images that a run of ours left out, because they were not there, are left out and counted.

    Args:
        predictions: File or run folder.
        data: Data set.
        split: Split to score.
        replicates: Bootstrap replicates over patients; 0: none.
        verified_only: Count only labels that a person verified.
        decide: Decision rule, `raw`, `prior` or `validation`.

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
    chosen, left_out = with_pixels(chosen, table)
    scores, absent = scores_for(table, chosen.image_id, folder.labels)
    if absent:
        raise UserError(
            f"{absent} of {len(chosen)} {split} images have no prediction in {predictions}; predict all of them."
        )
    thresholds = {"prior": prior_of(table, folder)}
    if split != "validation":
        validation, _ = with_pixels(folder.splits["validation"], table)
        validation_scores, lacking = scores_for(table, validation.image_id, folder.labels)
        if not lacking:
            thresholds["validation"] = best_thresholds(validation_scores, validation.labels)
    return metrics_content(scores, chosen, folder, thresholds, replicates, decide=decide, left_out=left_out)


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
    """Paired comparison of two methods, B minus A."""

    names: tuple[str, str]
    labels: tuple[str, ...]
    difference: Difference
    images: int
    patients: int
    only_verified: bool = False
    decide: str = "raw"
    images_left_out: int = 0
    """Test images that one of the runs had no pixels for."""


def seeds_of(found: Sequence[RunResult], path: Path) -> dict[int, RunResult]:
    """Runs of one method by seed.

    Raises:
        UserError: The path holds several methods, or one seed twice.
    """
    names = sorted({run.shown_name(found) for run in found})
    if len(names) > 1:
        raise UserError(
            f"{path} holds runs of {len(names)} methods ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''}); "
            "name the folder of one of them."
        )
    by_seed = {run.seed: run for run in found}
    if len(by_seed) < len(found):
        raise UserError(f"{path} holds {len(found)} runs but only {len(by_seed)} seeds; name the folders to compare.")
    return by_seed


def paired(
    a: Sequence[RunResult], b: Sequence[RunResult], paths: tuple[Path, Path]
) -> list[tuple[RunResult, RunResult]]:
    """Runs of two methods with the same seeds; a single run of each pairs whatever its seed.

    Raises:
        UserError: Either holds several methods, or they have no seed in common.
    """
    first, second = seeds_of(a, paths[0]), seeds_of(b, paths[1])
    if len(first) == len(second) == 1:
        return [(next(iter(first.values())), next(iter(second.values())))]
    common = sorted(first.keys() & second.keys())
    if not common:
        raise UserError(f"{paths[0]} has the seeds {sorted(first)}, {paths[1]} has {sorted(second)}; none is in both.")
    return [(first[seed], second[seed]) for seed in common]


def compare_runs(
    pairs: Sequence[tuple[RunResult, RunResult]],
    data: Path | None = None,
    replicates: int = 1000,
    verified_only: bool = False,
    decide: str = "raw",
) -> Comparison:
    """Compare two methods on the test images of their common data set.

    Args:
        pairs: For every seed the run of the reference and the one compared with it, see `paired`.
        data: The data set; by default where the first run was trained.
        replicates: Bootstrap replicates over patients.
        verified_only: Count only labels that a person verified.
        decide: Decision rule behind BACC.

    Raises:
        UserError: The data set is gone, nothing in it is verified, the runs were scored on different ones, or
            thresholds of the rule are not known.
    """
    where = data or Path(pairs[0][0].manifest["data"]["path"])
    folder = open_folder(where)
    if data is None:
        for run in (each for pair in pairs for each in pair):
            if run.data_sha256 != folder.manifest_sha256:
                raise UserError(
                    f"{run.path} was scored on another data set than {where}; name the one to use with --data."
                )
    split = folder.splits["test"]
    if verified_only:
        split = only_verified(split)
        split = split.take(split.rows_with_labels())
    tables = {run.path: read_predictions(run.path, folder.labels) for pair in pairs for run in pair}
    split, left_out = with_pixels(split, *tables.values())
    scores: tuple[list[Scores], list[Scores]] = ([], [])
    cuts: tuple[list[float | NDArray[np.float64]], list[float | NDArray[np.float64]]] = ([], [])
    for pair in pairs:
        for side, run in enumerate(pair):
            table = tables[run.path]
            values, absent = scores_for(table, split.image_id, folder.labels)
            if absent:
                raise UserError(f"{absent} of {len(split)} test images of {where} have no prediction in {run.path}.")
            scores[side].append(values)
            cuts[side].append(threshold_of(table, folder, decide, run.path))
    difference = compare_seeds(
        scores[0], scores[1], split.labels, split.subject, replicates, groups=folder.groups,
        thresholds_a=cuts[0], thresholds_b=cuts[1],
    )  # fmt: skip
    about = counted(split)
    a, b = pairs[0]
    return Comparison(
        (a.name, b.name), folder.labels, difference, about["images"], about["patients"], split.only_verified, decide,
        left_out,
    )  # fmt: skip


def threshold_of(table: pa.Table, folder: Folder, decide: str, path: Path) -> float | NDArray[np.float64]:
    """The thresholds of a decision rule for one set of predictions.

    Raises:
        UserError: Thresholds from validation are wanted, but the predictions do not cover that split.
    """
    if decide == "raw":
        return THRESHOLD
    if decide == "prior":
        return prior_of(table, folder)
    validation, _ = with_pixels(folder.splits["validation"], table)
    scores, lacking = scores_for(table, validation.image_id, folder.labels)
    if lacking:
        raise UserError(f"{path} has no predictions of the validation split, so no thresholds from it.")
    return best_thresholds(scores, validation.labels)
