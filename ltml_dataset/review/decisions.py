"""The decisions of readers: an append-only file, one event a line, and what it adds up to.

Nothing is ever rewritten. A label set to "absent" by mistake is followed by a line that undoes it; a
reader who changes their mind next week adds lines. Lines are appended under a lock, so that any number
of pages and processes write to one file, and each is on disk before the page moves on: a crash loses at
most the line being written, and a torn last line is skipped on reading and closed off before the next.
"""

import fcntl
import json
import os
import secrets
import threading
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ltml_dataset.errors import UserError

FILE_NAME = "decisions.jsonl"

State = Literal[1, 0, -1] | None
"""1 present, 0 absent, -1 uncertain, None not mentioned: the codes of the label file."""

Kind = Literal["label", "note", "done", "skip", "flag", "undo"]
Role = Literal["first", "second", "adjudicator"]

ROLES: tuple[Role, ...] = ("first", "second", "adjudicator")


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the file.

    `label` events set one label to `state`; `note` events replace the note; `done` closes the study and
    records the machine's states, so that a label nobody touched counts as confirmed even after the lexicon
    has changed; `flag` marks a phrase as wrongly matched or asserted; `undo` takes back the event named by
    `target`.
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
    machine: Mapping[str, int] | None = None
    note: str | None = None
    flag: Mapping[str, Any] | None = None
    target: str | None = None

    def line(self) -> str:
        """The event as one line of JSON, without keys that do not apply to its kind."""
        wanted = _KEYS[self.kind]
        return json.dumps({key: getattr(self, key) for key in wanted}, ensure_ascii=False, separators=(",", ":"))


_COMMON = ("id", "kind", "study", "reader", "role", "time", "seconds", "lexicon", "tool")
_KEYS: dict[str, tuple[str, ...]] = {
    "label": (*_COMMON, "label", "state"),
    "note": (*_COMMON, "note"),
    "done": (*_COMMON, "machine"),
    "skip": _COMMON,
    "flag": (*_COMMON, "flag"),
    "undo": (*_COMMON, "target"),
}


