"""The generated label guide is current."""

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_label_guide_is_current() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "label_guide.py"))
    written = (ROOT / "docs" / "labels.md").read_text(encoding="utf-8")
    assert written == script["label_guide"](), "run `python scripts/label_guide.py`"
