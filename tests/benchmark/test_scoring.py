"""What `metrics.json` says about reliability."""

from pathlib import Path

import numpy as np
import pytest

from ltml_benchmark.data import open_folder
from ltml_benchmark.metrics import bacc_posterior, calibration, evaluate
from ltml_benchmark.scoring import metrics_content


def test_each_class_carries_its_calibration_and_posterior(phantom_folder: Path) -> None:
    folder = open_folder(phantom_folder)
    split = folder.splits["test"]
    scores = np.random.default_rng(0).random((len(split), len(folder.labels)))
    content = metrics_content(scores, split, folder, {}, replicates=0)
    calibrated = calibration(scores, split.target)
    posterior = bacc_posterior(evaluate(scores, split.target).confusion)
    for place, name in enumerate(folder.labels):
        row = content["classes"][name]
        assert row["ece"] == pytest.approx(calibrated.ece[place])
        assert row["brier"] == pytest.approx(calibrated.brier[place])
        low, high = row["bacc_posterior"]
        assert low == pytest.approx(posterior.low[place])
        assert low < posterior.median[place] < high
