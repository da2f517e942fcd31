"""One sentence to judged mentions: encode, match, compose, assert."""

from ltml_dataset.labeling.assertion import AssertionEngine
from ltml_dataset.labeling.compiled import POSITIVE, CompiledLexicon, Role
from ltml_dataset.labeling.composed import MentionSpan, compose
from ltml_dataset.labeling.matcher import Hit, find_hits
from ltml_dataset.labeling.vocabulary import TOKEN

_PHRASE = int(Role.PHRASE)

Judged = tuple[int, int, int, int, int, str, int, int]
"""Label, phrase, state, first token, one past the last, rule, first and one past the last token of the cue (-1)."""


class SentenceJudge:
    """The matching step and the assertion step, one after the other."""

    def __init__(self, compiled: CompiledLexicon, engine: AssertionEngine) -> None:
        """A judge with its lexicon and its engine."""
        self.compiled = compiled
        self.engine = engine

    def judge(self, sentence: str) -> tuple[Judged, ...]:
        """Judged mentions in token positions of `sentence`."""
        code = self.compiled.vocabulary.encode(TOKEN.findall(sentence))
        hits = find_hits(code, self.compiled)
        mentions = find_mentions(code, hits, self.compiled)
        if not mentions:
            return ()
        verdicts = self.engine.assert_mentions(hits, mentions)
        return tuple(
            (m[4], m[5], v.state, m[0], m[1], v.rule, v.first, v.last) for m, v in zip(mentions, verdicts, strict=True)
        )


def find_mentions(code: str, hits: list[Hit], compiled: CompiledLexicon) -> list[MentionSpan]:
    """Phrases and composed findings of a sentence, by position; a composed one that a phrase names too is dropped."""
    phrases = compiled.phrases
    mentions: list[MentionSpan] = [
        (start, end, start, end, phrases[ref].label, ref, POSITIVE, -1)
        for start, end, role, ref in hits
        if role == _PHRASE
    ]
    for new in compose(code, hits, compiled):
        if not any(new[4] == old[4] and new[2] < old[3] and old[2] < new[3] for old in mentions):
            mentions.append(new)
    mentions.sort()
    return mentions
