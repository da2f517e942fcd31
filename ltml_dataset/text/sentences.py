"""Sentences of a report section, as offsets."""

import re

_BOUNDARY = re.compile(
    r"""
      (?P<stop>(?<![.!?])[.!?]++["')\]]*\s+)                   # a stop and a blank: most sentences
    | (?P<glued>(?<=[a-z)])[.](?=[A-Z][a-z]))       # a stop that lost its blank
    | (?P<blank>\n[^\S\n]*\n\s*)                    # a blank line
    | (?P<item>\n(?=[^\S\n]*(?:\d{1,2}[.)]|[-*\u2022])[^\S\n]))   # a list item on a new line
    | (?P<inline>(?<=[a-z)])\s+(?=\d{1,2}[.][^\S\n]+[A-Z]))       # a list item inside a line
    | (?P<wrap>\n)                                  # a line end: a boundary only where the line was cut short
    """,
    re.VERBOSE,
)

_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:dr|mr|mrs|ms|st|vs|approx|e\.g|i\.e|cf|fig|pt|resp|ca)$", re.IGNORECASE)
_FIRST_WORD = re.compile(r"[^\S\n]*(\S+)")
_MAX_ABBREVIATION = 8


def split_sentences(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    r"""Sentence offsets between `start` and `end`, without surrounding blanks.

    Hard line wraps do not end a sentence; a line that ends although the next word would have fitted does.
    Numbered lists, decimals, `___`, `XXXX`, common abbreviations and missing full stops are understood.

    Args:
        text: The report.
        start: First code point to look at.
        end: One past the last; the whole rest by default.

    Returns:
        Pairs (start, end) into `text`, in order, never empty, never overlapping.

    Example:
        >>> text = "1. Small left\neffusion. 2. Tube at 2.5 cm, vs. prior"
        >>> [text[a:b] for a, b in split_sentences(text)]
        ['1. Small left\neffusion.', '2. Tube at 2.5 cm, vs. prior']
    """
    stop = len(text) if end is None else end
    sentences: list[tuple[int, int]] = []
    width = -1
    begin = start
    for match in _BOUNDARY.finditer(text, start, stop):
        kind = match.lastgroup
        left, right = match.span()
        if kind == "stop":
            before = text[left - 1 : left]
            if before.isdigit():
                if text[begin:left].strip().isdigit():  # "2. Tube": the number belongs to what follows
                    continue
            elif _ABBREVIATION.search(text, max(begin, left - _MAX_ABBREVIATION), left):
                continue
        elif kind == "wrap":
            if width < 0:
                width = max(map(len, text[start:stop].split("\n")))
            if not _is_cut_short(text, left, right, stop, width):
                continue
        _append(sentences, text, begin, right)
        begin = right
    _append(sentences, text, begin, stop)
    return sentences


def _append(sentences: list[tuple[int, int]], text: str, begin: int, end: int) -> None:
    piece = text[begin:end]
    stripped = piece.strip()
    if stripped:
        first = begin + piece.index(stripped[0])
        sentences.append((first, first + len(stripped)))


def _is_cut_short(text: str, left: int, right: int, stop: int, width: int) -> bool:
    """Whether the line ending at `left` stops early and something new begins at `right`."""
    word = _FIRST_WORD.match(text, right, stop)
    if word is None or not word[1][0].isupper():
        return False
    line_start = text.rfind("\n", 0, left) + 1
    return left - line_start + 1 + len(word[1]) <= width
