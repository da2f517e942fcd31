"""One image root, whichever command is given it: `--images .`, `--images files`, the same folder under another name."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from PIL import Image

from ltml_dataset.errors import UserError
from ltml_dataset.export.loading import attach_images
from ltml_dataset.images import find_image, image_files

PATHS = ["files/p10/p1/s1/a.jpg", "files/p10/p1/s2/b.jpg"]


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in PATHS:
        (tmp_path / path).parent.mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / path)
    (tmp_path / "jpegs").symlink_to(tmp_path / "files", target_is_directory=True)
    (tmp_path / "files").rename(tmp_path / "kept")
    (tmp_path / "files").symlink_to(tmp_path / "kept", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", [".", "files", "./files/", "kept", "", "absolute", "absolute/files"])
def test_every_command_finds_the_same_files(release: Path, given: str) -> None:
    pixels = pytest.importorskip("ltml_benchmark.pixels", reason="needs the extra [benchmark]")
    root = Path(given.replace("absolute", str(release)))
    shown = [find_image(root, path) for path in PATHS]
    assert [file.resolve() for file in shown if file] == [(release / path).resolve() for path in PATHS]
    assert image_files(root, PATHS) == [str(file) for file in shown]
    assert list(pixels.FilePaths(root, pa.chunked_array([PATHS]))) == shown
    rows = Dataset.from_dict({"image_path": PATHS})
    assert attach_images(rows, root)[1]["image"].size == (4, 4)


def test_a_folder_without_them_is_refused_by_name(release: Path) -> None:
    (release / "other").mkdir()
    assert find_image(release / "other", PATHS[0]) is None
    with pytest.raises(UserError, match="other"):
        image_files(release / "other", PATHS)


def test_a_tree_of_another_format_is_found_too(tmp_path: Path) -> None:
    for path in PATHS:
        file = (tmp_path / path).with_suffix(".png")
        file.parent.mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(file)
    assert image_files(tmp_path / "files", PATHS) == [str(find_image(tmp_path / "files", path)) for path in PATHS]
    assert image_files(tmp_path, [*PATHS, "files/c.gif"])[-1].endswith("c.gif")
    assert image_files(tmp_path, []) == []
