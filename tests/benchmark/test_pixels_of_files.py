"""Grey values of deep images: percentiles, DICOM windows and tables, files in which 0 is white."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ltml_benchmark.cache import ImageCache, build_cache
from ltml_benchmark.decode import PERCENTILES, decode_gray
from ltml_benchmark.errors import UserError

pydicom = pytest.importorskip("pydicom")

RAMP = np.tile(np.linspace(1000, 2000, 64).astype(np.uint16), (64, 1))
"""Rises from left to right."""


def dicom(values: np.ndarray, **more: Any) -> bytes:
    """An uncompressed file of these pixels; keywords are elements of its data set."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    header.Rows, header.Columns = values.shape[-2:] if values.shape[-1] != 3 else values.shape[:2]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 12, 11, 0
    header.PixelData = values.tobytes()
    for key, value in more.items():
        setattr(header, key, value)
    file = BytesIO()
    header.save_as(file, enforce_file_format=True)
    return file.getvalue()


def png(values: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def read(content: bytes) -> np.ndarray:
    return decode_gray(content, 64)[32].astype(int)


def expected(share: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(share, 0, 1)).astype(int)


@pytest.mark.parametrize("make", [png, dicom])
def test_deep_images_go_from_percentile_to_percentile(make) -> None:
    low, high = np.percentile(RAMP, PERCENTILES)
    np.testing.assert_allclose(read(make(RAMP)), expected((RAMP[32] - low) / (high - low)), atol=1)
    hot = RAMP.copy()
    hot[0, :3], hot[1, :3] = 4095, 0
    np.testing.assert_allclose(read(make(hot)), read(make(RAMP)), atol=3)


@pytest.mark.parametrize(
    ("window", "share"),
    [
        ({"WindowCenter": 1500, "WindowWidth": 500}, lambda x: (x - 1499.5) / 499 + 0.5),
        # the image fills a quarter of this window, so it is to be dark, not stretched to white
        ({"WindowCenter": 2000, "WindowWidth": 4000}, lambda x: (x - 1999.5) / 3999 + 0.5),
        ({"WindowCenter": [1500, 9], "WindowWidth": [500, 9]}, lambda x: (x - 1499.5) / 499 + 0.5),
        (
            {"WindowCenter": 1500, "WindowWidth": 500, "VOILUTFunction": "LINEAR_EXACT"},
            lambda x: (x - 1500) / 500 + 0.5,
        ),
        (
            {"WindowCenter": 1500, "WindowWidth": 500, "VOILUTFunction": "SIGMOID"},
            lambda x: 1 / (1 + np.exp(-4 * (x - 1500) / 500)),
        ),
        (
            {"WindowCenter": 500, "WindowWidth": 500, "RescaleSlope": 2, "RescaleIntercept": -2500},
            lambda x: (2 * x - 2500 - 499.5) / 499 + 0.5,
        ),
    ],
)
@pytest.mark.parametrize("inverse", [False, True])
def test_a_window_says_what_is_black_and_white(window, share, inverse: bool) -> None:
    values = share(RAMP[32].astype(float))
    if inverse:
        window, values = {**window, "PhotometricInterpretation": "MONOCHROME1"}, 1 - np.clip(values, 0, 1)
    np.testing.assert_allclose(read(dicom(RAMP, **window)), expected(values), atol=1)


def test_white_is_zero_without_a_window_is_turned_round() -> None:
    plain, inverse = (read(dicom(RAMP, PhotometricInterpretation=kind)) for kind in ("MONOCHROME2", "MONOCHROME1"))
    np.testing.assert_allclose(inverse, 255 - plain, atol=1)
    assert plain[0] < 10 < 245 < plain[-1]


@pytest.mark.parametrize("empty", [{"WindowCenter": None, "WindowWidth": None}, {"WindowCenter": 9, "WindowWidth": 0}])
def test_an_empty_window_is_none(empty) -> None:
    np.testing.assert_array_equal(read(dicom(RAMP, **empty)), read(dicom(RAMP)))


@pytest.mark.parametrize("rescaled", [{}, {"RescaleSlope": 1, "RescaleIntercept": 0}])
def test_a_table_of_values_goes_before_a_window(rescaled) -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [1001, 1000, 12], np.arange(0, 2002, 2, dtype=np.uint16).tobytes()
    content = dicom(RAMP, VOILUTSequence=[table], WindowCenter=1, WindowWidth=1, **rescaled)
    np.testing.assert_allclose(read(content), expected((RAMP[32] - 1000.0) * 2 / 4095), atol=1)


def test_padding_is_black_and_takes_no_contrast() -> None:
    padded = RAMP.copy()
    padded[:20] = 4095
    shown = decode_gray(dicom(padded, PixelPaddingValue=4095), 64)
    np.testing.assert_allclose(shown[32].astype(int), read(dicom(RAMP)), atol=1)


def test_colours_and_frames_are_one_sentence(tmp_path: Path) -> None:
    frames = dicom(np.stack([RAMP, RAMP]), NumberOfFrames=2)
    colours = dicom(
        np.zeros((64, 64, 3), np.uint8), SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0,
        BitsAllocated=8, BitsStored=8, HighBit=7,
    )  # fmt: skip
    for content in (frames, colours, dicom(RAMP)[:900]):
        with pytest.raises(UserError, match="cannot be decoded"):
            decode_gray(content, 64)


def test_a_cache_holds_windows_and_percentiles(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom(RAMP, WindowCenter=1500, WindowWidth=500, PhotometricInterpretation="MONOCHROME1"))
    build_cache(["a", "b"], [path, png(RAMP)], tmp_path / "cache", 64)
    cache = ImageCache.open(tmp_path / "cache")
    np.testing.assert_array_equal(cache.pixels[0], decode_gray(path, 64))
    np.testing.assert_array_equal(cache.pixels[1], decode_gray(png(RAMP), 64))
