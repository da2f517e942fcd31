"""Marked sentences: `[words -> label:state]`, the clearest test of a rule."""

import re
from dataclasses import dataclass
from pathlib import Path

SENTENCES = Path(__file__).parent / "sentences"

_MARK = re.compile(r"\[([^\]]*?) -> (\w+):(-?1|0|x)\]")


@dataclass(frozen=True)
class Mark:
    """One marked stretch; `state` is 1, 0, -1, or None where the label must not be found."""

    start: int
    end: int
    label: str
    state: int | None


@dataclass(frozen=True)
class MarkedLine:
    """A line without its marks, and the marks."""

    file: str
    number: int
    text: str
    marks: tuple[Mark, ...]


def parse_marked(line: str, file: str, number: int) -> MarkedLine:
    """One line with its marks taken out."""
    text, marks, position = "", [], 0
    for match in _MARK.finditer(line):
        text += line[position : match.start()]
        state = None if match[3] == "x" else int(match[3])
        marks.append(Mark(len(text), len(text) + len(match[1]), match[2], state))
        text += match[1]
        position = match.end()
    return MarkedLine(file, number, text + line[position:], tuple(marks))


def read_marked(path: Path) -> list[MarkedLine]:
    """Lines of a file; empty lines and those that begin with # are left out."""
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    return [
        parse_marked(line, path.stem, number) for number, line in lines if line.strip() and not line.startswith("#")
    ]


def all_marked() -> list[MarkedLine]:
    """Every marked line of `tests/sentences`."""
    return [line for path in sorted(SENTENCES.glob("*.txt")) for line in read_marked(path)]
