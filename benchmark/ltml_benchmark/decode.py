"""One image file or its bytes to a square grey uint8 array, as cheaply as the format allows."""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ltml_benchmark.errors import UserError


def decode_gray(source: Path | bytes, size: int, shown: str = "") -> NDArray[np.uint8]:
    """Decode an image to `size` x `size` grey values.

    JPEG files are decoded at the smallest power-of-two scale that is still at least `size` (PIL's draft
    mode), which is several times cheaper than decoding them whole. The aspect is not kept, as in the
    paper's recipe. Images deeper than 8 bits are stretched from their own minimum and maximum.

    Args:
        source: Path, or the encoded bytes.
        size: Side in pixels.
        shown: Name for the error message; the path by default.

    Returns:
        (size, size) uint8.

    Raises:
        UserError: Missing or unreadable image.
    """
    name = shown or (str(source) if isinstance(source, Path) else "an image")
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            image.draft("L", (size, size))
            grey = _stretched(image) if image.mode.startswith(("I", "F")) else image.convert("L")
            if grey.size != (size, size):
                grey = grey.resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(grey, dtype=np.uint8)
    except FileNotFoundError as error:
        raise UserError(
            f"The image {name} was not found; check --images, or set --data.missing-images drop."
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f"The image {name} cannot be decoded ({error}); `ltml-benchmark cache` leaves such out."
        ) from error


def _stretched(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float32)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(np.uint8((values - low) * (255.0 / max(high - low, 1e-6))))
