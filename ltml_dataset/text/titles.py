"""Titles in the text of a report by the default rules: where they stand and what they open.

A title is believed by where it stands and how it is written: any listed title before a colon at the start of a line, a
cell or a sentence; main titles without a colon there too; main titles behind a word that lacks its full stop when
written with a capital letter. Words inside a sentence never are ("the above findings: ...").
"""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from ltml_dataset.text.section_rules import (
    BEHIND_WORD,
    NEW_LINE,
    SMALL,
    SURE,
    SectionRules,
    TitleRead,
    title_key,
)

LONGEST_TITLE = 60
_BEFORE_COLON = 120
"""Characters that are looked at before a colon; a title further from its line's start stands behind a sentence."""
_CACHE_LIMIT = 20_000
_USUAL_WIDTH = 60
"""Lines of a text whose longest line is shorter were not wrapped to a width."""

_BOUNDARY = re.compile(r"(?:(?P<weak>[)\]}>\"_*])|[.;?!|\t\r]|\\[nrt]|//)[\s*#_]*")
"""What a title may stand behind within a line; behind a weak one only with a capital letter."""
_BEHIND_COLON = re.compile(r"(?:[:\-\u2013\u2014*_]|[ \t]*</?\w+>)*")
_MARKS = (":", "-", "\u2013", "\u2014", "*", "_", "<", " <")
_LAST_WORD = re.compile(r"([^\W\d_]+)[^\w\n]*$")
_BEFORE_WORDS = " \t*#_>\u2022([\"'"
_AFTER_BARE = re.compile(
    r"""[*_\])"']*[^\S\n]*(?:
      (?P<end>\r?\n|$)
    | (?P<mark>[\t|=]|-+(?=\s)|[\u2013\u2014]+)
    | (?P<stop>[.](?=\s|$))
    | (?P<word>)
    )""",
    re.VERBOSE,
)
_NEXT_WORD = re.compile(r"[^\S\n]+([^\W\d_]+|\d|_)")
_CELL = re.compile(r"(?:^|(?<=[\t|\n]))[ *_]*([^\t|\n:]{2,60}?)[ *_]*[\t|]")


class Title(NamedTuple):
    """A title in a report."""

    start: int
    content: int
    """Start of the text behind it."""
    section: str
    is_part: bool
    """An organ heading: it belongs to the text it stands in."""
    is_known: bool
    """It is listed; else it is words in capitals before a colon."""


def find_titles(text: str, rules: SectionRules) -> list[Title]:
    """Titles in reading order; costs no more than the length of the text."""
    titles = _before_colons(text, rules)
    titles += _lines_of_their_own(text, rules)
    titles += _without_colon(text, titles, rules)
    if "\t" in text or "|" in text:
        titles += _cells(text, rules)
    if len(titles) < 2:
        return titles
    titles.sort()
    kept = titles[:1]
    for title in titles[1:]:
        if title.start >= kept[-1].content:
            kept.append(title)
    return kept


def _before_colons(text: str, rules: SectionRules) -> list[Title]:
    titles: list[Title] = []
    seen = rules.seen_titles
    colon = text.find if "\uff1a" not in text else text.replace("\uff1a", ":").find
    place = -1
    while (place := colon(":", place + 1)) >= 0:
        first = text.rfind("\n", max(0, place - _BEFORE_COLON), place) + 1
        at_line = first > 0 or place <= _BEFORE_COLON
        if not at_line:
            first = place - _BEFORE_COLON
        words = text[first:place]
        key = (words, at_line)
        if key in seen:
            read = seen[key]
        else:
            read = _read_title(words, rules, at_line=at_line)
            if len(seen) >= _CACHE_LIMIT:
                seen.clear()
            seen[key] = read
        if read is None:
            continue
        if read.when == NEW_LINE and _goes_on_from_line_before(text, first, rules):
            continue
        if read.when == BEHIND_WORD and not titles:
            continue
        if read.when == SMALL and not (titles and is_small(text)):
            continue
        content = place + 1
        if text.startswith(_MARKS, content):
            behind = _BEHIND_COLON.match(text, content)
            content = behind.end() if behind else content
        titles.append(Title(first + read.start, content, read.section, read.is_part, read.is_known))
    return titles


