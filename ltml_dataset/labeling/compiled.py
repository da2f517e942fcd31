"""The lexicon compiled: one automaton over words, and tables of what each hit means."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum
from itertools import product
from typing import NamedTuple

import ahocorasick

from ltml_dataset.labeling.vocabulary import TOKEN, Vocabulary
from ltml_lexicons.errors import LexiconError
from ltml_lexicons.lexicon import Lexicon
from ltml_lexicons.model import Composed, Cue, CueGroup, Label, Size, SourceKind, TermGroup
from ltml_lexicons.plurals import plural_of

RULES_VERSION = 3
"""Raise when the code decides differently with the same lexicon."""

POSITIVE, NEGATIVE, UNCERTAIN, NOT_MENTIONED = 1, 0, -1, -2
STATES = {"positive": POSITIVE, "negative": NEGATIVE, "uncertain": UNCERTAIN, "not_mentioned": NOT_MENTIONED}


class Role(IntEnum):
    """What a hit is."""

    PHRASE = 0
    UNMENTION = 1
    SITE = 2
    PREDICATE = 3
    MODIFIER = 4
    CUE = 5
    WORD = 6
    INNER_SITE = 7
    """A site inside a longer phrase, which only a list may share ("pleural effusion and thickening")."""


class Word(IntEnum):
    """Structural words, named as the groups of `cues/termination.yaml`; `PSEUDO` stands for all of `pseudo.yaml`."""

    PSEUDO = 0
    CLAUSE = 1
    COMMA = 2
    AND = 3
    OR = 4
    WITH = 5
    OPEN = 6
    CLOSE = 7
    COPULA = 8
    COPULAS = 9
    VERB = 10
    SEEN = 11
    EXISTENTIAL = 12
    AFFIRM = 13
    REASON = 14
    RELATIVE = 15
    COLON = 16
    MILLIMETRE = 17
    CENTIMETRE = 18
    PART = 19
    PREPOSITION = 20
    LIKEWISE = 21
    MODAL = 22
    ARTEFACT = 23
    SUBORDINATE = 24
    NOR = 25
    COPULA_PAST = 26
    COPULAS_PAST = 27
    PRONOUN = 28
    SLASH = 29


class PhraseEntry(NamedTuple):
    """What the evidence says of a phrase or composed rule."""

    label: int
    text: str
    source: str
    state: int | None
    noun: bool = True
    """Whether it ends in a noun, so that another finding right behind it is a second one ("opacity atelectasis")."""
    sign: bool = False
    """Whether it is a sign, which a hedge on the finding's name hedges too."""


class CueEntry(NamedTuple):
    """One cue, ready to apply."""

    text: str
    kind: str
    state: int
    before: bool
    after: bool
    beside: bool
    """Whether it sets the findings on its two sides against each other ("versus")."""
    either: bool
    """Whether it acts on what follows wherever something does in its member ("?edema")."""
    scope: str
    words: int
    tail: int
    """A cue of the same kind that stands before findings and ends this one ("is probable"), else -1."""
    verb: bool
    """Whether it holds the verb of its clause ("has resolved", "may represent")."""
    plural: bool
    """Whether that verb is a plural."""
    seen: bool
    """Whether it only says that something is, or is not, seen."""
    past: bool
    """Whether it acts only where the verb of its clause stands in the past."""
    denies_change: bool
    """Whether it ends in the word for a change that it denies ("not increased"), which may be a predicate."""

    @property
    def denies(self) -> bool:
        """Whether what stands before it is out of the reach of a cue behind: a denial, or an exception from one."""
        return self.before and self.kind in ("negation", "exclusion")


class RuleEntry(NamedTuple):
    """One composed finding, with groups as numbers."""

    phrase: int
    label: int
    abnormal: frozenset[int]
    uncertain: frozenset[int]
    normal: frozenset[int]
    needs: frozenset[int]
    needs_also: frozenset[int]
    forbids: frozenset[int]
    size: Size | None
    alone: bool


