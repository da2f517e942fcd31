"""Two processes with half a batch each give what one process with the whole batch gives."""

import os
import subprocess
import sys
from pathlib import Path

import losses_process
import pytest
import torch
from torch import distributed


@pytest.mark.skipif(not distributed.is_available() or not distributed.is_gloo_available(), reason="torch without gloo")
def test_two_processes_equal_one(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, losses_process.__file__, str(rank), str(tmp_path)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for rank in range(2)
    ]
    alone = losses_process.run(slice(0, 12), gradient_scale=1.0)
    for process in processes:
        output, _ = process.communicate(timeout=180)
        assert process.returncode == 0, output.decode()
    together = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert alone.keys() == together[0].keys() == together[1].keys()
    for key, expected in alone.items():
        parts = [process[key] for process in together]
        if key.endswith("value"):
            actual = (parts[0] + parts[1]) / 2
        elif key.endswith("gradient"):
            actual = torch.cat(parts)
        else:
            assert torch.equal(parts[0], parts[1]), key
            actual = parts[0]
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-15, msg=key)
