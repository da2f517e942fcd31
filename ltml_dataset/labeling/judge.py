"""One sentence to judged mentions: encode, match, compose, assert."""

from ltml_dataset.labeling.aggregate import RANK_OF_STATE
from ltml_dataset.labeling.assertion import AssertionEngine
from ltml_dataset.labeling.compiled import POSITIVE, CompiledLexicon, Role, Word
from ltml_dataset.labeling.composed import MentionSpan, compose
from ltml_dataset.labeling.matcher import Hit, find_hits
from ltml_dataset.labeling.structure import Structure, read_structure
from ltml_dataset.labeling.vocabulary import tokens_of

_PHRASE, _WORD, _PRONOUN = int(Role.PHRASE), int(Role.WORD), int(Word.PRONOUN)

Judged = tuple[int, int, int, int, int, str, int, int]
"""Label, phrase, state, first token, one past the last, rule, first and one past the last token of the cue (-1)."""


class SentenceJudge:
    """The matching step and the assertion step, one after the other."""

    def __init__(self, compiled: CompiledLexicon, engine: AssertionEngine, cache_size: int = 100_000) -> None:
        """A judge with its lexicon and its engine.

        Args:
            compiled: Compiled lexicon.
            engine: Decides how mentions are asserted.
            cache_size: Encoded sentences whose judgement is kept: the same sentence wrapped elsewhere is one of them.
        """
        self.compiled = compiled
        self.engine = engine
        self._cache_size = cache_size
        self._by_code: dict[str, tuple[Judged, ...]] = {}

    def judge(self, sentence: str) -> tuple[Judged, ...]:
        """Judged mentions in token positions of `sentence`."""
        code = self.compiled.vocabulary.encode(tokens_of(sentence)).rstrip(self.compiled.stop)
        known = self._by_code.get(code)
        if known is not None:
            return known
        judged = self.judge_code(code)
        if len(self._by_code) >= self._cache_size:
            self._by_code.clear()
        self._by_code[code] = judged
        return judged

    def judge_code(self, code: str) -> tuple[Judged, ...]:
        hits = find_hits(code, self.compiled)
        if not hits:
            return ()
        structure = read_structure(len(code), hits, self.compiled)
        mentions = find_mentions(code, hits, structure, self.compiled)
        if not mentions:
            return ()
        verdicts = self.engine.assert_mentions(hits, mentions, structure)
        return tuple(
            [
                (label, phrase, state, first, last, rule, cue_first, cue_last)
                for (first, last, _, _, label, phrase, _, _), (state, rule, _, cue_first, cue_last) in zip(
                    mentions, verdicts, strict=True
                )
            ]
        )


def _weakness(mention: MentionSpan) -> int:
    """Of several sites with one predicate the one that says most stands ("trachea and heart are displaced")."""
    return RANK_OF_STATE[POSITIVE] - RANK_OF_STATE[mention[6]]


def find_mentions(code: str, hits: list[Hit], structure: Structure, compiled: CompiledLexicon) -> list[MentionSpan]:
    """Phrases and composed findings of a sentence, by position; a composed one that a phrase names too is dropped."""
    phrases = compiled.phrases
    mentions: list[MentionSpan] = [
        (start, end, start, end, phrases[ref].label, ref, POSITIVE, -1)
        for start, end, role, ref in hits
        if role == _PHRASE
    ]
    composed = compose(code, hits, structure, compiled)
    if composed:
        for new in sorted(composed, key=_weakness):
            if not any(new[4] == old[4] and new[2] < old[3] and old[2] < new[3] for old in mentions):
                mentions.append(new)
        mentions.sort()
    pronouns = [(start, end) for start, end, role, ref in hits if role == _WORD and ref == _PRONOUN]
    if pronouns and mentions:
        mentions += [named for span in pronouns for named in _stands_for(span, mentions)]
        mentions.sort()
    return mentions


def _stands_for(pronoun: tuple[int, int], mentions: list[MentionSpan]) -> list[MentionSpan]:
    """The finding named last, at the place of its pronoun."""
    start, end = pronoun
    before = [mention for mention in mentions if mention[1] <= start]
    if not before:
        return []
    last = max(before, key=lambda mention: mention[1])
    named = {mention[4]: mention[5] for mention in before if mention[1] > last[0]}
    return [(start, end, start, end, label, phrase, POSITIVE, -1) for label, phrase in named.items()]


def refers_back(sentence: str, compiled: CompiledLexicon) -> bool:
    """Whether a sentence names its finding by a pronoun, so that it is read together with the one before."""
    code = compiled.vocabulary.encode(tokens_of(sentence))
    hits = find_hits(code, compiled, all_hits=True)
    return any(role == _WORD and ref == _PRONOUN for _, _, role, ref in hits) and not any(
        role == _PHRASE for _, _, role, _ in hits
    )
