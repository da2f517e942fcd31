"""HTML of one study: the report with every mention marked, the label panel, the viewer. Pure text to text, escaped."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from urllib.parse import quote

from ltml_dataset.review.events import State

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
    is_asked: bool = False
    """Whether the study was queued for this label, or readers differ on it."""
    is_touched: bool = False
    cue: str = ""
    """The cue that decided the machine's state."""

    @property
    def differs(self) -> bool:
        """Whether the readers shown here differ; negated and not mentioned are no difference."""
        return len({state or 0 for _, state in self.others}) > 1

    @property
    def matters(self) -> bool:
        """Whether the label must have been on screen before the study can be finished."""
        return self.is_asked or self.is_touched or self.differs or self.machine is not None or self.state in (1, -1)


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
        title = f"<h2>{escape(passage.title)}</h2>" if passage.title else ""
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
        deciding = [m for m in marks if m.cue_start is not None and m.cue_end is not None]
        deciding = [m for m in deciding if (m.cue_start or 0) <= start and end <= (m.cue_end or 0)]
        if deciding:
            piece = f'<u class="{_CLASS[_strongest(deciding)]}">{piece}</u>'  # type: ignore[index]
        covering = [mark for mark in marks if mark.start <= start and end <= mark.end]
        if covering:
            piece = _mark(piece, passage.text, covering, opened)
            opened |= {mark.number for mark in covering}
        if any(a <= start and end <= b for a, b in passage.headings):
            piece = f"<strong>{piece}</strong>"
        pieces.append(piece)
    return "".join(pieces)


def _strongest(marks: Sequence[Mark]) -> int:
    """Present before uncertain before absent."""
    return next((code for code in (1, -1, 0) if any(mark.state == code for mark in marks)), marks[0].state)


def _mark(piece: str, text: str, covering: Sequence[Mark], opened: set[int]) -> str:
    """One marked piece; only the first piece of a mention takes the keyboard focus."""
    told = "; ".join(f"{m.label}: {_WORD[m.state].lower()}" + (f" ({m.cue})" if m.cue else "") for m in covering)  # type: ignore[index]
    focus = ""
    if not opened.issuperset(mark.number for mark in covering):
        words = " ".join(text[covering[0].start : covering[0].end].split())
        focus = f' tabindex="0" role="button" aria-label="{escape(words)}, {escape(told)}"'
    numbers = " ".join(str(mark.number) for mark in covering)
    labels = escape(json.dumps([mark.label for mark in covering]))
    return (
        f'<mark class="{_CLASS[_strongest(covering)]}" data-marks="{numbers}" data-labels="{labels}"'  # type: ignore[index]
        f' title="{escape(told)}"{focus}>{piece}</mark>'
    )


_ORDER = {1: 0, -1: 1, 0: 2, None: 3}


def panel_html(rows: Sequence[LabelRow], *, is_open: bool = False) -> str:
    """The label panel: what matters on top, the rest folded under its group with a count.

    Args:
        rows: All labels.
        is_open: Whether the groups start unfolded.
    """
    top = sorted(
        (row for row in rows if row.matters), key=lambda row: (not (row.is_asked or row.differs), _ORDER[row.machine])
    )
    groups: dict[str, list[LabelRow]] = {name: [] for name in GROUPS}
    for row in rows:
        if not row.matters:
            groups.setdefault(row.group, []).append(row)
    parts = [
        f'<div id="top" role="group" aria-labelledby="top-title"><h2 id="top-title">To check: {len(top)}</h2>'
        f"{''.join(map(_row, top))}</div>"
    ]
    for group, members in groups.items():
        if members:
            parts.append(
                f'<details class="fold"{" open" if is_open else ""}>'
                f"<summary>{escape(group)}: {len(members)} not mentioned</summary>"
                f"{''.join(map(_row, members))}</details>"
            )
    return "".join(parts)


def _row(row: LabelRow) -> str:
    machine = _WORD[row.machine].lower()
    others = "".join(
        f'<span class="other {_CLASS[state]}" title="{escape(reader)}: {_WORD[state].lower()}">'
        f"{escape(reader[:1].upper())}\u2009{_SIGN[state]}</span>"
        for reader, state in row.others
    )
    said_by = "".join(f"; {reader}: {_WORD[state].lower()}" for reader, state in row.others)
    told = f"{row.name}, machine says {machine}"
    told += f" ({row.cue})" if row.cue else ""
    told += ", in question" if row.is_asked else ""
    classes = ["label", *(name for name, on in (("differs", row.differs), ("asked", row.is_asked)) if on)]
    buttons = "".join(
        f'<button type="button" role="radio" class="{name}" data-state="{name}" tabindex="-1"'
        f' aria-checked="{"true" if row.state == code else "false"}" aria-label="{word}" title="{word} ({key})">'
        f"{key.upper()}</button>"
        for code, name, key, word in STATES
    )
    return (
        f'<div class="{" ".join(classes)}" role="radiogroup"'
        f' data-label="{escape(row.name)}" data-machine="{_CLASS[row.machine]}"'
        f' aria-label="{escape(told + said_by)}">'
        f'<span class="machine {_CLASS[row.machine]}" title="Machine: {machine}">{_SIGN[row.machine]}</span>'
        f'<span class="name">{escape(row.name)}</span>'
        f'<span class="cue {_CLASS[row.machine]}">{escape(row.cue)}</span><span class="others">{others}</span>'
        f'<span class="states">{buttons}</span></div>'
    )


_SIGN: dict[State, str] = {1: "+", 0: "\u2212", -1: "?", None: "\u00b7"}
"""A sign beside the colour: nobody has to tell green from amber."""


def images_html(study: str, views: Sequence[str]) -> str:
    """The viewer: the first image, and one button a view. The script does the rest.

    Args:
        study: The study, part of the images' addresses.
        views: View of each image, as the data set names it.
    """
    if not views:
        return ""
    names = [view or f"image {place + 1}" for place, view in enumerate(views)]
    buttons = "".join(
        f'<button type="button" data-view="{place}" aria-pressed="{"true" if place == 0 else "false"}">'
        f"{escape(name)}</button>"
        for place, name in enumerate(names)
    )
    sources = escape(json.dumps([image_address(study, place) for place in range(len(views))]))
    return (
        f'<div class="viewer" data-sources="{sources}" data-names="{escape(json.dumps(names))}" tabindex="0"'
        ' role="group" aria-label="Chest radiograph: + and - zoom, arrows move, i inverts">'
        f'<img src="{escape(image_address(study, 0))}" alt="Chest radiograph, {escape(names[0])}" draggable="false">'
        "</div>"
        f'<div class="viewer-bar"><span class="views" role="group" aria-label="Views">{buttons}</span>'
        '<label>Level <input type="range" data-adjust="level" min="0" max="255" value="128"></label>'
        '<label>Window <input type="range" data-adjust="window" min="10" max="510" value="255"></label>'
        '<span role="group" aria-label="Zoom">'
        '<button type="button" data-adjust="out" aria-label="Zoom out">\u2212</button>'
        '<button type="button" data-adjust="in" aria-label="Zoom in">+</button></span>'
        '<button type="button" data-adjust="invert" aria-pressed="false">Invert</button>'
        '<button type="button" data-adjust="reset">Reset</button></div>'
    )


def image_address(study: str, place: int) -> str:
    """Where the server has an image of a study; any character of an id is safe in it."""
    return f"/image?study={quote(study, safe='')}&index={place}"
