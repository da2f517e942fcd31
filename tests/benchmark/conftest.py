"""Small data sets of simulated images for the benchmark's tests."""

from pathlib import Path

import pytest

from ltml_benchmark.phantoms import write_folder


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built folder whose images are bytes in the table."""
    sizes = {"train": 96, "validation": 60, "test": 60}
    return write_folder(tmp_path_factory.mktemp("data") / "phantoms", sizes, image_size=32, seed=1)


@pytest.fixture(scope="session")
def phantom_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same images as files: a built folder and the image root that contains `files/`."""
    root = tmp_path_factory.mktemp("images")
    sizes = {"train": 96, "validation": 60, "test": 60}
    folder = write_folder(tmp_path_factory.mktemp("data") / "phantoms", sizes, 32, seed=1, image_root=root)
    return folder, root
