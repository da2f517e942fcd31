"""Reports to sections, and the sections that are read for labels.

`sections_to_label(text, policy)` is what most callers want. Policies:

- `default`: findings and impression (addenda and titled body text too); where a report has neither, its
  last paragraph or the whole body. Never indication, history, technique, comparison or recommendation.
- `official`: the one section behind the official MIMIC-CXR labels, bug for bug.
- `all`: every section.
"""

import re
from collections.abc import Sequence
from typing import Literal

from ltml_dataset.records import Section
from ltml_dataset.text.official_sections import choose_official_sections, find_official_sections, strip_section
from ltml_dataset.text.section_overrides import Overrides
from ltml_dataset.text.section_rules import SectionRules, shipped_rules, title_key
from ltml_dataset.text.sentences import split_sentences
from ltml_dataset.text.titles import Title, find_titles, is_small

Policy = Literal["default", "official", "all"]
POLICIES: tuple[Policy, ...] = ("default", "official", "all")

_BLANK_LINE = re.compile(r"\n[ \t]*\r?\n")
_WORD_CHARACTER = re.compile(r"[^\W_]")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_LONGEST_MISSING = 40


def find_sections(text: str, policy: Policy = "default", rules: SectionRules | None = None) -> list[Section]:
    """All sections of a report, in reading order, without the white space around them.

    Offsets count code points of `text`. Text before the first title is `preamble`; a report without any
    title is one section `body` (`full report` under `official`). Where the default rules find no findings,
    the paragraphs behind the first of the section before the impression are `body`, or `last_paragraph`
    where there is no impression either.

    Args:
        text: The report as it was read.
        policy: `official` uses the official parser; the others share the default parser.
        rules: Titles; those that ship with the package by default.
    """
    rules = rules or shipped_rules()
    if policy == "official":
        return find_official_sections(text, rules)
    return [strip_section(text, *span) for span in _default_spans(text, rules)]


def choose_sections(
    sections: Sequence[Section], policy: Policy = "default", rules: SectionRules | None = None
) -> list[Section]:
    """Sections to read for labels, in reading order; empty ones are left out.

    Args:
        sections: From `find_sections` with the same policy, or one section per column of a table.
        policy: See the module.
        rules: Titles; those that ship with the package by default.
    """
    rules = rules or shipped_rules()
    if policy == "official":
        return choose_official_sections(list(sections), rules)
    filled = [s for s in sections if s.end > s.start]
    if policy == "all":
        return filled
    chosen = [s for s in filled if rules.use(s.name) == "label"]
    return chosen or [s for s in filled if rules.use(s.name) == "preliminary"]


def sections_to_label(
    text: str,
    policy: Policy = "default",
    *,
    report_id: str | None = None,
    overrides: Overrides | None = None,
    rules: SectionRules | None = None,
) -> list[Section]:
    """The sections of one report that are read for labels; none of them is without words (`has_words`).

    Args:
        text: The report as it was read.
        policy: See the module.
        report_id: Study name such as `s12345678`, looked up in `overrides`.
        overrides: Per-study exceptions of the official labels (`load_overrides`); used by `official` only.
        rules: Titles; those that ship with the package by default.
    """
    rules = rules or shipped_rules()
    if policy == "official" and overrides and report_id is not None:
        span = overrides.ranges.get(report_id)
        if span is not None:
            section = Section("override", min(span[0], len(text)), min(span[1], len(text)))
            return [section] if section.end > section.start else []
        name = overrides.sections.get(report_id)
        if name is not None:
            return [s for s in find_official_sections(text, rules) if s.name == name and s.end > s.start][-1:]
    if policy == "default":  # the common case: make sections of what is read only
        spans = _default_spans(text, rules)
        for use in ("label", "preliminary"):
            found = [strip_section(text, *span) for span in spans if rules.use(span[0]) == use]
            filled = [s for s in found if has_words(text[s.start : s.end], rules)]
            if filled:
                return filled
        return []
    if not has_words(text, rules):
        return []
    return [
        s
        for s in choose_sections(find_sections(text, policy, rules), policy, rules)
        if has_words(text[s.start : s.end], rules)
    ]


def columns_to_label(
    columns: Sequence[str],
    values: Sequence[str | None],
    policy: Policy = "default",
    rules: SectionRules | None = None,
) -> list[tuple[int, Section]]:
    """The columns of a table row that are read for labels: each column is a section of its name.

    Args:
        columns: Column names; unknown names count as body text.
        values: Texts of one row; null, blank or `missing` words where there is none.
        policy: See the module.
        rules: Titles; those that ship with the package by default.

    Returns:
        Pairs of column position and section; offsets count within the column.
    """
    rules = rules or shipped_rules()
    sections = [
        strip_section(value, name, 0, len(value)) if value and has_words(value, rules) else Section(name, 0, 0)
        for name, value in zip(columns, values, strict=True)
    ]
    filled = [s for s in sections if s.end > s.start]
    chosen = choose_sections(filled, policy, rules)
    return [(columns.index(s.name), s) for s in chosen]


