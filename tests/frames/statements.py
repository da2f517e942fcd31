"""Findings put into frames: sentences with a known outcome."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from string import Formatter
from typing import Literal

from frames.composed import findings_of_rules
from frames.findings import Finding, findings_of_phrases, is_hidden
from frames.grammar import read_yaml, tokens_of, with_article
from frames.sharing import findings_that_share

from ltml_lexicons.choose import choose_labels

State = Literal[1, 0, -1, "not1"]

BEGINNING, BEGINNING_OF_LINE = re.compile(r"(^|[.?] )\W*\w"), re.compile(r"(^|[.?] |\n)\W*\w")
FILLERS = frozenset({"A", "a A", "the A", "B"})
SPECIAL = frozenset(
    {
        "clause",
        "of_any_structure",
        "normal",
        "without_verb",
        "borderline",
        "relation",
        "verb",
        "denied",
        "shared_site",
        "shared_head",
    }
)
"""Findings that are no whole noun phrases; only frames that ask for them take them."""
AGREEING = {
    "singular": {"is": "is", "has": "has", "was": "was", "s": "s", "do": "does"},
    "plural": {"is": "are", "has": "have", "was": "were", "s": "", "do": "do"},
}


@dataclass(frozen=True)
class Frame:
    """A sentence with a place for a finding."""

    id: str
    kind: str
    text: str
    state: State
    fits: frozenset[str]
    without: frozenset[str]
    capitals: bool
    """Written in capitals throughout, as some reports are."""

    def takes(self, finding: Finding) -> bool:
        """Whether the sentence is one that somebody would write of this finding."""
        wanted = self.fits
        if not self.fits & SPECIAL and "noun" not in finding.traits:
            return False
        return (not wanted or bool(wanted & finding.traits)) and not self.without & finding.traits


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence, and the state it must give one label."""

    label: str
    origin: str
    frame: str
    kind: str
    text: str
    state: State

    def is_right(self, read: int | None) -> bool:
        """Whether what was read is what the sentence says."""
        return read != 1 if self.state == "not1" else read == self.state

    def is_false_alarm(self, read: int | None) -> bool:
        """Whether something not present was read as present: the fault that fills a rare class with noise."""
        return read == 1 and self.state != 1


@dataclass(frozen=True)
class Exemption:
    """A line of `exceptions.yaml`."""

    label: str
    phrase: str
    frame: str
    reason: str
    state: State | None
    is_open: bool = False

    def covers(self, statement: Statement) -> bool:
        """Whether the statement is meant."""
        return (
            fnmatchcase(statement.label, self.label)
            and fnmatchcase(statement.origin, self.phrase)
            and fnmatchcase(statement.frame, self.frame)
        )


@cache
def all_frames() -> tuple[Frame, ...]:
    """The frames of `frames.yaml`."""
    page = read_yaml("frames.yaml")
    frames = []
    for entry in page["frames"]:
        left_out = {*entry.get("without", ()), *page["kinds"][entry["kind"]]["without"]}
        frames.append(
            Frame(
                entry["id"],
                entry["kind"],
                entry["text"],
                entry["state"],
                frozenset(entry.get("fits", ())),
                frozenset(left_out),
                entry.get("capitals", False),
            )
        )
    return tuple(frames)


@cache
def all_exemptions() -> tuple[Exemption, ...]:
    """The lines of `exceptions.yaml`."""
    return tuple(
        Exemption(
            line.get("label", "*"),
            line.get("phrase", "*"),
            line.get("frame", "*"),
            line.get("reason", line.get("open")),
            line.get("state"),
            "open" in line,
        )
        for line in read_yaml("exceptions.yaml")["exceptions"]
    )


@cache
def all_findings() -> tuple[Finding, ...]:
    """The findings of the 39 labels in profile `clinical`, each wording once a label."""
    chosen = choose_labels()
    found: dict[tuple[str, str, str], Finding] = {}
    for label in chosen.labels:
        for finding in (*findings_of_phrases(label), *findings_of_rules(label, chosen.lexicon)):
            found.setdefault((finding.label, finding.subject, finding.text), finding)
    return (*found.values(), *(shared for finding in found.values() for shared in findings_that_share(finding)))


