"""What the configs of a written folder hold, read from the Parquet files themselves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ltml_dataset.schema import SPLITS

FOLDERS = {"images": "data", "studies": "studies", "mentions": "mentions", "disagreements": "disagreements"}
"""Folder of each config; the first is the default."""


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split of one config."""

    paths: tuple[Path, ...]
    rows: int
    n_bytes: int
    """Size of the data before compression, in bytes."""
    download_bytes: int
    """Size of the files, in bytes."""


@dataclass(frozen=True)
class Config:
    """One config of a data set folder."""

    name: str
    folder: str
    schema: pa.Schema
    splits: dict[str, SplitFiles]
    """In the order train, validation, test; a split without rows has no file and is not here."""

    @property
    def features(self) -> dict[str, Any]:
        """Features by column, as `datasets.Features.to_dict` spells them."""
        features: dict[str, Any] = json.loads(self.schema.metadata[b"huggingface"])["info"]["features"]
        return features


def read_configs(folder: Path) -> list[Config]:
    """Configs that have files below `folder`, default first."""
    configs = []
    for name, subfolder in FOLDERS.items():
        found = {split: sorted((folder / subfolder).glob(f"{split}-*.parquet")) for split in SPLITS}
        splits = {split: _split_files(paths) for split, paths in found.items() if paths}
        if splits:
            schema = pq.read_schema(next(iter(splits.values())).paths[0])
            configs.append(Config(name, subfolder, schema, splits))
    return configs


def _split_files(paths: list[Path]) -> SplitFiles:
    footers = [pq.read_metadata(path) for path in paths]
    return SplitFiles(
        paths=tuple(paths),
        rows=sum(footer.num_rows for footer in footers),
        n_bytes=sum(footer.row_group(g).total_byte_size for footer in footers for g in range(footer.num_row_groups)),
        download_bytes=sum(path.stat().st_size for path in paths),
    )


def count_pairs(config: Config, n_labels: int) -> npt.NDArray[np.int64]:
    """(C, C) images that have both labels; the diagonal holds the images of each label."""
    pairs = np.zeros((n_labels, n_labels), dtype=np.int64)
    for lists in _label_lists(config):
        rows = np.repeat(np.arange(len(lists)), lists.value_lengths().to_numpy())
        table = np.zeros((len(lists), n_labels), dtype=np.float64)
        table[rows, lists.flatten().to_numpy()] = 1
        pairs += np.rint(table.T @ table).astype(np.int64)
    return pairs


def _label_lists(config: Config) -> Iterator[pa.ListArray]:
    """Column `labels` of all splits, some thousand rows at a time."""
    for split in config.splits.values():
        for path in split.paths:
            for batch in pq.ParquetFile(path).iter_batches(16_384, columns=["labels"]):
                yield batch.column(0)
