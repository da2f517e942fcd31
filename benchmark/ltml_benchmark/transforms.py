"""Augmentation and normalisation of whole batches, on the device that trains.

Order as in the authors' recipe: photometric, crop, resize, normalise, flip. Chest X-rays are grey, so the
saturation, hue and channel steps of that recipe change nothing and are not run.
"""

import functools

import torch
from torch import Tensor
from torch.nn import functional

from ltml_benchmark.config import TransformConfig


def evaluation_view(images: Tensor, config: TransformConfig) -> Tensor:
    """Resize and normalise, nothing else.

    Args:
        images: (B, S, S) uint8.
        config: Size and constants.

    Returns:
        (B, 3, image_size, image_size) float32.
    """
    values = images.unsqueeze(1).float()
    size = config.image_size
    if values.shape[-1] != size:
        values = functional.interpolate(values, (size, size), mode="bilinear", antialias=values.shape[-1] > size)
    return normalised(values, config)


def resampling(start: Tensor, length: Tensor, mirror: Tensor, source: int, size: int) -> Tensor:
    """Weights that resize a piece of a line with a low-pass filter where it shrinks, as `interpolate(antialias=True)`.

    Args:
        start: (B,) where the piece begins, in source pixels.
        length: (B,) its length in source pixels.
        mirror: (B,) bool, whether it is read backwards.
        source: Pixels of the line.
        size: Pixels wanted.

    Returns:
        (B, size, source) float32, rows sum to 1: triangles of the width of an output pixel, at least of a source pixel.
    """
    scale = (length / size)[:, None, None]
    place = torch.arange(size, device=start.device)[None, :, None]
    place = torch.where(mirror[:, None, None], size - 1 - place, place)
    centre = start[:, None, None] + (place + 0.5) * scale
    pixels = torch.arange(source, device=start.device)[None, None, :] + 0.5
    inside = centre.clamp(0.5, source - 0.5)  # beyond the border the border pixel goes on
    weights = (1 - (pixels - inside).abs() / scale.clamp(min=1.0)).clamp(min=0.0)
    return weights / weights.sum(dim=2, keepdim=True)


def view_draws(count: int, seed: int) -> Tensor:
    """Uniform numbers that decide the views of a batch: (count, 9) on the CPU, the same on every machine."""
    return torch.rand(count, 9, generator=torch.Generator().manual_seed(seed))


def training_view(images: Tensor, config: TransformConfig, draws: Tensor) -> Tensor:
    """A random view of every image.

    Crops keep a share of width and of height drawn independently; with shares of 0.8-1 the recipe's
    aspect limit of 0.5-2 never binds, so it is not tested. Crop, resize and flip are two matrix products, with the
    filter of `evaluation_view`: the whole image, not mirrored, is the same there and here.

    Args:
        images: (B, S, S) uint8.
        config: Strengths and constants.
        draws: (B, 9) numbers in [0, 1), see `view_draws`.

    Returns:
        (B, 3, image_size, image_size) float32.
    """
    n = len(images)
    draws = draws.to(images.device, non_blocking=True).T
    values = images.float()
    if config.photometric:
        shift = torch.where(draws[0] < 0.5, (draws[1] * 2 - 1) * 32, torch.zeros_like(draws[1]))
        gain = torch.where(draws[2] < 0.5, draws[3] + 0.5, torch.ones_like(draws[3]))
        values = (values + shift.view(n, 1, 1)) * gain.view(n, 1, 1)
    height, width = values.shape[-2:]
    across, down = (config.crop + (1 - config.crop) * draws[place] for place in (4, 5))
    left, top = (1 - across) * draws[6], (1 - down) * draws[7]
    mirror = draws[8] < config.flip
    rows = resampling(top * height, down * height, torch.zeros_like(mirror), height, config.image_size)
    columns = resampling(left * width, across * width, mirror, width, config.image_size)
    return normalised((rows @ values @ columns.mT).unsqueeze(1), config)


def normalised(values: Tensor, config: TransformConfig) -> Tensor:
    """Three equal channels, each minus its mean, divided by its deviation: (B, 1, H, W) to (B, 3, H, W)."""
    mean, std = _constants(config.mean, config.std, values.device)
    return (values - mean) / std


@functools.lru_cache(maxsize=16)
def _constants(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation on the device, (1, 3, 1, 1) each, copied there once."""
    return torch.tensor(mean, device=device).view(1, 3, 1, 1), torch.tensor(std, device=device).view(1, 3, 1, 1)
