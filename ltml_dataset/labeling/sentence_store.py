"""Distinct sentences with what was decided on each, in columns."""

import re
from array import array
from collections.abc import Callable
from itertools import chain

import numpy as np
import numpy.typing as npt

from ltml_dataset.labeling.aggregate import RANK_OF_STATE, Ranks
from ltml_dataset.labeling.engines import Judge
from ltml_dataset.labeling.judge import Judged

LABEL, PHRASE, STATE, RULE, START, END, CUE_START, CUE_END = range(8)
"""Columns of the mention table; offsets count within the sentence, -1 where there is no cue."""
_N_COLUMNS = 8
_NOT_TABULATED = -1


class SentenceStore:
    """Numbers sentences as they come, judges each once, and keeps ranks and mentions by number.

    The store is emptied between batches once it holds more than `limit` sentences, so memory stays bounded whatever
    the corpus; what is decided never depends on what it holds.
    """

    def __init__(
        self, judge: Judge, n_labels: int, visible: Callable[[str], list[re.Match[str]]], limit: int = 150_000
    ) -> None:
        """An empty store.

        Args:
            judge: Judges a sentence.
            n_labels: Labels that have a rank.
            visible: The tokens of a sentence that the positions of the judge count.
            limit: Sentences kept before the store is emptied.
        """
        self._judge = judge
        self._visible = visible
        self._n_labels = n_labels
        self._limit = limit
        self._silent = bytes(n_labels)
        self._clear()

    def _clear(self) -> None:
        self.numbers: dict[str, int] = {}
        """Sentence as written -> number."""
        self._ranks = bytearray()
        self._sentences: list[str] = []
        self._read_as: dict[int, str] = {}
        self._waiting: dict[int, tuple[Judged, ...]] = {}
        self._first = array("q")
        self._count = array("q")
        self._table = array("i")
        self.texts: list[str] = []
        """Words of each mention."""
        self.cues: list[str | None] = []
        """Words of each mention's cue."""
        self.rules: dict[str, int] = {}

    def begin_batch(self, *, with_mentions: bool) -> None:
        """Make room; numbers given out before are void.

        Args:
            with_mentions: Mentions will be asked for, so they are kept until then.
        """
        self._with_mentions = with_mentions
        if len(self.numbers) > self._limit:
            self._clear()

    def add(self, sentence: str, read_as: str | None = None) -> int:
        """The number of a sentence met for the first time.

        Args:
            sentence: As written.
            read_as: What is judged in its place, with the same offsets; the sentence itself by default.
        """
        number = len(self.numbers)
        self._sentences.append(sentence)
        if read_as is None:
            self.numbers[sentence] = number
            read_as = sentence
        else:
            self.numbers[_key(sentence, read_as)] = number
            self._read_as[number] = read_as
        judged = self._judge.judge(read_as)
        if judged:
            row = bytearray(self._n_labels)
            for mention in judged:
                rank = RANK_OF_STATE[mention[2]]
                if rank > row[mention[0]]:
                    row[mention[0]] = rank
            self._ranks += row
            self._count.append(_NOT_TABULATED)
            if self._with_mentions:
                self._waiting[number] = judged
        else:
            self._ranks += self._silent
            self._count.append(0)
        self._first.append(0)
        return number

    def number_of(self, sentence: str, read_as: str) -> int:
        """The number of a sentence that is read as another, added where it is new."""
        if read_as == sentence:
            number = self.numbers.get(sentence)
            return self.add(sentence) if number is None else number
        number = self.numbers.get(_key(sentence, read_as))
        return self.add(sentence, read_as) if number is None else number

    @property
    def ranks(self) -> Ranks:
        """(S, L) ranks by sentence number; a copy."""
        return np.frombuffer(bytes(self._ranks), dtype=np.int8).reshape(-1, self._n_labels)

    def mention_range(self, numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First mention and number of mentions of each sentence.

        Args:
            numbers: (M,) sentence numbers.
        """
        if not len(numbers):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        counts = np.array(self._count, dtype=np.int64)
        missing = np.unique(numbers[counts[numbers] == _NOT_TABULATED])
        if len(missing):
            self._tabulate(missing.tolist())
        return np.array(self._first, dtype=np.int64)[numbers], np.array(self._count, dtype=np.int64)[numbers]

    def mentions(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """(R, 8) rows of the mention table."""
        if not len(self._table):
            return np.zeros((0, _N_COLUMNS), dtype=np.int32)
        table: npt.NDArray[np.int32] = np.frombuffer(self._table, dtype=np.intc).reshape(-1, _N_COLUMNS)[rows]
        return table

    def _tabulate(self, numbers: list[int]) -> None:
        """Work out offsets of mentions: only where evidence is asked for."""
        rows: list[tuple[int, ...]] = []
        texts, cues, rules = self.texts, self.cues, self.rules
        for number in numbers:
            sentence = self._sentences[number]
            read_as = self._read_as.get(number, sentence)
            judged = self._waiting.get(number) or self._judge.judge(read_as)
            spans = [match.span() for match in self._visible(read_as)]
            self._first[number] = len(texts)
            self._count[number] = len(judged)
            for label, phrase, state, first, last, rule, cue_first, cue_last in judged:
                start, end = spans[first][0], spans[last - 1][1]
                texts.append(sentence[start:end])
                rule_number = rules.setdefault(rule, len(rules))
                if cue_first < 0:
                    cues.append(None)
                    rows.append((label, phrase, state, rule_number, start, end, -1, -1))
                else:
                    cue_start, cue_end = spans[cue_first][0], spans[cue_last - 1][1]
                    cues.append(sentence[cue_start:cue_end])
                    rows.append((label, phrase, state, rule_number, start, end, cue_start, cue_end))
        self._waiting.clear()
        self._table.extend(chain.from_iterable(rows))


def _key(sentence: str, read_as: str) -> str:
    """No sentence as written: the two, parted by what is never judged as a sentence."""
    return f"{read_as}\x00\x00{sentence}"