@dataclass
class CompiledLexicon:
    """Everything the matcher and the assertion engine look up."""

    labels: tuple[Label, ...]
    vocabulary: Vocabulary
    automaton: ahocorasick.Automaton
    """Phrases, sites, predicates, cues and structural words."""
    modifiers: ahocorasick.Automaton
    """Modifiers, which are looked for only where a composed finding asks for one."""
    stop: str
    """Characters of the sentence-final stop."""
    phrases: list[PhraseEntry]
    cues: list[CueEntry]
    precedence: dict[str, int]
    """Kind of cue -> which decides where several reach a mention: the higher."""
    site_rules: dict[int, list[RuleEntry]]
    """Site group -> rules of labels in use."""
    said_of: dict[int, frozenset[int]]
    """Site group -> predicate groups that a rule of labels in use joins with it."""
    alone_by_site: dict[int, list[RuleEntry]]
    """Those of them that need no predicate."""
    finding_rules: dict[int, list[RuleEntry]]
    """Label number -> rules built on its mentions."""
    implied_by: list[frozenset[int]]
    """Labels that are a case of each label."""
    needed: frozenset[int]
    """Modifier groups that a rule needs; the others only take words away."""
    prepositions: frozenset[str]
    """Characters of the prepositions of one word: a site may begin with one, a predicate end ("filled with")."""
    suppressor: int
    """Number of No Finding, whose mentions only suppress `No Finding`; -1 where the lexicon has none."""
    pronoun_words: tuple[str, ...]
    """Words of which every pronoun holds at least one ("one"), so that few sentences are looked at twice."""
    unused_abbreviations: tuple[str, ...]
    """Abbreviations whose words stand nowhere in the lexicon."""


def compile_lexicon(lexicon: Lexicon, labels: Sequence[Label], kinds: frozenset[SourceKind]) -> CompiledLexicon:
    """The automaton and tables for a choice of labels and of phrase sources.

    Args:
        lexicon: The whole lexicon.
        labels: Labels in use; their position is their number.
        kinds: Source kinds whose phrases take part (profile).
    """
    return _Compiler(lexicon, labels, kinds).compiled()


