"""The lexicon compiled: one automaton over words, and tables of what each hit means."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import product
from typing import NamedTuple

import ahocorasick

from ltml_dataset.labeling.vocabulary import TOKEN, Vocabulary
from ltml_lexicons.lexicon import Lexicon
from ltml_lexicons.model import Composed, Label, Size, SourceKind, TermGroup

RULES_VERSION = 1
"""Raise when the code decides differently with the same lexicon."""

POSITIVE, NEGATIVE, UNCERTAIN = 1, 0, -1
STATES = {"positive": POSITIVE, "negative": NEGATIVE, "uncertain": UNCERTAIN}


class Role(IntEnum):
    """What a hit is."""

    PHRASE = 0
    UNMENTION = 1
    SITE = 2
    PREDICATE = 3
    MODIFIER = 4
    CUE = 5
    WORD = 6


class Word(IntEnum):
    """Structural words, named as the groups of `cues/termination.yaml`; `PSEUDO` stands for all of `pseudo.yaml`."""

    PSEUDO = 0
    CLAUSE = 1
    COMMA = 2
    AND = 3
    OR = 4
    WITH = 5
    COPULA = 6
    SEEN = 7
    EXISTENTIAL = 8
    AFFIRM = 9
    REASON = 10
    RELATIVE = 11
    COLON = 12
    MILLIMETRE = 13
    CENTIMETRE = 14
    PART = 15


class PhraseEntry(NamedTuple):
    """What the evidence says of a phrase or composed rule."""

    label: int
    text: str
    source: str
    state: int | None


class CueEntry(NamedTuple):
    """One cue, ready to apply."""

    text: str
    kind: str
    state: int
    before: bool
    after: bool
    scope: str
    words: int
    tail: int
    """A cue of the same kind that stands before findings and ends this one ("is probable"), else -1."""


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
    site_rules: dict[int, list[RuleEntry]]
    """Site group -> rules of labels in use."""
    alone_by_site: dict[int, list[RuleEntry]]
    """Those of them that need no predicate."""
    finding_rules: dict[int, list[RuleEntry]]
    """Label number -> rules built on its mentions."""
    implied_by: list[frozenset[int]]
    """Labels that are a case of each label."""
    suppressor: int
    """Number of No Finding, whose mentions only suppress `No Finding`; -1 where the lexicon has none."""


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
        self.patterns: list[tuple[list[str], bool, bool, tuple[Role, int]]] = []
        self.phrases: list[PhraseEntry] = []
        self.cues: list[CueEntry] = []

    def compiled(self) -> CompiledLexicon:
        for number, label in enumerate(self.labels):
            self._add_label(number, label)
        sites = self._add_groups(Role.SITE, "sites", self.lexicon.sites.groups)
        predicates = self._add_groups(Role.PREDICATE, "predicates", self.lexicon.predicates.groups)
        modifiers = self._add_groups(Role.MODIFIER, "modifiers", self.lexicon.modifiers.groups)
        self._add_cues()
        self._add_words()
        site_rules, finding_rules = self._rules(sites, predicates, modifiers)
        return CompiledLexicon(
            labels=self.labels,
            vocabulary=self.vocabulary,
            automaton=self._automaton({role for role in Role if role != Role.MODIFIER}),
            modifiers=self._automaton({Role.MODIFIER}),
            stop=self.vocabulary.add_word("."),
            phrases=self.phrases,
            cues=self.cues,
            site_rules=site_rules,
            alone_by_site={
                site: alone for site, rules in site_rules.items() if (alone := [rule for rule in rules if rule.alone])
            },
            finding_rules=finding_rules,
            implied_by=[
                frozenset(self.numbers[name] for name in label.implied_by if name in self.numbers)
                for label in self.labels
            ],
            suppressor=self.numbers.get("no_finding", -1),
        )

    def _add(self, text: str, stem: bool, plural: bool, item: tuple[Role, int], upper: bool = False) -> None:
        tokens = TOKEN.findall(text.lower())
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
        self.patterns.append((tokens, stem, upper, item))

    def _add_label(self, number: int, label: Label) -> None:
        for phrase in label.mentions:
            kind = self.lexicon.source_kind(label, phrase.source)
            if kind in self.kinds and (phrase.paper or "curated" in self.kinds):
                state = STATES[phrase.state] if phrase.state else None
                self.phrases.append(PhraseEntry(number, phrase.text, kind, state))
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
                self._add(term.text, term.stem, term.plural, (role, number))
        return {name: number for number, name in enumerate(groups)}

    def _add_cues(self) -> None:
        for file in self.lexicon.cues.values():
            for group in file.groups.values():
                for cue in group.wordings():
                    self.cues.append(
                        CueEntry(
                            text=cue.text,
                            kind=group.kind,
                            state=STATES[group.state],
                            before=group.direction != "after",
                            after=group.direction != "before",
                            scope=cue.scope or group.scope,
                            words=cue.words or 0,
                            tail=-1,
                        )
                    )
                    self._add(cue.text, False, False, (Role.CUE, len(self.cues) - 1))
        self.cues = [cue._replace(tail=self._tail_of(cue)) for cue in self.cues]

    def _tail_of(self, cue: CueEntry) -> int:
        if cue.before:
            return -1
        tails = [
            (len(other.text), number)
            for number, other in enumerate(self.cues)
            if other.before and other.kind == cue.kind and cue.text.endswith(f" {other.text}")
        ]
        return max(tails)[1] if tails else -1

    def _add_words(self) -> None:
        for name, file in self.lexicon.words.items():
            for group, terms in file.groups.items():
                word = Word.PSEUDO if name == "pseudo" else Word[group.upper()]
                for term in terms.wordings():
                    self._add(term.text, term.stem, False, (Role.WORD, word))

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
        items: dict[str, dict[tuple[Role, int], None]] = {}
        for tokens, stem, upper, item in self.patterns:
            if item[0] not in roles:
                continue
            choices = [self._choices(word, stem and i == len(tokens) - 1, upper) for i, word in enumerate(tokens)]
            for characters in product(*choices):
                items.setdefault("".join(characters), {})[item] = None
        automaton = ahocorasick.Automaton()
        for key, found in items.items():
            automaton.add_word(key, tuple((len(key), int(role), int(ref)) for role, ref in found))
        automaton.add_word("\x00", ())  # an automaton needs a word even where a lexicon has no modifiers
        automaton.make_automaton()
        return automaton

    def _choices(self, word: str, is_stem: bool, upper: bool) -> str:
        if is_stem:
            return self.vocabulary.stem_forms(word)
        if upper:
            return self.vocabulary.add_capitals(word)
        return self.vocabulary.forms(word)


def _groups_of(rule: Composed) -> tuple[str, ...]:
    return (*rule.site, *rule.abnormal, *rule.uncertain, *rule.normal, *rule.needs, *rule.needs_also, *rule.forbids)


def plural_of(word: str) -> str | None:
    """The regular English plural, None where there is none to expect."""
    if len(word) < 3 or not word.isalpha() or (word.endswith("s") and not word.endswith("ss")):
        return None
    if word.endswith(("x", "ch", "sh", "ss")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"
