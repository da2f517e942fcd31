"""What a lexicon file may say: labels, anatomy, cues, sources and label sets.

Every word that decides a label stands in YAML; these models say which keys the YAML has.
Field docstrings are the reference for authors (`docs/method.md` tells the story).
"""

import re
from itertools import product
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""Lower-case words joined by underscores; never changes meaning once released."""

SourceKind = Literal["chexpert", "gamuts", "curated"]
"""Where a phrase was published. Profile `paper` uses `chexpert` and `gamuts` phrases only."""

CueKind = Literal[
    "negation",
    "normal",
    "resolved",
    "removed",
    "exclusion",
    "uncertainty",
    "history",
    "hypothetical",
    "comparison",
    "planned",
    "other_person",
    "change",
]

State = Literal["positive", "negative", "uncertain"]
Scope = Literal["list", "enumeration", "clause", "sentence", "next", "phrase"]
CueState = Literal["positive", "negative", "uncertain", "not_mentioned"]


_PIECE = re.compile(r"<[^>]+>|\{[^}]+\}|[^\s<{]+")
"""One word, form or optional word of a cue."""


class LexiconModel(BaseModel):
    """Strict base: a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, str_strip_whitespace=True)


class Source(LexiconModel):
    """One place phrases come from."""

    kind: SourceKind
    """Decides in which profile the phrases take part."""
    ref: str
    """Publication, file or reason that a reader can follow."""
    licence: str
    """Terms under which the phrases may be shared."""


class Phrase(LexiconModel):
    """Words that name a finding, matched as whole words in any letter case."""

    text: Annotated[str, Field(min_length=1)]
    """The words. Hyphens equal blanks; the last word is also found in its regular plural."""
    source: str
    """Name of an entry in `sources.yaml` or in the label's own `sources`."""
    stem: bool = False
    """The last word may go on: `atelecta` also finds `atelectatic`."""
    plural: bool = True
    """Also match the regular plural of the last word (never for a stem)."""
    upper: bool = False
    """Match only where the report writes it in capitals (`PE`, not `pe`)."""
    state: State | None = None
    """Overrides what the phrase says by itself, e.g. `negative` for `clear costophrenic angles`."""
    paper: bool = True
    """False for a published phrase that profile `paper` leaves out, because the released counts rule it out."""
    sign: bool = False
    """A sign, not the finding's name: where the sentence goes on to hedge the name, the sign is hedged too ("rounded
    density, lung mass not excluded")."""
    shared: bool = False
    """Another label names the same words on purpose (`hemopneumothorax` is a hemothorax and a pneumothorax)."""
    note: str | None = None
    """Why the phrase is here, for the next reader."""


class Unmention(LexiconModel):
    """Longer words that hide the label's phrases inside them (`pericardial effusion` hides `effusion`)."""

    text: Annotated[str, Field(min_length=1)]
    """The words; the same matching rules as for phrases."""
    source: str
    """Name of a source."""
    stem: bool = False
    """The last word may go on."""
    plural: bool = True
    """Also match the regular plural of the last word."""
    paper_only: bool = False
    """Hides in profile `paper` only: the published list says so, a radiologist would not."""
    note: str | None = None
    """Why."""


class Neighbour(LexiconModel):
    """A label that is easily confused with this one."""

    label: Identifier
    """Id of the other label."""
    note: str
    """How the two are told apart."""


class Size(LexiconModel):
    """Limits on a measurement that stands beside the finding, in millimetres (largest stated dimension)."""

    min_mm: float | None = None
    """Smallest size that counts."""
    max_mm: float | None = None
    """Largest size that counts."""


