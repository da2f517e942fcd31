"""The wheel, installed alone in a clean environment without torch, does the main job."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def run(*command: str | Path, folder: Path, expected: int = 0) -> str:
    """Run one command as a user would, without the test's own import paths; return what it printed."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, REPOSITORY, folder=folder)
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "venv", folder / "venv", folder=folder)
    programs = folder / "venv" / "bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", wheel, folder=folder)
    return programs


def test_the_main_job_runs_without_torch(clean_environment: Path, tmp_path: Path) -> None:
    run(clean_environment / "python", "-c", "import torch", folder=tmp_path, expected=1)
    printed = run(clean_environment / "ltml-build-labels", "demo", "--out", "demo", "--studies", "120", folder=tmp_path)
    assert "Pleural Effusion" in printed
    count = "import datasets; print('rows', sum(datasets.load_dataset('demo').num_rows.values()))"
    rows = int(run(clean_environment / "python", "-c", count, folder=tmp_path).split("rows ")[1].split()[0])
    assert rows >= 120


def test_the_benchmark_says_which_extra_it_needs(clean_environment: Path, tmp_path: Path) -> None:
    assert "baseline" in run(clean_environment / "ltml-benchmark", "list", folder=tmp_path)
    refused = run(
        clean_environment / "ltml-benchmark",
        "run",
        "baseline",
        "--data",
        "d",
        "--out",
        "o",
        folder=tmp_path,
        expected=1,
    )
    assert "benchmark" in refused
    assert "Traceback" not in refused


def test_words_travel_inside_the_wheel(clean_environment: Path, tmp_path: Path) -> None:
    shown = run(clean_environment / "ltml-build-labels", "lexicon", "show", "Pneumopericardium", folder=tmp_path)
    assert "pneumopericardium" in shown.lower()
