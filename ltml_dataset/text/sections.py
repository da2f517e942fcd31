"""Reports to sections, and the sections that are read for labels.

`sections_to_label(text, policy)` is what most callers want. Policies:

- `default`: findings and impression (addenda and titled body text too); where a report has neither, its
  last paragraph or the whole body. Never indication, history, technique, comparison or recommendation.
- `official`: the one section behind the official MIMIC-CXR labels, bug for bug.
- `all`: every section.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Literal

from ltml_dataset.records import Section
from ltml_dataset.text.official_sections import choose_official_sections, find_official_sections, strip_section
from ltml_dataset.text.section_overrides import Overrides
from ltml_dataset.text.section_rules import Use, any_of, default_rules

Policy = Literal["default", "official", "all"]
POLICIES: tuple[Policy, ...] = ("default", "official", "all")

_BARE = (
    r"[ \t]*(?:(?P<rule>_{10,}|-{10,}|={10,})|(?P<final>FINAL REPORT|FINAL ADDENDUM)"
    r"|(?P<title>ADDENDUM|WET READ|(?:FINDINGS|IMPRESSIONS?|CONCLUSIONS?|INDICATION|TECHNIQUE|COMPARISON|HISTORY"
    r"|CLINICAL HISTORY|EXAMINATION)(?=[ \t]*(?:\r?\n|$)))\b(?!:))"
)
_BARE_FIRST_TITLE = re.compile(_BARE)
_BARE_TITLE = re.compile(r"\n" + _BARE)
_BLANK_LINE = re.compile(r"\n[ \t]*\r?\n")
_LAST_CAPITALS = re.compile(r"(?:^|(?<=[\s.;:,!?)\]_]))[A-Z][A-Z ()/&-]*$")
_LONGEST_TITLE = 60
_LONGEST_LINE = 400
_CACHE_LIMIT = 20_000
_MAIN_TEXT = ("findings", "body", "impression")
_NEXT_TO_MAIN_TEXT = ("recommendations", "notification", "addendum", "comment", "wet read", "impression", "findings")


def find_sections(text: str, policy: Policy = "default") -> list[Section]:
    """All sections of a report, in reading order, without the white space around them.

    Offsets count code points of `text`. Text before the first title is `preamble`; a report without any
    title is one section `body` (`full report` under `official`). Where the default rules find no findings,
    the paragraphs behind the first of the section before the impression are `body`, or `last_paragraph`
    where there is no impression either.

    Args:
        text: The report as it was read.
        policy: `official` uses the official parser; the others share the default parser.
    """
    if policy == "official":
        return find_official_sections(text)
    return [strip_section(text, *span) for span in _default_spans(text)]


def choose_sections(sections: Sequence[Section], policy: Policy = "default") -> list[Section]:
    """Sections to read for labels, in reading order; empty ones are left out.

    Args:
        sections: From `find_sections` with the same policy, or one section per column of a table.
        policy: See the module.
    """
    if policy == "official":
        return choose_official_sections(list(sections))
    filled = [s for s in sections if s.end > s.start]
    if policy == "all":
        return filled
    chosen = [s for s in filled if section_use(s.name) == "label"]
    return chosen or [s for s in filled if section_use(s.name) == "preliminary"]


def sections_to_label(
    text: str, policy: Policy = "default", *, report_id: str | None = None, overrides: Overrides | None = None
) -> list[Section]:
    """The sections of one report that are read for labels.

    Args:
        text: The report as it was read.
        policy: See the module.
        report_id: Study name such as `s12345678`, looked up in `overrides`.
        overrides: Per-study exceptions of the official labels (`load_overrides`); used by `official` only.
    """
    if policy == "official" and overrides and report_id is not None:
        span = overrides.ranges.get(report_id)
        if span is not None:
            section = Section("override", min(span[0], len(text)), min(span[1], len(text)))
            return [section] if section.end > section.start else []
        name = overrides.sections.get(report_id)
        if name is not None:
            return [s for s in find_official_sections(text) if s.name == name and s.end > s.start][-1:]
    if policy == "default":  # the common case: make sections of what is read only
        spans = _default_spans(text)
        for use in ("label", "preliminary"):
            found = [strip_section(text, *span) for span in spans if section_use(span[0]) == use]
            filled = [s for s in found if s.end > s.start]
            if filled:
                return filled
        return []
    return choose_sections(find_sections(text, policy), policy)


def columns_to_label(
    columns: Sequence[str], values: Sequence[str | None], policy: Policy = "default"
) -> list[tuple[int, Section]]:
    """The columns of a table row that are read for labels: each column is a section of its name.

    Args:
        columns: Column names; unknown names count as body text.
        values: Texts of one row, null or empty where missing.
        policy: See the module.

    Returns:
        Pairs of column position and section; offsets count within the column.
    """
    sections = [
        strip_section(value, name, 0, len(value)) if value else Section(name, 0, 0)
        for name, value in zip(columns, values, strict=True)
    ]
    filled = [s for s in sections if s.end > s.start]
    chosen = choose_sections(filled, policy)
    return [(columns.index(s.name), s) for s in chosen]


@cache
def section_use(name: str) -> Use:
    """Whether text of a section is read for labels; unknown names are body text, so they are."""
    kind = section_kind(name)
    known = default_rules().sections.get(kind)
    return known.use if known else "label"


@cache
def section_kind(name: str) -> str:
    """Section that the default rules see behind a title or a column name, the name itself if unknown."""
    rules = default_rules()
    title = " ".join(name.lower().split())
    for form in (title, title.replace("_", " ")):
        if form in rules.sections:
            return form
        if form in _aliases():
            return _aliases()[form]
        if form in rules.parts:
            return "findings"
    spaced = title.replace("_", " ")
    for word in rules.contains:
        if word in spaced:
            return "recommendations" if word == "recommendation" else word
    return "findings" if _title_words().search(spaced) else title


@cache
def _aliases() -> dict[str, str]:
    return default_rules().aliases()


@cache
def _title_words() -> re.Pattern[str]:
    return any_of(default_rules().titles)


# What stands before a colon, to (offset of the title in it, section, is a part of findings, is a known title).
_Title = tuple[int, str, bool, bool] | None
_seen: dict[str, _Title] = {}

_Mark = tuple[int, int, str, bool, bool]
"""A title: its start, start of the text behind, section, is a part of findings, is a known title."""

_Span = tuple[str, int, int]
"""A section: name, start, end."""


def _read_title(line: str) -> _Title:
    """The title that ends `line`, a line's text up to a colon; None if it holds none."""
    title = _read_new_title(line) if line and line[-1] not in "0123456789.,;" else None
    if len(line) <= _LONGEST_TITLE:
        if len(_seen) >= _CACHE_LIMIT:
            _seen.clear()
        _seen[line] = title
    return title


