"""Rules on dependency parses, as data."""

from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import Field

from ltml_lexicons.model import Identifier, LexiconModel
from ltml_lexicons.yaml_lines import read_document, validate

RuleKind = Literal["open", "negation", "uncertainty"]


class DependencyWord(LexiconModel):
    """One word of a rule, tied to an earlier one; empty lists do not restrict."""

    id: Identifier
    """Name within the rule; `cue` is what the evidence shows."""
    of: Identifier
    """The earlier word: `finding` or another id of the rule."""
    op: Literal[">", "<", ">>", "<<", ".", ";"]
    """How this word stands to `of`, as spaCy's DependencyMatcher writes it: `>` is a child, `<` the head."""
    word: tuple[str, ...] = ()
    """Forms as written, lower case."""
    lemma: tuple[str, ...] = ()
    """Lemmas; `word` or `lemma` must fit where both are given."""
    dep: tuple[str, ...] = ()
    """Dependency labels of this word."""
    pos: tuple[str, ...] = ()
    """Universal parts of speech."""


class DependencyRule(LexiconModel):
    """One way in which a sentence negates or hedges a finding."""

    id: Identifier
    """Name of the rule in the evidence."""
    kind: RuleKind
    """`open` is uncertainty that goes before negation."""
    example: str
    """A sentence the rule is for."""
    finding_not: tuple[str, ...] = ()
    """Dependency labels that the finding must not have (`nsubj`: "opacity may represent ..." is no hedged opacity)."""
    words: list[DependencyWord] = Field(min_length=1)
    """The words besides the finding."""


class DependencyFile(LexiconModel):
    """`dependency/rules.yaml`."""

    about: str
    """How to read the rules."""
    rules: list[DependencyRule]
    """In order of precedence within a kind."""


def load_dependency_rules() -> list[DependencyRule]:
    """The rules that ship with the lexicon.

    Raises:
        LexiconError: The file breaks a rule of its own.
    """
    return validate(DependencyFile, read_document(Path("dependency/rules.yaml"), dependency_text())).rules


def dependency_text() -> str:
    """The file itself, for fingerprints."""
    return files("ltml_lexicons").joinpath("dependency", "rules.yaml").read_text(encoding="utf-8")
