"""One reader at one open page: what they are shown, where they stand, what their keys do."""

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from ltml_dataset.errors import UserError
from ltml_dataset.review.consensus import disagreements
from ltml_dataset.review.decisions import ChangedElsewhereError, DecisionLog, Judgement
from ltml_dataset.review.elsewhere import SameSentence, same_sentences, sentence_around
from ltml_dataset.review.events import Event, Kind, Role, State
from ltml_dataset.review.folder import ReviewFolder
from ltml_dataset.review.queue import Queue, QueueItem
from ltml_dataset.review.render import LabelRow, Mark

WORDS_A_SECOND = 15
"""Nobody reads faster: three times what a practised reader manages. A study closed sooner is asked about."""

SECONDS_AT_LEAST = 2.0
"""However short the report is."""

SAME_AT_ONCE = 200
"""Studies that are offered at once for repeating a decision."""

PACE_OF = 20
"""Studies whose mean time is the pace."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Parts of the queue to show; empty means all."""

    label: str = ""
    state: str = ""
    stratum: str = ""
    split: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an attempt to finish.

    `unseen`: `labels` have not been on screen; `sample`: the study is of the random sample and its whole report was
    not confirmed; `hasty`: it was on screen for `seconds` only. In these cases nothing was written.
    """

    outcome: Literal["finished", "unseen", "sample", "hasty"]
    labels: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """One study of the queue, as the list for jumping to it shows it."""

    study: str
    stratum: str
    status: str
    is_marked: bool


STATE_WORDS: Mapping[str, State] = {"present": 1, "absent": 0, "uncertain": -1, "not mentioned": None}


class Desk:
    """The queue of one reader in one role, and their place in it.

    First readers see the whole queue. Second readers see, blind, what another reader has finished: the machine's
    states, never the first reader's. Adjudicators see the studies on which readers differ, with the states of both.
    """

    def __init__(
        self,
        folder: ReviewFolder,
        queue: Queue,
        log: DecisionLog,
        reader: str,
        role: Role,
        filters: Filters | None = None,
    ) -> None:
        """Sit down at the first study that is still open for this reader.

        Raises:
            UserError: The reader has no name.
        """
        if not reader.strip():
            raise UserError("a reader needs a name or initials: decisions are stored under it.")
        self.folder, self.log = folder, log
        self.reader, self.role = " ".join(reader.split()), role
        log.refresh()
        self._in_question = disagreements(log.judgements(), folder.labels) if role == "adjudicator" else {}
        self.items: list[QueueItem] = [item for item in queue.items if self._is_mine(item, filters or Filters())]
        self._place_of = {item.study: place for place, item in enumerate(self.items)}
        self.position = -1
        self._done: list[tuple[int, Event]] = []
        mine = [j.seconds for j in log.judgements() if (j.reader, j.role, j.is_done) == (self.reader, role, True)]
        self._times = deque(mine[-PACE_OF:], maxlen=PACE_OF)
        self._known: set[str] = set()
        self._clock: float | None = None
        self._waited = 0.0
        self._advance()

    @property
    def item(self) -> QueueItem | None:
        """The study on screen; None when nothing is left."""
        return self.items[self.position] if 0 <= self.position < len(self.items) else None

    @property
    def judgement(self) -> Judgement:
        """This reader's judgement of the study on screen."""
        return self.log.judgement(self.reader, self.role, self._study())

    def n_finished(self) -> int:
        """Studies of this queue that the reader has finished or skipped."""
        return len(self._place_of.keys() & self.log.closed(self.reader, self.role))

    def pace(self) -> float | None:
        """Mean seconds of the reader's last studies; None before the first."""
        return sum(self._times) / len(self._times) if self._times else None

    def rows(self) -> list[LabelRow]:
        """The label panel of the study on screen."""
        study, judgement = self._study(), self.judgement
        machine = self.folder.machine(study)
        others = self._other_readers(study) if self.role == "adjudicator" else []
        asked = set(self.asked())
        deciding = _deciding_marks(self.folder.marks(study), machine)
        rows = []
        for label in self.folder.labels:
            said: State = machine.get(label)  # type: ignore[assignment]  # codes of `State`
            state = judgement.changed[label] if label in judgement.changed else self._start_state(said, others, label)
            mark = deciding.get(label)
            rows.append(
                LabelRow(
                    name=label,
                    group=self.folder.group_of.get(label, "other"),
                    machine=said,
                    state=state,
                    others=tuple((other.reader, other.state_of(label)) for other in others),
                    is_asked=label in asked,
                    is_touched=label in judgement.changed,
                    cue=(mark.cue or "") if mark else "",
                )
            )
        return rows

    def asked(self) -> tuple[str, ...]:
        """Labels in question: those the study was queued for, or on which readers differ."""
        if self.role == "adjudicator":
            return tuple(self._in_question.get(self._study(), ()))
        return self.item.labels if self.item else ()

    def focus_label(self) -> str:
        """The label to look at first: one in question, or the first that the machine states."""
        mentioned = self.folder.machine(self._study())
        return next(iter(self.asked()), next(iter(mentioned), self.folder.labels[0]))

    def set_state(self, study: str, label: str, state: State) -> None:
        """Set one label of the study on screen.

        Raises:
            UserError: Another study or label than those on screen was named, or the study is closed.
        """
        self._check(study, label)
        self._write("label", label=label, state=state)

    def set_note(self, study: str, note: str) -> None:
        """Replace the note of the study on screen.

        Raises:
            UserError: Another study than that on screen was named, or the study is closed.
        """
        self._check(study)
        if note != self.judgement.note:
            self._write("note", note=note)

    def set_mark(self, study: str, *, on: bool) -> None:
        """Set or take away the bookmark of the study on screen.

        Raises:
            UserError: Another study than that on screen was named.
        """
        self._check(study, may_be_closed=True)
        self._write("mark", on=on)

    def flag(self, study: str, number: int, expected: str) -> None:
        """Note that a mention is wrong, with its sentence, for `lexicon check --against`.

        Args:
            study: The study on screen.
            number: The mention's number (`Mark.number`).
            expected: `present`, `absent`, `uncertain` or `not mentioned`: what the sentence says of the label.

        Raises:
            UserError: No such mention on screen.
        """
        self._check(study, may_be_closed=True)
        passages, marks = self.folder.passages(study), self.folder.marks(study)
        for position, members in marks.items():
            for mark in members:
                if mark.number == number and expected in STATE_WORDS:
                    flag = {
                        "label": mark.label,
                        "phrase": mark.phrase,
                        "cue": mark.cue,
                        "rule": mark.rule,
                        "machine": mark.state,
                        "expected": STATE_WORDS[expected],
                        "sentence": sentence_around(passages[position].text, mark.start, mark.end),
                    }
                    self._write("flag", flag=flag)
                    return
        raise UserError("that mention is not on screen.")

    def elsewhere(self, label: str) -> list[SameSentence]:
        """Open studies of this queue that hold a sentence about the label which also stands in the study on screen.

        Where the reader has set the label already, their decision stands: such studies are left out. No more than
        `SAME_AT_ONCE`, the first of the queue: nobody confirms a longer list.
        """
        self._check(self._study(), label)
        others = (item.study for item in self.items if item.study != self._study() and self._is_untouched(item, label))
        return list(islice(same_sentences(self.folder, self._study(), label, others), SAME_AT_ONCE))

    def apply_elsewhere(self, study: str, label: str, studies: Collection[str]) -> int:
        """Repeat the decision on a label in other studies with the same sentence.

        Returns:
            In how many it was set. Each waits to be finished like any other.

        Raises:
            UserError: Another study than that on screen was named, or one without that sentence.
        """
        self._check(study, label)
        state = next(row.state for row in self.rows() if row.name == label)
        allowed = {same.study for same in self.elsewhere(label)}
        if not allowed.issuperset(studies):
            raise UserError("one of the studies does not hold that sentence, or is closed meanwhile.")
        events = self.log.append_to_each(
            "label",
            list(studies),
            self.reader,
            self.role,
            # Closed or set by hand in another tab, between the list and its confirmation: that stands.
            unless=lambda judgement: judgement.is_done or judgement.is_skipped or label in judgement.changed,
            label=label,
            state=state,
            source=study,
        )
        return len(events)

    def finish(
        self, study: str, seen: Collection[str], *, whole: bool = False, part: bool = False, hasty: bool = False
    ) -> Answer:
        """Close the study on screen and go on to the next.

        Args:
            study: The study on screen.
            seen: Labels that have been on screen.
            whole: The reader confirms the whole report: what is not mentioned is absent.
            part: The reader was asked, and confirms no more than the labels in question though the study is of the
                random sample.
            hasty: The reader was asked, and means it though the study was on screen for less time than reading takes.

        Raises:
            UserError: Another study than that on screen was named.
        """
        self._check(study, may_be_closed=True)
        if self.judgement.is_done:
            self._advance()
            return Answer("finished")
        rows = self.rows()
        needed = [row.name for row in rows if row.matters]
        unseen = tuple(label for label in needed if label not in seen)
        if unseen:
            return Answer("unseen", unseen)
        if self.item is not None and self.item.in_sample and self.role != "adjudicator" and not (whole or part):
            return Answer("sample")
        spent = self.seconds_spent()
        is_hasty = spent < self.seconds_to_read()
        if is_hasty and not hasty:
            return Answer("hasty", seconds=spent)
        if self.role == "adjudicator":
            machine = {row.name: row.state for row in rows if row.state is not None}
        else:
            machine = {row.name: row.machine for row in rows if row.machine is not None}
        event = self._write(
            "done",
            machine=machine,
            asked=self.asked(),
            seen=tuple(label for label in self.folder.labels if label in seen),
            whole=whole,
            hasty=is_hasty,
        )
        self._times.append(self.judgement.seconds)
        self._done.append((self.position, event))
        self._advance()
        return Answer("finished")

    def skip(self, study: str) -> None:
        """Put the study on screen aside and go on.

        Raises:
            UserError: Another study than that on screen was named.
        """
        self._check(study, may_be_closed=True)
        if not self.judgement.is_done:
            self._done.append((self.position, self._write("skip")))
        self._advance()

    def undo(self, study: str | None) -> Event | None:
        """Take back the last change on screen, or else reopen the study before; None if there is nothing.

        Args:
            study: The study on screen, None where the queue is finished.

        Raises:
            UserError: Another study than that on screen was named.
        """
        if study != (self.item.study if self.item else None):
            raise UserError("that study is not on screen: reload the page.")
        if study is not None and self.judgement.events:
            event = self.judgement.events[-1]
            self._write("undo", target=event.id)
            return event
        if not self._done:
            return None
        place, event = self._done.pop()
        self._go(place)
        self._write("undo", target=event.id)
        return event

    def go(self, study: str) -> None:
        """Show any study of this queue, finished or not.

        Raises:
            UserError: It is not in this queue.
        """
        if study not in self._place_of:
            raise UserError("that study is not in this queue.")
        self._go(self._place_of[study])

    def step(self, by: int) -> None:
        """Show the study before or after that on screen, decided or not."""
        self._go(min(max(self.position + by, 0), len(self.items) - 1))

    def search(self, query: str, limit: int = 50) -> tuple[list[Found], int]:
        """Studies whose id or report holds the query; without one, those that were bookmarked or skipped.

        Returns:
            The first `limit` of them, and how many there are.
        """
        self.log.refresh()
        wanted = " ".join(query.lower().split())
        found = [item for item in self.items if self._matches(item.study, wanted)]
        return [self._found(item) for item in found[:limit]], len(found)

    def pause(self) -> None:
        """Stop the clock, until `resume`: the page is paused or hidden."""
        self._waited, self._clock = self._elapsed(), None

    def resume(self) -> None:
        """Let the clock go on."""
        if self._clock is None:
            self._clock = time.monotonic()

    def look(self) -> bool:
        """Take in what was decided elsewhere; True if that touches the study on screen."""
        self.log.refresh()
        if self.item is None:
            return False
        history = self.judgement.history
        is_news = not history.issubset(self._known)
        self._known = set(history)
        return is_news

    def seconds_spent(self) -> float:
        """Seconds that the study on screen has had of this reader, at this and earlier visits."""
        return self.judgement.seconds + self._elapsed()

    def seconds_to_read(self) -> float:
        """The least time that reading takes; an adjudicator looks at some labels only."""
        if self.role == "adjudicator":
            return SECONDS_AT_LEAST
        n_words = sum(len(passage.text.split()) for passage in self.folder.passages(self._study()))
        return max(SECONDS_AT_LEAST, n_words / WORDS_A_SECOND)

    def _write(self, kind: Kind, **values: object) -> Event:
        """Append an event of the study on screen, unless another page has changed it meanwhile."""
        seconds = self._elapsed()
        event = self.log.append(
            kind, self._study(), self.reader, self.role, seconds=seconds, known=self._known, **values
        )
        self._known.add(event.id)
        self._waited = 0.0
        self._clock = None if self._clock is None else time.monotonic()
        return event

    def _advance(self) -> None:
        self.log.refresh()
        closed = self.log.closed(self.reader, self.role)
        n_items = len(self.items)
        for offset in range(1, n_items + 1):
            place = (self.position + offset) % n_items
            if self.items[place].study not in closed:
                self._go(place)
                return
        self._go(n_items)

    def _go(self, place: int) -> None:
        self.position = place
        self._clock, self._waited = time.monotonic(), 0.0
        self.look()
        self._known = set(self.judgement.history) if self.item else set()

    def _elapsed(self) -> float:
        return self._waited + (0.0 if self._clock is None else time.monotonic() - self._clock)

    def _is_untouched(self, item: QueueItem, label: str) -> bool:
        """Whether the reader has neither closed the study nor set the label there by hand."""
        if item.study in self.log.closed(self.reader, self.role):
            return False
        return label not in self.log.judgement(self.reader, self.role, item.study).changed

    def _matches(self, study: str, wanted: str) -> bool:
        if not wanted:
            judgement = self.log.judgement(self.reader, self.role, study)
            return judgement.is_marked or judgement.is_skipped
        return wanted in study.lower() or wanted in self.folder.plain(study)

    def _found(self, item: QueueItem) -> Found:
        judgement = self.log.judgement(self.reader, self.role, item.study)
        status = "finished" if judgement.is_done else "skipped" if judgement.is_skipped else "open"
        return Found(item.study, item.stratum, status, judgement.is_marked)

    def _is_mine(self, item: QueueItem, filters: Filters) -> bool:
        if self.role == "second" and not self._other_readers(item.study):
            return False
        if self.role == "adjudicator" and item.study not in self._in_question:
            return self.log.judgement(self.reader, self.role, item.study).is_done
        if filters.stratum and item.stratum != filters.stratum:
            return False
        if filters.split and self.folder.splits[item.row] != filters.split:
            return False
        if filters.label or filters.state:
            machine = self.folder.machine(item.study)
            labels = [filters.label] if filters.label else list(self.folder.labels)
            wanted = STATE_WORDS.get(filters.state, 1)
            return any(machine.get(label) == wanted for label in labels)
        return True

    def _other_readers(self, study: str) -> list[Judgement]:
        """Finished readings by others: what makes a study ready for a second reader, and what an adjudicator sees."""
        if self.role == "first":
            return []
        return [
            judgement
            for judgement in self.log.readings(study)
            if judgement.role != "adjudicator" and (self.role == "adjudicator" or judgement.reader != self.reader)
        ]

    def _start_state(self, machine: State, others: Sequence[Judgement], label: str) -> State:
        """The machine's state; for an adjudicator what the readers agree on."""
        if self.role != "adjudicator" or not others:
            return machine
        states = [other.state_of(label) for other in others]
        if len({state or 0 for state in states}) > 1:
            return machine
        return next((state for state in states if state is not None), None)

    def _study(self) -> str:
        if self.item is None:
            raise UserError("no study is on screen: the queue is finished.")
        return self.item.study

    def _check(self, study: str, label: str | None = None, *, may_be_closed: bool = False) -> None:
        if study != self._study() or (label is not None and label not in self.folder.labels):
            raise UserError("that study is not on screen: reload the page.")
        if not self.judgement.history.issubset(self._known):
            raise ChangedElsewhereError("this study was decided on in another tab or window meanwhile.")
        if self.judgement.is_done and not may_be_closed:
            raise UserError("this study is finished: undo (z) opens it again.")


def _deciding_marks(marks: Mapping[int, Sequence[Mark]], machine: Mapping[str, int]) -> dict[str, Mark]:
    """For each label the first mention that says what the machine says, one with a cue before others."""
    deciding: dict[str, Mark] = {}
    for mark in (mark for members in marks.values() for mark in members):
        if machine.get(mark.label) == mark.state and (mark.label not in deciding or not deciding[mark.label].cue):
            deciding[mark.label] = mark
    return deciding
