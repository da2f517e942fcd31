"""One line of the file of decisions: what it says, how it is written, how it is read back.

The file may come back from another machine, be joined from two with `cat`, or end in a line that a crash tore. Lines
end at `\\n` alone: a note may hold any character that Unicode calls a line break. What is not ours is counted and left
where it is.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

State = Literal[1, 0, -1] | None
"""1 present, 0 absent, -1 uncertain, None not mentioned: the codes of the label file."""

Kind = Literal["label", "note", "done", "skip", "flag", "mark", "undo"]
Role = Literal["first", "second", "adjudicator"]

ROLES: tuple[Role, ...] = ("first", "second", "adjudicator")

_KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the file.

    `label` events set one label to `state`, and say in `source` which study's decision was repeated where it was
    applied to the same sentence elsewhere; `note` events replace the note; `done` closes the study and records the
    machine's states, the labels that were `asked` and `seen`, whether the `whole` report was confirmed, and whether
    it was closed faster than it can be read (`hasty`); `flag` marks a phrase as wrongly matched or asserted; `mark`
    sets or takes away a bookmark; `undo` takes back the event named by `target`.
    """

    id: str
    kind: Kind
    study: str
    reader: str
    role: Role
    time: str
    seconds: float
    lexicon: str
    tool: str
    label: str | None = None
    state: State = None
    source: str | None = None
    machine: Mapping[str, int] | None = None
    asked: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    whole: bool = False
    hasty: bool = False
    note: str | None = None
    flag: Mapping[str, Any] | None = None
    on: bool = False
    target: str | None = None

    def line(self) -> str:
        """The event as one line of ASCII JSON, without keys that do not apply to its kind."""
        wanted = (*_COMMON, *_KEYS[self.kind])
        # ASCII: whatever a note holds, half of a surrogate pair included, can be written and read again.
        return json.dumps({key: getattr(self, key) for key in wanted}, separators=(",", ":"))


_COMMON = ("id", "kind", "study", "reader", "role", "time", "seconds", "lexicon", "tool")
_KEYS: dict[str, tuple[str, ...]] = {
    "label": ("label", "state", "source"),
    "note": ("note",),
    "done": ("machine", "asked", "seen", "whole", "hasty"),
    "skip": (),
    "flag": ("flag",),
    "mark": ("on",),
    "undo": ("target",),
}


def parse_lines(data: bytes) -> tuple[list[Event], int]:
    """Events of a file's bytes in order, and how many lines are not ours.

    Args:
        data: Whole lines; blank ones count for nothing.
    """
    events, n_foreign = [], 0
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        found = [event for values in _values(line) if (event := _event(values)) is not None]
        events += found
        n_foreign += not found
    return events, n_foreign


def _values(line: bytes) -> list[object]:
    """What a line says: one JSON value, or several where `cat` joined files whose last line had no end."""
    try:
        return [json.loads(line)]
    except (ValueError, RecursionError):
        pass
    values = []
    text = line.decode("utf-8", "replace")
    start = text.find('{"id"')
    while start >= 0:
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1  # torn: the next one may be whole
        else:
            values.append(value)
        start = text.find('{"id"', end)
    return values


_DECODER = json.JSONDecoder()


def _event(values: object) -> Event | None:
    """The event of a JSON value; None where what makes it a decision is missing or of another kind."""
    if not isinstance(values, dict):
        return None
    kind, role = values.get("kind"), values.get("role")
    named = [values.get(key) for key in ("id", "study", "reader")]
    if kind not in _KINDS or role not in ROLES or not all(map(_is_name, named)):
        return None
    needed = {"label": "label", "flag": "flag", "undo": "target", "note": "note"}.get(kind)
    if needed is not None and not isinstance(values.get(needed), dict if kind == "flag" else str):
        return None
    if kind == "label" and not (_is_name(values["label"]) and _is_state(values.get("state", "missing"))):
        return None
    if kind == "flag" and not _is_flag(values["flag"]):
        return None
    return Event(
        id=values["id"],
        kind=kind,
        study=values["study"],
        reader=values["reader"],
        role=role,
        time=_text(values.get("time")),
        seconds=_seconds(values.get("seconds")),
        lexicon=_text(values.get("lexicon")),
        tool=_text(values.get("tool")),
        label=values.get("label") if kind == "label" else None,
        state=values.get("state") if kind == "label" else None,
        source=_text(values.get("source")) or None,
        machine=_states(values.get("machine")),
        asked=_names(values.get("asked")),
        seen=_names(values.get("seen")),
        whole=values.get("whole") is True,
        hasty=values.get("hasty") is True,
        note=values.get("note") if kind == "note" else None,
        flag=values.get("flag") if kind == "flag" else None,
        on=values.get("on") is True,
        target=values.get("target") if kind == "undo" else None,
    )


def _is_name(value: object) -> bool:
    """Whether it can name something on a page and in a file: text, and no half of a surrogate pair in it."""
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_flag(flag: Mapping[str, Any]) -> bool:
    """Whether a report of a wrong phrase says what `lexicon check --against` needs."""
    words = all(_is_name(flag.get(key)) for key in ("label", "phrase", "sentence"))
    return words and _is_state(flag.get("machine")) and _is_state(flag.get("expected", "missing"))


def _is_state(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value in (1, 0, -1))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> float:
    """Time is told beside the decision, never a reason to lose it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        seconds = float(value)
    except OverflowError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def _states(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {name: state for name, state in value.items() if state is not None and _is_state(state)}


def _names(value: object) -> tuple[str, ...]:
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()
