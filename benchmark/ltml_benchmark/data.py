"""The built folder: label names, groups and splits from `manifest.json` and `data/*.parquet`."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ltml_benchmark.errors import UserError

SPLITS = ("train", "validation", "test")
GROUPS = ("head", "medium", "tail")


@dataclass(frozen=True)
class Split:
    """One split, rows in file order."""

    name: str
    image_id: pa.ChunkedArray
    """(N,) string."""
    subject: NDArray[np.int64]
    """(N,) code of the patient; rows of one patient share it within the split."""
    target: NDArray[np.uint8]
    """(N, C) 0/1, 0 where the label is left out."""
    image_path: pa.ChunkedArray | None
    """(N,) path under the image root, where the folder has the column."""
    shards: tuple[Path, ...]
    """Files the rows came from, for the `image` column."""
    kept: NDArray[np.int64] | None = None
    """Rows of the files that remain when some were dropped; None keeps all."""
    known: NDArray[np.bool_] | None = None
    """(N, C) False where a label is left out of training and scoring; None where none is."""
    only_verified: bool = False
    """Whether labels that no person verified are left out."""

    def __len__(self) -> int:
        return len(self.target)

    @property
    def labels(self) -> NDArray[np.bool_] | NDArray[np.int8]:
        """(N, C) as losses and metrics take them: bool, or int8 with -1 for what is left out where something is."""
        if self.known is None:
            return self.target.view(np.bool_)
        return np.where(self.known, self.target.view(np.int8), np.int8(-1))

    def rows_with_labels(self) -> NDArray[np.int64]:
        """Rows with a known label in any class."""
        return np.arange(len(self)) if self.known is None else np.flatnonzero(self.known.any(axis=1))

    def take(self, rows: NDArray[np.int64]) -> "Split":
        """The same split with these rows only."""
        kept = rows if self.kept is None else self.kept[rows]
        return replace(
            self,
            image_id=self.image_id.take(rows),
            subject=self.subject[rows],
            target=self.target[rows],
            image_path=None if self.image_path is None else self.image_path.take(rows),
            kept=kept,
            known=None if self.known is None else self.known[rows],
        )


@dataclass(frozen=True)
class Folder:
    """What the benchmark knows about a data set."""

    path: Path
    labels: tuple[str, ...]
    groups: dict[str, list[int]]
    """Indices into `labels` of head, medium and tail."""
    manifest: dict[str, Any]
    manifest_sha256: str
    splits: dict[str, Split]

    def class_counts(self, over: str) -> tuple[NDArray[np.int64], int | NDArray[np.int64]]:
        """Positives per class and number of images, over `train` or `all` splits; known labels only.

        Returns:
            (C,) int64, and N, or (C,) images whose label is known where that is not all of them.
        """
        chosen = [self.splits["train"]] if over == "train" else list(self.splits.values())
        counts = np.sum([split.target.sum(axis=0, dtype=np.int64) for split in chosen], axis=0)
        n_images = sum(len(split) for split in chosen)
        left_out = [len(split) - split.known.sum(axis=0) for split in chosen if split.known is not None]
        if not left_out:
            return np.asarray(counts, dtype=np.int64), n_images
        return np.asarray(counts, dtype=np.int64), np.asarray(n_images - np.sum(left_out, axis=0), dtype=np.int64)


def open_folder(path: Path, splits: Iterable[str] = SPLITS) -> Folder:
    """Read labels, groups and targets; pixels stay where they are.

    Args:
        path: Folder with `manifest.json` and `data/`.
        splits: Splits that must be there.

    Raises:
        UserError: A file is missing or disagrees with the manifest.
    """
    manifest_path = path / "manifest.json"
    if not manifest_path.is_file():
        raise UserError(f"{manifest_path} was not found; --data expects a folder that `ltml-build-labels` made.")
    content = manifest_path.read_bytes()
    try:
        manifest = json.loads(content)
        labels = tuple(str(name) for name in manifest["labels"])
        groups = {group: [labels.index(name) for name in manifest.get("groups", {}).get(group, [])] for group in GROUPS}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{manifest_path} lacks a list of `labels`, or its groups name others ({error}); build the folder again."
        ) from error
    return Folder(
        path=path,
        labels=labels,
        groups=groups,
        manifest=manifest,
        manifest_sha256=hashlib.sha256(content).hexdigest(),
        splits={name: _read_split(path, name, labels) for name in splits},
    )


def _read_split(path: Path, name: str, labels: tuple[str, ...]) -> Split:
    shards = tuple(sorted((path / "data").glob(f"{name}-*.parquet")))
    if not shards:
        raise UserError(f"{path / 'data'} has no {name}-*.parquet; --data expects the splits train, validation, test.")
    tables = [_read_shard(shard, labels) for shard in shards]
    table = pa.concat_tables(tables)
    if table.num_rows == 0:
        raise UserError(f"The split {name} in {path / 'data'} is empty; build the folder with other ratios.")
    subject = table["subject_id"] if "subject_id" in table.column_names else table["image_id"]
    if subject.null_count:  # a row without a patient is its own patient
        subject = pa.chunked_array([pa.array(np.arange(table.num_rows))])
    codes = subject.combine_chunks().dictionary_encode()
    matrix = _matrix(table["target"], "target", shards[0], len(labels))
    if matrix.max(initial=0) > 1 or matrix.min(initial=0) < -1:
        raise UserError(f"`target` in {shards[0].name} holds values other than 1, 0 and -1; build the folder again.")
    known = matrix >= 0 if matrix.min(initial=0) < 0 else None
    paths = table["image_path"] if "image_path" in table.column_names else None
    return Split(
        name=name,
        image_id=table["image_id"].cast(pa.string()),
        subject=codes.indices.to_numpy().astype(np.int64),
        target=(matrix > 0).view(np.uint8),
        image_path=None if paths is None or paths.null_count == len(paths) else paths.cast(pa.string()),
        shards=shards,
        known=known,
    )


def only_verified(split: Split) -> Split:
    """The split with every label left out that no person verified (column `verified`, 1 where one did).

    Raises:
        UserError: The data set has no such column, or nothing in this split is verified.
    """
    where = split.shards[0].parent.parent
    if not all("verified" in pq.read_schema(shard).names for shard in split.shards):
        raise UserError(f"{where} does not say which labels were verified; build it with --gold or --reviewed.")
    column = pa.concat_tables([pq.read_table(shard, columns=["verified"]) for shard in split.shards])["verified"]
    is_verified = _matrix(column, "verified", split.shards[0], split.target.shape[1]) == 1
    if split.kept is not None:
        is_verified = is_verified[split.kept]
    known = is_verified if split.known is None else is_verified & split.known
    if not known.any():
        raise UserError(
            f"No label of the split {split.name} in {where} is verified; review some of its studies and build it with "
            "--reviewed (or with --gold and --official-split, which puts the gold labels into test)."
        )
    return replace(split, target=np.where(known, split.target, np.uint8(0)), known=known, only_verified=True)


def _matrix(column: pa.ChunkedArray, name: str, shard: Path, n_labels: int) -> NDArray[np.int64]:
    """The integers of a list column as (N, C)."""
    values = column.combine_chunks().flatten()
    if values.null_count or len(values) != len(column) * n_labels:
        raise UserError(f"`{name}` in {shard.name} is not {n_labels} values a row; build the folder again.")
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(column), n_labels)


def _read_shard(shard: Path, labels: tuple[str, ...]) -> pa.Table:
    try:
        schema = pq.read_schema(shard)
        missing = {"image_id", "target"} - set(schema.names)
        if missing:
            raise UserError(f"{shard} lacks the column {sorted(missing)[0]}; build the folder again.")
        named = label_names(schema)
        if named is not None and named != labels:
            raise UserError(f"The label names inside {shard} are not those of manifest.json; build the folder again.")
        wanted = [name for name in ("image_id", "subject_id", "image_path", "target") if name in schema.names]
        return pq.read_table(shard, columns=wanted).replace_schema_metadata(None)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{shard} is no readable Parquet file ({error}); build the folder again.") from error


def label_names(schema: pa.Schema) -> tuple[str, ...] | None:
    """Class names in the schema's `huggingface` metadata, in order; None where it names none."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return None
    feature = json.loads(raw).get("info", {}).get("features", {}).get("labels", {})
    if isinstance(feature, list):  # the older spelling of a list feature
        feature = {"feature": feature[0]}
    names = feature.get("feature", {}).get("names")
    return None if names is None else tuple(names)