class Composed(LexiconModel):
    """A finding said in parts: a site with a predicate in one clause, in either order.

    "The heart is mildly enlarged", "enlarged cardiac silhouette", "enlargement of the heart" are one rule:
    site `heart`, abnormal predicate `enlarged`. A normal predicate ("heart size is normal") is evidence of
    absence, a borderline one of uncertainty. Cues (negation, hedges, ...) apply to the whole as to any phrase.
    """

    name: str
    """What the evidence shows as phrase, e.g. `enlarged heart`."""
    source: str = "curated"
    """Name of a source."""
    site: list[Identifier] = []
    """Site groups of `anatomy/sites.yaml`; any of them serves."""
    finding: list[Identifier] = []
    """Instead of a site: labels whose mention serves (`cardiomegaly` with modifier `massive`)."""
    abnormal: list[Identifier] = []
    """Predicate groups that make the finding present."""
    uncertain: list[Identifier] = []
    """Predicate groups that make it uncertain (`borderline`)."""
    normal: list[Identifier] = []
    """Predicate groups that make it absent."""
    needs: list[Identifier] = []
    """Modifier groups of which one must stand with the site or predicate (`massive`, `small`, `multiple`)."""
    needs_also: list[Identifier] = []
    """A second set of which one must stand there too (`small` and `multiple`)."""
    forbids: list[Identifier] = []
    """Modifier groups that rule the finding out (`bilateral` for a unilaterally raised diaphragm)."""
    size: Size | None = None
    """Measurement limits; a stated size within them satisfies `needs`, one outside rules the finding out."""
    alone: bool = False
    """With neither predicate: the site (or finding) with its modifiers is the finding itself (`small nodule`)."""
    note: str | None = None
    """Why."""

    @model_validator(mode="after")
    def _has_parts(self) -> Self:
        if bool(self.site) == bool(self.finding):
            raise ValueError("give either `site` or `finding`")
        if not self.alone and not (self.abnormal or self.normal or self.uncertain):
            raise ValueError("give a predicate group (`abnormal`, `uncertain`, `normal`) or `alone: true`")
        return self


class Term(LexiconModel):
    """One wording of a site, predicate or modifier."""

    text: Annotated[str, Field(min_length=1)]
    """The words."""
    stem: bool = False
    """The last word may go on."""
    plural: bool = True
    """Also match the regular plural of the last word."""
    note: str | None = None
    """Why."""


class TermGroup(LexiconModel):
    """Words that mean the same for composed findings."""

    definition: str
    """What the group stands for."""
    terms: list[Term | str]
    """Wordings; a bare string is a term without further keys."""

    def wordings(self) -> list[Term]:
        """Every wording as a `Term`."""
        return [term if isinstance(term, Term) else Term(text=term) for term in self.terms]


class OwnGroups(LexiconModel):
    """Term groups that a label file brings along, so that one file is enough for a new label.

    They join the groups of `anatomy/`; any label may use them, and an id may stand only once.
    """

    sites: dict[Identifier, TermGroup] = {}
    """Like `anatomy/sites.yaml`."""
    predicates: dict[Identifier, TermGroup] = {}
    """Like `anatomy/predicates.yaml`."""
    modifiers: dict[Identifier, TermGroup] = {}
    """Like `anatomy/modifiers.yaml`."""


class Label(LexiconModel):
    """One finding: a page of the handbook."""

    id: Identifier
    """Equals the file name."""
    name: str
    """Column name in every table, as the data set's users know it."""
    index: Annotated[int, Field(ge=0)]
    """Position in the 39-label order; unique, never reused. No Finding and labels beyond the 39 come after."""
    origin: Literal["chexpert", "ltml", "cxr_lt", "user"]
    """Which list the class comes from."""
    definition: str
    """One or two sentences a radiologist agrees with."""
    counts: list[str] = []
    """What counts as this label, as short examples."""
    does_not_count: list[str] = []
    """What does not, and where it goes instead."""
    neighbours: list[Neighbour] = []
    """Labels that are easily confused with this one."""
    gamuts: list[str] = []
    """Ids of the Gamuts findings this label corresponds to."""
    parents: list[Identifier] = []
    """Labels that are also present where this one is."""
    paper_parents: list[Identifier] = []
    """Parents in the paper's data only (profile `paper`)."""
    implied_by: list[Identifier] = []
    """Labels that are a case of this one: "opacity or atelectasis" leaves the opacity certain."""
    chronic: bool = False
    """A history of it means the patient has it (hypertension, cardiomyopathy); else history is not presence."""
    device: bool = False
    """Placed and removed rather than appearing and resolving; `history of` leaves it present."""
    sources: dict[Identifier, Source] = {}
    """Further sources, beside those of `sources.yaml`."""
    mentions: list[Phrase] = []
    """Phrases that name the finding."""
    unmentions: list[Unmention] = []
    """Phrases that hide mentions inside them."""
    composed: list[Composed] = []
    """Findings said in parts."""
    groups: OwnGroups = OwnGroups()
    """Sites, predicates and modifiers that only this label's composed findings need."""