def has_words(text: str, rules: SectionRules | None = None) -> bool:
    """Whether a text says anything: not blank, not signs alone, not what stands for a missing text (`missing`).

    Example:
        >>> [has_words(text) for text in ("No edema.", "N/A", "___", "nan", " . ")]
        [True, False, False, False, False]
    """
    if _WORD_CHARACTER.search(text) is None:
        return False
    return len(text) > _LONGEST_MISSING or not (rules or shipped_rules()).is_missing(text)


def why_not_read(
    columns: Sequence[str],
    values: Sequence[str | None],
    policy: Policy = "default",
    rules: SectionRules | None = None,
) -> str:
    """Why nothing of a report is read: it has no text, or its text is in sections that are not read.

    Args:
        columns: Columns of text; one holds whole reports, several are sections of their name.
        values: Their texts.
        policy: See the module.
        rules: Titles; those that ship with the package by default.
    """
    rules = rules or shipped_rules()
    filled = [(name, value) for name, value in zip(columns, values, strict=True) if value and has_words(value, rules)]
    names: list[str] = []
    if len(columns) > 1:
        names = [rules.kind(name) for name, _ in filled]
    elif filled:
        text = filled[0][1]
        names = [s.name for s in find_sections(text, policy, rules) if has_words(text[s.start : s.end], rules)]
    if not names:
        return "has no text"
    return f"its text is in sections that are not read ({', '.join(sorted(set(names)))})"


_Span = tuple[str, int, int]
"""A section: name, start, end."""


def _default_spans(text: str, rules: SectionRules) -> list[_Span]:
    """Sections as (name, start, end) with the white space around them."""
    titles = find_titles(text, rules)
    if not titles:
        return [("body", 0, len(text))]
    spans: list[_Span] = [("preamble", 0, titles[0].start)] if titles[0].start else []
    is_read = has_title = False
    before = "preamble"  # the section that a line of a form interrupts
    last, form_lines = len(titles) - 1, rules.default.form_lines
    for i, title in enumerate(titles):
        start, content, kind = title.start, title.content, title.section
        end = titles[i + 1].start if i < last else len(text)
        if not title.is_known or title.is_part:  # its own words belong to the text
            content = start
            # a titled part of the section it stands in, or words in capitals that open no section
            if spans and (
                (is_read or (title.is_part and spans[-1][0] == "preamble"))
                or (not title.is_known and not _follows_blank_line(text, start))
            ):
                name, opened, _ = spans[-1]
                if name == form_lines:
                    spans.append(("preamble", start, end))
                else:
                    spans[-1] = (name, opened, end)
                continue
        if kind == form_lines:
            has_title = True
            _append_form_line(spans, text, title, end, before, rules)
            continue
        spans.append((kind, content, end))
        before = kind
        is_read = rules.use(kind) == "label"
        has_title = has_title or kind != "preamble"
    if not has_title:
        return [("body", start, end) for _, start, end in spans]
    return _with_last_resort(text, _with_untitled_body(text, spans, rules), rules)


def _append_form_line(spans: list[_Span], text: str, title: Title, end: int, before: str, rules: SectionRules) -> None:
    """A line of a form's head; what follows it goes on with what was read before, or is untitled text."""
    stop = _end_of_value(text, title, end, rules)
    spans.append((rules.default.form_lines, title.content, stop))
    if text[stop:end].strip():
        spans.append((before if rules.use(before) == "label" else "preamble", stop, end))


def _end_of_value(text: str, title: Title, end: int, rules: SectionRules) -> int:
    value = rules.values.get(title_key(text[title.start : title.content].rstrip(" \t:")))
    match = value.match(text, title.content, end) if value else None
    if match is not None:
        return match.end() + text.startswith((".", ",", ";"), match.end(), end)
    content = title.content
    if not text[content:end].partition("\n")[0].strip():  # the value stands on the next line
        newline = text.find("\n", content, end)
        content = newline + 1 if newline >= 0 else content
    newline = text.find("\n", content, end)
    if newline >= 0:
        return newline
    if "\n" in text:
        return end
    sentence = next(iter(split_sentences(text, content, end)), None)
    return sentence[1] if sentence else end


def _follows_blank_line(text: str, start: int) -> bool:
    line_start = text.rfind("\n", 0, start) + 1
    return not text[text.rfind("\n", 0, max(0, line_start - 1)) + 1 : line_start].strip()


