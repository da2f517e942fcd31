"""Simulated chest images with known findings, in the folder format that the benchmark reads.

A phantom has a body, two lungs, ribs and a heart, and each finding draws one mark in its own shape and
place. They are for `demo` and for tests, where the truth must be known; nothing about them is medical evidence.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from ltml_benchmark import __version__

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Finding:
    """A mark: where it is drawn, what it looks like, and how often."""

    name: str
    group: str
    rate: float
    shape: str
    x: float
    y: float
    radius: float
    strength: float


FINDINGS = (
    Finding("Lung Opacity", "head", 0.24, "blob", 0.30, 0.40, 0.13, 0.27),
    Finding("Cardiomegaly", "head", 0.20, "blob", 0.56, 0.68, 0.17, 0.24),
    Finding("Pleural Effusion", "head", 0.18, "base", 0.28, 0.86, 0.15, 0.30),
    Finding("Support Devices", "head", 0.16, "line", 0.45, 0.30, 0.24, 0.33),
    Finding("Edema", "medium", 0.08, "stripes", 0.68, 0.42, 0.17, 0.24),
    Finding("Pneumothorax", "medium", 0.06, "dark", 0.76, 0.22, 0.12, 0.30),
    Finding("Lung Lesion", "medium", 0.05, "disc", 0.70, 0.52, 0.07, 0.36),
    Finding("Fracture", "medium", 0.04, "gap", 0.17, 0.48, 0.09, 0.36),
    Finding("Pneumomediastinum", "tail", 0.016, "dark", 0.50, 0.30, 0.09, 0.36),
    Finding("Small Lung Nodules", "tail", 0.014, "dots", 0.32, 0.58, 0.13, 0.42),
    Finding("Pleural Calcification", "tail", 0.012, "ring", 0.26, 0.70, 0.08, 0.42),
    Finding("Mediastinal Shift", "tail", 0.010, "line", 0.58, 0.34, 0.22, 0.36),
    Finding("Bronchiectasis", "tail", 0.009, "ring", 0.72, 0.66, 0.08, 0.42),
    Finding("Diaphragmatic Hernia", "tail", 0.008, "base", 0.70, 0.86, 0.13, 0.39),
)
LABELS = tuple(finding.name for finding in FINDINGS)


def simulate_labels(count: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Labels and patients: rates of FINDINGS, a frailty shared by a patient's images makes findings meet.

    Returns:
        (N, C) 0/1, and (N,) patient numbers in blocks of 1-4 images.
    """
    sizes = rng.integers(1, 5, size=count)
    patient = np.repeat(np.arange(count), sizes)[:count]
    frailty = rng.normal(0.0, 0.7, size=count)[patient]
    rates = np.array([finding.rate for finding in FINDINGS])
    odds = np.log(rates / (1 - rates)) - 0.2
    chance = 1 / (1 + np.exp(-(odds[None, :] + frailty[:, None])))
    return (rng.random(chance.shape) < chance).astype(np.uint8), patient


def draw_image(present: NDArray[np.uint8], size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One image with the marks of its findings: (size, size) uint8."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(size)
    x = x + np.float32(rng.normal(0, 0.02))
    y = y + np.float32(rng.normal(0, 0.02))
    image = 0.62 + 0.10 * y + 0.05 * _blob(x, y, 0.5, 0.6, 0.3)
    for side in (0.30, 0.70):
        lung = ((x - side) / 0.17) ** 2 + ((y - 0.48) / 0.33) ** 2
        image = image - 0.38 / (1 + np.exp(np.clip(18 * (lung - 1), -30, 30)))
    image = image + 0.04 * np.sin(2 * np.pi * (y * 8 + 1.5 * (x - 0.5) ** 2 + rng.random()))
    image = image + 0.22 * _blob(x, y, 0.54, 0.64, 0.11)
    for finding, here in zip(FINDINGS, present, strict=True):
        if here:
            image = image + _mark(finding, x, y, rng)
    image = image * rng.uniform(0.85, 1.15) + rng.normal(0, 0.05) + rng.normal(0, 0.1, size=image.shape)
    return np.asarray(np.clip(image, 0, 1) * 255, dtype=np.uint8)


def _mark(finding: Finding, x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    cx, cy = finding.x + rng.normal(0, 0.025), finding.y + rng.normal(0, 0.025)
    radius = finding.radius * rng.uniform(0.8, 1.2)
    strength = np.float32(finding.strength * rng.uniform(0.55, 1.1))
    distance = np.sqrt((x - cx) ** 2 + (y - cy) ** 2)
    inside = 1 / (1 + np.exp(np.clip(60 * (distance - radius), -30, 30)))
    shapes: dict[str, Any] = {
        "blob": lambda: _blob(x, y, cx, cy, radius),
        "disc": lambda: inside,
        "dark": lambda: -_blob(x, y, cx, cy, radius),
        "ring": lambda: np.exp(-(((distance - radius) / 0.025) ** 2)),
        "stripes": lambda: inside * np.sin(2 * np.pi * 9 * (x + y)),
        "dots": lambda: inside * (np.sin(40 * x) * np.sin(40 * y) > 0.35),
        "line": lambda: np.exp(-(((x - cx) / 0.018) ** 2)) * (np.abs(y - cy) < radius),
        "gap": lambda: np.exp(-(((y - cy + 0.5 * (x - cx)) / 0.02) ** 2)) * (np.abs(x - cx) < radius),
        "base": lambda: _blob(x, y, cx, cy, radius) * (y > cy - 0.6 * radius),
    }
    return np.asarray(strength * shapes[finding.shape](), dtype=np.float32)


def _blob(x: Floats, y: Floats, cx: float, cy: float, radius: float) -> Floats:
    return np.asarray(np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / radius**2)), dtype=np.float32)


