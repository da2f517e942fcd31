"""Section titles as data: what a title means, and whether its text is read for labels."""

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ltml_lexicons.errors import LexiconError

Use = Literal["label", "preliminary", "never"]
Extent = Literal["rest", "first", "none", "value"]

_AROUND = re.compile(r"^(?:[\s*#_>\u2022\[({\"'~=+-]|</?\w+>|\d{1,2}[.)](?=\s))+|(?:[\s*_\])}\"'~=+-]|</?\w+>)+$")
_SLASH = re.compile(r"\s*/\s*")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SectionTitles(_Strict):
    """One section of the default rules."""

    use: Use
    """`label`: read for labels; `preliminary`: read only where no final text exists; `never`."""
    extent: Extent = "rest"
    """How far a section reaches where no title ends it."""
    headers: tuple[str, ...]
    """Titles that open it, lower case."""


class DefaultRules(_Strict):
    """`sections/default.yaml`."""

    name: Literal["default"]
    source: str
    licence: str
    sections: dict[str, SectionTitles]
    contains: tuple[str, ...]
    titles: tuple[str, ...]
    parts: frozenset[str]
    items: frozenset[str]
    inline: frozenset[str]
    bare: tuple[str, ...]
    always: frozenset[str]
    not_behind: frozenset[str]
    goes_on: frozenset[str]
    values: dict[str, str]
    comparing: frozenset[str]
    telling: tuple[str, ...]
    heads: tuple[str, ...]
    naming: frozenset[str]
    letterhead: frozenset[str]
    missing: frozenset[str]

    def aliases(self) -> dict[str, str]:
        """Title in lower case to section name.

        Raises:
            LexiconError: A title opens two sections.
        """
        out: dict[str, str] = {}
        for section, entry in self.sections.items():
            for header in entry.headers:
                if header in out or header in self.parts or header in self.items:
                    raise LexiconError(f"sections/default.yaml: the title `{header}` stands in two places; remove one.")
                out[header] = section
        unknown = sorted({*self.inline, *self.bare} - out.keys())
        if unknown:
            raise LexiconError(f"sections/default.yaml: `{unknown[0]}` opens no section; list it under `sections` too.")
        return out


class OfficialRules(_Strict):
    """`sections/official.yaml`: the names behind the official MIMIC-CXR labels."""

    name: Literal["official"]
    source: str
    licence: str
    aliases: dict[str, str]
    contains: tuple[str, ...]
    titles: tuple[str, ...]
    choose: tuple[str, ...]


def title_key(words: str) -> str:
    """A title as `headers` lists it.

    Example:
        >>> title_key("**Findings & Impression** ")
        'findings and impression'
    """
    plain = _AROUND.sub("", words.lower())
    if "(" in plain and ")" not in plain:  # the bracket of "recommendation(s)" is its own
        plain += ")"
    plain = _SLASH.sub("/", " ".join(plain.replace("&", " and ").split()))
    return plain.removesuffix(".").rstrip()


def _read(name: str) -> object:
    path = files("ltml_lexicons") / "sections" / f"{name}.yaml"
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise LexiconError(f"sections/{name}.yaml is not valid YAML: {' '.join(str(error).split())}") from error


@cache
def default_rules() -> DefaultRules:
    """The default rules, read once."""
    try:
        return DefaultRules.model_validate(_read("default"))
    except ValidationError as error:
        raise LexiconError(f"sections/default.yaml: {error}") from error


@cache
def official_rules() -> OfficialRules:
    """The official rules, read once."""
    try:
        return OfficialRules.model_validate(_read("official"))
    except ValidationError as error:
        raise LexiconError(f"sections/official.yaml: {error}") from error


@cache
def default_aliases() -> dict[str, str]:
    """Title of the default rules in lower case to section name."""
    return default_rules().aliases()


@cache
def section_rules_digest() -> str:
    """SHA-256 of both rule files: which sections are read decides labels."""
    digest = hashlib.sha256()
    for name in ("default", "official"):
        digest.update((files("ltml_lexicons") / "sections" / f"{name}.yaml").read_bytes())
    return digest.hexdigest()


def any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern that finds any of the words anywhere."""
    return re.compile("|".join(re.escape(word) for word in words))


@cache
def section_use(name: str) -> Use:
    """Whether text of a section is read for labels; unknown names are body text, so they are."""
    known = default_rules().sections.get(section_kind(name))
    return known.use if known else "label"


@cache
def section_kind(name: str) -> str:
    """Section that the default rules see behind a title or a column name, the name itself if unknown."""
    rules, aliases = default_rules(), default_aliases()
    title = " ".join(name.lower().split())
    for form in (title, title.replace("_", " "), title_key(title)):
        if form in rules.sections:
            return form
        if form in aliases:
            return aliases[form]
        if form in rules.parts or form in rules.items:
            return "findings"
    spaced = title.replace("_", " ")
    for word in rules.contains:
        if word in spaced:
            return "recommendations" if word == "recommendation" else word
    return "findings" if _title_words().search(spaced) else title


@cache
def _title_words() -> re.Pattern[str]:
    return any_of(default_rules().titles)


def is_missing(text: str) -> bool:
    """Whether a short text only stands where a text is missing (`missing`), such as "N/A"."""
    missing = default_rules().missing
    return title_key(text) in missing or " ".join(text.lower().split()) in missing
