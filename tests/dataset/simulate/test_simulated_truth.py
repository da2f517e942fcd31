"""The labeler reads simulated reports as they are meant: two hands that wrote sentences and rules apart agree."""

import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.simulate import simulate_release
from ltml_dataset.simulate.findings import LABELS
from ltml_dataset.simulate.phrases import BIT, close, load_wording
from ltml_dataset.simulate.reports import Writer
from ltml_dataset.simulate.studies import make_chunk, plan_release


@pytest.fixture(scope="module")
def states() -> tuple[np.ndarray, np.ndarray]:
    """What 2,000 reports state and what the labeler reads, (n, 40) each with 2 for blank."""
    chunk = make_chunk(plan_release(2000, seed=21), 0)
    table = Labeler.default().label(chunk.reports)
    read = np.stack([table[name].fill_null(2).to_numpy() for name in (*LABELS, "No Finding")], axis=1)
    return chunk.states, read


def test_findings_are_found(states: tuple[np.ndarray, np.ndarray]) -> None:
    truth, read = states
    assert ((truth == 1) & (read == 1)).sum() > 0.96 * (truth == 1).sum()
    assert ((truth == 1) & (read == 1)).sum() > 0.96 * (read == 1).sum()


def test_denied_and_hedged_findings_are_not_taken_for_present(states: tuple[np.ndarray, np.ndarray]) -> None:
    truth, read = states
    assert (read[truth == 0] == 1).mean() < 0.01
    assert (read[truth == -1] == -1).mean() > 0.9
    assert (read[truth == 0] == 0).mean() > 0.95


def test_every_common_class_is_read_well(states: tuple[np.ndarray, np.ndarray]) -> None:
    truth, read = states
    for name, said, got in zip(LABELS, truth.T, read.T, strict=False):
        n = (said == 1).sum()
        if n >= 50:
            both = ((said == 1) & (got == 1)).sum()
            assert 2 * both / (n + (got == 1).sum()) > 0.9, name


def test_every_class_is_found_in_most_of_its_wordings() -> None:
    stream = random.Random(8)
    writer = Writer(load_wording(), stream.random)
    reports = [
        writer.write(close(BIT[name]), 0, remarks=False, portable=True).text for name in LABELS for _ in range(40)
    ]
    table = Labeler.default().label(reports)
    found = {name: sum(v == 1 for v in table[name].to_pylist()[40 * i : 40 * i + 40]) for i, name in enumerate(LABELS)}
    assert {name: n for name, n in found.items() if n < 30} == {}


def test_truth_file_joins_with_the_reports(tmp_path: Path) -> None:
    release = simulate_release(tmp_path, 50)
    truth = pq.read_table(release.truth)
    assert truth.num_rows == 50
    assert truth["study_id"].null_count == truth["subject_id"].null_count == 0
