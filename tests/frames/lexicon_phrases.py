"""Every phrase and every composed rule of the lexicon as a finding that can stand in a sentence."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML

from ltml_lexicons.choose import choose_labels
from ltml_lexicons.lexicon import Lexicon, load_lexicon
from ltml_lexicons.model import Composed, Label, Phrase

HERE = Path(__file__).parent
STATES = {"positive": 1, "negative": 0, "uncertain": -1, None: 1}
Number = Literal["singular", "plural", "mass"]


@cache
def read_yaml(name: str) -> Any:
    """One of the files beside this module."""
    return YAML(typ="safe").load((HERE / name).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Finding:
    """Words that name a label, with what the grammar of a sentence must know of them."""

    label: str
    origin: str
    """The lexicon phrase, or the name of the composed rule."""
    text: str
    """A noun phrase without article; for a clause its predicate."""
    number: Number
    traits: frozenset[str]
    """`noun` or `clause`, and what frames ask for: organ, device, chronic, degree, status, coordinated, ..."""
    says: int = 1
    """State of the plain statement: 1, or -1 for a sign that is doubtful by itself."""
    subject: str = ""
    """Of a clause: the site."""
    capitals: bool = False
    plural_text: str = ""
    """The plural of a countable noun phrase, where the lexicon allows it."""


def all_findings() -> list[Finding]:
    """The findings of the 39 labels in profile `clinical`, each wording once a label."""
    lexicon = load_lexicon()
    found: dict[tuple[str, str, str], Finding] = {}
    for label in choose_labels().labels:
        for finding in (*_of_phrases(label), *_of_rules(label, lexicon)):
            if not _is_hidden(finding, label):
                found.setdefault((finding.label, finding.subject, finding.text), finding)
    return list(found.values())


def stems_without_endings() -> list[str]:
    """Stems of the lexicon that `words.yaml` does not know how to end."""
    endings = read_yaml("words.yaml")["stem_endings"]
    return [
        phrase.text
        for label in choose_labels().labels
        for phrase in label.mentions
        if phrase.stem and phrase.text.split()[-1] not in endings
    ]


def hides(unmentions: list[tuple[tuple[str, ...], bool, bool]], tokens: list[str]) -> bool:
    """Whether one of the unmentions (words, stem, plural) stands among the tokens."""
    for words, stem, plural in unmentions:
        for start in range(len(tokens) - len(words) + 1):
            window = tokens[start : start + len(words)]
            if tuple(window[:-1]) != words[:-1]:
                continue
            last = words[-1]
            if window[-1] == last or (stem and window[-1].startswith(last)) or (plural and window[-1] == _plural(last)):
                return True
    return False


@cache
def unmentions_of(label_id: str) -> list[tuple[tuple[str, ...], bool, bool]]:
    """The unmentions of a label that count in profile `clinical`, as tokens."""
    label = load_lexicon().labels[label_id]
    return [
        (tuple(tokens_of(hidden.text)), hidden.stem, hidden.plural)
        for hidden in label.unmentions
        if not hidden.paper_only
    ]


def tokens_of(text: str) -> list[str]:
    """Lower-case words and marks."""
    spaced = "".join(f" {mark} " if mark in ".,;:/?()" else mark for mark in text.lower().replace("-", " "))
    return spaced.split()


def with_article(text: str, number: Number) -> str:
    """ "a", "an" or nothing before a noun phrase."""
    if number != "singular" or text.startswith(("the ", "both ")):
        return text
    words = read_yaml("words.yaml")
    first = text.split()[0]
    if first.isupper() and len(first) > 1:
        vowel = first[0] in words["vowel_letters"]
    else:
        vowel = first[0] in "aeiou" and not first.startswith(tuple(words["not_vowels"]))
    return f"{'an' if vowel else 'a'} {text}"


def _is_hidden(finding: Finding, label: Label) -> bool:
    return hides(unmentions_of(label.id), tokens_of(finding.text))


def _of_phrases(label: Label) -> Iterator[Finding]:
    for phrase in label.mentions:
        if STATES[phrase.state] == 0:
            continue
        for text in _completed(phrase):
            finding = _noun_phrase(label, phrase.text, text, STATES[phrase.state], capitals=phrase.upper)
            if finding is not None:
                yield finding
        if " is " in phrase.text and phrase.text.split()[1] == "is":
            site, predicate = phrase.text.split(" is ")
            yield _clause(label, phrase.text, site, "singular", predicate, STATES[phrase.state])


def _completed(phrase: Phrase) -> list[str]:
    """The wordings of a phrase that end in a whole word, a noun where `words.yaml` knows one."""
    words = read_yaml("words.yaml")
    if phrase.stem:
        *front, last = phrase.text.split()
        endings = words["stem_endings"].get(last, ())
        return [" ".join([*front, last + ending]) for ending in endings]
    parts = phrase.text.split()
    for start in range(len(parts)):
        noun = words["completions"].get(" ".join(parts[start:]))
        if noun is not None:
            return [phrase.text + noun[1:] if noun.startswith("+") else f"{phrase.text} {noun}"]
    return [phrase.text]


def _head(text: str) -> tuple[list[str], list[str]] | None:
    """The words up to the head noun and those behind it; None where there is no noun."""
    words = read_yaml("words.yaml")
    parts = text.split()
    if parts[0] in words["prepositions"] or any(part in words["verbs"] for part in parts):
        return None
    cut = next((i for i, part in enumerate(parts) if i and part in words["prepositions"]), len(parts))
    while cut > 1 and (parts[cut - 1].endswith("ly") or parts[cut - 1] in words["participles"]):
        cut -= 1
    if _is_adjective(parts[cut - 1]) or _is_adjective(parts[-1]):
        return None
    return parts[:cut], parts[cut:]


def _is_adjective(word: str) -> bool:
    words = read_yaml("words.yaml")
    if word in words["nouns_that_look_like_adjectives"] or word.endswith("lly"):
        return False
    return word.endswith(tuple(words["adjective_endings"]))


def _number(head: str) -> Number:
    words = read_yaml("words.yaml")
    lower = head.lower()
    if lower in words["count_nouns"]:
        return "singular"
    if lower in words["plurals"] or (lower.endswith("s") and not lower.endswith(tuple(words["singular_endings"]))):
        return "plural"
    if head.isupper() and head not in ("AAA", "TAA", "TAAA", "CDH", "ICD", "AICD", "ETT", "NGT", "OGT"):
        return "mass"
    if lower in words["mass_nouns"] or lower.endswith(tuple(words["mass_endings"])):
        return "mass"
    if lower in words["acronyms"] and lower not in ("ptx", "picc", "icd", "aicd", "lvad", "iabp"):
        return "mass"
    return "singular"


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    return word + "s"


def _noun_phrase(label: Label, origin: str, text: str, says: int, *, capitals: bool = False) -> Finding | None:
    words = read_yaml("words.yaml")
    split = _head(text)
    if split is None:
        return None
    front, behind = split
    if front[-1] in words["always_plural"]:
        front = [*front[:-1], _plural(front[-1])]
    front = [part.upper() if part in words["acronyms"] else part for part in front]
    text = " ".join([*front, *behind])
    number = _number(front[-1])
    plural_text = ""
    if (
        number == "singular"
        and not capitals
        and front[-1].islower()
        and not front[-1].endswith(("is", "us", "um", "x"))
    ):
        plural_text = " ".join([*front[:-1], _plural(front[-1]), *behind])
    traits = {"noun", number, *_label_traits(label), *_first_word_traits(text)}
    if front[-1].lower() in words["organs"]:
        traits.add("organ")
    if {"and", "or", "/"} & {*front, *behind}:
        traits.add("coordinated")
    if {"or", "/"} & {*front, *behind}:
        traits.add("alternative")
    if plural_text:
        traits.add("countable")
    if behind:
        traits.add("long")
    if says == -1:
        traits.add("doubtful")
    return Finding(label.id, origin, text, number, frozenset(traits), says, "", capitals, plural_text)


def _label_traits(label: Label) -> set[str]:
    return {name for name, holds in (("chronic", label.chronic), ("device", label.device)) if holds}


def _first_word_traits(text: str) -> set[str]:
    words = read_yaml("words.yaml")
    traits = set()
    if text.split()[0] in words["degree_words"]:
        traits.add("degree")
    if any(text.startswith(f"{status} ") for status in words["status_words"]):
        traits.add("status")
    return traits


# Composed rules


def _of_rules(label: Label, lexicon: Lexicon) -> Iterator[Finding]:
    for rule in label.composed:
        yield from _of_rule(label, rule, lexicon)


def _terms(groups: dict[str, Any], ids: list[str]) -> list[tuple[str, str]]:
    return [(group, term.text) for group in ids for term in groups[group].wordings()]


def _of_rule(label: Label, rule: Composed, lexicon: Lexicon) -> Iterator[Finding]:
    words = read_yaml("words.yaml")
    modifiers = [text for _, text in _terms(lexicon.modifiers.groups, rule.needs)]
    modifiers = [text for text in modifiers if text not in words["modifiers"]["left_out"]]
    sites = [
        (group, text)
        for group, text in _terms(lexicon.sites.groups, rule.site)
        if text not in words["sites_left_out"] and not (text.endswith("s") and text[:-1] in words["sites_left_out"])
    ]
    if rule.finding:
        sites = [
            (other, phrase.text)
            for other in rule.finding
            for phrase in lexicon.labels[other].mentions
            if not phrase.stem and _head(phrase.text) and not _first_word_traits(phrase.text)
        ]
    if rule.alone:
        yield from _alone(label, rule, sites, modifiers)
    for kind, says, ids in (("abnormal", 1, rule.abnormal), ("uncertain", -1, rule.uncertain)):
        if ids and not (kind == "uncertain" and rule.abnormal):
            predicates = [text for _, text in _terms(lexicon.predicates.groups, ids)]
            yield from _said_of_sites(label, rule, sites, predicates, modifiers, says)
    normal = [text for _, text in _terms(lexicon.predicates.groups, rule.normal)]
    yield from _plain_clauses(label, rule, sites, normal, "normal", 0)
    if rule.abnormal:
        borderline = [text for _, text in _terms(lexicon.predicates.groups, rule.uncertain)]
        yield from _plain_clauses(label, rule, sites, borderline, "borderline", -1)


def _pairs(first: list[Any], second: list[Any], shift: int = 0) -> Iterator[tuple[Any, Any]]:
    """Every member of both lists at least once, in as many pairs as the longer has members."""
    if first and second:
        for i in range(max(len(first), len(second))):
            yield (
                first[i % len(first)],
                second[(i + shift + i // len(second) * (len(first) == len(second))) % len(second)],
            )


def _alone(label: Label, rule: Composed, sites: list[tuple[str, str]], modifiers: list[str]) -> Iterator[Finding]:
    """ "multiple nodules", "hemorrhagic pleural effusion": modifier and noun."""
    adjectives = [modifier for modifier in modifiers if not modifier.endswith("ly")]
    for adjective, (_, site) in itertools.chain(_pairs(adjectives, sites), _pairs(adjectives, sites, 1)):
        if adjective.split()[0] in site.split() or (site.split()[0] in ("enlarged", "nodule") and " " in adjective):
            continue
        finding = _noun_phrase(label, rule.name, f"{adjective} {site}", 1)
        if finding is not None:
            yield finding


def _site_words(site: str, *, many: bool) -> tuple[str, Number]:
    number = _number(site.split()[-1]) if site.split()[0] not in ("both", "left and") else "plural"
    if many and number == "singular" and not site.endswith("um"):
        return _plural(site), "plural"
    return site, "plural" if number == "plural" or " and " in site else "singular"


def _is_nominal(predicate: str) -> bool:
    rules = read_yaml("words.yaml")["predicates"]
    first, *more = predicate.split()
    if (
        more
        and (first in rules["first_nouns"] or more[-1] in rules["nouns"])
        and " in " not in f" {' '.join(more[1:])} "
    ):
        return not predicate.startswith("increased in") and first != "normal"
    return not more and (first in rules["nouns"] or first.endswith(tuple(rules["nominal_endings"])))


def _fits(site: str, predicate: str, group: str) -> bool:
    words = read_yaml("words.yaml")
    rules = words["predicates"]
    if predicate in rules["not_alone"] or predicate in rules["not_predicative"]:
        return False
    measured = site.split()[-1] in words["measures"] or site.startswith("size of")
    if predicate in rules["of_a_space"]:
        return group in words["spaces"]
    return predicate in rules["of_a_measure"] if measured else predicate not in rules["want_a_measure"]


def _said_of_sites(
    label: Label,
    rule: Composed,
    sites: list[tuple[str, str]],
    predicates: list[str],
    modifiers: list[str],
    says: int,
) -> Iterator[Finding]:
    """ "the heart is enlarged", "enlargement of the heart", "cardiac enlargement", "enlarged heart"."""
    words = read_yaml("words.yaml")
    adjectives = [text for text in predicates if not _is_nominal(text)]
    nouns = [text for text in predicates if _is_nominal(text)]
    front = [text for text in modifiers if text.endswith("ly") and text not in words["modifiers"]["adverbs_behind"]]
    behind = [text for text in modifiers if text in words["modifiers"]["adverbs_behind"]]
    before = [text for text in modifiers if not text.endswith("ly")]
    many = "bilaterally" in behind
    noun_sites = [(group, site) for group, site in sites if site not in words["adjective_sites"] and _head(site)]
    for i, ((group, site), predicate) in enumerate(_pairs(noun_sites, adjectives)):
        if not _fits(site, predicate, group) or group in words["site_prepositions"] or site.startswith("through"):
            continue
        subject, number = _site_words(site, many=many)
        if many and number == "singular":
            continue
        adverb = f"{front[i % len(front)]} " if front else ""
        after = f" {behind[i % len(behind)]}" if behind and not front else ""
        yield _clause(label, rule.name, subject, number, f"{adverb}{predicate}{after}", says)
        if predicate not in words["predicates"]["no_adjective_before"] and " in " not in predicate:
            yield from _only(_noun_phrase(label, rule.name, f"{adverb}{predicate} {subject}{after}", says))
    for i, ((group, site), predicate) in enumerate(_pairs(sites, nouns)):
        measured = site.split()[-1] in words["measures"] or site.startswith("size of")
        if measured or predicate in words["predicates"]["not_alone"]:
            continue
        subject, number = _site_words(site, many=many)
        if many and number == "singular" and site not in words["adjective_sites"]:
            continue
        adjective = f"{before[i % len(before)]} " if before else ""
        if site in words["adjective_sites"]:
            text = "" if " " in predicate else f"{adjective}{site} {predicate}"
        elif site.startswith("through"):
            text = f"{predicate} {site}"
        elif group in words["site_prepositions"]:
            text = f"{predicate} {words['site_prepositions'][group]} the {site}"
        else:
            text = f"{adjective}{predicate} of the {subject}".replace("the both ", "both ")
        if text:
            yield from _only(_noun_phrase(label, rule.name, text, says))


def _plain_clauses(
    label: Label, rule: Composed, sites: list[tuple[str, str]], predicates: list[str], trait: str, says: int
) -> Iterator[Finding]:
    """ "heart size is normal": a statement by itself, for frames that ask for it."""
    words = read_yaml("words.yaml")
    nouns = [(group, site) for group, site in sites if site not in words["adjective_sites"] and _head(site)]
    for (group, site), predicate in _pairs(nouns, [text for text in predicates if not _is_nominal(text)]):
        if _fits(site, predicate, group):
            subject, number = _site_words(site, many=False)
            yield _clause(label, rule.name, subject, number, predicate, says, trait)


def _only(finding: Finding | None) -> Iterator[Finding]:
    if finding is not None:
        yield finding


def _clause(
    label: Label, origin: str, site: str, number: Number, predicate: str, says: int, trait: str = "clause"
) -> Finding:
    subject = site if site.startswith(("both ", "the ")) else f"the {site}"
    traits = {trait, number, *_label_traits(label)}
    if len(predicate.split()) > 1 and predicate.split()[0].endswith("ly"):
        traits.add("degree")
    if " and " in site:
        traits.add("coordinated")
    return Finding(label.id, origin, predicate, number, frozenset(traits), says, subject)