class _Compiler:
    def __init__(self, lexicon: Lexicon, labels: Sequence[Label], kinds: frozenset[SourceKind]) -> None:
        self.lexicon = lexicon
        self.kinds = kinds
        self.labels = tuple(labels) + ((lexicon.no_finding,) if lexicon.no_finding else ())
        self.numbers = {label.id: i for i, label in enumerate(self.labels)}
        self.vocabulary = Vocabulary(lexicon.spelling)
        self.patterns: list[tuple[list[str], bool, bool, tuple[int, int]]] = []
        self.phrases: list[PhraseEntry] = []
        self.cues: list[CueEntry] = []
        _check_roles(lexicon)
        for term in lexicon.words["termination"].groups["invisible"].wordings():
            self.vocabulary.add_invisible(term.text)

        self.noun_endings = tuple(lexicon.forms.noun_endings)
        self.prepositions = {
            term.text
            for group in ("preposition", "with")
            for term in lexicon.words["termination"].groups[group].wordings()
            if " " not in term.text
        }

    def compiled(self) -> CompiledLexicon:
        for number, label in enumerate(self.labels):
            self._add_label(number, label)
        sites = self._add_groups(Role.SITE, "sites", self.lexicon.sites.groups)
        predicates = self._add_groups(Role.PREDICATE, "predicates", self.lexicon.predicates.groups)
        modifiers = self._add_groups(Role.MODIFIER, "modifiers", self.lexicon.modifiers.groups)
        self._add_cues()
        self._add_words()
        unused = self._add_abbreviations()
        site_rules, finding_rules = self._rules(sites, predicates, modifiers)
        return CompiledLexicon(
            labels=self.labels,
            vocabulary=self.vocabulary,
            automaton=self._automaton({role for role in Role if role != Role.MODIFIER}),
            modifiers=self._automaton({Role.MODIFIER}),
            stop=self.vocabulary.add_word("."),
            phrases=self.phrases,
            cues=self.cues,
            precedence={kind: rank for rank, kinds in enumerate(reversed(self.lexicon.precedence)) for kind in kinds},
            site_rules=site_rules,
            said_of={
                site: frozenset().union(*(rule.abnormal | rule.uncertain | rule.normal for rule in rules))
                for site, rules in site_rules.items()
            },
            alone_by_site={
                site: alone for site, rules in site_rules.items() if (alone := [rule for rule in rules if rule.alone])
            },
            finding_rules=finding_rules,
            implied_by=[
                frozenset(self.numbers[name] for name in label.implied_by if name in self.numbers)
                for label in self.labels
            ],
            needed=frozenset().union(
                *(
                    rule.needs | rule.needs_also
                    for rules in (*site_rules.values(), *finding_rules.values())
                    for rule in rules
                )
            ),
            prepositions=frozenset(self.vocabulary[word] for word in self.prepositions),
            suppressor=self.numbers.get("no_finding", -1),
            pronoun_words=self._pronoun_words(),
            unused_abbreviations=unused,
        )

    def _add(self, text: str, stem: bool, plural: bool, named: tuple[Role, int], upper: bool = False) -> None:
        item = (int(named[0]), int(named[1]))
        # a blank before, as a dash is a token only where it stands alone
        tokens = [token for token in TOKEN.findall(f" {text.lower()} ") if not self.vocabulary.is_invisible(token)]
        words = tokens[:-1] if stem else tokens
        for word in words:
            if upper:
                self.vocabulary.add_capitals(word)
            else:
                self.vocabulary.add_word(word)
        if stem:
            self.vocabulary.add_stem(tokens[-1])
        elif plural and not upper and (last := plural_of(tokens[-1])):
            self.vocabulary.add_word(last)
            self.patterns.append(([*tokens[:-1], last], False, False, item))
            at = next((i for i, token in enumerate(tokens) if token in ("of", "in") and i), 0)
            if at and (head := plural_of(tokens[at - 1])):  # "hernias of the diaphragm"
                self.vocabulary.add_word(head)
                self.patterns.append(([*tokens[: at - 1], head, *tokens[at:]], False, False, item))
        self.patterns.append((tokens, stem, upper, item))

    def _add_label(self, number: int, label: Label) -> None:
        for phrase in label.mentions:
            kind = self.lexicon.source_kind(label, phrase.source)
            if kind in self.kinds and (phrase.paper or "curated" in self.kinds):
                state = STATES[phrase.state] if phrase.state else None
                self.phrases.append(
                    PhraseEntry(number, phrase.text, kind, state, self._is_noun(phrase.text.split()[-1]), phrase.sign)
                )
                item = (Role.PHRASE, len(self.phrases) - 1)
                self._add(phrase.text, phrase.stem, phrase.plural, item, phrase.upper)
        for hidden in label.unmentions:
            if hidden.paper_only and "curated" in self.kinds:
                continue
            if self.lexicon.source_kind(label, hidden.source) in self.kinds:
                self._add(hidden.text, hidden.stem, hidden.plural, (Role.UNMENTION, number))

    def _add_groups(self, role: Role, kind: str, groups: dict[str, TermGroup]) -> dict[str, int]:
        """Words of all groups but those that labels out of use brought for themselves."""
        used = {name for label in self.labels for rule in label.composed for name in _groups_of(rule)}
        strange = {
            name
            for label in self.lexicon.labels.values()
            if label.id not in self.numbers
            for name in getattr(label.groups, kind)
        }
        for number, (name, group) in enumerate(groups.items()):
            if name in strange and name not in used:
                continue
            for term in group.wordings():
                ref = number
                if role == Role.PREDICATE:
                    ref = 2 * number + self._needs_no_verb(term.text)
                self._add(term.text, term.stem, term.plural, (role, ref))
        return {name: number for number, name in enumerate(groups)}

    def _needs_no_verb(self, text: str) -> bool:
        """Whether a predicate may stand behind its site without a verb: a noun ("enlargement"), a place ("in ...")."""
        word = text.split()[0]
        return word in self.prepositions or self._is_noun(word)

    def _is_noun(self, word: str) -> bool:
        return word in self.lexicon.forms.nouns or word.endswith(self.noun_endings)

    def _add_cues(self) -> None:
        verbs = CueVerbs.of(self.lexicon)
        for file in self.lexicon.cues.values():
            for group in file.groups.values():
                for cue in group.wordings():
                    for text in self.lexicon.forms.expand(cue.text):
                        self.cues.append(cue_entry(text, cue, group, verbs))
                        self._add(text, False, False, (Role.CUE, len(self.cues) - 1))
        self.cues = with_tails(self.cues)

    def _add_words(self) -> None:
        for name, file in self.lexicon.words.items():
            for group, terms in file.groups.items():
                if group == "invisible":
                    continue
                word = Word.PSEUDO if name == "pseudo" else Word[group.upper()]
                for term in terms.wordings():
                    for text in self.lexicon.forms.expand(term.text):
                        self._add(text, term.stem, False, (Role.WORD, word))

    def _add_abbreviations(self) -> tuple[str, ...]:
        """Every pattern again with the abbreviation in the place of its words; those that no pattern has."""
        unused = []
        for short, meaning in self.lexicon.abbreviations.meanings.items():
            spelt = [self.lexicon.spelling.get(token, token) for token in TOKEN.findall(meaning.lower())]
            words = [token for token in spelt if not self.vocabulary.is_invisible(token)]
            # capitals stay capitals: no other token of a pattern has any
            tokens = [token if token.isupper() else token.lower() for token in TOKEN.findall(short)]
            found = []
            for pattern, stem, upper, item in self.patterns:
                last = len(pattern) - len(words) - stem  # a stem is no whole word
                if upper or not words or words[0] not in pattern:
                    continue
                at = next((i for i in range(last + 1) if pattern[i : i + len(words)] == words), -1)
                if at >= 0:
                    found.append(([*pattern[:at], *tokens, *pattern[at + len(words) :]], stem, upper, item))
            for token in tokens if found else ():
                if token.isupper():
                    self.vocabulary.add_capitals(token.lower())
                else:
                    self.vocabulary.add_word(token)
            if not found:
                unused.append(short)
            self.patterns += found
        return tuple(unused)

    def _pronoun_words(self) -> tuple[str, ...]:
        """The commonest word of the pronouns, then that of those without it, and so on."""
        terms = self.lexicon.words["termination"].groups["pronoun"].wordings()
        open_terms = [set(text.split()) for term in terms for text in self.lexicon.forms.expand(term.text)]
        found = []
        while open_terms:
            counts = Counter(word for words in open_terms for word in words)
            found.append(max(sorted(counts), key=counts.__getitem__))
            open_terms = [words for words in open_terms if found[-1] not in words]
        return tuple(found)

    def _rules(
        self, sites: dict[str, int], predicates: dict[str, int], modifiers: dict[str, int]
    ) -> tuple[dict[int, list[RuleEntry]], dict[int, list[RuleEntry]]]:
        site_rules: dict[int, list[RuleEntry]] = {}
        finding_rules: dict[int, list[RuleEntry]] = {}

        def numbers(names: Iterable[str], known: dict[str, int]) -> frozenset[int]:
            return frozenset(known[name] for name in names)

        for number, label in enumerate(self.labels):
            for rule in label.composed:
                kind = self.lexicon.source_kind(label, rule.source)
                if kind not in self.kinds:
                    continue
                self.phrases.append(PhraseEntry(number, rule.name, kind, None))
                entry = RuleEntry(
                    phrase=len(self.phrases) - 1,
                    label=number,
                    abnormal=numbers(rule.abnormal, predicates),
                    uncertain=numbers(rule.uncertain, predicates),
                    normal=numbers(rule.normal, predicates),
                    needs=numbers(rule.needs, modifiers),
                    needs_also=numbers(rule.needs_also, modifiers),
                    forbids=numbers(rule.forbids, modifiers),
                    size=rule.size,
                    alone=rule.alone,
                )
                self._file_rule(rule, entry, sites, site_rules, finding_rules)
        return site_rules, finding_rules

    def _file_rule(
        self,
        rule: Composed,
        entry: RuleEntry,
        sites: dict[str, int],
        site_rules: dict[int, list[RuleEntry]],
        finding_rules: dict[int, list[RuleEntry]],
    ) -> None:
        for name in rule.site:
            site_rules.setdefault(sites[name], []).append(entry)
        for name in rule.finding:
            if name in self.numbers:
                finding_rules.setdefault(self.numbers[name], []).append(entry)

    def _automaton(self, roles: set[Role]) -> ahocorasick.Automaton:
        wanted = {int(role) for role in roles}  # plain numbers: members of an enumeration are slow to hash
        items: dict[str, dict[tuple[int, int], None]] = {}
        plain: dict[str, str] = {}
        for tokens, stem, upper, item in self.patterns:
            if item[0] not in wanted:
                continue
            if stem or upper:
                choices = [self._choices(word, stem and i == len(tokens) - 1, upper) for i, word in enumerate(tokens)]
            else:
                choices = [
                    plain.get(word) or plain.setdefault(word, self._choices(word, False, False)) for word in tokens
                ]
            key = "".join(choices)
            if len(key) == len(choices):
                items.setdefault(key, {})[item] = None
                continue
            for characters in product(*choices):
                items.setdefault("".join(characters), {})[item] = None
        automaton = ahocorasick.Automaton()
        for key, found in items.items():
            size = len(key)
            automaton.add_word(key, tuple([(size, role, ref) for role, ref in found]))
        automaton.add_word("\x00", ())  # an automaton needs a word even where a lexicon has no modifiers
        automaton.make_automaton()
        return automaton

    def _choices(self, word: str, is_stem: bool, upper: bool) -> str:
        if is_stem:
            return self.vocabulary.stem_forms(word)
        if upper or word.isupper():
            return self.vocabulary.add_capitals(word.lower())
        return self.vocabulary.forms(word)


