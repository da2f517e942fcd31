"""Sentences of a report section, as offsets."""

import re
from collections.abc import Iterable
from functools import cache

from ltml_lexicons.lexicon import load_lexicon

_MARK = re.compile(
    r"""
      [.!?](?<![.!?][.!?])[.!?]*+["')\]]*+\s+     # a stop and a blank: most sentences
    | [.](?=[A-Z][a-z])                           # perhaps a stop that lost its blank
    | \n(?![^\S\n]*[a-z])                         # a line end, unless the line is wrapped: perhaps a boundary
    """,
    re.VERBOSE,
)
"""Begins with a plain character class, which the regex engine finds fast; the rest is decided at each mark."""

MAX_SENTENCE = 1000
"""Characters; what is longer is no sentence and is cut at a blank, so that no text costs more than its length."""
_ITEM_NUMBER = re.compile(r"(?<=[a-z)])\s+(\d{1,2})$")
_ENTRY = re.compile(r"[^\S\n]*[A-Z][A-Za-z /-]{1,40}:(?=\s)")
"""An entry of a form at the start of a line ("Heart: enlarged"); the line before is complete."""
_LINE_START = re.compile(r"[^\S\n]*(?:(\n\s*)|((?:\d{1,2}[.)]|[-*\u2022])[^\S\n])|(\S+))?")


class Stops(frozenset[str]):
    """Words whose stop ends no sentence, in small letters and without it (`abbreviations.yaml`)."""

    longest: int
    """Characters of the longest, with a bracket before it."""

    def __init__(self, words: Iterable[str]) -> None:
        """The set of `words`."""
        self.longest = max(map(len, self), default=0) + 1


@cache
def shipped_stops() -> Stops:
    """Those of the lexicon that ships."""
    return Stops(load_lexicon().abbreviations.stops)


def split_sentences(
    text: str, start: int = 0, end: int | None = None, stops: Stops | None = None
) -> list[tuple[int, int]]:
    r"""Sentence offsets between `start` and `end`, without surrounding blanks.

    Hard line wraps do not end a sentence; a line that ends although the next word would have fitted does.
    Numbered lists, decimals, `___`, `XXXX`, common abbreviations and missing full stops are understood.

    Args:
        text: The report.
        start: First code point to look at.
        end: One past the last; the whole rest by default.
        stops: Abbreviations whose stop ends no sentence; those of the lexicon that ships by default.

    Returns:
        Pairs (start, end) into `text`, in order, never empty, never overlapping.

    Example:
        >>> text = "1. Small left\neffusion. 2. Tube at 2.5 cm, vs. prior"
        >>> [text[a:b] for a, b in split_sentences(text)]
        ['1. Small left\neffusion.', '2. Tube at 2.5 cm, vs. prior']
    """
    return [(first, first + len(sentence)) for first, sentence in sentences_of(text, start, end, stops)]


def sentences_of(
    text: str, start: int = 0, end: int | None = None, stops: Stops | None = None
) -> list[tuple[int, str]]:
    """Sentences as (offset, text); see `split_sentences`."""
    stops = shipped_stops() if stops is None else stops
    stop = len(text) if end is None else end
    sentences: list[tuple[int, str]] = []
    width = -1
    begin = start
    for match in _MARK.finditer(text, start, stop):
        left, right = match.span()
        if left < begin:  # inside a blank line that has been dealt with
            continue
        before = text[left - 1] if left > start else " "
        if text[left] == "\n":
            line = _LINE_START.match(text, right, stop)
            if line is None or line.lastindex is None:  # the last line end of the section
                continue
            if line.lastindex == 1:
                right = line.end()
            elif line.lastindex == 3:
                if width < 0:
                    width = max(map(len, text[start:stop].split("\n")))
                if not _is_cut_short(text, left, line[3], width) and not _ENTRY.match(text, right, stop):
                    continue
        elif text[left] == "?" and (left == begin or before in " \n:(/-?"):
            continue  # "? pneumonia": the mark belongs to what follows
        elif right - left == 1:
            if not (before.islower() or before == ")"):
                continue
        elif before.isdigit():
            if text[begin:left].strip().isdigit():  # "2. Tube": the number belongs to what follows
                continue
            number = _ITEM_NUMBER.search(text, max(begin, left - 40), left)
            if number is not None and right < stop and text[right].isupper():
                _append(sentences, text, begin, number.start())
                begin = number.start(1)
                continue
        elif _is_abbreviated(text[max(begin, left - stops.longest - 1) : left], stops):
            continue
        sentence = text[begin:right].rstrip()
        if sentence and len(sentence) <= MAX_SENTENCE and not sentence[0].isspace():
            sentences.append((begin, sentence))
        else:
            _append(sentences, text, begin, right)
        begin = right
    if begin < stop:
        _append(sentences, text, begin, stop)
    return sentences


def _is_abbreviated(tail: str, stops: Stops) -> bool:
    """Whether the last characters before a stop are an abbreviation."""
    word = tail[tail.rfind(" ") + 1 :]
    return len(word) <= stops.longest and word.lstrip("(").lower() in stops


def _append(sentences: list[tuple[int, str]], text: str, begin: int, end: int) -> None:
    piece = text[begin:end].rstrip()
    if piece:
        sentence = piece.lstrip()
        begin += len(piece) - len(sentence)
        while len(sentence) > MAX_SENTENCE:
            cut = sentence.rfind(" ", 1, MAX_SENTENCE)
            cut = cut if cut > 0 else MAX_SENTENCE
            sentences.append((begin, sentence[:cut].rstrip()))
            rest = sentence[cut:].lstrip()
            begin += len(sentence) - len(rest)
            sentence = rest
        sentences.append((begin, sentence))


def _is_cut_short(text: str, left: int, word: str, width: int) -> bool:
    """Whether the line ending at `left` stops early and something new begins with `word`."""
    if not word[0].isupper():
        return False
    line_start = text.rfind("\n", 0, left) + 1
    return left - line_start + 1 + len(word) <= width
