"""The decisions of readers: an append-only file, one event a line, and what it adds up to.

Nothing is ever rewritten. A label set to "absent" by mistake is followed by a line that undoes it; a
reader who changes their mind next week adds lines. Lines are appended under a lock, so that any number
of pages and processes write to one file. Each is in the system's hands before the page moves on, and on disk before
the next is written: the end of the process loses nothing, the end of the machine at most the last decision
(docs/decisions/0094-the-key-does-not-wait-for-the-disk.md). A torn last line is skipped on reading and closed off
before the next.
"""

import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ltml_dataset.errors import UserError
from ltml_dataset.review.events import Event, Kind, Role, State, parse_lines

FILE_NAME = "decisions.jsonl"

Basis = Literal["touched", "asked", "stated", "report"]
"""Why a finished study certifies a label: its reader set it; the study was queued for it; the machine stated it and it
was on screen; the reader confirmed the whole report (docs/decisions/0091-what-finishing-certifies.md)."""

Key = tuple[str, Role, str]
"""Reader, role, study: one judgement."""


@dataclass(slots=True)
class Judgement:
    """What one reader in one role says of one study, after all their events."""

    study: str
    reader: str
    role: Role
    changed: dict[str, State] = field(default_factory=dict)
    machine: Mapping[str, int] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()
    whole: bool = False
    hasty: bool = False
    note: str = ""
    is_done: bool = False
    is_skipped: bool = False
    is_marked: bool = False
    seconds: float = 0.0
    time: str = ""
    flags: list[Mapping[str, Any]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    history: set[str] = field(default_factory=set)
    """Ids of all events, those taken back and their undoing included."""

    def state_of(self, label: str) -> State:
        """The reader's state of a label: their own, or the machine's state that they left as it was."""
        if label in self.changed:
            return self.changed[label]
        return self.machine.get(label)  # type: ignore[return-value]  # the codes of `State`, as `done` stored them

    def basis_of(self, label: str) -> Basis | None:
        """Why this judgement certifies the label; None where it does not, or is not finished."""
        if not self.is_done:
            return None
        if label in self.changed:
            return "touched"
        if label in self.asked:
            return "asked"
        if label in self.machine and label in self.seen:
            return "stated"
        return "report" if self.whole else None


class ChangedElsewhereError(UserError):
    """Another page of the same reader has decided on this study meanwhile."""


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
        self.n_foreign = 0
        """Lines read so far that are no decisions of ours."""
        self._lexicon = lexicon
        self._tool = tool
        self._session = secrets.token_hex(8)
        self._count = 0
        self._read_to = 0
        self._judgements = _Judgements()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, "decisions")
        self._syncing: Future[None] | None = None

    def append(
        self,
        kind: Kind,
        study: str,
        reader: str,
        role: Role,
        *,
        seconds: float = 0.0,
        known: AbstractSet[str] | None = None,
        **values: Any,
    ) -> Event:
        """Write one event to disk and take it in, together with what others have written meanwhile.

        Args:
            kind: What is decided.
            study: The study.
            reader: Who decides.
            role: In which role.
            seconds: Time since the reader's last event of this study.
            known: Ids of the events that the reader has been shown the result of. Where the judgement holds another
                one, nothing is written: the reader would decide over something they have not seen.
            **values: What else the kind of event says (`Event`).

        Raises:
            ChangedElsewhereError: `known` lacks an event of this judgement.
            UserError: The file cannot be written.
        """

        def is_news(judgement: Judgement) -> bool:
            return known is not None and not judgement.history.issubset(known)

        events = self._append(kind, [study], reader, role, seconds=seconds, unless=is_news, values=values)
        if not events:
            raise ChangedElsewhereError("this study was decided on in another tab or window meanwhile.")
        return events[0]

    def append_to_each(
        self,
        kind: Kind,
        studies: Sequence[str],
        reader: str,
        role: Role,
        *,
        unless: Callable[[Judgement], bool],
        **values: Any,
    ) -> list[Event]:
        """Write the same event for each of several studies, all with one look at the disk.

        Args:
            kind: What is decided.
            studies: The studies.
            reader: Who decides.
            role: In which role.
            unless: Judgements that are left as they are; asked with what others have written meanwhile taken in.
            **values: What else the kind of event says (`Event`).

        Raises:
            UserError: The file cannot be written.
        """
        return self._append(kind, studies, reader, role, seconds=0.0, unless=unless, values=values)

    def _append(
        self,
        kind: Kind,
        studies: Sequence[str],
        reader: str,
        role: Role,
        *,
        seconds: float,
        unless: Callable[[Judgement], bool],
        values: Mapping[str, Any],
    ) -> list[Event]:
        events = []
        with self._lock, _opened(self.path) as file:
            self._settle()
            self._follow()
            for study in studies:
                if unless(self.judgement(reader, role, study)):
                    continue
                self._count += 1
                events.append(
                    Event(
                        id=f"{self._session}-{self._count}",
                        kind=kind,
                        study=study,
                        reader=reader,
                        role=role,
                        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
                        seconds=round(seconds, 3),
                        lexicon=self._lexicon,
                        tool=self._tool,
                        **values,
                    )
                )
            _write_lines(self.path, file, [event.line() for event in events])
            self._syncing = self._pool.submit(_sync, os.dup(file.fileno()))
            self._follow()
        return events

    def settle(self) -> None:
        """Wait until all that was written has reached the disk.

        Raises:
            UserError: It has not.
        """
        with self._lock:
            self._settle()

    def _settle(self) -> None:
        syncing, self._syncing = self._syncing, None
        if syncing is None:
            return
        try:
            syncing.result()
        except OSError as error:
            raise UserError(
                f"`{self.path}`: the last decision did not reach the disk ({error.strerror}): free some space or give "
                "another --review folder, and decide it again."
            ) from None

    def refresh(self) -> None:
        """Take in what other pages and processes have appended since the last look."""
        with self._lock:
            self._follow()

    def judgement(self, reader: str, role: Role, study: str) -> Judgement:
        """What this reader has said so far; an empty judgement where they have not seen the study."""
        return self._judgements.by_key.get((reader, role, study)) or Judgement(study, reader, role)

    def judgements(self) -> list[Judgement]:
        """All judgements, in the order in which their first event was written."""
        return list(self._judgements.by_key.values())

    def closed(self, reader: str, role: Role) -> AbstractSet[str]:
        """Studies that a reader has finished or skipped in a role."""
        return self._judgements.closed.get((reader, role), frozenset())

    def readings(self, study: str) -> list[Judgement]:
        """Finished judgements of one study, by whoever made them."""
        return self._judgements.readings(study)

    def _follow(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END) < self._read_to:  # replaced by a shorter one
                self._read_to, self.n_foreign, self._judgements = 0, 0, _Judgements()
            file.seek(self._read_to)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_to += len(whole)
        events, n_foreign = parse_lines(whole)
        self.n_foreign += n_foreign
        self._judgements.take(events)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file, open for appending, under a lock that other processes respect."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab+")
    except OSError as error:
        raise _unwritable(path, error) from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _write_lines(path: Path, file: BinaryIO, lines: Sequence[str]) -> None:
    """Hand lines to the system; a torn line before them is closed off first."""
    text = "".join(f"{line}\n" for line in lines)
    try:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                text = "\n" + text
        file.write(text.encode("ascii"))
        file.flush()
    except OSError as error:
        raise _unwritable(path, error) from None


