"""Fixtures of the review tests."""

from pathlib import Path

import pytest
from review_folder import make_folder


@pytest.fixture
def built_folder(tmp_path: Path) -> Path:
    """A small built folder with its reports beside it."""
    return make_folder(tmp_path)
