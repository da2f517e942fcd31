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


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SectionTitles(_Strict):
    """One section of the default rules."""

    use: Use
    """`label`: read for labels; `preliminary`: read only where no final text exists; `never`."""
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
    inline: frozenset[str]

    def aliases(self) -> dict[str, str]:
        """Title in lower case to section name.

        Raises:
            LexiconError: A title opens two sections.
        """
        out: dict[str, str] = {}
        for section, entry in self.sections.items():
            for header in entry.headers:
                if header in out or header in self.parts:
                    raise LexiconError(f"sections/default.yaml: the title `{header}` stands in two places; remove one.")
                out[header] = section
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
def section_rules_digest() -> str:
    """SHA-256 of both rule files: which sections are read decides labels."""
    digest = hashlib.sha256()
    for name in ("default", "official"):
        digest.update((files("ltml_lexicons") / "sections" / f"{name}.yaml").read_bytes())
    return digest.hexdigest()


def any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern that finds any of the words anywhere."""
    return re.compile("|".join(re.escape(word) for word in words))
