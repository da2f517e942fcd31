"""Lists of other labelers, word for word, for people who must match their labels."""

from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ltml_lexicons.model import Identifier, State
from ltml_lexicons.yaml_lines import read_document, validate


class _Exact(BaseModel):
    """Blanks at the ends of a phrase are part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class CompatPhrases(_Exact):
    """Phrases of one label."""

    mentions: list[str]
    """Pieces of text that name the label."""
    unmentions: list[str] = []
    """Pieces of text that hide a mention they overlap."""


class Positions(_Exact):
    """Places that are not mentions: each of `words`, with each of `sides`, before a mention of `labels`."""

    words: list[str]
    """`over the`, `in the`."""
    sides: list[str]
    """Nothing, or ` left`."""
    labels: list[Identifier]
    """Labels whose mentions are meant."""
    except_: list[str]
    """Mentions that stay mentions even so."""

    model_config = ConfigDict(alias_generator=lambda name: name.rstrip("_"))


class OrganSaying(_Exact):
    """What a sentence may say of an organ."""

    words: list[str]
    """Pieces of text; one suffices."""
    state: State
    """What the organ's mention becomes."""


class Organs(_Exact):
    """Mentions that name an organ, not a finding."""

    mentions: list[str]
    """Exact mentions."""
    says: list[OrganSaying]
    """First fitting entry decides; without one the mention stands as it is."""


class Implied(_Exact):
    """Words that say something of another label too."""

    text: list[str]
    """Exact mentions."""
    label: Identifier
    """The other label."""
    state: State
    """What it becomes."""


class CompatLexicon(_Exact):
    """One file of `compat/`."""

    about: str
    """What the lists are."""
    source: str
    """Where they were published."""
    licence: str
    """Their licence."""
    labels: dict[Identifier, CompatPhrases]
    """Phrases by label id."""
    positions: Positions
    """Generated unmentions."""
    organs: Organs
    """Organ words among the mentions."""
    implied: list[Implied] = []
    """Mentions that touch a second label."""

    def unmentions(self, label: str) -> list[str]:
        """Unmentions of a label, those of place included."""
        phrases = self.labels[label]
        listed = list(phrases.unmentions)
        if label not in self.positions.labels:
            return listed
        places = [word + side for word in self.positions.words for side in self.positions.sides]
        bare = [text for text in phrases.mentions if text not in self.positions.except_]
        return listed + [f"{place} {text.replace('the ', '')}" for place in places for text in bare]


def load_compat(name: str) -> CompatLexicon:
    """The lists of one labeler by name (`chexpert`), with a digest-ready reading of its file.

    Raises:
        LexiconError: The file breaks a rule.
    """
    text = compat_text(name)
    return validate(CompatLexicon, read_document(Path(f"compat/{name}.yaml"), text))


def compat_text(name: str) -> str:
    """The file itself, for fingerprints."""
    return files("ltml_lexicons").joinpath("compat", f"{name}.yaml").read_text(encoding="utf-8")
