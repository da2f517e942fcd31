"""Section titles as the lexicon has them: what a title means, and whether its text is read for labels."""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from ltml_lexicons.lexicon import load_lexicon
from ltml_lexicons.sections import DefaultRules, OfficialRules, Use

_AROUND = re.compile(r"^(?:[\s*#_>\u2022\[({\"'~=+-]|</?\w+>|\d{1,2}[.)](?=\s))+|(?:[\s*_\])}\"'~=+-]|</?\w+>)+$")
_SLASH = re.compile(r"\s*/\s*")

_KEPT = 20_000
"""Answers kept."""
_NOTHING = r"(?!)"

SURE, NEW_LINE, SMALL, BEHIND_WORD = 0, 1, 2, 3
"""When a title before a colon counts: always; where its line goes on with no sentence of the line before; where the
whole text is in small letters; where the text begins with a title."""


class TitleRead(NamedTuple):
    """What stands before a colon: its offset, section, whether it is a part, is listed, and when it counts."""

    start: int
    section: str
    is_part: bool
    is_known: bool
    when: int


class SectionRules:
    """The rules of a lexicon, ready to be asked: patterns are compiled once, answers are kept."""

    def __init__(self, default: DefaultRules, official: OfficialRules) -> None:
        """Rules of both files of `sections/`."""
        self.default = default
        self.official = official
        self.aliases = default.aliases()
        """Title of the default rules in lower case -> section."""
        self.official_titles = any_of(official.titles)
        self.telling = re.compile(rf"\b(?:{'|'.join(map(re.escape, default.telling)) or _NOTHING})\b")
        self.loud_titles = _loud_titles(default)
        self.own_lines = _own_lines(default)
        self.values = {
            name: re.compile(rf"[\s*_:-]*(?:{pattern})", re.IGNORECASE) for name, pattern in default.values.items()
        }
        self.seen_titles: dict[tuple[str, bool], TitleRead | None] = {}
        """What was read before colons met earlier; `titles.py` bounds it."""
        self._titles = any_of(default.titles)
        self.kind = lru_cache(_KEPT)(self._kind)
        """Section that the default rules see behind a title or a column name, the name itself if unknown."""
        self.use = lru_cache(_KEPT)(self._use)
        """Whether text of a section is read for labels; unknown names are body text, so they are."""
        self.official_name = lru_cache(_KEPT)(self._official_name)
        """Section that the official rules see behind a title."""

    def is_missing(self, text: str) -> bool:
        """Whether a short text only stands where a text is missing (`missing`), such as "N/A"."""
        missing = self.default.missing
        return title_key(text) in missing or " ".join(text.lower().split()) in missing

    def _use(self, name: str) -> Use:
        known = self.default.sections.get(self.kind(name))
        return known.use if known else "label"

    def _official_name(self, title: str) -> str:
        rules = self.official
        title = title.lower().strip()
        if title in rules.aliases:
            return rules.aliases[title]
        for word in rules.contains:
            if word in title:
                return word
        return "findings" if self.official_titles.search(title) else title

    def _kind(self, name: str) -> str:
        rules = self.default
        title = " ".join(name.lower().split())
        for form in (title, title.replace("_", " "), title_key(title)):
            if form in rules.sections:
                return form
            if form in self.aliases:
                return self.aliases[form]
            if form in rules.parts or form in rules.items:
                return rules.part_of
        spaced = title.replace("_", " ")
        for word in rules.contains:
            if word in spaced:
                return rules.kinds.get(word, word)
        return rules.part_of if self._titles.search(spaced) else title


@cache
def shipped_rules() -> SectionRules:
    """The rules that ship with the package, read once."""
    return rules_of(None)


def rules_of(folder: Path | None) -> SectionRules:
    """The rules of the lexicon with a user's folder laid over it.

    Raises:
        LexiconError: The folder breaks a rule.
    """
    lexicon = load_lexicon(folder=folder)
    return SectionRules(lexicon.default_sections, lexicon.official_sections)


def title_key(words: str) -> str:
    """A title as `headers` lists it.

    Example:
        >>> title_key("**Findings & Impression** ")
        'findings and impression'
    """
    plain = _AROUND.sub("", words.lower())
    if "(" in plain and ")" not in plain:  # the bracket of "recommendation(s)" is its own
        plain += ")"
    plain = _SLASH.sub("/", " ".join(plain.replace("&", " and ").split()))
    return plain.removesuffix(".").rstrip()


def any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern that finds any of the words anywhere; nothing where there are none."""
    return re.compile("|".join(map(re.escape, words)) or _NOTHING)


class AtLines:
    """A pattern at the start of the text and of every line, where it begins with the newline: that is found fast."""

    def __init__(self, pattern: str) -> None:
        """Compile `pattern`, which stands at the start of a line."""
        self._first = re.compile(pattern)
        self._other = re.compile(r"\n" + pattern)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Matches in reading order."""
        first = self._first.match(text)
        if first is not None:
            yield first
        yield from self._other.finditer(text)


def _own_lines(rules: DefaultRules) -> AtLines:
    """Rules across the page, lines such as FINAL REPORT, and main titles in small letters."""
    heads = "|".join(_spaced(form) for head in rules.heads for form in (head.upper(), head.title())) or _NOTHING
    titles = "|".join(map(_spaced, sorted(rules.bare, key=len, reverse=True))) or _NOTHING
    return AtLines(
        rf"[ \t*#]*(?:_{{10,}}|-{{10,}}|={{10,}}|(?:{heads})\b(?!:)"
        rf"|(?P<title>{titles})(?=[ \t*]*(?:\r?\n|$|-\s|[\u2013\u2014=|])))"
    )


def _loud_titles(rules: DefaultRules) -> re.Pattern[str]:
    """Titles of `bare` with a capital letter and no colon; the regex engine finds their first letters fast."""
    forms = [
        form
        for title in sorted(rules.bare, key=len, reverse=True)
        for form in dict.fromkeys((title.upper(), title.title(), title.capitalize()))
    ]
    found = "|".join(map(_spaced, forms)) or _NOTHING
    return re.compile(rf"(?:{found})(?![\w'&/]|-\w|[*_\])\"'\s]*[:\uff1a])")


def _spaced(title: str) -> str:
    return re.escape(title).replace(r"\ ", r"[ \t]+")