@cache
def all_statements(frame: str = "*", label: str = "*") -> tuple[Statement, ...]:
    """Every finding in every frame that takes it, as the frame says; exceptions are not looked at here."""
    frames = [each for each in all_frames() if fnmatchcase(each.id, frame)]
    return tuple(
        statement
        for finding in all_findings()
        if fnmatchcase(finding.label, label)
        for each in frames
        if each.takes(finding)
        for statement in _stated(each, finding)
    )


def _stated(frame: Frame, finding: Finding) -> Iterator[Statement]:
    text = render(frame, finding)
    if is_hidden(finding, text):
        return
    state = frame.state
    if state == 1 and finding.says == -1:
        state = -1
    yield Statement(finding.label, finding.origin, frame.id, frame.kind, text, state)


def render(frame: Frame, finding: Finding) -> str:
    """The sentence.

    Example:
        >>> render(frame_named("no_x"), finding_named("bronchiectasis"))
        'No bronchiectasis.'
    """
    parts = []
    words = _words(finding)
    for literal, name in _pieces(frame.text):
        parts.append(literal)
        if name is None:
            continue
        if name in FILLERS:
            parts.append(_filler(frame, finding, name))
        elif name in words:
            parts.append(words[name])
        else:
            parts.append(with_article(f"{name[2:-2]} {finding.text}", finding.number))
    text = "".join(parts)
    return text.upper() if frame.capitals else _with_capitals(text)


@cache
def _pieces(text: str) -> tuple[tuple[str, str | None], ...]:
    """The text of a frame in turn: words, and the name of the place behind them."""
    return tuple((literal, name) for literal, name, _, _ in Formatter().parse(text))


@cache
def _words(finding: Finding) -> dict[str, str]:
    """What stands in the places for the finding; "{a questionable X}" is put together where it is asked for."""
    with_a = with_article(finding.text, finding.number)
    return {
        **AGREEING["plural" if finding.number == "plural" else "singular"],
        "X": finding.text,
        "a X": with_a,
        "the X": finding.text if finding.text.startswith("the ") else f"the {finding.text}",
        "wrapped X": _wrapped(finding.text),
        "wrapped a X": _wrapped(with_a),
        "Xs": finding.plural_text,
        "S": finding.subject,
        "P": finding.text,
        **dict(finding.parts),
    }


def _filler(frame: Frame, finding: Finding, name: str) -> str:
    """Another finding; which, is always the same for the same sentence."""
    fillers = _fitting_fillers(finding)
    start = zlib.crc32(f"{frame.id} {finding.text}".encode())
    filler = fillers[(start + (name == "B")) % len(fillers)]
    return with_article(filler, "singular") if name == "a A" else f"the {filler}" if name == "the A" else filler


@cache
def _fitting_fillers(finding: Finding) -> list[str]:
    """Those of other labels, without a word of the finding."""
    taken = {*tokens_of(finding.text), *tokens_of(finding.subject)}
    return [
        filler["text"]
        for filler in read_yaml("frames.yaml")["fillers"]
        if finding.label not in filler["near"] and not taken & set(filler["text"].split())
    ]


def _wrapped(text: str) -> str:
    """The noun phrase over two lines, where it has two words."""
    front, blank, last = text.rpartition(" ")
    return f"{front}\n{last}" if blank else text


def _with_capitals(text: str) -> str:
    """Sentences and lines of a form begin with a capital."""
    begins = BEGINNING_OF_LINE if ":" in text else BEGINNING
    return begins.sub(lambda found: found[0].upper(), text)


def frame_named(frame_id: str) -> Frame:
    """One frame."""
    return next(frame for frame in all_frames() if frame.id == frame_id)


def finding_named(origin: str) -> Finding:
    """The first finding of a lexicon phrase or rule."""
    return next(finding for finding in all_findings() if finding.origin == origin)
