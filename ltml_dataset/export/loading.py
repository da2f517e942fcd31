"""Reading a finished data set back: as `datasets`, with pixels, or its labels as one array."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ltml_dataset.errors import UserError
from ltml_dataset.export.manifest import read_manifest
from ltml_dataset.export.parquet import label_names_of
from ltml_dataset.images import image_files
from ltml_dataset.schema import SPLITS

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


@dataclass(frozen=True)
class SplitLabels:
    """The labels of one split in memory, row for row as the data set's images."""

    image_ids: pa.StringArray
    target: npt.NDArray[np.int8]
    """(n_rows, n_labels): 1 present, 0 absent, -1 leave out."""
    label_names: tuple[str, ...]
    """Names of the columns of `target`."""


def load(directory: Path | str, *, config: str = "images", image_root: Path | str | None = None) -> "DatasetDict":
    """All splits of a data set folder, with no script and no network.

    Args:
        directory: Folder written by `build` or `split`.
        config: "images", "studies", "mentions", or "disagreements" where a second engine ran.
        image_root: Folder that `image_path` counts from (MIMIC: the one that holds `files/`, or `files/` itself); adds
            the decoded column `image`.

    Raises:
        UserError: No data set lies there, the config does not exist, or images are not below `image_root`.
    """
    from datasets import load_dataset

    folder = Path(directory)
    manifest = read_manifest(folder)
    parent = "data" if config == "images" else config
    files = {
        split: [str(folder / name) for name in sorted(manifest.files) if name.startswith(f"{parent}/{split}-")]
        for split in SPLITS
    }
    if not any(files.values()):
        raise UserError(f"`{folder}` has no config {config!r}: choose one of images, studies, mentions.")
    dataset = load_dataset("parquet", data_files={split: names for split, names in files.items() if names})
    if image_root is None:
        return dataset
    return type(dataset)({split: attach_images(rows, image_root) for split, rows in dataset.items()})


def attach_images(dataset: "Dataset", image_root: Path | str) -> "Dataset":
    """The data set with a column `image`, decoded on access from `image_path` below `image_root`.

    Args:
        dataset: One split of the config "images".
        image_root: Folder that `image_path` counts from; for MIMIC-CXR-JPG the folder with `files/`, or `files/`.

    Raises:
        UserError: The rows have no image paths, or carry images already, or the first image is not there.
    """
    from datasets import Image

    if "image" in dataset.column_names:
        raise UserError("these rows carry their images already, in the column `image`: leave out the image root.")
    paths = dataset.with_format("arrow")["image_path"] if "image_path" in dataset.column_names else None
    paths = None if paths is None else (paths[:] if not isinstance(paths, pa.ChunkedArray) else paths)
    if paths is None or paths.null_count:
        raise UserError(
            "these rows have no `image_path`: build the data set with --metadata, or use its `image` column."
        )
    full = image_files(Path(image_root), paths.to_pylist())
    return dataset.add_column("image", full).cast_column("image", Image())


def load_labels(directory: Path | str, split: str) -> SplitLabels:
    """The labels of one split as one array, read in a fraction of a second at full size.

    Row by row access through `datasets` gives some hundred rows a second; training reads labels from here.

    Raises:
        UserError: No data set lies there, or it has no such split.
    """
    folder = Path(directory)
    names = [name for name in sorted(read_manifest(folder).files) if name.startswith(f"data/{split}-")]
    if not names:
        raise UserError(f"`{folder}` has no split {split!r}: choose one of {', '.join(SPLITS)}.")
    label_names = label_names_of(pq.read_schema(folder / names[0]))
    tables = [pq.read_table(folder / name, columns=["image_id", "target"]) for name in names]
    table = pa.concat_tables(tables).combine_chunks()
    target = table["target"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return SplitLabels(
        image_ids=table["image_id"].combine_chunks(),
        target=target.astype(np.int8, copy=False).reshape(-1, len(label_names)),
        label_names=label_names,
    )