class TermFile(LexiconModel):
    """`anatomy/sites.yaml`, `anatomy/predicates.yaml` or `anatomy/modifiers.yaml`."""

    about: str
    """What the file holds."""
    groups: dict[Identifier, TermGroup]
    """Groups by id."""


class Cue(LexiconModel):
    """Words that decide how a mention is asserted."""

    text: Annotated[str, Field(min_length=1)]
    """The words; matched whole, the longest cue wins. `{is}` is any word of that form of `cues/forms.yaml`, `<now>` may
    be left out."""
    scope: Scope | None = None
    """How far it reaches: the coordinated list it opens or closes (`enumeration`: also over "and small effusion"), its
    clause, the sentence, the next noun phrase only, or the words up to the next comma."""
    words: int | None = None
    """At most so many words away."""
    note: str | None = None
    """Why."""


class CueGroup(LexiconModel):
    """Cues that work alike."""

    kind: CueKind
    """Name of the rule in the evidence; the state follows from it."""
    state: CueState
    """What a mention in scope becomes; `not_mentioned`: the words stand there, and nobody says that it is so."""
    direction: Literal["before", "after", "both", "either", "beside"]
    """Where the cue stands, seen from the mention: `no effusion` is before, `effusion has resolved` after. `both` acts
    on what stands before it, and where nothing does on what follows; `either` acts on what stands before it where it
    ends its list member, and else on what follows (`effusion?`, `?effusion`); `beside` acts on both sides."""
    scope: Scope
    """Default reach of the group's cues."""
    past: bool = False
    """Whether they act only where the verb of their clause stands in the past."""
    about: str
    """One sentence for readers."""
    cues: list[Cue | str]
    """Wordings; a bare string takes the group's defaults."""

    def wordings(self) -> list[Cue]:
        """Every wording as a `Cue`."""
        return [cue if isinstance(cue, Cue) else Cue(text=cue) for cue in self.cues]


class CueFile(LexiconModel):
    """One file of `cues/`: `before.yaml`, `after.yaml`, `uncertainty.yaml`."""

    about: str
    """What the file holds."""
    groups: dict[Identifier, CueGroup]
    """Groups by id."""


class WordFile(LexiconModel):
    """`cues/pseudo.yaml`, `cues/termination.yaml`: words by role in a sentence."""

    about: str
    """What the file holds."""
    groups: dict[Identifier, TermGroup]
    """Groups by role."""


class FormFile(LexiconModel):
    """`cues/forms.yaml`: words that stand for each other inside cues, and what a noun looks like."""

    about: str
    """What the file holds."""
    forms: dict[Identifier, list[str]]
    """Form -> its words."""
    nouns: list[str]
    """Predicates that are nouns whatever their ending."""
    noun_endings: list[str]
    """Endings that make a predicate a noun ("enlargement"): it may stand behind its site without a verb."""

    def expand(self, text: str) -> list[str]:
        """Every wording of a text with forms and optional words, in order, each once.

        Raises:
            KeyError: The text names an unknown form.
        """
        choices = [self._choices(piece) for piece in _PIECE.findall(text)]
        return list(dict.fromkeys(" ".join(" ".join(words).split()) for words in product(*choices)))

    def _choices(self, piece: str) -> list[str]:
        optional = piece.startswith("<")
        words = piece[1:-1] if optional else piece
        found = self.forms[words[1:-1]] if words.startswith("{") else [words]
        return [*found, ""] if optional else list(found)


