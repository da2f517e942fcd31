"""Recorded sentences of `tests/cues`: what each cue, scope and precedence decides, said by a sentence.

A file holds sections by name. A section with `rule` wants a mention in each of its sentences that this rule decided;
`open` lists sentences that are read wrongly today, with the right marks.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml
from marked_text import MarkedLine, parse_marked

CUES = Path(__file__).parent / "cues"


@dataclass(frozen=True)
class Recorded:
    """A marked sentence, its section and what must decide it."""

    section: str
    line: MarkedLine
    rule: str | None
    is_open: bool


def read_recorded(path: Path) -> list[Recorded]:
    """Sentences of one file, in order."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    found: list[Recorded] = []
    for name, section in document["sections"].items():
        unknown = set(section) - {"about", "rule", "sentences", "open"}
        if unknown:
            raise ValueError(f"{path.name}: section `{name}` has unknown keys {sorted(unknown)}")
        for key in ("sentences", "open"):
            for text in section.get(key) or []:
                line = parse_marked(text, path.stem, len(found) + 1)
                found.append(Recorded(name, line, section.get("rule"), key == "open"))
    return found


def all_recorded() -> list[Recorded]:
    """Every recorded sentence of `tests/cues`."""
    return [one for path in sorted(CUES.glob("*.yaml")) for one in read_recorded(path)]