def _check_roles(lexicon: Lexicon) -> None:
    """The roles of `cues/termination.yaml` are those that the code knows, and all of them.

    Raises:
        LexiconError: A role is unknown or missing.
    """
    name = "cues/termination.yaml"
    known = {*(word.name.lower() for word in Word if word != Word.PSEUDO), "invisible"}
    for role in lexicon.words["termination"].groups:
        if role not in known:
            near = get_close_matches(role, sorted(known), n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(sorted(known))}."
            raise LexiconError(f"{lexicon.files[name].where(('groups', role))}: unknown role `{role}`; {hint}")
    missing = sorted(known - lexicon.words["termination"].groups.keys())
    if missing:
        raise LexiconError(f"{lexicon.files[name].where(('groups',))}: the role `{missing[0]}` is missing.")


def _groups_of(rule: Composed) -> tuple[str, ...]:
    return (*rule.site, *rule.abnormal, *rule.uncertain, *rule.normal, *rule.needs, *rule.needs_also, *rule.forbids)


class CueVerbs(NamedTuple):
    """Words that make a cue the verb of its clause."""

    verbs: frozenset[str]
    plurals: frozenset[str]
    seen: frozenset[str]

    @classmethod
    def of(cls, lexicon: Lexicon) -> "CueVerbs":
        """Those of the groups of `cues/termination.yaml`."""
        groups = lexicon.words["termination"].groups

        def words(*names: str) -> frozenset[str]:
            return frozenset(term.text for name in names for term in groups[name].wordings())

        plurals = words("copulas", "copulas_past")
        return cls(plurals | words("copula", "copula_past", "verb", "modal"), plurals, words("seen"))


