"""Distinct sentences with what was decided on each, in columns."""

from array import array

import numpy as np
import numpy.typing as npt

from ltml_dataset.labeling.aggregate import RANK_OF_STATE, Ranks
from ltml_dataset.labeling.judge import Judged, SentenceJudge
from ltml_dataset.labeling.vocabulary import TOKEN

MENTION_FIELDS = ("label", "phrase", "state", "rule", "start", "end", "cue_start", "cue_end")
"""Integer columns of the mention table; offsets count within the sentence, -1 where there is no cue."""


class SentenceStore:
    """Numbers sentences as they come, judges each once, and keeps ranks and mentions by number.

    The store is emptied between batches once it holds more than `limit` sentences, so memory stays bounded whatever
    the corpus; what is decided never depends on what it holds.
    """

    def __init__(self, judge: SentenceJudge, n_labels: int, limit: int = 400_000) -> None:
        """An empty store."""
        self._judge = judge
        self._n_labels = n_labels
        self._limit = limit
        self._clear()

    def _clear(self) -> None:
        self.numbers: dict[str, int] = {}
        self._ranks: Ranks = np.zeros((4096, self._n_labels), dtype=np.int8)
        self._first = array("q", [0])
        self._columns = {name: array("i") for name in MENTION_FIELDS}
        self.texts: list[str] = []
        self.cues: list[str | None] = []
        self.rules: dict[str, int] = {}

    def begin_batch(self) -> None:
        """Make room; numbers given out before are void."""
        if len(self.numbers) > self._limit:
            self._clear()

    def add(self, sentence: str) -> int:
        """The number of a sentence met for the first time."""
        number = len(self.numbers)
        self.numbers[sentence] = number
        if number >= len(self._ranks):
            self._ranks = np.concatenate([self._ranks, np.zeros_like(self._ranks)])
        judged = self._judge.judge(sentence)
        if judged:
            self._add_mentions(number, sentence, judged)
        self._first.append(len(self.texts))
        return number

    def _add_mentions(self, number: int, sentence: str, judged: tuple[Judged, ...]) -> None:
        spans = [match.span() for match in TOKEN.finditer(sentence)]
        row = self._ranks[number]
        columns = self._columns
        for label, phrase, state, first, last, rule, cue_first, cue_last in judged:
            row[label] = max(row[label], RANK_OF_STATE[state])
            start, end = spans[first][0], spans[last - 1][1]
            has_cue = cue_first >= 0
            cue_start, cue_end = (spans[cue_first][0], spans[cue_last - 1][1]) if has_cue else (-1, -1)
            rule_number = self.rules.setdefault(rule, len(self.rules))
            values = (label, phrase, state, rule_number, start, end, cue_start, cue_end)
            for name, value in zip(MENTION_FIELDS, values, strict=True):
                columns[name].append(value)
            self.texts.append(sentence[start:end])
            self.cues.append(sentence[cue_start:cue_end] if has_cue else None)

    @property
    def ranks(self) -> Ranks:
        """(S, L) ranks by sentence number."""
        return self._ranks

    def mention_range(self, numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First mention and number of mentions of each sentence.

        Args:
            numbers: (M,) sentence numbers.
        """
        first = np.array(self._first, dtype=np.int64)
        return first[numbers], first[numbers + 1] - first[numbers]

    def column(self, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Values of one column of the mention table at `rows`."""
        if not len(rows):  # an empty buffer cannot be viewed
            return np.zeros(0, dtype=np.int32)
        values: npt.NDArray[np.int32] = np.frombuffer(self._columns[name], dtype=np.intc)[rows]
        return values
