"""What `sections/*.yaml` may say: titles of report sections, and which of them are read."""

from typing import Literal

from pydantic import Field

from ltml_lexicons.model import LexiconModel

Use = Literal["label", "preliminary", "never"]
Extent = Literal["rest", "first", "none", "value"]


class SectionTitles(LexiconModel):
    """One section of the default rules."""

    use: Use
    """`label`: read for labels; `preliminary`: read only where no final text exists; `never`."""
    extent: Extent = "rest"
    """How far a section reaches where no title ends it."""
    headers: tuple[str, ...]
    """Titles that open it, lower case."""


class DefaultRules(LexiconModel):
    """`sections/default.yaml`."""

    name: Literal["default"]
    """Equals the file name."""
    source: str
    """Where the rules come from."""
    licence: str
    """Their terms."""
    sections: dict[str, SectionTitles]
    """Section -> its use and its titles."""
    contains: tuple[str, ...]
    """Words that tell the section of an unlisted title in capitals."""
    titles: tuple[str, ...]
    """Words of unlisted titles that open findings."""
    parts: frozenset[str]
    """Organ headings, which stay in the text they stand in."""
    items: frozenset[str]
    """The same, at the start of a line only."""
    inline: frozenset[str]
    """Titles that may stand inside a line before a colon."""
    bare: tuple[str, ...]
    """Titles that need no colon."""
    always: frozenset[str]
    """Of those, the ones that open a section whatever follows."""
    not_behind: frozenset[str]
    """Words that no title stands behind."""
    goes_on: frozenset[str]
    """Words that make a title the subject of a sentence."""
    values: dict[str, str]
    """Line of a form's head -> pattern of its value."""
    comparing: frozenset[str]
    """Words of a sentence that only compares."""
    telling: tuple[str, ...]
    """Words that tell findings from other text."""
    heads: tuple[str, ...]
    """Lines that head a report."""
    naming: frozenset[str]
    """Words that name an examination."""
    letterhead: frozenset[str]
    """Words of a letterhead."""
    missing: frozenset[str]
    """What stands where a text is missing."""
    main: tuple[str, ...] = Field(min_length=1)
    """Sections that hold the findings of a report; the others are searched for text without a title."""
    beside_main: tuple[str, ...]
    """Sections that no text without a title hides in."""
    kinds: dict[str, str]
    """Word of `contains` -> section, where the two differ."""
    part_of: str
    """Section that parts, items and titles with a word of `titles` belong to."""
    closing: str
    """Section that closes a report: text before it that no title opens is body."""
    form_lines: str
    """Section of the lines of a form's head."""

    def aliases(self) -> dict[str, str]:
        """Title in lower case to section name; the first section that lists it."""
        out: dict[str, str] = {}
        for section, entry in self.sections.items():
            for header in entry.headers:
                out.setdefault(header, section)
        return out


class OfficialRules(LexiconModel):
    """`sections/official.yaml`: the names behind the official MIMIC-CXR labels."""

    name: Literal["official"]
    """Equals the file name."""
    source: str
    """Where the rules come from."""
    licence: str
    """Their terms."""
    aliases: dict[str, str]
    """Title in lower case -> section."""
    contains: tuple[str, ...]
    """Words that are the section of an unlisted title."""
    titles: tuple[str, ...]
    """Words of unlisted titles that open findings."""
    choose: tuple[str, ...] = Field(min_length=1)
    """Sections from which the one text is chosen, the first first."""