def _sync(descriptor: int) -> None:
    """See a file to disk, and close it."""
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"`{path}` cannot be written ({error.strerror}): the decision was not saved; free some space or give "
        "another --review folder."
    )


def read_judgements(folder: Path) -> list[Judgement]:
    """All judgements of a review folder.

    Raises:
        UserError: The folder holds no decisions.
    """
    return read_decisions(folder)[0]


def read_decisions(folder: Path) -> tuple[list[Judgement], int]:
    """All judgements of a review folder, and how many lines of its file are no decisions of ours.

    Raises:
        UserError: The folder holds no decisions.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise UserError(
            f"`{path}` was not found: `{folder}` is not a review folder; `ltml-build-labels review DIR` makes one."
        )
    # A last line without its end may still be whole: a file that was copied or edited by hand.
    events, n_foreign = parse_lines(path.read_bytes())
    judgements = _Judgements()
    judgements.take(events)
    return list(judgements.by_key.values()), n_foreign


class _Judgements:
    """What events add up to, kept up to date event by event."""

    def __init__(self) -> None:
        self.by_key: dict[Key, Judgement] = {}
        self.closed: dict[tuple[str, Role], set[str]] = {}
        self._keys_of: dict[str, dict[Key, None]] = {}
        self._ids: set[str] = set()

    def take(self, events: Sequence[Event]) -> None:
        """Add events in order; one that is known already (two copies of a file, joined) is left out."""
        for event in events:
            if event.id in self._ids:
                continue
            self._ids.add(event.id)
            key = (event.reader, event.role, event.study)
            judgement = self.by_key[key] = _after(
                self.by_key.get(key) or Judgement(event.study, event.reader, event.role), event
            )
            self._keys_of.setdefault(event.study, {})[key] = None
            closed = self.closed.setdefault((event.reader, event.role), set())
            if judgement.is_done or judgement.is_skipped:
                closed.add(event.study)
            else:
                closed.discard(event.study)

    def readings(self, study: str) -> list[Judgement]:
        keys = self._keys_of.get(study, ())
        return [judgement for key in keys if (judgement := self.by_key[key]).is_done]


def _after(judgement: Judgement, event: Event) -> Judgement:
    """The judgement with one more event.

    An undo takes its target out and replays the rest, so that undoing a change of a label brings back
    the state before it, and undoing `done` opens the study again. Time spent stays spent.
    """
    seconds, history = judgement.seconds + event.seconds, judgement.history | {event.id}
    if event.kind == "undo":
        kept = [other for other in judgement.events if other.id != event.target]
        judgement = Judgement(event.study, event.reader, event.role)
        for other in kept:
            _add(judgement, other)
    else:
        _add(judgement, event)
    judgement.seconds, judgement.history = seconds, history
    return judgement


def _add(judgement: Judgement, event: Event) -> None:
    judgement.events.append(event)
    judgement.time = event.time
    match event.kind:
        case "label" if event.label is not None:
            judgement.changed[event.label] = event.state
        case "note":
            judgement.note = event.note or ""
        case "done":
            judgement.machine = dict(event.machine or {})
            judgement.asked, judgement.seen = frozenset(event.asked), frozenset(event.seen)
            judgement.whole, judgement.hasty = event.whole, event.hasty
            judgement.is_done, judgement.is_skipped = True, False
        case "skip":
            judgement.is_skipped = True
        case "mark":
            judgement.is_marked = event.on
        case "flag" if event.flag is not None:
            judgement.flags.append(event.flag)
