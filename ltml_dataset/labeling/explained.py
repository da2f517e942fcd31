"""Abbreviations that a report explains itself: "pectus excavatum (PE)" is no embolism, there and in what follows.

The words are found as a reader finds them: they stand before the bracket, in it, or beside a sign, and hold the letters
of the abbreviation in order, the first at the start of a word (Schwartz and Hearst, 2003). Which brackets, signs and
small words count stands in `abbreviations.yaml`.
"""

import re
from collections.abc import Iterable, Sequence

from ltml_dataset.labeling.compiled import CompiledLexicon, Role
from ltml_dataset.labeling.matcher import find_hits
from ltml_lexicons.model import Explained

_WORD = re.compile(r"[^\W\d_]+")
_BREAK = re.compile(r"[.;:!?,()\[\]\n=]")
_SHARED_LETTERS = 5
"""Beginning that two forms of one word share at least ("embolic", "embolism")."""
_FILLER = "\u0259"
"""A letter no lexicon has: a word of it is unknown, and one token as long as what it stands for."""


class Explainer:
    """Finds the abbreviations of a report that mean something else than the lexicon says."""

    def __init__(self, compiled: CompiledLexicon, settings: Explained) -> None:
        """An explainer for the capital abbreviations of `compiled`."""
        self._compiled = compiled
        self._skipped = frozenset(settings.skipped)
        self._labels = _labels_by_abbreviation(compiled)
        self._words = _words_by_label(compiled)
        self._signs = settings.signs
        self._pattern = _pattern(self._labels, settings)
        self._known: dict[tuple[str, str], bool] = {}

    def otherwise(self, texts: Sequence[str | None]) -> tuple[str, ...]:
        """Abbreviations that one of the texts explains as something else, sorted; mostly none."""
        if self._pattern is None:
            return ()
        found: set[str] = set()
        for text in texts:
            if text and any(sign in text for sign in self._signs):
                for match in self._pattern.finditer(text):
                    name = match["behind"] or match["before"]
                    if name not in found and self._means_other(name, text, match):
                        found.add(name)
        return tuple(sorted(found))

    def _means_other(self, name: str, text: str, match: re.Match[str]) -> bool:
        words = self._long_form(name, text, match)
        if not words:
            return False
        key = (name, " ".join(words).lower())
        if key not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[key] = not self._is_its_meaning(name, words)
        return self._known[key]

    def _long_form(self, name: str, text: str, match: re.Match[str]) -> list[str]:
        """The words next to the sign that spell the abbreviation; none where they do not."""
        is_behind = bool(match["behind"])
        near = _words_before(text, match.start()) if is_behind else _words_behind(text, match.end())
        for n in range(1, min(len(near), 2 * len(name)) + 1):
            words = near[-n:] if is_behind else near[:n]
            if _spells(name.lower(), [word.lower() for word in words], self._skipped):
                return words
        return []

    def _is_its_meaning(self, name: str, words: Sequence[str]) -> bool:
        labels = self._labels[name]
        code = self._compiled.vocabulary.encode(words)
        hits = find_hits(code, self._compiled)
        if any(role == Role.PHRASE and self._compiled.phrases[ref].label in labels for _, _, role, ref in hits):
            return True
        last = name[-1].lower()
        ends = [word.lower() for word in words if word[0].lower() == last] or [words[-1].lower()]
        known = set[str]().union(*(self._words[label] for label in labels))
        return any(
            word[:_SHARED_LETTERS] == other[:_SHARED_LETTERS]
            for word in ends
            for other in known
            if len(word) >= _SHARED_LETTERS
        )


def masked(sentence: str, abbreviations: Iterable[str]) -> str:
    """The sentence with these abbreviations as unknown words of the same length.

    Example:
        >>> len(masked("No PE.", ["PE"])) == len("No PE."), "PE" in masked("No PE.", ["PE"])
        (True, False)
    """
    for name in abbreviations:
        if name in sentence:
            sentence = re.sub(rf"(?<![^\W\d_]){re.escape(name)}(?![^\W\d_])", _FILLER * len(name), sentence)
    return sentence


def _spells(letters: str, words: list[str], skipped: frozenset[str]) -> bool:
    """Whether words have these letters: one starts each word, but for small words; or one word has all."""
    if words[0] in skipped:
        return False
    if len(words) == 1:
        place = 0
        for letter in words[0]:
            place += place < len(letters) and letter == letters[place]
        return words[0][0] == letters[0] and place == len(letters)
    return "".join(word[0] for word in words if word not in skipped) == letters


def _words_before(text: str, end: int) -> list[str]:
    start = 0
    for found in _BREAK.finditer(text, max(0, end - 200), end):
        start = found.end()
    return _WORD.findall(text, max(start, end - 200), end)


def _words_behind(text: str, start: int) -> list[str]:
    found = _BREAK.search(text, start)
    return _WORD.findall(text, start, min(found.start() if found else len(text), start + 200))


def _pattern(names: Iterable[str], settings: Explained) -> re.Pattern[str] | None:
    """An abbreviation behind a bracket or sign, or before one."""
    listed = "|".join(sorted(map(re.escape, names), key=lambda name: (-len(name), name)))
    marks = "".join(map(re.escape, settings.signs))
    if not listed or not marks:
        return None
    name = rf"(?:{listed})(?![^\W\d_])"
    return re.compile(rf"\s*[{marks}]\s*[\"']?(?P<behind>{name})|(?<![^\W\d_])(?P<before>{name})[\"']?\s*[{marks}]")


def _labels_by_abbreviation(compiled: CompiledLexicon) -> dict[str, frozenset[int]]:
    """Capital abbreviation -> labels it names by itself."""
    found: dict[str, frozenset[int]] = {}
    for word in compiled.vocabulary.capitals:
        hits = compiled.automaton.get(compiled.vocabulary.add_capitals(word), ())
        labels = frozenset(compiled.phrases[ref].label for _, role, ref in hits if role == Role.PHRASE)
        if labels and len(word) > 1:
            found[word.upper()] = labels
    return found


def _words_by_label(compiled: CompiledLexicon) -> list[frozenset[str]]:
    words: list[set[str]] = [set() for _ in compiled.labels]
    for entry in compiled.phrases:
        words[entry.label].update(word.lower() for word in _WORD.findall(entry.text))
    return [frozenset(each) for each in words]