class PrecedenceFile(LexiconModel):
    """`cues/precedence.yaml`: which kind of cue decides."""

    about: str
    """What the file holds."""
    order: list[list[CueKind]]
    """Kinds, the strongest first; those on one line are equal."""

    @field_validator("order")
    @classmethod
    def _names_every_kind_once(cls, order: list[list[CueKind]]) -> list[list[CueKind]]:
        if sorted(kind for kinds in order for kind in kinds) != sorted(get_args(CueKind)):
            raise ValueError(f"`order` must name each kind once: {', '.join(get_args(CueKind))}")
        return order


class SpellingFile(LexiconModel):
    """`spelling.yaml`: misspellings and British spellings, word by word."""

    about: str
    """What the file holds."""
    words: dict[str, str]
    """Word as found in reports -> word as written in this lexicon."""


class AbbreviationFile(LexiconModel):
    """`abbreviations.yaml`: short forms, and how a report explains its own."""

    about: str
    """What the file holds."""
    meanings: dict[str, str]
    """Abbreviation -> words it stands for, wherever the lexicon has them: in phrases, sites, predicates and cues.
    Written in capitals it wants capitals."""
    stops: list[str]
    """Words written with a stop that ends no sentence, without that last stop."""
    explained: "Explained"
    """Abbreviations that a report explains itself ("pectus excavatum (PE)")."""


class Explained(LexiconModel):
    """When a report explains an abbreviation of the lexicon, which then means what the report says."""

    signs: list[Annotated[str, Field(min_length=1, max_length=1)]]
    """Signs that stand between words and abbreviation, in either order: opening brackets, the sign of equality."""
    skipped: list[str]
    """Words that may lack a letter in the abbreviation ("of")."""


class NearWordFile(LexiconModel):
    """`near_words.yaml`: when an unknown word is read as the one lexicon word that is nearly the same."""

    about: str
    """What the file holds."""
    profiles: list[Literal["clinical", "paper", "gamuts"]]
    """Profiles in which typing errors are read."""
    shortest: Annotated[int, Field(ge=5)]
    """Letters that both words have at least."""
    two_edits: Annotated[int, Field(ge=8)]
    """Letters from which two edits are one word still; below, one edit is."""
    prefixes: list[str]
    """Beginnings that decide: if one of the two words has it, both must."""
    endings: list[str]
    """Endings that decide: an unknown word that has one is read only as a word that has it too."""
    inflections: list[str]
    """Endings that make another form of a word; words that differ by them alone are no typing errors."""
    unread: list[str]
    """Words that stay unread, near as they are."""


class LabelSet(LexiconModel):
    """A choice of labels, in column order."""

    id: Identifier = "own"
    """Equals the file name; taken from it where left out."""
    name: str = ""
    """For people."""
    about: str = ""
    """Who uses this list."""
    source: str = ""
    """Where the list was published."""
    labels: list[str]
    """Label ids or names in column order; `No Finding` is always added at the end."""
    files: list[str] = []
    """Label files beside this one that join the lexicon: a user's own labels."""
    own: list[Label] = []
    """The same, written out here: pages with the keys of a label file."""
    names: dict[Identifier, str] = {}
    """Other column names for labels whose users know them by another name."""


class MappedLabel(LexiconModel):
    """One label of another project in ours."""

    label: Identifier
    """Id of our label."""
    relation: Literal["same", "narrower", "wider"]
    """What theirs is, seen from ours."""
    note: str | None = None
    """Why."""


class Mapping(LexiconModel):
    """One file of `mappings/`: another project's label names in ours."""

    id: Identifier
    """Equals the file name."""
    about: str
    """What the file holds."""
    source: str
    """Project and version."""
    licence: str
    """Terms of the project."""
    states: dict[str, State]
    """Their words for present, absent and uncertain."""
    labels: dict[str, MappedLabel]
    """Their label -> ours."""
    unmapped: dict[str, str] = {}
    """Their label -> why it has no counterpart."""
