"""The smallest recipe that trains: a network of a few weights on 32 pixels, one batch on the CPU."""

from typing import Any

TINY: dict[str, Any] = {
    "data": {"decode_size": 32},
    "model": {"name": "tiny_cnn", "weights": "none"},
    "transforms": {"image_size": 32},
    "epochs": 1,
    "steps_per_epoch": 1,
    "batch_size": 8,
    "bootstrap": 0,
    "workers": 1,
}
