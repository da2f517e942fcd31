"""What asserts the mentions of a sentence: cues alone, or a parse as well."""

import re
from collections.abc import Sequence
from typing import Protocol

from ltml_dataset.labeling.assertion import AssertionEngine
from ltml_dataset.labeling.compiled import POSITIVE, CompiledLexicon
from ltml_dataset.labeling.composed import MentionSpan
from ltml_dataset.labeling.judge import Judged, find_mentions
from ltml_dataset.labeling.matcher import Hit, find_hits
from ltml_dataset.labeling.structure import Structure, read_structure
from ltml_dataset.labeling.verdicts import Verdict


class Asserter(Protocol):
    """Asserts the mentions of one sentence."""

    def assert_sentence(
        self,
        sentence: str,
        tokens: Sequence[re.Match[str]],
        hits: list[Hit],
        mentions: list[MentionSpan],
        structure: Structure,
    ) -> list[Verdict]:
        """One verdict a mention."""
        ...


class CueAsserter:
    """The rules of scope; the words of the sentence are all in its hits."""

    def __init__(self, engine: AssertionEngine) -> None:
        """Assert with the cues of `engine`."""
        self._engine = engine

    def assert_sentence(
        self,
        sentence: str,
        tokens: Sequence[re.Match[str]],
        hits: list[Hit],
        mentions: list[MentionSpan],
        structure: Structure,
    ) -> list[Verdict]:
        """One verdict a mention."""
        return self._engine.assert_mentions(hits, mentions, structure)


class WordedJudge:
    """Judges sentences with an asserter that needs their words; equal sentences are judged once by the store above."""

    def __init__(self, compiled: CompiledLexicon, asserter: Asserter) -> None:
        """Find mentions with `compiled`, assert them with `asserter`."""
        self.compiled = compiled
        self._asserter = asserter

    def judge(self, sentence: str) -> tuple[Judged, ...]:
        """Judged mentions in token positions of `sentence`."""
        tokens = self.compiled.vocabulary.visible(sentence)
        code = self.compiled.vocabulary.encode([token.group() for token in tokens])
        hits = find_hits(code, self.compiled)
        structure = read_structure(len(code), hits, self.compiled)
        mentions = find_mentions(code, hits, structure, self.compiled)
        if not mentions:
            return ()
        verdicts = self._asserter.assert_sentence(sentence, tokens, hits, mentions, structure)
        return tuple(
            (m[4], m[5], v.state, m[0], m[1], v.rule, v.first, v.last) for m, v in zip(mentions, verdicts, strict=True)
        )

    def assert_span(self, sentence: str, start: int, end: int) -> int:
        """The state of whatever stands between two offsets of a sentence; cues inside the span do not count."""
        tokens = self.compiled.vocabulary.visible(sentence)
        inside = [i for i, token in enumerate(tokens) if token.start() < end and token.end() > start]
        if not inside:
            return POSITIVE
        first, last = inside[0], inside[-1] + 1
        code = self.compiled.vocabulary.encode([token.group() for token in tokens])
        hits = find_hits(code, self.compiled, all_hits=True)
        outside = [hit for hit in hits if hit[1] <= first or hit[0] >= last]
        span: MentionSpan = (first, last, first, last, -1, -1, POSITIVE, -1)
        structure = read_structure(len(code), outside, self.compiled)
        return self._asserter.assert_sentence(sentence, tokens, outside, [span], structure)[0].state
