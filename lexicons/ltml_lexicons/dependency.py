"""Rules on dependency parses, as data."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ltml_lexicons.model import Identifier, LexiconModel

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
    """The words besides the finding; one is the `cue`."""

    @model_validator(mode="after")
    def _is_tied_together(self) -> Self:
        known = ["finding"]
        for word in self.words:
            if word.of not in known:
                raise ValueError(f"word `{word.id}` is tied to `{word.of}`, which is none of {', '.join(known)}")
            if word.id in known:
                raise ValueError(f"two words are called `{word.id}`")
            if not (word.word or word.lemma or word.dep or word.pos) and word.id == "cue":
                raise ValueError("the cue has neither `word`, `lemma`, `dep` nor `pos`")
            known.append(word.id)
        if "cue" not in known:
            raise ValueError("no word is called `cue`")
        return self


class DependencyFile(LexiconModel):
    """`dependency/rules.yaml`."""

    about: str
    """How to read the rules."""
    contrast: frozenset[str]
    """Words behind which a coordinated finding shares nothing with the one before."""
    rules: list[DependencyRule]
    """In order of precedence within a kind."""


def load_dependency_rules() -> list[DependencyRule]:
    """The rules that ship with the lexicon.

    Raises:
        LexiconError: The file breaks a rule of its own.
    """
    from ltml_lexicons.lexicon import load_lexicon

    return list(load_lexicon().dependency.rules)
