"""The labels stay as right as docs/accuracy.md says; runs only where the evaluation data is."""

import subprocess
import sys

from shared_data import REPOSITORY, shared, shared_root


def test_every_figure_reaches_its_target() -> None:
    shared("data/openi/openi_reports.parquet")
    shared("data/negation/negex_testkit.parquet")
    command = [sys.executable, "scripts/measure_accuracy.py", "--check", "--shared", str(shared_root())]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BELOW" not in done.stdout
    assert done.stdout.count("(target") == 7
