"""`--compat chexpert`: the CheXpert labeler's own phrases and cleaning, asserted by our engine.

Phrases are matched as it matches them: as pieces of the cleaned, lower-case sentence, so that `mass` is found in
`massive` unless an unmention hides it. Organ words (`the heart`, `contour`) count as findings there, and are positive
unless the sentence says otherwise; what it says of an organ is read from our composed findings of the same label. Its
parser and patterns are not rebuilt: negation and uncertainty come from the assertion engine that is in use.
"""

import re
from collections.abc import Iterable

import ahocorasick

from ltml_dataset.labeling.asserting import Asserter
from ltml_dataset.labeling.compiled import POSITIVE, STATES, CompiledLexicon, PhraseEntry, Role
from ltml_dataset.labeling.composed import MentionSpan, compose
from ltml_dataset.labeling.judge import Judged
from ltml_dataset.labeling.matcher import find_hits
from ltml_dataset.labeling.structure import read_structure
from ltml_lexicons.compat import CompatLexicon

_SPACED = re.compile(r"and/or|(?<=[a-zA-Z])/(?=[a-zA-Z])|[.]{2}|[.,]|\s+")


class CompatJudge:
    """Judges sentences by the published lists; stands in for `SentenceJudge`."""

    def __init__(self, compiled: CompiledLexicon, asserter: Asserter, lexicon: CompatLexicon) -> None:
        """A judge for the labels that the lists and `compiled` share.

        Args:
            compiled: Compiled lexicon; its cues assert, its composed findings speak for organ words. The published
                phrases are added to its table of phrases.
            asserter: What asserts.
            lexicon: The published lists.
        """
        self.compiled = compiled
        self._asserter = asserter
        numbers = {label.id: number for number, label in enumerate(compiled.labels)}
        self._mentions = ahocorasick.Automaton()
        self._unmentions = ahocorasick.Automaton()
        self._implied: dict[int, list[tuple[int, int]]] = {}
        self._organs: set[int] = set()
        self._says = [(saying.words, STATES[saying.state]) for saying in lexicon.organs.says]
        found: dict[str, list[int]] = {}
        hidden: dict[str, set[int]] = {}
        for name, phrases in lexicon.labels.items():
            label = numbers[name]
            for text in phrases.mentions:
                compiled.phrases.append(PhraseEntry(label, text, "chexpert", None))
                ref = len(compiled.phrases) - 1
                found.setdefault(text, []).append(ref)
                if text in lexicon.organs.mentions:
                    self._organs.add(ref)
                for implied in lexicon.implied:
                    if text in implied.text:
                        self._implied.setdefault(ref, []).append((numbers[implied.label], STATES[implied.state]))
            for text in lexicon.unmentions(name):
                hidden.setdefault(text, set()).add(label)
        _fill(self._mentions, ((text, (len(text), tuple(refs))) for text, refs in found.items()))
        _fill(self._unmentions, ((text, (len(text), frozenset(labels))) for text, labels in hidden.items()))

    def judge(self, sentence: str) -> tuple[Judged, ...]:
        """Judged mentions in token positions of `sentence`."""
        cleaned, origin = clean(sentence)
        matches = self._find(cleaned, origin)
        if not matches:
            return ()
        tokens = self.compiled.vocabulary.visible(sentence)
        code = self.compiled.vocabulary.encode([token.group() for token in tokens])
        hits = find_hits(code, self.compiled, all_hits=True)
        cues = [hit for hit in hits if hit[2] in (Role.CUE, Role.WORD)]
        structure = read_structure(len(code), hits, self.compiled)
        spoken = {mention[4]: mention for mention in compose(code, hits, structure, self.compiled)}
        said = next((state for words, state in self._says if any(word in cleaned for word in words)), POSITIVE)
        mentions: list[MentionSpan] = []
        for start, end, ref in matches:
            inside = [i for i, token in enumerate(tokens) if token.start() < end and token.end() > start]
            if inside:
                mentions.append(self._mention(inside[0], inside[-1] + 1, ref, spoken, said))
        mentions.sort()
        judged: list[Judged] = []
        verdicts = self._asserter.assert_sentence(sentence, tokens, cues, mentions, structure)
        for mention, verdict in zip(mentions, verdicts, strict=True):
            first, last, _, _, label, ref, _, _ = mention
            judged.append((label, ref, verdict.state, first, last, verdict.rule, verdict.first, verdict.last))
            if verdict.state:
                judged += [
                    (other, ref, state, first, last, "implied", -1, -1) for other, state in self._implied.get(ref, ())
                ]
        return tuple(judged)

    def _find(self, cleaned: str, origin: list[int]) -> list[tuple[int, int, int]]:
        """Start, end (in the sentence) and phrase of each published mention that no unmention overlaps."""
        spots = [(end - n + 1, end + 1, refs) for end, (n, refs) in self._mentions.iter(cleaned)]
        if not spots:
            return []
        hidden = [(end - n + 1, end + 1, labels) for end, (n, labels) in self._unmentions.iter(cleaned)]
        matches = []
        for start, end, refs in spots:
            for ref in refs:
                label = self.compiled.phrases[ref].label
                if not any(start < last and end > first and label in labels for first, last, labels in hidden):
                    matches.append((origin[start], origin[end - 1] + 1, ref))
        return matches

    def _mention(self, first: int, last: int, ref: int, spoken: dict[int, MentionSpan], said: int) -> MentionSpan:
        """The mention; an organ word takes the state of a composed finding of its label, or what is said of organs."""
        label = self.compiled.phrases[ref].label
        if ref not in self._organs:
            return (first, last, first, last, label, ref, POSITIVE, -1)
        composed = spoken.get(label)
        if composed is None:
            return (first, last, first, last, label, ref, said, -1)
        return (first, last, composed[2], composed[3], label, ref, composed[6], composed[7])


def clean(sentence: str) -> tuple[str, list[int]]:
    """The sentence as the CheXpert labeler cleans it, and where each character comes from.

    Lower case; `and/or` becomes `or`, `a/b` becomes `a or b`, two full stops become one; full stops and commas are
    followed by a blank; runs of blanks become one. A blank stands at either end, so that ` line ` is found there too.

    Returns:
        Cleaned text, and for each of its characters the offset in `sentence`.

    Source: loader/load.py of stanfordmlgroup/chexpert-labeler.
    """
    parts: list[str] = [" "]
    origin: list[int] = [0]
    position = 0

    def keep(text: str, start: int, *, spread: bool) -> None:
        for i, character in enumerate(text):
            if character == " " and parts[-1] == " ":
                continue
            parts.append(character)
            origin.append(start + i if spread else start)

    lowered = sentence.translate(_LOWER)
    for match in _SPACED.finditer(lowered):
        keep(lowered[position : match.start()], position, spread=True)
        found = match.group()
        replacement = {"and/or": "or", "/": " or ", "..": ". ", ".": ". ", ",": ", "}.get(found, " ")
        keep(replacement, match.start(), spread=False)
        position = match.end()
    keep(lowered[position:], position, spread=True)
    if parts[-1] != " ":
        parts.append(" ")
        origin.append(max(len(sentence) - 1, 0))
    return "".join(parts), origin


_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
"""Lower case that never changes the number of characters; the phrases are ASCII."""


def _fill(automaton: ahocorasick.Automaton, items: Iterable[tuple[str, object]]) -> None:
    for text, value in items:
        automaton.add_word(text, value)
    automaton.make_automaton()
