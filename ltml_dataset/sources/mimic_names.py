"""Report names of MIMIC-CXR, `files/p10/p10xxxxxx/s5xxxxxxx.txt`, to numbers, many at a time."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

REPORT_NAME = re.compile(rb"(?:.*/)?files/p\d\d/p(\d{1,9})/s(\d{1,9})\.txt")
_USUAL = b"files/p00/p00000000/s00000000.txt"


def parse_report_names(names: Sequence[bytes]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Subject and study numbers of N names; -1 where a name is not that of a report."""
    subjects = np.full(len(names), -1, np.int32)
    studies = np.full(len(names), -1, np.int32)
    lengths = np.fromiter(map(len, names), np.int64, len(names))
    usual = np.flatnonzero(lengths == len(_USUAL))
    if len(usual):
        chosen = names if len(usual) == len(names) else [names[i] for i in usual.tolist()]
        letters = np.frombuffer(b"".join(chosen), np.uint8).reshape(len(usual), len(_USUAL))
        template = np.frombuffer(_USUAL, np.uint8)
        is_digit = template == ord("0")
        fits = (letters[:, ~is_digit] == template[~is_digit]).all(axis=1)
        digits = letters[:, is_digit].astype(np.int32) - ord("0")
        fits &= ((digits >= 0) & (digits <= 9)).all(axis=1)
        weights = 10 ** np.arange(7, -1, -1, dtype=np.int32)
        subjects[usual] = np.where(fits, (digits[:, 2:10] * weights).sum(axis=1), -1)
        studies[usual] = np.where(fits, (digits[:, 10:18] * weights).sum(axis=1), -1)
    for i in np.flatnonzero(studies < 0).tolist():
        match = REPORT_NAME.fullmatch(names[i])
        if match:
            subjects[i], studies[i] = int(match[1]), int(match[2])
    return subjects, studies
