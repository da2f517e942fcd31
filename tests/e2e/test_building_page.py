"""What docs/building.md shows is run, in the order of the page."""

import re
import shlex
from pathlib import Path

import pytest
from shared_data import REPOSITORY

from ltml_dataset.cli import main
from ltml_dataset.simulate import simulate_release


def test_the_page_on_building_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the page shows a torch loader")
    release = simulate_release(tmp_path, 40, seed=2, images=32)
    assert release.reports.parent == tmp_path
    monkeypatch.chdir(tmp_path)
    page = (REPOSITORY / "docs" / "building.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(bash|python)\n(.*?)```", page, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["bash", "python", "bash"]
    for kind, content in blocks:
        if kind == "bash":
            for line in content.splitlines():
                program, *arguments = shlex.split(line)
                assert (program, main(arguments)) == ("ltml-build-labels", 0)
        else:
            names: dict[str, object] = {}
            exec(content, names)
            pixels, target = next(iter(names["loader"]))  # type: ignore[call-overload]
            assert pixels.shape[1:] == (224, 224)
            assert target.shape == (len(pixels), 39)
            assert len(names["labels"].target) == len(names["train"])  # type: ignore[attr-defined, arg-type]
    assert main(["verify", "ltml"]) == 0
