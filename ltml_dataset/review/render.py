"""HTML of one study: the report with every mention marked, and the label panel. Pure text to text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from ltml_dataset.review.decisions import State

STATES: tuple[tuple[State, str, str, str], ...] = (
    (1, "present", "p", "Present"),
    (0, "absent", "a", "Absent"),
    (-1, "uncertain", "u", "Uncertain"),
    (None, "unmentioned", "x", "Not mentioned"),
)
"""Code, CSS class, key, and word of every state, in the order of the buttons."""

GROUPS = ("head", "medium", "tail")
"""Groups that come first, in this order."""

_CLASS = {code: name for code, name, _, _ in STATES}
_WORD = {code: word for code, _, _, word in STATES}


@dataclass(frozen=True, slots=True)
class Mark:
    """One mention to show: offsets into the passage's text, and where the cue stands (or None)."""

    number: int
    label: str
    state: int
    start: int
    end: int
    phrase: str
    rule: str
    cue: str | None = None
    cue_start: int | None = None
    cue_end: int | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that mentions point into: the whole report, or one column of a table."""

    title: str | None
    text: str
    headings: tuple[tuple[int, int], ...] = ()
    """Offsets of section titles inside the text."""


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label of the panel."""

    name: str
    group: str
    machine: State
    state: State
    others: tuple[tuple[str, State], ...] = ()
    """Readers' states, shown to an adjudicator."""


def report_html(passages: Sequence[Passage], marks: Mapping[int, Sequence[Mark]]) -> str:
    """The report as HTML: mentions in `<mark>`, cues in `<u>`, section titles in `<strong>`, line breaks kept.

    Args:
        passages: Texts in reading order.
        marks: Mentions of each passage, by its position.

    Returns:
        Markup in which the text between the tags is the report, escaped, character for character.
    """
    parts = []
    for position, passage in enumerate(passages):
        title = f"<h3>{escape(passage.title)}</h3>" if passage.title else ""
        parts.append(f'{title}<div class="passage">{_marked(passage, marks.get(position, ()))}</div>')
    return "".join(parts)


def _marked(passage: Passage, marks: Sequence[Mark]) -> str:
    """Cut the text at every boundary; each piece is wrapped in what covers it."""
    cues = [(m.cue_start, m.cue_end) for m in marks if m.cue_start is not None and m.cue_end is not None]
    bounds = {0, len(passage.text)}
    for start, end in [(m.start, m.end) for m in marks] + cues + list(passage.headings):
        bounds |= {start, end}
    cuts = sorted(bound for bound in bounds if 0 <= bound <= len(passage.text))
    pieces: list[str] = []
    opened: set[int] = set()
    for start, end in pairwise(cuts):
        piece = escape(passage.text[start:end])
        if any(a <= start and end <= b for a, b in cues):
            piece = f"<u>{piece}</u>"
        covering = [mark for mark in marks if mark.start <= start and end <= mark.end]
        if covering:
            piece = _mark(piece, covering, is_first=not opened.issuperset(mark.number for mark in covering))
            opened |= {mark.number for mark in covering}
        if any(a <= start and end <= b for a, b in passage.headings):
            piece = f"<strong>{piece}</strong>"
        pieces.append(piece)
    return "".join(pieces)


def _mark(piece: str, covering: Sequence[Mark], *, is_first: bool) -> str:
    """One marked piece; only the first piece of a mention takes the keyboard focus."""
    strongest = next((m for code in (1, -1, 0) for m in covering if m.state == code), covering[0])
    told = "; ".join(f"{m.label}: {_WORD[m.state].lower()}" + (f" ({m.cue})" if m.cue else "") for m in covering)  # type: ignore[index]
    focus = ' tabindex="0" role="button"' if is_first else ""
    numbers = " ".join(str(mark.number) for mark in covering)
    return (
        f'<mark class="{_CLASS[strongest.state]}" data-marks="{numbers}"'  # type: ignore[index]
        f' title="{escape(told)}" aria-label="{escape(told)}"{focus}>{piece}</mark>'
    )


def panel_html(rows: Sequence[LabelRow]) -> str:
    """The label panel: head, medium, tail, then the rest; a radio group of four states for every label."""
    groups: dict[str, list[LabelRow]] = {name: [] for name in GROUPS}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return "".join(
        f'<section aria-label="{escape(group)} labels"><h3>{escape(group)}</h3>{"".join(map(_row, members))}</section>'
        for group, members in groups.items()
        if members
    )


def _row(row: LabelRow) -> str:
    machine = _WORD[row.machine].lower()
    others = "".join(
        f'<span class="other {_CLASS[state]}" title="{escape(reader)}: {_WORD[state].lower()}">'
        f"{escape(reader[:1].upper())}</span>"
        for reader, state in row.others
    )
    differs = len({state or 0 for _, state in row.others}) > 1
    buttons = "".join(
        f'<button type="button" role="radio" class="{name}" data-state="{name}" tabindex="-1"'
        f' aria-checked="{"true" if row.state == code else "false"}" aria-label="{word}" title="{word} ({key})">'
        f"{key.upper()}</button>"
        for code, name, key, word in STATES
    )
    return (
        f'<div class="label{" differs" if differs else ""}" role="radiogroup" tabindex="-1"'
        f' data-label="{escape(row.name)}" data-machine="{_CLASS[row.machine]}"'
        f' aria-label="{escape(row.name)}, machine says {machine}">'
        f'<span class="machine {_CLASS[row.machine]}" title="Machine: {machine}"></span>'
        f'<span class="name">{escape(row.name)}</span><span class="others">{others}</span>'
        f'<span class="states">{buttons}</span></div>'
    )