@dataclass(slots=True)
class Judgement:
    """What one reader in one role says of one study, after all their events."""

    study: str
    reader: str
    role: Role
    changed: dict[str, State] = field(default_factory=dict)
    machine: dict[str, int] = field(default_factory=dict)
    note: str = ""
    is_done: bool = False
    is_skipped: bool = False
    seconds: float = 0.0
    flags: list[Mapping[str, Any]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def state_of(self, label: str) -> State:
        """The reader's state of a label: their own, or the machine's state that they left as it was."""
        if label in self.changed:
            return self.changed[label]
        return self.machine.get(label)  # type: ignore[return-value]  # the codes of `State`, as `done` stored them


class DecisionLog:
    """The file of one review folder, open for appending and for following what others append."""

    def __init__(self, folder: Path, *, lexicon: str, tool: str) -> None:
        """Open the folder's file, which is made at the first decision.

        Args:
            folder: The review folder.
            lexicon: Lexicon version of the data set under review, written into every line.
            tool: Version of this program, written into every line.
        """
        self.path = folder / FILE_NAME
        self._lexicon = lexicon
        self._tool = tool
        self._session = secrets.token_hex(4)
        self._count = 0
        self._read_to = 0
        self._judgements: dict[tuple[str, Role, str], Judgement] = {}
        self._keys_of: dict[str, dict[tuple[str, Role, str], None]] = {}
        self._closed: dict[tuple[str, Role], set[str]] = {}
        self._lock = threading.Lock()

    def append(
        self,
        kind: Kind,
        study: str,
        reader: str,
        role: Role,
        *,
        seconds: float = 0.0,
        label: str | None = None,
        state: State = None,
        machine: Mapping[str, int] | None = None,
        note: str | None = None,
        flag: Mapping[str, Any] | None = None,
        target: str | None = None,
    ) -> Event:
        """Write one event to disk and take it in, together with what others have written meanwhile.

        Raises:
            UserError: The file cannot be written.
        """
        with self._lock:
            self._count += 1
            event = Event(
                id=f"{self._session}-{self._count}",
                kind=kind,
                study=study,
                reader=reader,
                role=role,
                time=datetime.now(UTC).isoformat(timespec="milliseconds"),
                seconds=round(seconds, 3),
                lexicon=self._lexicon,
                tool=self._tool,
                label=label,
                state=state,
                machine=machine,
                note=note,
                flag=flag,
                target=target,
            )
            append_line(self.path, event.line())
            self._follow()
        return event

    def refresh(self) -> None:
        """Take in what other pages and processes have appended since the last look."""
        with self._lock:
            self._follow()

    def judgement(self, reader: str, role: Role, study: str) -> Judgement:
        """What this reader has said so far; an empty judgement where they have not seen the study."""
        return self._judgements.get((reader, role, study)) or Judgement(study, reader, role)

    def judgements(self) -> list[Judgement]:
        """All judgements, in the order in which their first event was written."""
        return list(self._judgements.values())

    def closed(self, reader: str, role: Role) -> AbstractSet[str]:
        """Studies that a reader has finished or skipped in a role."""
        return self._closed.get((reader, role), frozenset())

    def readings(self, study: str) -> list[Judgement]:
        """Finished judgements of one study, by whoever made them."""
        keys = self._keys_of.get(study, ())
        return [judgement for key in keys if (judgement := self._judgements[key]).is_done]

    def _follow(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read_to)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for event in parse_events(whole.decode("utf-8", "replace").splitlines()):
            apply_event(self._judgements, event)
            key = (event.reader, event.role, event.study)
            self._keys_of.setdefault(event.study, {})[key] = None
            closed = self._closed.setdefault((event.reader, event.role), set())
            if self._judgements[key].is_done or self._judgements[key].is_skipped:
                closed.add(event.study)
            else:
                closed.discard(event.study)


def append_line(path: Path, line: str) -> None:
    """Append one line under a lock and see it to disk; a torn line before it is closed off first.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":
                    line = "\n" + line
            file.write(line.encode("utf-8") + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(
            f"`{path}` cannot be written ({error.strerror}): the decision was not saved; free some space or give "
            "another --review folder."
        ) from None


def parse_events(lines: Iterable[str]) -> list[Event]:
    """Events of whole lines, in order; torn or foreign lines are left out."""
    events = []
    for line in lines:
        try:
            values = json.loads(line)
            event = Event(**{key: values[key] for key in _KEYS[values["kind"]]})
        except (ValueError, KeyError, TypeError):
            continue
        events.append(event)
    return events


def read_judgements(folder: Path) -> list[Judgement]:
    """All judgements of a review folder.

    Raises:
        UserError: The folder holds no decisions.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise UserError(
            f"`{path}` was not found: `{folder}` is not a review folder; `ltml-build-labels review DIR` makes one."
        )
    judgements: dict[tuple[str, Role, str], Judgement] = {}
    for event in parse_events(path.read_text(encoding="utf-8", errors="replace").splitlines()):
        apply_event(judgements, event)
    return list(judgements.values())


def apply_event(judgements: dict[tuple[str, Role, str], Judgement], event: Event) -> None:
    """Add one event to the judgement it belongs to.

    An undo takes its target out and replays the rest, so that undoing a change of a label brings back
    the state before it, and undoing `done` opens the study again.
    """
    key = (event.reader, event.role, event.study)
    judgement = judgements.setdefault(key, Judgement(event.study, event.reader, event.role))
    if event.kind == "undo":
        kept = [other for other in judgement.events if other.id != event.target]
        judgements[key] = Judgement(event.study, event.reader, event.role, seconds=event.seconds)
        for other in kept:
            _add(judgements[key], other)
    else:
        _add(judgement, event)


def _add(judgement: Judgement, event: Event) -> None:
    judgement.events.append(event)
    judgement.seconds += event.seconds
    match event.kind:
        case "label" if event.label is not None:
            judgement.changed[event.label] = event.state
        case "note":
            judgement.note = event.note or ""
        case "done":
            judgement.machine = dict(event.machine or {})
            judgement.is_done, judgement.is_skipped = True, False
        case "skip":
            judgement.is_skipped = True
        case "flag" if event.flag is not None:
            judgement.flags.append(event.flag)
