"""Words to single characters, so that a sentence becomes a short string a compiled automaton can scan.

Words outside the lexicon all become one character, and so do misspellings and inflections of a stem. Sentences that
differ only in words nobody decides by are then equal strings, and are judged once.
"""

import re
from collections.abc import Callable, Iterable, Mapping

TOKEN = re.compile(r"[^\W\d_]+|\d+(?:[.]\d+)?|_+|[^\w\s-]|(?<=\s)-+(?=\s)")
"""Words, numbers, gaps, single signs, and a dash that stands alone. Hyphens inside words count as blanks."""

_PLAIN = re.compile(r"[A-Za-z ,\n-]*+[.]?")
"""Sentences whose tokens are what blanks and commas part."""

UNKNOWN = "\x01"
GAP = "\x02"
"""`XXXX` and `___`: a word that de-identification took."""
FIRST_WORD = 0x10
FIRST_NUMBER = 0xF0000
"""Private-use plane: numbers keep their value in tenths, so that sizes can be judged."""
MAX_TENTHS = 9999

_SPELLINGS_KEPT = 200_000


def tokens_of(sentence: str) -> list[str]:
    """What `TOKEN` finds in a sentence; most sentences need no regular expression."""
    if _PLAIN.fullmatch(sentence) is None or " -" in sentence or "\n-" in sentence:
        return TOKEN.findall(sentence)
    if sentence.endswith("."):
        tokens = sentence[:-1].replace(",", " , ").replace("-", " ").split()
        tokens.append(".")
        return tokens
    return sentence.replace(",", " , ").replace("-", " ").split()


class Vocabulary(dict[str, str]):
    """Token as written -> character; grows by what it meets, up to a bound."""

    def __init__(self, spelling: Mapping[str, str]) -> None:
        """An empty vocabulary with a table of other spellings (`oedema` -> `edema`)."""
        super().__init__()
        self._spelling = dict(spelling)
        self._words: dict[str, str] = {}
        self._capitals: dict[str, str] = {}
        self._stems: list[tuple[str, str]] = []
        self._next = FIRST_WORD
        self.read_near: Callable[[str], str | None] | None = None
        """What else an unknown word may be (`near_words.py`); asked once for each word."""

    def add_word(self, word: str) -> str:
        """The character of a lexicon word."""
        word = self._spelling.get(word, word)
        if word not in self._words:
            self._words[word] = _number(word) if word[0].isdigit() else self._new()
        return self._words[word]

    def add_invisible(self, word: str) -> None:
        """A word that is read over, in lexicon and report alike ("the", "also")."""
        self._words[word] = ""

    def is_invisible(self, token: str) -> bool:
        """Whether a lower-case token has no character."""
        return self._words.get(token) == ""

    def add_capitals(self, word: str) -> str:
        """The character of a word written in capitals (`PE`)."""
        self.add_word(word)
        if word not in self._capitals:
            self._capitals[word] = self._new()
        return self._capitals[word]

    @property
    def capitals(self) -> tuple[str, ...]:
        """Words, in small letters, whose capitals have a character of their own."""
        return tuple(self._capitals)

    def add_stem(self, stem: str) -> str:
        """The character of every word that begins with `stem` and is no lexicon word itself."""
        for known, character in self._stems:
            if known == stem:
                return character
        character = self._new()
        self._stems.append((stem, character))
        self._stems.sort(key=lambda item: (-len(item[0]), item[0]))
        return character

    def forms(self, word: str) -> str:
        """All characters that stand for a lexicon word (its capitals may have their own)."""
        word = self._spelling.get(word, word)
        return self._words[word] + self._capitals.get(word, "")

    def stem_forms(self, stem: str) -> str:
        """All characters of words that begin with `stem`."""
        words = "".join(self.forms(word) for word in self._words if word.startswith(stem))
        return words + "".join(character for known, character in self._stems if known.startswith(stem))

    def _new(self) -> str:
        character = chr(self._next)
        self._next += 1
        if self._next == 0xD800:  # surrogates are no characters
            self._next = 0xE000
        return character

    def visible(self, sentence: str) -> list[re.Match[str]]:
        """The tokens of a sentence that have a character, in order: what positions in its code count."""
        return [match for match in TOKEN.finditer(sentence) if self[match.group()]]

    def encode(self, tokens: Iterable[str]) -> str:
        """One character a token."""
        return "".join(map(self.__getitem__, tokens))

    def __missing__(self, token: str) -> str:
        character = self._look_up(token)
        if len(self) < _SPELLINGS_KEPT:
            self[token] = character
        return character

    def _look_up(self, token: str) -> str:
        if token[0].isdigit():
            return _number(token)
        word = token.lower()
        word = self._spelling.get(word, word)
        if token.isupper() and word in self._capitals:
            return self._capitals[word]
        if word in self._words:
            return self._words[word]
        if token[0] == "_" or (len(word) > 2 and word == "x" * len(word)):
            return GAP
        for stem, character in self._stems:
            if word.startswith(stem):
                return character
        meant = self.read_near(word) if self.read_near is not None else None
        return self._words.get(meant, UNKNOWN) if meant is not None else UNKNOWN

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a vocabulary is rebuilt from the lexicon, not pickled")


def _number(token: str) -> str:
    try:
        tenths = round(float(token) * 10)
    except (ValueError, OverflowError):  # digits of other scripts, or far too long
        return UNKNOWN
    return chr(FIRST_NUMBER + min(tenths, MAX_TENTHS))


def number_value(character: str) -> float | None:
    """The number a character stands for, in tenths precision, else None."""
    tenths = ord(character) - FIRST_NUMBER
    return tenths / 10 if 0 <= tenths <= MAX_TENTHS else None