def drop_positives(labels: NDArray[np.uint8], share: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Labels with this share of the positives of every class turned to 0: false negatives.

    At least one positive of a class is kept, so that the class still exists.
    """
    noisy = labels.copy()
    for column in noisy.T:
        rows = np.flatnonzero(column)
        lost = min(round(share * len(rows)), max(len(rows) - 1, 0))
        column[rng.permutation(rows)[:lost]] = 0
    return noisy


def write_images(root: Path, sizes: dict[str, int], image_size: int, seed: int = 0) -> None:
    """Write `files/phantom-000000.png` and so on, all splits one after the other; files that are there stay."""
    (root / "files").mkdir(parents=True, exist_ok=True)
    offset = 0
    for place, count in enumerate(sizes.values()):
        paths = [root / "files" / f"phantom-{offset + row:06d}.png" for row in range(count)]
        if not all(path.exists() for path in paths):
            for path, data in zip(paths, encoded_images(count, image_size, seed, place), strict=True):
                path.write_bytes(data)
        offset += count


def encoded_images(count: int, image_size: int, seed: int, place: int) -> list[bytes]:
    """PNG bytes of the images of one split, the `place`-th."""
    truth, _ = simulate_labels(count, np.random.default_rng([seed, place, 0]))
    rng = np.random.default_rng([seed, place, 1])
    return [_png(draw_image(row, image_size, rng)) for row in truth]


def write_folder(
    out: Path,
    sizes: dict[str, int],
    image_size: int,
    seed: int = 0,
    missed: float = 0.0,
    noise_seed: int = 0,
    image_root: Path | None = None,
) -> Path:
    """Write a data set of phantoms.

    The test split keeps the truth; training and validation labels lose the share `missed` of their positives.
    What is true stands in the column `truth`, which the benchmark never reads.

    Args:
        out: Folder to make: `manifest.json` and `data/*.parquet`.
        sizes: Images in train, validation and test.
        image_size: Side in pixels.
        seed: The same seed gives the same images, whatever `missed` is.
        missed: Share of positives that the labels miss.
        noise_seed: Decides which positives are missed.
        image_root: Puts PNG files there in place of the `image` column.

    Returns:
        `out`.
    """
    (out / "data").mkdir(parents=True, exist_ok=True)
    names = list(LABELS)
    features = {
        "image_id": {"dtype": "string", "_type": "Value"},
        "labels": {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "List"},
        "target": {"feature": {"dtype": "int8", "_type": "Value"}, "length": len(names), "_type": "List"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    counts: dict[str, dict[str, int]] = {}
    files: dict[str, dict[str, Any]] = {}
    if image_root is not None:
        write_images(image_root, sizes, image_size, seed)
    offset = 0
    for place, (split, count) in enumerate(sizes.items()):
        truth, patient = simulate_labels(count, np.random.default_rng([seed, place, 0]))
        noise = np.random.default_rng([seed, place, 2, noise_seed])
        labels = truth if split == "test" else drop_positives(truth, missed, noise)
        ids = [f"phantom-{offset + row:06d}" for row in range(count)]
        columns: dict[str, Any] = {
            "image_id": ids,
            "subject_id": [f"p{offset + number:06d}" for number in patient],
            "study_id": [f"s{name[8:]}" for name in ids],
            "view": ["PA"] * count,
            "image_path": pa.array([f"files/{name}.png" if image_root else None for name in ids], pa.string()),
            "labels": pa.array([np.flatnonzero(row).tolist() for row in labels], pa.list_(pa.int64())),
            "target": _lists(labels),
            "truth": _lists(truth),
        }
        if image_root is None:
            encoded = encoded_images(count, image_size, seed, place)
            columns["image"] = pa.array([{"bytes": data, "path": None} for data in encoded])
        path = out / "data" / f"{split}-00000-of-00001.parquet"
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path, compression="zstd")
        counts[split] = dict(zip(names, labels.sum(axis=0).tolist(), strict=True))
        digest = sha256(path.read_bytes()).hexdigest()
        files[f"data/{path.name}"] = {"bytes": path.stat().st_size, "rows": count, "sha256": digest}
        offset += count
    manifest = {
        "format": "ltml-dataset/1",
        "tool": {"name": "ltml-benchmark demo", "version": __version__},
        "config": {"seed": seed, "image_size": image_size, "missed": missed, "noise_seed": noise_seed},
        "labels": names,
        "groups": {g: [f.name for f in FINDINGS if f.group == g] for g in ("head", "medium", "tail")},
        "counts": {"images": offset},
        "splits": {split: {"rows": count} for split, count in sizes.items()},
        "label_counts": counts,
        "files": files,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", "utf-8")
    return out


def read_truth(folder: Path, split: str) -> NDArray[np.uint8]:
    """What the images of a split show, whatever its labels say: (N, C) 0/1."""
    column = pq.read_table(folder / "data" / f"{split}-00000-of-00001.parquet", columns=["truth"])["truth"]
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values.reshape(len(column), -1), dtype=np.uint8)


def _lists(labels: NDArray[np.uint8]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(labels.reshape(-1).astype(np.int8)), labels.shape[1])


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()