def _read_title(words: str, rules: SectionRules, *, at_line: bool) -> TitleRead | None:
    """The title that ends `words`, the text before a colon within its line."""
    tail = words.rstrip()
    if not tail or tail[-1] in "0123456789,;":
        return None
    starts = [(0, False)] if at_line else []
    starts += [(match.end(), match["weak"] is not None) for match in _BOUNDARY.finditer(tail)]
    aliases, default = rules.aliases, rules.default
    for start, is_weak in starts:
        name = tail[start:]
        if not name or len(name.strip()) > LONGEST_TITLE:
            continue
        key = title_key(name)
        is_part = key in default.parts or (at_line and start == 0 and key in default.items)
        if not is_part and key not in aliases:
            continue
        starts_small = name.lstrip(_BEFORE_WORDS + ".)0123456789")[:1].islower()
        is_first = at_line and start == 0
        if not is_first and key not in default.inline and (starts_small or (is_weak and not is_part)):
            continue
        offset = start + len(name) - len(name.lstrip(" \t"))
        when = NEW_LINE if starts_small and is_first else SURE
        return TitleRead(offset, default.part_of if is_part else aliases[key], is_part, True, when)
    unlisted = _unlisted(tail, rules) if at_line else None
    if unlisted is not None and ":" not in tail:
        return unlisted
    return _behind_word(tail, rules) or unlisted


def _behind_word(tail: str, rules: SectionRules) -> TitleRead | None:
    """A main title at the end of a line's text that no boundary stands before."""
    space = len(tail)
    found: TitleRead | None = None
    for _ in range(4):
        space = tail.rfind(" ", 0, space)
        if space < 0:
            break
        name = tail[space + 1 :]
        key = title_key(name)
        if key not in rules.default.inline:
            continue
        before = _LAST_WORD.search(tail, max(0, space - 40), space)
        if before is not None and before[1].lower() in rules.default.not_behind:
            continue
        letters = name.lstrip(_BEFORE_WORDS)
        if letters.isupper():
            when = SURE
        elif letters[:1].isupper():
            when = BEHIND_WORD
        elif tail[:space].rstrip()[-1:] != ",":
            when = SMALL
        else:
            continue
        found = TitleRead(space + 1, rules.aliases[key], False, True, when)
    return found


def _unlisted(tail: str, rules: SectionRules) -> TitleRead | None:
    """Words in capitals at the start of a line that no list knows."""
    words = tail.strip()
    if not words or len(words) > LONGEST_TITLE or not words.isupper() or words[-1] == ".":
        return None
    if sum(c.isalpha() for c in words) < 3 or any(c.isdigit() for c in words):
        return None
    kind = rules.kind(words)
    return TitleRead(len(tail) - len(tail.lstrip()), kind, False, kind in rules.default.sections, SURE)


def _goes_on_from_line_before(text: str, line_start: int, rules: SectionRules) -> bool:
    """Whether a line is the wrapped rest of a sentence of the line before it."""
    if line_start == 0:
        return False
    begin = text.rfind("\n", max(0, line_start - 400), line_start - 1) + 1
    before = text[begin : line_start - 1].strip()
    if not before or before[-1] in ".:;?!)]_*-=|":
        return False
    last = _LAST_WORD.search(before)
    if last is not None and last[1].lower() in rules.default.not_behind:
        return True
    end = text.find("\n", line_start)
    word = text[line_start : end if end >= 0 else len(text)].split(None, 1)
    return line_start - 1 - begin + 1 + len(word[0] if word else "") > max(_USUAL_WIDTH, _width(text))


@lru_cache(maxsize=1)
def is_small(text: str) -> bool:
    """Whether a text is in small letters throughout; asked many times of the text at hand."""
    return text == text.lower()


