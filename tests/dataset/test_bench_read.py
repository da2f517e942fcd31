"""`scripts/bench_read.py` runs."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_read.py"


def test_every_line_counts_all_reports() -> None:
    command = [sys.executable, str(SCRIPT), "--studies", "60", "--repeats", "1"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[1:-1]
    assert len(lines) == 10
    assert {line[34:44].strip() for line in lines} == {"60"}
