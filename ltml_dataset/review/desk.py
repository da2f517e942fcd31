"""One reader at one open page: what they are shown, where they stand, what their keys do."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ltml_dataset.errors import UserError
from ltml_dataset.review.consensus import disagreements
from ltml_dataset.review.decisions import DecisionLog, Event, Judgement, Role, State
from ltml_dataset.review.folder import ReviewFolder
from ltml_dataset.review.queue import Queue, QueueItem
from ltml_dataset.review.render import LabelRow


@dataclass(frozen=True, slots=True)
class Filters:
    """Parts of the queue to show; empty means all."""

    label: str = ""
    state: str = ""
    stratum: str = ""
    split: str = ""


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
        self.reader, self.role = reader.strip(), role
        log.refresh()
        self._in_question = disagreements(log.judgements(), folder.labels) if role == "adjudicator" else {}
        self.items: list[QueueItem] = [item for item in queue.items if self._is_mine(item, filters or Filters())]
        self._studies = frozenset(item.study for item in self.items)
        self.position = -1
        self._shown_at = time.monotonic()
        self._done: list[tuple[int, Event]] = []
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
        return len(self._studies & self.log.closed(self.reader, self.role))

    def rows(self) -> list[LabelRow]:
        """The label panel of the study on screen."""
        study, judgement = self._study(), self.judgement
        machine = self.folder.machine(study)
        others = self._other_readers(study) if self.role == "adjudicator" else []
        rows = []
        for label in self.folder.labels:
            said: State = machine.get(label)  # type: ignore[assignment]  # codes of `State`
            state = judgement.changed[label] if label in judgement.changed else self._start_state(said, others, label)
            shown = tuple((other.reader, other.state_of(label)) for other in others)
            group = self.folder.group_of.get(label, "other")
            rows.append(LabelRow(name=label, group=group, machine=said, state=state, others=shown))
        return rows

    def focus_label(self) -> str:
        """The label to look at first: one in question, or the one the study was queued for."""
        study = self._study()
        wanted = self._in_question.get(study) or (self.item.labels if self.item else ())
        mentioned = self.folder.machine(study)
        return next(iter(wanted), next(iter(mentioned), self.folder.labels[0]))

    def set_state(self, study: str, label: str, state: State) -> None:
        """Set one label of the study on screen.

        Raises:
            UserError: Another study or label than those on screen was named.
        """
        self._check(study, label)
        self.log.append("label", study, self.reader, self.role, label=label, state=state, seconds=self._seconds())

    def set_note(self, study: str, note: str) -> None:
        """Replace the note of the study on screen.

        Raises:
            UserError: Another study than that on screen was named.
        """
        self._check(study)
        if note != self.judgement.note:
            self.log.append("note", study, self.reader, self.role, note=note, seconds=self._seconds())

    def flag(self, study: str, number: int, expected: str) -> None:
        """Note that a mention is wrong, with its sentence, for `lexicon check --against`.

        Args:
            study: The study on screen.
            number: The mention's number (`Mark.number`).
            expected: `present`, `absent`, `uncertain` or `not mentioned`: what the sentence says of the label.

        Raises:
            UserError: No such mention on screen.
        """
        self._check(study)
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
                        "sentence": _sentence_around(passages[position].text, mark.start, mark.end),
                    }
                    self.log.append("flag", study, self.reader, self.role, flag=flag, seconds=self._seconds())
                    return
        raise UserError("that mention is not on screen.")

    def finish(self, study: str) -> None:
        """Close the study on screen and go on to the next; an adjudicator confirms what readers agree on.

        Raises:
            UserError: Another study than that on screen was named.
        """
        self._check(study)
        rows = self.rows()
        if self.role == "adjudicator":
            machine = {row.name: row.state for row in rows if row.state is not None}
        else:
            machine = {row.name: row.machine for row in rows if row.machine is not None}
        event = self.log.append("done", study, self.reader, self.role, machine=machine, seconds=self._seconds())
        self._done.append((self.position, event))
        self._advance()

    def skip(self, study: str) -> None:
        """Put the study on screen aside and go on.

        Raises:
            UserError: Another study than that on screen was named.
        """
        self._check(study)
        event = self.log.append("skip", study, self.reader, self.role, seconds=self._seconds())
        self._done.append((self.position, event))
        self._advance()

    def undo(self) -> bool:
        """Take back the last change on screen, or else reopen the study before; False if there is nothing."""
        if self.item is not None and self.judgement.events:
            self._undo(self._study(), self.judgement.events[-1])
            return True
        if not self._done:
            return False
        self.position, event = self._done.pop()
        self._shown_at = time.monotonic()
        self._undo(event.study, event)
        return True

    def _undo(self, study: str, event: Event) -> None:
        self.log.append("undo", study, self.reader, self.role, target=event.id, seconds=self._seconds())

    def _advance(self) -> None:
        self._shown_at = time.monotonic()
        self.log.refresh()
        for position in [*range(self.position + 1, len(self.items)), *range(0, max(self.position, 0))]:
            if not self._is_closed(self.items[position]):
                self.position = position
                return
        self.position = len(self.items)

    def _is_closed(self, item: QueueItem) -> bool:
        return item.study in self.log.closed(self.reader, self.role)

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

    def _check(self, study: str, label: str | None = None) -> None:
        if study != self._study() or (label is not None and label not in self.folder.labels):
            raise UserError("that study is not on screen: reload the page.")

    def _seconds(self) -> float:
        now = time.monotonic()
        elapsed, self._shown_at = now - self._shown_at, now
        return elapsed


def _sentence_around(text: str, start: int, end: int) -> str:
    """The sentence that holds a mention, with blanks in place of line breaks."""
    from ltml_dataset.text.sentences import split_sentences

    for first, last in split_sentences(text, 0, len(text)):
        if first <= start < last:
            return " ".join(text[first : max(last, end)].split())
    return " ".join(text[start:end].split())