def _read_new_title(line: str) -> _Title:
    words = line.strip()
    start = len(line) - len(line.lstrip())
    if words and words[0].isupper() and len(words) <= _LONGEST_TITLE:
        name = " ".join(words.lower().split())
        if name in _aliases():
            return start, _aliases()[name], False, True
        if name in default_rules().parts:
            return start, "findings", True, True
        letters = sum(c.isalpha() for c in words)
        if words.isupper() and letters >= 3 and not any(c.isdigit() for c in words) and words[-1] not in ".,":
            inline = _inline_title(line)
            if inline is not None and inline[0] > start and ":" in line:
                return inline
            kind = section_kind(name)
            return start, kind, False, kind in default_rules().sections
    return _inline_title(line)


def _inline_title(line: str) -> _Title:
    found = _LAST_CAPITALS.search(line)
    if found is None:
        return None
    words = found.group().rstrip()
    inline = default_rules().inline
    place = found.start()
    while words:
        name = " ".join(words.lower().split())
        if name in inline:
            return place, _aliases()[name], False, True
        space = words.find(" ")
        if space < 0:
            return None
        rest = words[space:].lstrip()
        place += len(words) - len(rest)
        words = rest
    return None


def _default_spans(text: str) -> list[_Span]:
    """Sections as (name, start, end) with the white space around them."""
    marks = _find_titles(text)
    if not marks:
        return [("body", 0, len(text))]
    spans: list[_Span] = [("preamble", 0, marks[0][0])] if marks[0][0] else []
    is_read = has_title = False
    last = len(marks) - 1
    for i, (start, content, kind, is_part, is_known) in enumerate(marks):
        end = marks[i + 1][0] if i < last else len(text)
        # a titled part of the section it stands in, or words in capitals that open no section
        if spans and (
            ((is_part or not is_known) and is_read) or (not is_known and not _follows_blank_line(text, start))
        ):
            name, opened, _ = spans[-1]
            spans[-1] = (name, opened, end)
            continue
        spans.append((kind, content, end))
        is_read = section_use(kind) == "label"
        has_title = has_title or kind != "preamble"
    if not has_title:
        return [("body", start, end) for _, start, end in spans]
    return _with_untitled_body(text, spans)


def _find_titles(text: str) -> list[_Mark]:
    """Titles in reading order."""
    marks: list[_Mark] = []
    seen = _seen
    place = text.find(":")
    while place >= 0:
        line_start = text.rfind("\n", 0, place) + 1
        if place - line_start > _LONGEST_LINE:
            line_start = place - _LONGEST_TITLE
        line = text[line_start:place]
        title = seen[line] if line in seen else _read_title(line)
        if title is not None:
            marks.append((line_start + title[0], place + 1, title[1], title[2], title[3]))
        place = text.find(":", place + 1)
    bare = [
        (m.start(), m.end(), _aliases()[m["title"].lower()] if m["title"] else "preamble", False, True)
        for m in (_BARE_FIRST_TITLE.match(text), *_BARE_TITLE.finditer(text))
        if m
    ]
    return sorted([*marks, *bare]) if bare else marks


def _follows_blank_line(text: str, start: int) -> bool:
    line_start = text.rfind("\n", 0, start) + 1
    return not text[text.rfind("\n", 0, max(0, line_start - 1)) + 1 : line_start].strip()


def _with_untitled_body(text: str, spans: list[_Span]) -> list[_Span]:
    """Give the paragraphs that a missing FINDINGS title leaves in the section before a section of their own."""
    names = {name for name, start, end in spans if name in _MAIN_TEXT and text[start:end].strip()}
    if "findings" in names or "body" in names:
        return spans
    if "impression" in names:
        behind = next(i for i, (kind, a, b) in enumerate(spans) if kind == "impression" and text[a:b].strip())
        name = "body"
    elif any(kind not in default_rules().sections and text[a:b].strip() for kind, a, b in spans):
        return spans  # an unlisted title opened the main text
    else:
        behind, name = len(spans), "last_paragraph"
    before = next((i for i in reversed(range(behind)) if spans[i][0] not in _NEXT_TO_MAIN_TEXT), -1)
    if before < 0:
        return spans
    kind, start, end = spans[before]
    first = start + len(text[start:end]) - len(text[start:end].lstrip())
    if kind == "preamble":
        return [*spans[:before], ("body", start, end), *spans[before + 1 :]]
    blank = _BLANK_LINE.search(text, first, end)
    if blank is None or not text[blank.end() : end].strip():
        return spans
    return [*spans[:before], (kind, start, blank.start()), (name, blank.end(), end), *spans[before + 1 :]]
