"""A data set of a few rows, for tests of what reads and writes folders."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from ltml_dataset.export.manifest import Manifest, SplitCounts, group_labels, write_manifest, written_files
from ltml_dataset.export.parquet import SplitWriter, write_text
from ltml_dataset.schema import image_schema

NAMES = ("Edema", "Fracture", "Hemothorax")


def image_rows(n_rows: int, start: int = 0) -> pa.Table:
    schema = image_schema(NAMES)
    ids = range(start, start + n_rows)
    target = np.array([[i % 2, i % 3 == 0, i % 5 == 0] for i in ids], dtype=np.int8).reshape(-1, len(NAMES))
    return pa.table(
        [
            pa.array([f"i{i:05d}" for i in ids]),
            pa.array(ids, pa.int32()),
            pa.array(ids, pa.int32()),
            pa.array(["AP"] * n_rows),
            pa.array([f"files/{i}.jpg" for i in ids]),
            pa.array([np.flatnonzero(row).tolist() for row in target], pa.list_(pa.int64())),
            pa.FixedSizeListArray.from_arrays(pa.array(target.ravel()), len(NAMES)),
        ],
        schema=schema,
    )


def fill(folder: Path, n_train: int = 4) -> None:
    """A small data set of 3 labels, as `build` and `split` finish theirs."""
    writer = SplitWriter(folder / "data", image_schema(NAMES), NAMES)
    writer.write("train", image_rows(n_train))
    writer.write("test", image_rows(2, start=100))
    rows = writer.close()
    write_text("# card\n", folder / "README.md")
    manifest = Manifest(
        config={"seed": 0},
        inputs=[],
        labels=list(NAMES),
        groups=group_labels({"Edema": 3, "Fracture": 2, "Hemothorax": 2}),
        group_thresholds={"head": 10_000, "medium": 1_000},
        counts={"images": n_train + 2},
        splits={"train": SplitCounts(rows=n_train, studies=n_train, subjects=n_train)},
        label_counts={},
        files=written_files(folder, rows),
    )
    write_manifest(manifest, folder)
