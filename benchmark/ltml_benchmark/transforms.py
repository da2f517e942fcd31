"""Augmentation and normalisation of whole batches, on the device that trains.

Order as in the authors' recipe: photometric, crop, resize, normalise, flip. Chest X-rays are grey, so the
saturation, hue and channel steps of that recipe change nothing and are not run.
"""

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


def view_draws(count: int, seed: int) -> Tensor:
    """Uniform numbers that decide the views of a batch: (count, 9) on the CPU, the same on every machine."""
    return torch.rand(count, 9, generator=torch.Generator().manual_seed(seed))


def training_view(images: Tensor, config: TransformConfig, draws: Tensor) -> Tensor:
    """A random view of every image.

    Crops keep a share of width and of height drawn independently; with shares of 0.8-1 the recipe's
    aspect limit of 0.5-2 never binds, so it is not tested. The crop, the resize and the flip are one
    bilinear lookup.

    Args:
        images: (B, S, S) uint8.
        config: Strengths and constants.
        draws: (B, 9) numbers in [0, 1), see `view_draws`.

    Returns:
        (B, 3, image_size, image_size) float32.
    """
    n = len(images)
    draws = draws.to(images.device).T
    values = images.unsqueeze(1).float()
    if config.photometric:
        shift = torch.where(draws[0] < 0.5, (draws[1] * 2 - 1) * 32, torch.zeros_like(draws[1]))
        gain = torch.where(draws[2] < 0.5, draws[3] + 0.5, torch.ones_like(draws[3]))
        values = (values + shift.view(n, 1, 1, 1)) * gain.view(n, 1, 1, 1)
    width = config.crop + (1 - config.crop) * draws[4]
    height = config.crop + (1 - config.crop) * draws[5]
    left = (1 - width) * draws[6]
    top = (1 - height) * draws[7]
    mirror = torch.where(draws[8] < config.flip, -torch.ones_like(width), torch.ones_like(width))
    # grid_sample wants, per image, the map from output to input coordinates, both running from -1 to 1
    zero = torch.zeros_like(width)
    across = torch.stack([width * mirror, zero, 2 * left + width - 1], dim=1)
    down = torch.stack([zero, height, 2 * top + height - 1], dim=1)
    size = config.image_size
    grid = functional.affine_grid(torch.stack([across, down], dim=1), [n, 1, size, size], align_corners=False)
    values = functional.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return normalised(values, config)


def normalised(values: Tensor, config: TransformConfig) -> Tensor:
    """Three equal channels, each minus its mean, divided by its deviation: (B, 1, H, W) to (B, 3, H, W)."""
    mean = torch.tensor(config.mean, device=values.device).view(1, 3, 1, 1)
    std = torch.tensor(config.std, device=values.device).view(1, 3, 1, 1)
    return (values - mean) / std