def _with_untitled_body(text: str, spans: list[_Span], rules: SectionRules) -> list[_Span]:
    """Give the paragraphs that a missing FINDINGS title leaves in the section before a section of their own."""
    closing = rules.default.closing
    names = {name for name, start, end in spans if name in rules.default.main and text[start:end].strip()}
    if names - {closing}:
        return spans
    if closing in names:
        behind = next(i for i, (kind, a, b) in enumerate(spans) if kind == closing and text[a:b].strip())
        name = "body"
    elif any(kind not in rules.default.sections and text[a:b].strip() for kind, a, b in spans):
        return spans  # an unlisted title opened the main text
    else:
        behind, name = len(spans), "last_paragraph"
    before = next((i for i in reversed(range(behind)) if spans[i][0] not in rules.default.beside_main), -1)
    if before < 0:
        return spans
    kind, start, end = spans[before]
    first = start + len(text[start:end]) - len(text[start:end].lstrip())
    if kind == "preamble":
        opened = next(
            (i for i in reversed(range(before)) if spans[i][0] not in ("preamble", rules.default.form_lines)), -1
        )
        is_body = [opened < i < behind and each == "preamble" for i, (each, _, _) in enumerate(spans)]
        if name != "body" and not any(
            _says_something(text[a:b], rules) for i, (_, a, b) in enumerate(spans) if is_body[i]
        ):
            return spans
        return [("body" if is_body[i] else each, a, b) for i, (each, a, b) in enumerate(spans)]
    blank = _BLANK_LINE.search(text, first, end)
    begin = blank.end() if blank is not None else _where_text_begins(text, kind, first, end, rules)
    if begin is None or not text[begin:end].strip():
        return spans
    stop = blank.start() if blank is not None else begin
    return [*spans[:before], (kind, start, stop), (name, begin, end), *spans[before + 1 :]]


def _where_text_begins(text: str, kind: str, start: int, end: int, rules: SectionRules) -> int | None:
    """Where findings begin that no title and no blank line sets apart from the section before them."""
    begin = _first_telling_line(text, start, end, rules)
    if begin is not None:
        return begin
    known = rules.default.sections.get(kind)
    extent = known.extent if known else "rest"
    sentences = split_sentences(text, start, end)
    if len(sentences) < 2:
        return None
    if extent == "first" or (extent == "none" and _only_compares(text[slice(*sentences[0])], rules)):
        return sentences[0][1]
    if "\n" in text[start:end]:
        return None
    # line breaks were lost: sentences stand for lines
    return next(
        (a for a, b in sentences[1:] if (text[a].isupper() or is_small(text)) and _tells(text[a:b], rules)), None
    )


def _first_telling_line(text: str, start: int, end: int, rules: SectionRules) -> int | None:
    newline = text.find("\n", start, end)
    while newline >= 0:
        following = text.find("\n", newline + 1, end)
        line = text[newline + 1 : following if following >= 0 else end].lstrip()
        if (line[:1].isupper() or is_small(text)) and _tells(line, rules):
            return newline + 1
        newline = following
    return None


def _tells(words: str, rules: SectionRules) -> bool:
    return rules.telling.search(words.lower()) is not None


def _only_compares(sentence: str, rules: SectionRules) -> bool:
    default = rules.default
    return all(
        word in default.comparing or word in default.naming or not word.isalpha()
        for word in _WORD.findall(sentence.lower())
    )


def _with_last_resort(text: str, spans: list[_Span], rules: SectionRules) -> list[_Span]:
    """Where nothing would be read: sentences before all titles, and what follows an examination's first sentence."""
    if any(rules.use(name) != "never" and text[start:end].strip() for name, start, end in spans):
        return spans
    found: list[_Span] = []
    for name, start, end in spans:
        if name == "preamble" and _says_something(text[start:end], rules):
            found.append(("body", start, end))
            continue
        begin = _where_text_begins(text, name, start, end, rules) if name != rules.default.form_lines else None
        if begin is None:
            found.append((name, start, end))
        else:
            found += [(name, start, begin), ("body", begin, end)]
    return found


def _says_something(text: str, rules: SectionRules) -> bool:
    """Whether text before all titles holds a sentence, and not only a letterhead or the name of an examination."""
    default = rules.default
    for start, end in split_sentences(text):
        sentence = text[start:end]
        words = [word.lower() for word in _WORD.findall(sentence)]
        rest = [word for word in words if word not in default.naming and word not in default.comparing]
        if default.letterhead.isdisjoint(words) and (
            len(rest) > 2 or (rest and len(words) > 1 and sentence[-1] in ".!?")
        ):
            return True
    return False
