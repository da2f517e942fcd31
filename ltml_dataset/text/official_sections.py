"""The section parser behind the official MIMIC-CXR labels, bug for bug, with offsets.

The rules are those of `txt/section_parser.py` and `txt/create_section_files.py` of MIT-LCP/mimic-cxr
(MIT licence), written anew: what is a title, how titles are named, what the last paragraph is, and
which section is chosen. Known faults are kept, because the official labels carry them: a title on
the line right behind an empty title is missed, and `NDICATION:` is read as an impression.
"""

import re

from ltml_dataset.records import Section
from ltml_dataset.text.section_rules import SectionRules

_TITLE = re.compile(r"\n ([A-Z ()/,-]+):\s")
_BLANK_LINE = "\n \n"


def find_official_sections(text: str, rules: SectionRules) -> list[Section]:
    """Sections of one report by the official rules.

    Args:
        text: A report as its file holds it.
        rules: Names of titles.

    Returns:
        Sections in reading order, without surrounding white space; sections other than findings and
        impression may be empty, as upstream.
    """
    if "\r" in text:
        return _with_other_newlines(text, rules)
    spans: list[tuple[str, int, int]] = []
    title = _TITLE.search(text)
    if title is None:
        spans.append(("full report", 0, len(text)))
    else:
        spans.append(("preamble", 0, title.start(1)))
        while title is not None:
            start = title.end()
            newline = text.find("\n", start)
            following = _TITLE.search(text, newline if newline >= 0 else start)
            spans.append(
                (rules.official_name(title.group(1)), start, len(text) if following is None else following.start())
            )
            title = following
    spans = [span for span in spans if span[0] not in ("impression", "findings") or text[span[1] : span[2]].strip()]
    if not any(name in ("impression", "findings") for name, _, _ in spans):
        name, start, end = spans[-1]
        blank = text.find(_BLANK_LINE, start, end)
        if blank >= 0:
            spans[-1] = (name, start, blank)
            spans.append(("last_paragraph", blank + len(_BLANK_LINE), end))
    return [strip_section(text, name, start, end) for name, start, end in spans]


def choose_official_sections(sections: list[Section], rules: SectionRules) -> list[Section]:
    """The one section that the official labels read: the last impression, else findings, and so on; or none."""
    for wanted in rules.official.choose:
        for section in reversed(sections):
            if rules.official_name(section.name) == wanted:
                return [section] if section.end > section.start else []
    return []


def strip_section(text: str, name: str, start: int, end: int) -> Section:
    """A section without the white space around it."""
    part = text[start:end]
    left = len(part) - len(part.lstrip())
    return Section(name, start + left, start + max(left, len(part.rstrip())))


def _with_other_newlines(text: str, rules: SectionRules) -> list[Section]:
    """Upstream reads in text mode, where every kind of line end is one newline: do so, and map the offsets back."""
    places: list[int] = []
    characters: list[str] = []
    previous = ""
    for place, character in enumerate(text):
        if not (character == "\n" and previous == "\r"):
            places.append(place)
            characters.append("\n" if character == "\r" else character)
        previous = character
    places.append(len(text))
    found = find_official_sections("".join(characters), rules)
    return [
        Section(s.name, places[s.start], places[s.end - 1] + 1 if s.end > s.start else places[s.start]) for s in found
    ]
