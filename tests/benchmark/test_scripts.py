"""The measuring scripts run and print the ratios that the documentation quotes."""

import runpy
import sys

import pytest
from shared_data import REPOSITORY


def run_script(name: str, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *options])
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    runpy.run_path(str(REPOSITORY / "scripts" / name), run_name="__main__")


def test_the_training_benchmark_compares_with_a_plain_loop(monkeypatch, capsys) -> None:
    options = ("--model", "tiny_cnn", "--size", "32", "--batch", "4", "--steps", "1", "--device", "cpu")
    run_script("bench_train.py", monkeypatch, *options)
    out = capsys.readouterr().out
    assert "| plain loop with BCEWithLogits |" in out
    assert "CPU hours" in out


def test_the_loader_benchmark_compares_with_torchvision(monkeypatch, capsys) -> None:
    run_script("bench_loader.py", monkeypatch, "--images", "1", "--cached", "2000", "--copies", "50")
    out = capsys.readouterr().out
    assert "usual torchvision path" in out
    assert "| cache of 50 images" in out
