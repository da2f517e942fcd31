"""Grey phantoms: a chest-like background on which every class leaves a mark of its own.

They look like no radiograph. They are a data set on which a small network can learn all 39 classes from pixels, with
noise, moving marks and weak marks for hedged findings, so that a benchmark has something to rank.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ltml_dataset.simulate.findings import LABELS
from ltml_dataset.simulate.studies import Chunk

Pixels = NDArray[np.float32]
Shape = Literal["blob", "disc", "ring", "bar", "waves", "grid", "dots", "line", "fill"]

QUALITY = 95
CONTRAST = 0.55
"""Marks against the noise: low enough that a network has to learn, high enough that it can."""

PIXELS_AT_ONCE = 1_048_576
"""Images are drawn in batches of this many pixels: 4 MiB a float32 layer, at any size."""


@dataclass(frozen=True)
class Mark:
    """What a class adds to the picture, in units where it is 2 wide and 2 high with the origin in its middle.

    `sides`: "one" keeps x, "either" mirrors it in half of the images, "both" draws it twice.
    """

    shape: Shape
    x: float
    y: float
    rx: float
    ry: float
    grey: float
    angle: float = 0.0
    sides: Literal["one", "either", "both"] = "one"


MARKS: dict[str, Mark] = {
    "Enlarged Cardiomediastinum": Mark("bar", 0.0, -0.45, 0.26, 0.30, 0.22),
    "Cardiomegaly": Mark("disc", 0.12, 0.36, 0.52, 0.34, 0.20),
    "Lung Lesion": Mark("disc", 0.45, -0.30, 0.09, 0.09, 0.30, sides="either"),
    "Lung Opacity": Mark("blob", 0.45, 0.05, 0.24, 0.22, 0.24, sides="either"),
    "Edema": Mark("waves", 0.36, 0.0, 0.30, 0.42, 0.16, angle=0.8, sides="both"),
    "Consolidation": Mark("bar", 0.48, 0.30, 0.16, 0.14, 0.32, sides="either"),
    "Pneumonia": Mark("grid", 0.45, 0.22, 0.24, 0.22, 0.28, sides="either"),
    "Atelectasis": Mark("line", 0.42, 0.46, 0.26, 0.30, 0.34, angle=0.25, sides="either"),
    "Pneumothorax": Mark("bar", 0.72, -0.40, 0.08, 0.34, -0.28, sides="either"),
    "Pleural Effusion": Mark("fill", 0.48, 0.58, 0.28, 0.12, 0.32, sides="either"),
    "Pleural Other": Mark("line", 0.74, 0.10, 0.30, 0.30, 0.30, angle=1.57, sides="either"),
    "Fracture": Mark("line", 0.60, -0.10, 0.14, 0.22, -0.36, angle=-0.7, sides="either"),
    "Support Devices": Mark("line", 0.08, -0.45, 0.48, 0.22, 0.45, angle=1.45),
    "Alveolar Lung Disease": Mark("grid", 0.44, -0.05, 0.34, 0.50, 0.30, sides="both"),
    "Aortic Aneurysm": Mark("ring", 0.22, -0.42, 0.16, 0.16, 0.36),
    "Bilateral Hilar Enlargement": Mark("disc", 0.24, -0.08, 0.12, 0.14, 0.34, sides="both"),
    "Bronchiectasis": Mark("waves", 0.46, 0.34, 0.20, 0.16, 0.34, angle=1.57, sides="either"),
    "Cardiomyopathy": Mark("waves", 0.12, 0.36, 0.36, 0.28, 0.26, angle=0.4),
    "Diaphragmatic Hernia": Mark("ring", -0.30, 0.66, 0.20, 0.16, 0.40),
    "Embolus": Mark("dots", 0.45, -0.35, 0.24, 0.24, 0.46, sides="one"),
    "Hemothorax": Mark("grid", 0.52, 0.64, 0.24, 0.16, 0.40, sides="either"),
    "Hypertension": Mark("line", 0.26, -0.24, 0.22, 0.34, 0.32, angle=-0.9),
    "Left Atrial Enlargement": Mark("ring", 0.02, 0.20, 0.20, 0.16, 0.34),
    "Massive Cardiomegaly": Mark("disc", 0.06, 0.38, 0.80, 0.46, 0.28),
    "Mediastinal Shift": Mark("bar", 0.26, -0.10, 0.07, 0.62, 0.26, sides="either"),
    "Mitral Insufficiency": Mark("line", 0.20, 0.34, 0.24, 0.24, -0.40, angle=0.9),
    "Mucoid Impaction": Mark("line", 0.42, -0.22, 0.18, 0.50, 0.44, angle=-0.5, sides="either"),
    "Multiple Pulmonary Nodules": Mark("dots", 0.46, 0.0, 0.26, 0.46, 0.46, sides="both"),
    "Pericardial Effusion": Mark("ring", 0.12, 0.36, 0.48, 0.38, 0.28),
    "Pleural Calcification": Mark("dots", 0.62, 0.44, 0.14, 0.10, 0.55, sides="either"),
    "Pleural Thickening": Mark("line", 0.52, -0.66, 0.24, 0.40, 0.34, angle=0.0, sides="either"),
    "Pneumomediastinum": Mark("line", 0.13, -0.50, 0.40, 0.24, -0.38, angle=1.57, sides="both"),
    "Pneumopericardium": Mark("ring", 0.12, 0.36, 0.42, 0.34, -0.36),
    "Pulmonary Arterial Hypertension": Mark("bar", 0.26, -0.14, 0.10, 0.10, 0.40, sides="both"),
    "Pulmonary Embolism": Mark("waves", 0.62, 0.12, 0.14, 0.14, 0.42, angle=0.0, sides="either"),
    "Pulmonary Hypertension": Mark("ring", 0.28, -0.14, 0.13, 0.13, 0.34, sides="both"),
    "Segmental Atelectasis": Mark("line", 0.40, -0.02, 0.20, 0.34, 0.36, angle=-0.35, sides="either"),
    "Small Lung Nodules": Mark("dots", -0.46, -0.05, 0.28, 0.48, 0.40),
    "Unilaterally Elevated Diaphragm": Mark("fill", -0.45, 0.36, 0.34, 0.14, 0.40, sides="either"),
}
"""Rare classes leave the stronger marks: a few dozen examples must suffice."""


def draw_images(chunk: Chunk, root: Path, side: int, seed: int) -> None:
    """Write `files/p90/p90000001/s80000001/<dicom_id>.jpg` for every image of a chunk.

    Args:
        chunk: Studies with states, and their images.
        root: Folder that will contain `files/`.
        side: Width and height in pixels.
        seed: Seed of the release.
    """
    rng = np.random.default_rng([seed, 3, chunk.index])
    strengths = mark_strengths(rng, chunk.states[:, : len(LABELS)])
    lateral = np.array([name in ("LATERAL", "LL", "XTABLE LATERAL") for name in chunk.view])
    folders = [
        root / f"files/p{subject // 1_000_000}/p{subject}/s{study}"
        for subject, study in zip(chunk.subject.tolist(), chunk.study.tolist(), strict=True)
    ]
    for folder in folders:
        folder.mkdir(parents=True)
    step = max(1, PIXELS_AT_ONCE // side**2)
    for start in range(0, len(chunk.dicom), step):
        batch = slice(start, start + step)
        grey = draw_batch(rng, strengths[chunk.image_study[batch]], lateral[batch], side)
        names = chunk.dicom[batch]
        for pixels, study, name in zip(grey, chunk.image_study[batch].tolist(), names, strict=True):
            Image.fromarray(pixels).save(folders[study] / f"{name}.jpg", "JPEG", quality=QUALITY)


def mark_strengths(rng: np.random.Generator, states: NDArray[np.int8]) -> Pixels:
    """How strongly each class of each study shows: 1 where present, 0.6 in half of the hedged ones, else 0.

    Args:
        rng: Decides about the hedged findings.
        states: (n, 39) int8: 1, 0, -1, or 2 for not mentioned.

    Returns:
        (n, 39) float32.
    """
    shows = (states == -1) & (rng.random(states.shape) < 0.5)
    strengths: Pixels = (states == 1).astype(np.float32) + 0.6 * shows.astype(np.float32)
    return strengths


def draw_batch(rng: np.random.Generator, strengths: Pixels, lateral: NDArray[np.bool_], side: int) -> NDArray[np.uint8]:
    """Phantoms for some images.

    Args:
        rng: Source of noise and jitter.
        strengths: (n, 39) float32 of `mark_strengths`.
        lateral: (n,) whether the image is a lateral view: marks then lie closer to the middle, over a spine.
        side: Width and height in pixels.

    Returns:
        (n, side, side) uint8.
    """
    n = len(strengths)
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    x, y = axis[None, None, :], axis[None, :, None]
    picture = _background(rng, lateral, x, y)
    for c, name in enumerate(LABELS):
        chosen = np.flatnonzero(strengths[:, c])
        if len(chosen):
            mark = MARKS[name]
            sides = np.ones(len(chosen), np.float32)
            if mark.sides == "either":
                sides = rng.choice(np.array([-1, 1], np.float32), len(chosen))
            strength = strengths[chosen, c] * rng.uniform(0.35, 1.25, len(chosen)).astype(np.float32)
            picture[chosen] += strength[:, None, None] * _marks(rng, mark, sides, lateral[chosen], x, y)
            if mark.sides == "both":
                picture[chosen] += strength[:, None, None] * _marks(rng, mark, -sides, lateral[chosen], x, y)
    picture += rng.standard_normal((n, side, side), dtype=np.float32) * np.float32(0.07)
    picture *= rng.uniform(0.9, 1.1, (n, 1, 1)).astype(np.float32)
    grey: NDArray[np.uint8] = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return grey


def _background(rng: np.random.Generator, lateral: NDArray[np.bool_], x: Pixels, y: Pixels) -> Pixels:
    """Lungs, heart, ribs and a diaphragm, a little different in every image; (n, side, side) float32."""
    n = len(lateral)

    def about(low: float, high: float) -> Pixels:
        return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)

    width, height, shift = about(0.27, 0.33), about(0.56, 0.66), about(-0.05, 0.05)
    dome, heart, phase = about(0.60, 0.70), about(0.24, 0.30), about(0.0, 6.28)
    is_lateral = lateral[:, None, None]
    offset = np.where(is_lateral, np.float32(0.18), np.float32(0.44))
    up_down = ((y + 0.05) / height) ** 2
    left = _soft(1 - ((x - shift + offset) / width) ** 2 - up_down)
    right = _soft(1 - ((x - shift - offset) / width) ** 2 - up_down)
    picture = np.float32(0.62) - np.float32(0.36) * np.maximum(left, right)
    picture += np.float32(0.16) * _soft(1 - ((x - shift - 0.10) / heart) ** 2 - ((y - 0.32) / np.float32(0.26)) ** 2)
    picture += np.float32(0.22) * _soft((y - dome) * 4 + x * x)
    picture += np.float32(0.03) * np.sin(y * 18 + np.abs(x) * 6 + phase)
    spine = np.where(is_lateral, np.float32(-0.62), np.float32(0.0))
    picture += np.float32(0.12) * np.exp(-(((x - shift - spine) / np.float32(0.10)) ** 2))
    return picture


def _marks(
    rng: np.random.Generator, mark: Mark, sides: Pixels, lateral: NDArray[np.bool_], x: Pixels, y: Pixels
) -> Pixels:
    """One mark in each of some images, jittered in place and size; (n, side, side) float32."""
    n = len(sides)

    def jitter(low: float, high: float) -> Pixels:
        return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)

    squeeze = np.where(lateral, np.float32(0.6), np.float32(1.0))[:, None, None]
    flip = sides[:, None, None]
    dx = x - flip * squeeze * (mark.x + jitter(-0.06, 0.06))
    dy = y - (mark.y + jitter(-0.06, 0.06))
    angle = flip * (mark.angle + jitter(-0.12, 0.12))
    size = jitter(0.85, 1.15)
    if mark.shape == "dots":
        spots: Pixels = _dots(rng, mark, dx, dy) * np.float32(mark.grey * CONTRAST)
        return spots
    u = (dx * np.cos(angle) + dy * np.sin(angle)) / (mark.rx * size)
    v = (dy * np.cos(angle) - dx * np.sin(angle)) / (mark.ry * size)
    drawn: Pixels = _profile(mark.shape, u, v) * np.float32(mark.grey * CONTRAST)
    return drawn


def _profile(shape: Shape, u: Pixels, v: Pixels) -> Pixels:
    """Value between -1 and 1 of a shape of radius one."""
    square = u * u + v * v
    if shape == "disc":
        return _soft(1 - square)
    if shape == "ring":
        return np.exp(-(((np.sqrt(square) - 1) / np.float32(0.22)) ** 2))
    if shape == "bar":
        return _soft(1 - np.maximum(np.abs(u), np.abs(v)))
    if shape == "line":
        return _soft(1 - np.abs(u)) * np.exp(-((v * 8) ** 2))
    if shape == "fill":
        filled: Pixels = _soft(v) * np.exp(-((u * u) ** 2))
        return filled
    envelope: Pixels = np.exp(-square)
    if shape == "waves":
        envelope = envelope * np.sin(u * 9)
    if shape == "grid":
        envelope = envelope * np.sin(u * 7) * np.sin(v * 7)
    return envelope


def _dots(rng: np.random.Generator, mark: Mark, dx: Pixels, dy: Pixels) -> Pixels:
    """Six small spots somewhere inside the mark."""
    total: Pixels = np.zeros(np.broadcast_shapes(dx.shape, dy.shape), np.float32)
    for _ in range(6):
        at_x = rng.uniform(-mark.rx, mark.rx, (len(dx), 1, 1)).astype(np.float32)
        at_y = rng.uniform(-mark.ry, mark.ry, (len(dx), 1, 1)).astype(np.float32)
        total += np.exp(-(((dx - at_x) ** 2 + (dy - at_y) ** 2) / np.float32(0.045**2)))
    return np.minimum(total, np.float32(1)).astype(np.float32)


def _soft(value: Pixels) -> Pixels:
    """Smooth step from 0 to 1 around 0."""
    step: Pixels = np.reciprocal(1 + np.exp(np.clip(-9 * value, -30, 30)))
    return step