def cue_entry(text: str, cue: Cue, group: CueGroup, verbs: CueVerbs) -> CueEntry:
    """One wording of a cue, its tail still unknown."""
    words = text.split()
    verb = next((word for word in words if word in verbs.verbs), None)
    return CueEntry(
        text=text,
        kind=group.kind,
        state=STATES[group.state],
        before=group.direction != "after",
        after=group.direction != "before",
        beside=group.direction == "beside",
        either=group.direction == "either",
        scope=cue.scope or group.scope,
        words=cue.words or 0,
        tail=-1,
        verb=verb is not None,
        plural=verb in verbs.plurals,
        seen=words[-1] in verbs.seen,
        past=group.past,
        denies_change=group.kind == "change" and words[0] == "not",
    )


def with_tails(cues: list[CueEntry]) -> list[CueEntry]:
    """Cues with the one before findings of the same kind that ends each one behind them."""
    by_text: dict[tuple[str, str], int] = {}
    for number, cue in enumerate(cues):
        if cue.before:
            by_text.setdefault((cue.kind, cue.text), number)
    return [cue._replace(tail=tail_of(cue, by_text)) for cue in cues]


def tail_of(cue: CueEntry, by_text: dict[tuple[str, str], int]) -> int:
    """The longest cue before findings of the same kind that ends a cue behind them, -1 where there is none."""
    if cue.before:
        return -1
    words = cue.text.split()
    for k in range(len(words)):
        found = by_text.get((cue.kind, " ".join(words[k:])))
        if found is not None:
            return found
    return -1
