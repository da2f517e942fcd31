"""Images as a browser can show them: DICOM and 16 bits become 8, the bright side stays bright."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltml_dataset.errors import UserError
from ltml_dataset.images import find_image
from ltml_dataset.review.pixels import browser_image

RAMP = np.tile(np.linspace(0, 4095, 64).astype(np.uint16), (32, 1))


def shown(path: Path) -> np.ndarray:
    content, kind = browser_image(path.read_bytes(), path.name)
    assert kind == "image/png"
    return np.asarray(Image.open(io.BytesIO(content)))


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "image.png")
    pixels = shown(tmp_path / "image.png")
    assert pixels.dtype == np.uint8
    assert (pixels[0, 0], pixels[0, -1]) == (0, 255)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dicom_is_shown_bright_where_the_ray_was_stopped(tmp_path: Path, photometric: str) -> None:
    pydicom = pytest.importorskip("pydicom", reason="the extra dicom is not installed")
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset = pydicom.Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    dataset.Rows, dataset.Columns = RAMP.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = RAMP.tobytes()
    dataset.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    file = find_image(tmp_path, "image.jpg")
    assert file == tmp_path / "image.dcm"
    pixels = shown(file)
    assert (pixels[0, 0], pixels[0, -1]) == ((255, 0) if photometric == "MONOCHROME1" else (0, 255))


def test_a_damaged_image_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read as an image"):
        browser_image(b"no image", "image.png")
    with pytest.raises(UserError, match="cannot be decoded"):
        browser_image(b"no image", "image.dcm")


def test_what_an_image_is_its_own_bytes_say(tmp_path: Path) -> None:
    Image.fromarray((RAMP // 16).astype(np.uint8)).save(tmp_path / "a.jpg")
    jpeg = (tmp_path / "a.jpg").read_bytes()
    assert browser_image(jpeg) == (jpeg, "image/jpeg")
    assert browser_image(jpeg, "wrong.png") == (jpeg, "image/jpeg")


def test_no_path_leads_out_of_the_image_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    assert find_image(root, "../secret.jpg") is None
    assert find_image(root, str(tmp_path / "secret.jpg")) is None
