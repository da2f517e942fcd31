"""Where tests find the evaluation data that may not be part of this repository."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def shared_root() -> Path:
    """The evaluation folder: `LTML_SHARED`, else `../shared` beside the repository."""
    return Path(os.environ.get("LTML_SHARED", REPOSITORY.parent / "shared"))


def shared(path: str) -> Path:
    """One evaluation file or folder; the test skips, saying why, where it is absent."""
    found = shared_root() / path
    if not found.exists():
        pytest.skip(f"needs the evaluation data ({path}), which is not part of the repository; set LTML_SHARED")
    return found
