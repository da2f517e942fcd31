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
    with pydicom, where that is installed, see `dicom_gray`.

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
    return Image.fromarray(np.uint8(np.rint(np.nan_to_num(percentile_shares(values), nan=0.0) * 255)))


def percentile_shares(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) values as shares of the way between two of their percentiles, 0 to 1; NaN what is no finite number.

    Raises:
        ValueError: Not one value is a number.
    """
    known = np.isfinite(values)
    if not known.any():
        raise ValueError("it holds no number")
    low, high = (float(bound) for bound in np.percentile(values[known], PERCENTILES))
    if high <= low:  # nearly all of it is one value
        low, high = float(values[known].min()), float(values[known].max())
    shares = (np.clip(values, low, high) - low) / np.float32(max(high - low, 1e-6))
    return np.where(known, shares, np.float32(np.nan)).astype(np.float32)


def dicom_gray(source: Path | bytes, name: str) -> Image.Image:
    """The pixels of a DICOM file through its first window or look-up table, white on black.

    Black and white are the ends of the window, whatever part of it this image fills. A file without one is stretched
    between two percentiles; pixels that its padding value fills count for neither.

    Raises:
        UserError: pydicom is not installed, or the file holds no single grey image that can be read.
    """
    try:
        pydicom: Any = importlib.import_module("pydicom")
    except ImportError as error:
        raise UserError(
            f"{name} is a DICOM file; `pip install pydicom` to read it, or give PNG or JPEG files."
        ) from error
    try:
        header = pydicom.dcmread(BytesIO(source) if isinstance(source, bytes) else source)
        share = dicom_shares(header, np.asarray(header.pixel_array))
    except Exception as error:  # pydicom and its decoders raise many kinds
        raise UserError(
            f"The image {name} cannot be decoded ({error}); `ltml-benchmark cache` leaves such out."
        ) from error
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        share = 1 - share
    return Image.fromarray(np.uint8(np.rint(np.nan_to_num(share, nan=0.0) * 255)))


def dicom_shares(header: Any, stored: NDArray[Any]) -> NDArray[np.float32]:
    """(H, W) stored values as shares of the way from the lowest to the highest shown value; NaN is padding.

    Args:
        header: The file's data set.
        stored: Its pixels.

    Raises:
        ValueError: Several frames, or colours.
    """
    if stored.ndim != 2:
        raise ValueError(f"it holds {' x '.join(map(str, stored.shape))} values, a single grey image is expected")
    pixels: Any = importlib.import_module("pydicom.pixels")
    values = np.asarray(pixels.apply_modality_lut(stored, header), dtype=np.float64)
    tables = header.get("VOILUTSequence")
    if tables:  # a file may carry a window too; viewers take the table
        shown = np.asarray(pixels.apply_voi(np.rint(values).astype(np.int32), header), dtype=np.float64)
        return np.asarray(np.clip(shown / (2 ** int(tables[0].LUTDescriptor[2]) - 1), 0, 1), dtype=np.float32)
    centre, width = (first_number(header.get(key)) for key in ("WindowCenter", "WindowWidth"))
    if centre is not None and width is not None and width > 0:
        function = str(header.get("VOILUTFunction") or "LINEAR")
        return window_shares(values, centre, width, function).astype(np.float32)
    padding = header.get("PixelPaddingValue")
    if padding is not None:
        values[stored == padding] = np.nan
    return percentile_shares(values.astype(np.float32))


def window_shares(values: NDArray[np.float64], centre: float, width: float, function: str) -> NDArray[np.float64]:
    """Values through a DICOM window, 0 to 1 (PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -60, 60))))
    if function == "LINEAR" and width > 1:
        centre, width = centre - 0.5, width - 1
    return np.asarray(np.clip((values - centre) / width + 0.5, 0, 1))


def first_number(value: Any) -> float | None:
    """The first of one or several numbers of a DICOM element; None where it is absent or empty."""
    if value is None or value == "":
        return None
    if isinstance(value, (int, float)):
        return float(value)
    several = list(value)
    return float(several[0]) if several else None


def _resized(grey: Image.Image, size: int) -> NDArray[np.uint8]:
    if grey.size != (size, size):
        grey = grey.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(grey, dtype=np.uint8)


def _is_dicom(source: Path | bytes) -> bool:
    if isinstance(source, bytes):
        return source[128:132] == b"DICM"
    with source.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
