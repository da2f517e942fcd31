"""What the labeler reads in the statements, held against what they say."""

import gc
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from frames.statements import Exemption, Statement, all_exemptions, all_statements

from ltml_dataset import Labeler
from ltml_lexicons.lexicon import load_lexicon


@dataclass(frozen=True, slots=True)
class Reading:
    """A statement and the state the labeler gave its label."""

    statement: Statement
    read: int | None
    is_open: bool = False
    """Whether `exceptions.yaml` names it as a fault that is known and not mended yet."""

    @property
    def is_right(self) -> bool:
        """Whether the two agree."""
        return self.statement.is_right(self.read)

    @property
    def is_false_alarm(self) -> bool:
        """Whether something not present was read as present."""
        return self.statement.is_false_alarm(self.read)

    def __str__(self) -> str:
        wanted, text = self.statement.state, self.statement.text.replace("\n", "\\n")
        return f"{self.statement.label}: {text!r} says {wanted}, read {self.read}"


def read_all(statements: Sequence[Statement]) -> list[Reading]:
    """Label every sentence as a report of its own."""
    table = Labeler.default().label([statement.text for statement in statements])
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, statement in enumerate(statements):
        rows_of[statement.label].append(row)
    labels = load_lexicon().labels
    reads: list[int | None] = [None] * len(statements)
    for label, rows in rows_of.items():
        for row, read in zip(rows, table.column(labels[label].name).take(rows).to_pylist(), strict=True):
            reads[row] = read
    return [Reading(statement, read) for statement, read in zip(statements, reads, strict=True)]


def settle(
    readings: Sequence[Reading], exemptions: Sequence[Exemption] | None = None
) -> tuple[list[Reading], list[Exemption]]:
    """The readings with the exceptions applied, and the exceptions that nothing needs.

    An exception is needed where at least one statement it covers is not read as its frame says.
    """
    exemptions = all_exemptions() if exemptions is None else exemptions
    needed: set[Exemption] = set()
    settled = []
    for reading in readings:
        lines = [line for line in exemptions if line.covers(reading.statement)]
        needed.update(line for line in lines if not reading.is_right)
        if not lines:
            settled.append(reading)
        elif lines[0].is_open:
            settled.append(replace(reading, is_open=True))
        elif lines[0].state is not None:
            settled.append(replace(reading, statement=replace(reading.statement, state=lines[0].state)))
    return settled, [line for line in exemptions if line not in needed]


def read_frames(frame: str = "*", label: str = "*") -> tuple[list[Reading], list[Exemption]]:
    """Everything, read and settled; half a million objects that all stay are not searched for garbage meanwhile."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        return settle(read_all(all_statements(frame, label)))
    finally:
        if was_on:
            gc.enable()
