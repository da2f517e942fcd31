"""What a manifest says of the rows, counted again from the rows."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ltml_dataset.export.manifest import Manifest, differences, group_labels, read_manifest
from ltml_dataset.export.parquet import label_names_of
from ltml_dataset.schema import SPLITS


def problems_of(folder: Path) -> list[str]:
    """Everything in which a folder is not as its manifest says; empty if it is.

    Files are compared by size and SHA-256. If these hold, label names, rows, label counts and groups are counted again
    from the Parquet files, and no patient may lie in two splits where patients were split.

    Raises:
        UserError: The folder has no readable manifest.
    """
    return differences(folder) or contradictions(folder, read_manifest(folder))


def contradictions(folder: Path, manifest: Manifest) -> list[str]:
    """Statements of a manifest that its own files contradict."""
    tables = [name for name in sorted(manifest.files) if name.startswith("data/")]
    problems = [
        f"{name}: its label names are not the manifest's"
        for name in tables
        if list(label_names_of(pq.read_schema(folder / name))) != manifest.labels
    ]
    if problems:
        return problems
    total = np.zeros(len(manifest.labels), np.int64)
    patients: dict[str, pa.Array] = {}
    for split in SPLITS:
        paths = [folder / name for name in tables if name.startswith(f"data/{split}-")]
        n_rows, positives = _count(paths, len(manifest.labels))
        total += positives
        said = manifest.splits[split].rows if split in manifest.splits else 0
        if n_rows != said:
            problems.append(f"{split}: {n_rows} rows, the manifest says {said}")
        problems += _count_problems(split, positives, manifest)
        patients[split] = _patients(paths)
    problems += _count_problems("all", total, manifest)
    counts = {name: int(count) for name, count in zip(manifest.labels, total, strict=True)}
    thresholds = manifest.group_thresholds
    if manifest.groups != group_labels(counts, thresholds["head"], thresholds["medium"]):
        problems.append("the groups head, medium and tail do not follow from the counts")
    options = manifest.config.get("split") or {}
    if options.get("group_by") == "subject" and not options.get("ids") and not manifest.config.get("official_split"):
        problems += _crossing(patients)
    return problems


def _count(paths: list[Path], n_labels: int) -> tuple[int, npt.NDArray[np.int64]]:
    """Rows, and (C,) positives, of the files of a split."""
    n_rows, positives = 0, np.zeros(n_labels, np.int64)
    for batch in _batches(paths, "target"):
        target = batch.column(0).flatten().to_numpy(zero_copy_only=False).reshape(-1, n_labels)
        n_rows += len(target)
        positives += (target == 1).sum(axis=0)
    return n_rows, positives


def _count_problems(split: str, positives: npt.NDArray[np.int64], manifest: Manifest) -> list[str]:
    said = manifest.label_counts.get(split, {})
    return [
        f"{name}: {count} positive images in {split}, the manifest says {said.get(name)}"
        for name, count in zip(manifest.labels, positives.tolist(), strict=True)
        if said.get(name) != count
    ]


def _patients(paths: list[Path]) -> pa.Array:
    """Distinct patients of a split; unknown ones are left out."""
    found = [pc.unique(batch.column(0)) for batch in _batches(paths, "subject_id")]
    return pc.drop_null(pc.unique(pa.chunked_array(found))) if found else pa.array([], pa.string())


def crossing_of(folder: Path, manifest: Manifest) -> list[str]:
    """Pairs of splits that share patients although nothing is wrong: the split was given, or images were split."""
    tables = [name for name in sorted(manifest.files) if name.startswith("data/")]
    paths = {split: [folder / name for name in tables if name.startswith(f"data/{split}-")] for split in SPLITS}
    return _crossing({split: _patients(files) for split, files in paths.items()})


def _crossing(patients: dict[str, pa.Array]) -> list[str]:
    """Pairs of splits that share patients; says how many, names none."""
    problems = []
    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        one, other = patients[first], patients[second]
        n_both = pc.sum(pc.is_in(one, value_set=other)).as_py() if len(one) and len(other) else 0
        if n_both:
            problems.append(f"{n_both} patients are in {first} and in {second}")
    return problems


def _batches(paths: list[Path], column: str) -> Iterator[pa.RecordBatch]:
    for path in paths:
        yield from pq.ParquetFile(path).iter_batches(65_536, columns=[column])
