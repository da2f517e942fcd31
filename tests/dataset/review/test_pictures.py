"""Images that the data set itself holds: on the page, and in the tasks for Label Studio."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import chromium
from PIL import Image
from playwright.sync_api import expect
from review_folder import make_folder
from review_server import served, start_reading

from ltml_dataset.cli import main
from ltml_dataset.errors import UserError
from ltml_dataset.review.folder import open_folder
from ltml_dataset.review.pictures import file_name
from ltml_dataset.review.session import open_review, write_tasks


def encoded(value: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 40), value, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def put_images_into(folder: Path, *, as_struct: bool = True, rows_per_group: int = 3) -> None:
    """Rewrite the images of a built folder as a column `image`, without paths, as a data set of the Hub has them."""
    (shard,) = (folder / "data").glob("test-*.parquet")
    table = pq.read_table(shard)
    contents = [encoded(row, "JPEG" if row % 2 else "PNG") for row in range(table.num_rows)]
    contents[1] = None  # type: ignore[call-overload]
    column: pa.Array = pa.array(contents, pa.binary())
    if as_struct:
        column = pa.StructArray.from_arrays([column, pa.nulls(len(contents), pa.string())], ["bytes", "path"])
    place = table.column_names.index("image_path")
    table = table.set_column(place, "image_path", pa.nulls(table.num_rows, pa.string())).append_column("image", column)
    pq.write_table(table, shard, row_group_size=rows_per_group)


@pytest.mark.parametrize("as_struct", [True, False])
def test_every_study_shows_its_own_bytes(tmp_path: Path, as_struct: bool) -> None:
    folder = make_folder(tmp_path, 12, with_images=False)
    put_images_into(folder, as_struct=as_struct)
    opened = open_folder(folder, splits=["test"])
    assert opened.pictures.may_exist
    for row, study in reversed(list(enumerate(opened.studies))):
        (picture,) = opened.pictures.of(study)
        if row == 1:
            with pytest.raises(UserError, match="holds no bytes"):
                opened.pictures.read(picture)
        else:
            assert opened.pictures.read(picture) == encoded(row, "JPEG" if row % 2 else "PNG")


def test_a_folder_without_image_root_or_column_has_none(tmp_path: Path) -> None:
    opened = open_folder(make_folder(tmp_path, 12), splits=["test"])
    assert not opened.pictures.may_exist
    assert opened.pictures.of(opened.studies[0]) == []


def test_files_below_the_image_root_go_before_bytes(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 12)
    (shard,) = (folder / "data").glob("test-*.parquet")
    table = pq.read_table(shard)
    bytes_column = pa.array([encoded(9)] * table.num_rows, pa.binary())
    pq.write_table(table.append_column("image", bytes_column), shard)
    (tmp_path / table["image_path"][0].as_py()).unlink()
    opened = open_folder(folder, splits=["test"], image_root=tmp_path)
    files = [opened.pictures.of(study)[0].file for study in opened.studies]
    assert files[0] is None
    assert all(file is not None for file in files[1:])


def test_tasks_name_copies_that_label_studio_can_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path, 12, with_images=False)
    put_images_into(folder)
    assert main(["review", str(folder), "--export-label-studio", "--negatives", "12"]) == 0
    printed = capsys.readouterr().out
    place = tmp_path / "set-review"
    assert f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={place}" in printed
    assert "1 image cannot be read" in printed
    tasks = json.loads((place / "label_studio_tasks.json").read_text())
    named = [image for task in tasks for image in task["data"].get("images", ())]
    assert len(named) == 11
    for image in named:
        with Image.open(place / image.removeprefix("/data/local-files/?d=")) as shown:
            assert shown.size == (40, 40)


def test_dicom_files_are_copied_as_png(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom", reason="the extra dicom is not installed")
    folder = make_folder(tmp_path, 4)
    for file in (tmp_path / "files").rglob("*.jpg"):
        meta = pydicom.dataset.FileMetaDataset()
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset = pydicom.Dataset()
        dataset.file_meta = meta
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
        dataset.Rows = dataset.Columns = 8
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        dataset.PixelData = bytes(range(64))
        dataset.save_as(file.with_suffix(".dcm"), enforce_file_format=True)
        file.unlink()
    review = open_review(folder, image_root=tmp_path, negatives=4)
    written = write_tasks(review)
    assert written.document_root == review.log.path.parent
    images = [image for task in json.loads(written.tasks.read_text()) for image in task["data"]["images"]]
    assert len(images) == 4
    assert all((written.document_root / image.partition("?d=")[2]).suffix == ".png" for image in images)


def test_copies_have_plain_names_that_stay_apart() -> None:
    assert file_name("50000001", 0, ".png") == "50000001-0.png"
    names = {
        file_name(study, 0, ".png") for study in ("../../a", "..-..-a", "a/b", "a b", "\u2028", "\ud800", "a" * 300)
    }
    assert len(names) == 7
    assert all("/" not in name and ".." not in name and len(name) < 100 for name in names)


def test_a_folder_made_from_a_table_of_labels_is_refused_in_one_sentence(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 4)
    (folder / "studies").rename(tmp_path / "gone")
    with pytest.raises(UserError, match="holds no reports: `split` made it"):
        open_folder(folder, splits=["test"])


@pytest.mark.browser
def test_the_page_shows_them(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 12, with_images=False)
    put_images_into(folder)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        page.wait_for_function("() => document.querySelector('.viewer img').naturalWidth === 40")
        page.goto(f"{server.root}/read?reader=anna&study=50000001")
        page.wait_for_selector("body[data-study]")
        expect(page.locator(".failed")).to_contain_text("holds no bytes for this image")
