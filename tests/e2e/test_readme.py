"""Every command of the README runs, in order, in one folder with a small simulated release under MIMIC's file names."""

import csv
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ltml_dataset.simulate import simulate_release

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")

MODULES = {"ltml-build-labels": "ltml_dataset.cli", "ltml-benchmark": "ltml_benchmark.cli"}

SMALLER = {
    "ltml-benchmark run anr-lla": ["--model", "tiny_cnn", "--weights", "none", "--max-steps", "2", "--device", "cpu"],
    "ltml-build-labels review": ["--summary"],
    "ltml-benchmark demo": ["--help"],
}
"""What the test adds: a page would wait for a reader, a ResNet-50 for a GPU; `demo` has a test of its own."""

pytestmark = pytest.mark.slow


def fenced(language: str) -> list[str]:
    """Contents of the README's fences of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """Lines of the README's shell fences, and whole commands (with an argument) quoted inside its sentences."""
    shown = [line for fence in fenced("bash") for line in fence.splitlines() if line.strip()]
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    quoted = re.findall(r"`((?:ltml-build-labels|ltml-benchmark) [^`]+)`", prose.replace("\n", " "))
    return shown + [
        command for command in quoted if len(command.split()) > 2 and not re.search(r"\b[A-Z]{3,}\b", command)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    release = simulate_release(folder, 150, images=32)
    assert release.reports == folder / "mimic-cxr-reports.zip"
    with (folder / "reports.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["report_id", "findings", "impression"])
        rows.writerow(["a", "The heart is enlarged.", "Cardiomegaly without edema."])
        rows.writerow(["b", "Lungs are clear.", "No acute process."])
    return folder


def run(arguments: list[str], folder: Path) -> str:
    """Run a program with this repository's packages; what it printed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_command_runs_in_order(folder: Path) -> None:
    ran = []
    for command in commands():
        words = shlex.split(command)
        if words[0] not in MODULES:
            continue
        added = next((more for start, more in SMALLER.items() if command.startswith(start)), [])
        run([sys.executable, "-m", MODULES[words[0]], *words[1:], *added], folder)
        ran.append(" ".join(words[:2]))
    assert {"ltml-build-labels build", "ltml-build-labels label", "ltml-benchmark run", "ltml-benchmark table"} <= {
        *ran
    }


def test_the_python_of_the_readme_runs(folder: Path) -> None:
    if not (folder / "ltml").is_dir():
        run([sys.executable, "-m", "ltml_dataset.cli", "build", "mimic-cxr-reports.zip", "--out", "ltml"], folder)
    for code in fenced("python"):
        run([sys.executable, "-W", "error::DeprecationWarning", "-c", code], folder)


def test_scripts_and_files_that_the_readme_names_are_there() -> None:
    for script in ("demo", "test", "lint"):
        assert os.access(REPOSITORY / "scripts" / script, os.X_OK)
    pipeline = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert "scripts/demo" in pipeline
    assert "scripts/test" in pipeline
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (REPOSITORY / target).exists(), f"README links to {target}, which is not there"
