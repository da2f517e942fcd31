"""The small frozen records that carry meaning between stages."""

from dataclasses import dataclass
from enum import IntEnum


class Assertion(IntEnum):
    """What a report says of a finding. A label that is not mentioned has no assertion (null in tables)."""

    POSITIVE = 1
    NEGATIVE = 0
    UNCERTAIN = -1


@dataclass(frozen=True, slots=True)
class Section:
    """One titled part of a report.

    `start` and `end` are code-point offsets into the text the section was read from: the whole
    report, or the table column of that name (then `start` is 0).
    """

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mention:
    """One phrase found in a report, and how the report asserts it.

    Offsets are Unicode code points into the text as it was read: `text == report[start:end]`.
    `status` is None where the words stand in a condition, a question or a plan, and nothing is said of the finding.
    `cue`, `cue_start` and `cue_end` are None where no cue decided.
    """

    label: str
    status: Assertion | None
    section: str
    start: int
    end: int
    text: str
    phrase: str
    phrase_source: str
    cue: str | None
    cue_start: int | None
    cue_end: int | None
    rule: str


@dataclass(frozen=True, slots=True)
class Skip:
    """An input that could not be used, and why. Listed in `manifest.json`, counted in the summary."""

    input: str
    reason: str