@lru_cache(maxsize=1)
def _width(text: str) -> int:
    """Longest line of the text at hand."""
    return max(map(len, text.split("\n")))


def _lines_of_their_own(text: str, rules: SectionRules) -> list[Title]:
    """Rules across the page, lines such as FINAL REPORT, and main titles in small letters."""
    titles: list[Title] = []
    for match in rules.own_lines.finditer(text):
        words = match["title"]
        if words is None:
            titles.append(Title(match.start(), match.end(), "preamble", False, True))
        elif not _goes_on_from_line_before(text, text.rfind("\n", 0, match.start("title")) + 1, rules):
            after = _AFTER_BARE.match(text, match.end())
            content = after.end() if after else match.end()
            titles.append(Title(match.start("title"), content, rules.aliases[title_key(words)], False, True))
    return titles


def _without_colon(text: str, known: list[Title], rules: SectionRules) -> list[Title]:
    """Main titles with a capital letter that no colon follows."""
    titles: list[Title] = []
    for match in rules.loud_titles.finditer(text):
        title = _bare_title(text, *match.span(), rules, is_report=bool(known or titles))
        if title is not None:
            titles.append(title)
    return titles


def _bare_title(text: str, start: int, end: int, rules: SectionRules, *, is_report: bool) -> Title | None:
    if start and (text[start - 1].isalnum() or text[start - 1] in "-'/&"):
        return None
    words = text[start:end]
    is_loud = words.isupper()
    following = _NEXT_WORD.match(text, end)
    word = following[1] if following else ""
    if word and not is_loud and (word[0].islower() or word.lower() in rules.default.goes_on):
        return None
    after = _AFTER_BARE.match(text, end)
    if after is None:
        return None
    key = title_key(words)
    section = rules.aliases[key]
    place = _place(text, start)
    if after["word"] is not None:
        if is_loud and place == "line" and key in rules.default.always:
            return Title(start, end, section, False, True)
        if not word or word.lower() in rules.default.goes_on:
            return None
        is_sentence = is_loud and word.isupper() and len(word) > 1  # words in capitals: it may go on
        if is_sentence and (place == "word" or rules.default.sections[section].use == "never"):
            return None
    elif place == "line" and not is_loud and _goes_on_from_line_before(text, text.rfind("\n", 0, start) + 1, rules):
        return None
    if place == "word" and not (is_loud and is_report and _may_stand_behind(text, start, rules)):
        return None
    if place == "line":
        start = text.rfind("\n", 0, start) + 1
    return Title(start, end if after["word"] is not None else after.end(), section, False, True)


def _place(text: str, start: int) -> Literal["line", "sentence", "word"]:
    """What a title without colon begins: a line, a sentence or cell, or neither."""
    place = start
    while place > 0 and text[place - 1] in _BEFORE_WORDS and start - place <= LONGEST_TITLE:
        if text[place - 1] == "\t":
            return "sentence"
        place -= 1
    if place == 0 or text[place - 1] == "\n":
        return "line"
    ends = text[place - 1] in ".;?!)]}|\r" or text[max(0, place - 2) : place] in ("\\n", "\\r", "\\t", "//")
    return "sentence" if ends else "word"


def _may_stand_behind(text: str, start: int, rules: SectionRules) -> bool:
    """Whether the word before a title in capitals can end what stands before it."""
    before = _LAST_WORD.search(text, max(0, start - 40), start)
    if before is None:
        return True
    return not (before[1].isupper() and len(before[1]) > 4) and before[1].lower() not in rules.default.not_behind


def _cells(text: str, rules: SectionRules) -> list[Title]:
    """Listed titles that fill a cell of a text with tabs or bars."""
    titles: list[Title] = []
    aliases = rules.aliases
    for match in _CELL.finditer(text):
        section = aliases.get(title_key(match[1]))
        if section is not None:
            titles.append(Title(match.start(1), match.end(), section, False, True))
    return titles
