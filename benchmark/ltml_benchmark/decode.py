"""One image file or its bytes to a square grey uint8 array, as cheaply as the format allows."""

import importlib
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ltml_benchmark.errors import UserError

PERCENTILES = (0.5, 99.5)
"""What becomes black and white in images deeper than 8 bits."""
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
"""TIFF tag of the meaning of 0, and its value for white."""


def decode_gray(source: Path | bytes, size: int, shown: str = "") -> NDArray[np.uint8]:
    """Decode an image to `size` x `size` grey values.

    JPEG files are decoded at the smallest power-of-two scale that is still at least `size` (PIL's draft
    mode), which is several times cheaper than decoding them whole. The aspect is not kept, as in the
    paper's recipe. Images deeper than 8 bits are stretched between two percentiles of their own, so that a hot pixel
    does not take the contrast. TIFF files in which 0 is white (DICOM's MONOCHROME1) are inverted. A DICOM file is read
    with pydicom, where that is installed, through its own window, and inverted where it is MONOCHROME1.

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
        if _is_dicom(source):
            return _resized(dicom_gray(source, name), size)
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            image.draft("L", (size, size))
            if not image.mode.startswith(("I", "F")):
                return _resized(image.convert("L"), size)
            values = np.asarray(image, dtype=np.float32)
            # Pillow turns such files of up to 8 bits round itself, but not deeper ones
            inverted = image.format == "TIFF" and cast(Any, image).tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
            return _resized(stretched(-values if inverted else values), size)
    except FileNotFoundError as error:
        raise UserError(
            f"The image {name} was not found; check --images, or set --data.missing-images drop."
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f"The image {name} cannot be decoded ({error}); `ltml-benchmark cache` leaves such out."
        ) from error


def stretched(values: NDArray[np.float32]) -> Image.Image:
    """Grey values between two of their percentiles as 8 bits; what is outside is cut, what is no number is black.

    Raises:
        ValueError: Not one value is a number.
    """
    known = np.isfinite(values)
    if not known.any():
        raise ValueError("it holds no number")
    low, high = (float(bound) for bound in np.percentile(values[known], PERCENTILES))
    if high <= low:  # nearly all of it is one value
        low, high = float(values[known].min()), float(values[known].max())
    grey = np.where(known, (np.clip(values, low, high) - low) * (255.0 / max(high - low, 1e-6)), 0.0)
    return Image.fromarray(np.uint8(np.rint(grey)))


def dicom_gray(source: Path | bytes, name: str) -> Image.Image:
    """The pixels of a DICOM file through its window, white on black.

    Raises:
        UserError: pydicom is not installed, or the file has no readable image.
    """
    try:
        pydicom: Any = importlib.import_module("pydicom")
        voi: Any = importlib.import_module("pydicom.pixels")
    except ImportError as error:
        raise UserError(
            f"{name} is a DICOM file; `pip install pydicom` to read it, or give PNG or JPEG files."
        ) from error
    try:
        header = pydicom.dcmread(BytesIO(source) if isinstance(source, bytes) else source)
        stored = voi.apply_modality_lut(header.pixel_array, header)
        has_window = "WindowCenter" in header or "VOILUTSequence" in header
        values = np.asarray(voi.apply_voi_lut(stored, header) if has_window else stored, dtype=np.float32)
    except Exception as error:  # pydicom and its decoders raise many kinds
        raise UserError(
            f"The image {name} cannot be decoded ({error}); `ltml-benchmark cache` leaves such out."
        ) from error
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        values = -values
    if not has_window:
        return stretched(values)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(np.uint8(np.rint((values - low) * (255.0 / max(high - low, 1e-6)))))


def _resized(grey: Image.Image, size: int) -> NDArray[np.uint8]:
    if grey.size != (size, size):
        grey = grey.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(grey, dtype=np.uint8)


def _is_dicom(source: Path | bytes) -> bool:
    if isinstance(source, bytes):
        return source[128:132] == b"DICM"
    with source.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
