"""Typing errors in long words: an unknown word that is nearly one word of the lexicon, and no other, is read as it.

What is safe stands in `near_words.yaml`. A word is unknown if neither the lexicon, nor Gamuts, nor the list of ordinary
words has it. It is near a word of the lexicon if one edit parts them (a letter more, less, other, or two neighbours
changed about), or two edits where both words are long. It stays unread where a second word of the lexicon is near that
is no form of the first, where an ordinary word is as near, for which it may have been meant, and where the edit would
change the first letter, or a beginning or an ending that decides ("hypo-", "hyper-"; "-graphy").

Each distinct word is looked up once, by the strings that remain when letters are left out, so the cost does not grow
with the lexicon.
"""

import re
from collections.abc import Iterable, Iterator, Set
from functools import cache, cached_property
from importlib.resources import files

from ltml_dataset.labeling.vocabulary import TOKEN
from ltml_lexicons.gamuts import gamuts_findings
from ltml_lexicons.lexicon import Lexicon
from ltml_lexicons.model import NearWordFile, Phrase, Unmention
from ltml_lexicons.plurals import plural_of

_LETTERS = re.compile(r"[a-z]+")
_FORM = re.compile(r"\{[^}]+\}")
_LAST_LETTERS = 4
"""Letters in which forms of one word may differ at their ends."""
_LONGEST = 40
"""Letters of the longest word looked at: longer ones are no words, and their strings would be many."""


class NearWords:
    """Reads unknown words."""

    def __init__(self, targets: Iterable[str], known: Set[str], stems: Iterable[str], settings: NearWordFile) -> None:
        """A reader.

        Args:
            targets: Words of the lexicon, in small letters.
            known: Further words that are right as they are.
            stems: Beginnings of words that the lexicon knows.
            settings: What is near enough.
        """
        self._settings = settings
        self._targets = frozenset(word for word in targets if self._is_long(word))
        self._known = known | frozenset(settings.unread)
        self._stems = tuple(stems)
        self._prefixes = tuple(settings.prefixes)
        self._endings = tuple(settings.endings)

    @cached_property
    def _by_rest(self) -> dict[str, list[str]]:
        """What remains of a lexicon word when letters are left out -> the words; made when first needed."""
        found: dict[str, list[str]] = {}
        for word in sorted(self._targets):
            for rest in _rests(word, self._edits(len(word))):
                found.setdefault(rest, []).append(word)
        return found

    def read(self, word: str) -> str | None:
        """The lexicon word that an unknown word is meant to be, or None where that is not certain.

        Args:
            word: A word in small letters.
        """
        if not self._is_long(word) or word in self._targets or word in self._known or word.startswith(self._stems):
            return None
        near = self.near(word)
        if not near:
            return None
        least = min(near.values())
        nearest = [target for target, edits in near.items() if edits == least]
        target = nearest[0]
        if len(nearest) > 1 or not self._is_safe(word, target):
            return None
        others = {other for other in near if other != target} | self._known_near(word, least)
        return target if all(_are_forms(target, other) for other in others) else None

    def near(self, word: str) -> dict[str, int]:
        """Words of the lexicon that few enough edits part from a word, with the number of edits."""
        near: dict[str, int] = {}
        rests = _rests(word, self._edits(len(word)))
        for target in {target for rest in rests for target in self._by_rest.get(rest, ())}:
            limit = self._edits(min(len(word), len(target)))
            edits = distance(word, target, limit)
            if edits <= limit:
                near[target] = edits
        return near

    def _known_near(self, word: str, limit: int) -> set[str]:
        """Words that are right as they are and as near: an error may be meant for them."""
        letters = set(word)
        return {
            other
            for length in range(len(word) - limit, len(word) + limit + 1)
            for other in self._known_by_start.get((word[0], length), ())
            if len(letters.symmetric_difference(other)) <= 2 * limit and distance(word, other, limit) <= limit
        }

    @cached_property
    def _known_by_start(self) -> dict[tuple[str, int], list[str]]:
        found: dict[tuple[str, int], list[str]] = {}
        for word in self._known:
            found.setdefault((word[0], len(word)), []).append(word)
        return found

    def _is_long(self, word: str) -> bool:
        return self._settings.shortest <= len(word) <= _LONGEST and _LETTERS.fullmatch(word) is not None

    def _edits(self, n_letters: int) -> int:
        return 2 if n_letters >= self._settings.two_edits else 1

    def _is_safe(self, word: str, target: str) -> bool:
        """Whether the edit changes neither the first letter, nor a beginning or ending that decides, nor the form."""
        if word[0] != target[0]:
            return False
        if any(word.startswith(prefix) != target.startswith(prefix) for prefix in self._prefixes):
            return False
        if any(word.endswith(ending) and not target.endswith(ending) for ending in self._endings):
            return False
        return not (self._is_form(word, target) or self._is_form(target, word))

    def _is_form(self, longer: str, base: str) -> bool:
        return any(longer == _inflected(base, ending) for ending in self._settings.inflections)


