"""The scripts behind the figures of docs/simulator.md run and print them."""

import runpy
import sys
from pathlib import Path

import pytest

from ltml_dataset.simulate import simulate_release

SCRIPTS = Path(__file__).parents[3] / "scripts"


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    runpy.run_path(str(SCRIPTS / script), run_name="__main__")


def test_describe_prints_every_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[int] = []
    simulate_release(tmp_path / "sim", 60, progress=told.append)
    assert sum(told) == 60
    run(monkeypatch, "describe_simulation.py", str(tmp_path / "sim"))
    printed = capsys.readouterr().out
    assert "| Pleural Effusion | 22.033 |" in printed
    assert printed.count("\n|") >= 40 + 6
    assert "%" not in printed.split("| class |")[1].split("\n", 1)[1]


def test_bench_prints_its_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, "bench_simulate.py", "--studies", "30", "--images", "32")
    assert "30 studies" in capsys.readouterr().out
