"""An image file as a browser can show it: JPEG and PNG as they are, DICOM and 16 bits as an 8-bit PNG."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ltml_dataset.errors import UserError

LONGEST_SIDE = 2048
"""Pixels; larger images are reduced: a screen shows no more, and a key must not wait for them."""

JPEG, PNG = "image/jpeg", "image/png"


def browser_image(content: bytes, name: str = "") -> tuple[bytes, str]:
    """The bytes to send and their media type.

    Args:
        content: The image as it is stored; its own first bytes say what it is.
        name: Its name, whose ending tells a DICOM file without a preamble.

    Raises:
        UserError: This is no image that can be shown, or showing it needs a package that is not installed.
    """
    if content[128:132] == b"DICM" or name.lower().endswith(".dcm"):
        return _png(_dicom_pixels(content)), PNG
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.format == "JPEG" and image.mode in ("L", "RGB"):
                return content, JPEG
            pixels = np.asarray(image if image.mode.startswith(("I", "F")) else image.convert("L"))
        return _png(_to_bytes(pixels.astype(np.float64)) if pixels.dtype != np.uint8 else pixels), PNG
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UserError("the image file cannot be read as an image: it is damaged or of another kind.") from None


def _dicom_pixels(content: bytes) -> npt.NDArray[np.uint8]:
    """Pixels through the modality and window tables of the file, bright where the ray was stopped."""
    try:
        import pydicom
        from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
    except ModuleNotFoundError:
        raise UserError("a DICOM image needs pydicom: pip install 'ltml-mimic-cxr[dicom]'.") from None
    try:
        dataset: Any = pydicom.dcmread(io.BytesIO(content), force=True)
        raw = dataset.pixel_array
        pixels = np.asarray(apply_voi_lut(apply_modality_lut(raw, dataset), dataset), dtype=np.float64)
    except Exception as error:  # pydicom raises what its many decoders raise
        raise UserError(f"the DICOM image cannot be decoded ({type(error).__name__}).") from None
    if pixels.ndim != 2:
        raise UserError("the DICOM file holds no single grey image.")
    grey = _to_bytes(pixels)
    return 255 - grey if dataset.get("PhotometricInterpretation") == "MONOCHROME1" else grey


def _to_bytes(pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    low, high = float(pixels.min()), float(pixels.max())
    return np.round((pixels - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