def near_words_of(lexicon: Lexicon) -> NearWords:
    """The reader for a lexicon: what it reads does not depend on the labels in use."""
    words, stems = lexicon_words(lexicon)
    return NearWords(words, ordinary_words() | gamuts_words(), stems, lexicon.near_words)


def lexicon_words(lexicon: Lexicon) -> tuple[set[str], set[str]]:
    """Whole words and stems of every phrase, site, predicate, modifier, cue and structural word."""
    words: set[str] = set(lexicon.spelling.values())
    stems: set[str] = set()
    for text, is_stem, has_plural in _texts(lexicon):
        tokens = [token for token in TOKEN.findall(text.lower()) if token.isalpha()]
        if not tokens:
            continue
        last = tokens.pop() if is_stem else None
        words.update(tokens)
        if last is not None:
            stems.add(last)
        elif has_plural and (plural := plural_of(tokens[-1])):
            words.add(plural)
    return words, stems


def _texts(lexicon: Lexicon) -> Iterator[tuple[str, bool, bool]]:
    for label in (*lexicon.labels.values(), *([lexicon.no_finding] if lexicon.no_finding else [])):
        phrases: list[Phrase | Unmention] = [*label.mentions, *label.unmentions]
        for phrase in phrases:
            yield phrase.text, phrase.stem, phrase.plural
    for terms in (lexicon.sites, lexicon.predicates, lexicon.modifiers):
        for group in terms.groups.values():
            for term in group.wordings():
                yield term.text, term.stem, term.plural
    for file in lexicon.cues.values():
        for cues in file.groups.values():
            for cue in cues.wordings():
                yield _FORM.sub(" ", cue.text), False, False
    for roles in lexicon.words.values():
        for group in roles.groups.values():
            for term in group.wordings():
                yield _FORM.sub(" ", term.text), term.stem, False
    for words in lexicon.forms.forms.values():
        for text in words:
            yield text, False, False


@cache
def ordinary_words() -> frozenset[str]:
    """English words of eight letters or more that no typing error may turn into a finding (`ordinary_words.txt`)."""
    lines = files("ltml_lexicons").joinpath("ordinary_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


@cache
def gamuts_words() -> frozenset[str]:
    """Words of the 1,934 findings of Gamuts, with their plurals: right as they are, whether we label them or not."""
    words = {word for finding in gamuts_findings() for term in finding.terms for word in _LETTERS.findall(term.lower())}
    return frozenset(words | {plural for word in words if (plural := plural_of(word))})


def distance(one: str, other: str, limit: int) -> int:
    """Edits between two words, two neighbours changed about counting as one; more than `limit` is `limit` + 1.

    Example:
        >>> [distance("pneumothroax", other, 2) for other in ("pneumothorax", "pneumothroax", "hemothorax")]
        [1, 0, 3]
    """
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            edits = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                edits = min(edits, earlier[j - 2] + 1)
            row.append(edits)
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


def _rests(word: str, edits: int) -> set[str]:
    """What remains of a word when at most `edits` letters are left out."""
    rests = last = {word}
    for _ in range(edits):
        last = {rest[:i] + rest[i + 1 :] for rest in last for i in range(len(rest))}
        rests = rests | last
    return rests


def _inflected(base: str, ending: str) -> str:
    """A word with an ending; an e before one that begins with e is its own ("dilate", "dilated")."""
    return base + ending[1:] if base.endswith("e") and ending.startswith("e") else base + ending


def _are_forms(one: str, other: str) -> bool:
    """Whether two words differ in their last letters alone ("regurgitation", "regurgitating")."""
    longest = max(len(one), len(other))
    return one[: longest - _LAST_LETTERS] == other[: longest - _LAST_LETTERS]
