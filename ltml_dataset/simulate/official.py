"""The label files that come with a release: an automatic labeler's, with its errors, and a radiologist's."""

import numpy as np
from numpy.typing import NDArray

from ltml_dataset.simulate.findings import LABELS
from ltml_dataset.simulate.studies import NOT_MENTIONED, Chunk
from ltml_dataset.sources.mimic_tables import OFFICIAL_LABELS

GOLD_COLUMNS = tuple("Airspace Opacity" if name == "Lung Opacity" else name for name in OFFICIAL_LABELS)

MISSED, FLIPPED, NEGATION_LOST, HEDGE_READ, UNREAD = 0.04, 0.01, 0.004, 0.10, 0.45
"""Shares: of positives that go missing or come out negated, of negations and of hedges read as positive, and of
negations that stand only in FINDINGS, which that labeler does not read where there is an impression."""

_COLUMNS = [(*LABELS, "No Finding").index(name) for name in OFFICIAL_LABELS]
_WORDS = np.array(["0.0", "1.0", "", "-1.0"])  # by state: 0, 1, not mentioned, -1


def official_rows(chunk: Chunk) -> list[str]:
    """CSV fields of the 14 labels by study, with the errors of an automatic labeler.

    No Finding is decided again from the changed states.
    """
    rng = np.random.default_rng([int(chunk.study[0]), 2, chunk.index])
    states = chunk.states[:, _COLUMNS].copy()
    draw = rng.random(states.shape)
    was = states.copy()
    states[(was == 1) & (draw < MISSED)] = NOT_MENTIONED
    states[(was == 1) & (draw >= MISSED) & (draw < MISSED + FLIPPED)] = 0
    states[(was == -1) & (draw < HEDGE_READ)] = 1
    states[(was == 0) & (draw < UNREAD)] = NOT_MENTIONED
    states[(was == 0) & (draw > 1 - NEGATION_LOST)] = 1
    none = OFFICIAL_LABELS.index("No Finding")
    findings = [i for i, name in enumerate(OFFICIAL_LABELS) if name not in ("No Finding", "Support Devices")]
    found = ((states[:, findings] == 1) | (states[:, findings] == -1)).any(axis=1)
    states[:, none] = np.where(found | (draw[:, none] < MISSED), NOT_MENTIONED, was[:, none])
    return _fields(states)


def gold_rows(states: NDArray[np.int8]) -> list[str]:
    """CSV fields of the 14 labels without error: what a careful reader of the report writes down.

    Args:
        states: (n, 40) int8 as in `Chunk.states`.
    """
    return _fields(states[:, _COLUMNS])


def _fields(states: NDArray[np.int8]) -> list[str]:
    return [",".join(row) for row in _WORDS[states].tolist()]
