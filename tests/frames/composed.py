"""Every composed rule of the lexicon in several wordings: a clause, an adjective before its noun, a noun with "of"."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from frames.findings import Finding, clause, noun_phrase, verb_clause
from frames.grammar import (
    Number,
    head_of,
    number_of_phrase,
    plural_of,
    plural_of_phrase,
    read_yaml,
    with_article,
)
from frames.pairing import (
    Term,
    fits,
    has_preposition,
    is_noun,
    kind_of,
    nominal_fits,
    pattern_fits,
    preposition_between,
    relation_fits,
    stands_before,
    stands_behind,
)
from frames.said_as import findings_said_as

from ltml_lexicons.lexicon import Lexicon
from ltml_lexicons.model import Composed, Label, TermGroup

SMALL = "6 mm"
"""Within the size of the rules that have one."""


def findings_of_rules(label: Label, lexicon: Lexicon) -> Iterator[Finding]:
    """The composed findings of a label: every site and every predicate that go together at least once.

    A rule with a page in `said_as.yaml` is said as it stands there.
    """
    for rule in label.composed:
        page = read_yaml("said_as.yaml").get(label.id, {}).get(rule.name)
        yield from findings_said_as(label, rule.name, page) if page else _crossed(label, rule, lexicon)


def _crossed(label: Label, rule: Composed, lexicon: Lexicon) -> Iterator[Finding]:
    groups = lexicon.predicates.groups
    sites = _sites(rule, lexicon)
    modifiers = _modifiers(rule, lexicon)
    if rule.alone:
        yield from _alone(label, rule, sites, modifiers)
    if rule.abnormal:
        yield from _abnormal(label, rule, sites, _terms(groups, rule.abnormal), modifiers, 1)
        yield from _plain(label, rule, sites, _terms(groups, rule.uncertain), "borderline", -1)
    elif rule.uncertain:
        yield from _abnormal(label, rule, sites, _terms(groups, rule.uncertain), modifiers, -1)
    yield from _plain(label, rule, sites, _terms(groups, rule.normal), "normal", 0)


def _terms(groups: dict[str, TermGroup], ids: list[str]) -> list[Term]:
    return [Term(group, term.text) for group in ids for term in groups[group].wordings()]


def _sites(rule: Composed, lexicon: Lexicon) -> list[Term]:
    composition = read_yaml("composition.yaml")
    left_out = {*composition["sites_left_out"], *composition["sites_left_out_of"].get(rule.name, ())}
    if rule.site:
        return [site for site in _terms(lexicon.sites.groups, rule.site) if site.text not in left_out]
    return [
        Term(label, phrase.text)
        for label in rule.finding
        for phrase in lexicon.labels[label].mentions
        if not phrase.stem and head_of(phrase.text) and not {"and", "or", "/"} & set(phrase.text.split())
    ]


def _modifiers(rule: Composed, lexicon: Lexicon) -> list[str]:
    composition = read_yaml("composition.yaml")
    left_out, words = composition["modifiers_left_out"], composition["modifier_words"]
    terms = _terms(lexicon.modifiers.groups, rule.needs)
    modifiers = [words.get(term.text, term.text) for term in terms if term.text not in left_out]
    return [*modifiers, SMALL] if rule.size and rule.size.max_mm else modifiers


def _matched(first: list[Term], second: list[Term], fit: Callable[[Term, Term], bool]) -> Iterator[tuple[Term, Term]]:
    """Every member of both lists in at least one pair that fits, where it has one, and few pairs beyond."""
    used: set[Term] = set()
    for i, one in enumerate(first):
        partners = [other for other in second if fit(one, other)]
        fresh = [other for other in partners if other not in used]
        if partners:
            partner = fresh[0] if fresh else partners[i % len(partners)]
            used.add(partner)
            yield one, partner
    for i, other in enumerate(other for other in second if other not in used):
        partners = [one for one in first if fit(one, other)]
        if partners:
            yield partners[i % len(partners)], other


def _alone(label: Label, rule: Composed, sites: list[Term], modifiers: list[str]) -> Iterator[Finding]:
    """ "nodules", "scattered nodules", "hemorrhagic effusion": the site, with a modifier where it needs one."""
    composition = read_yaml("composition.yaml")
    if not modifiers:
        for site in sites:
            yield from _some(noun_phrase(label, rule.name, site.text, 1))
        return
    of_finding = composition["finding_with_modifier"].get(rule.name)
    behind, clauses = composition["modifiers_behind"], composition["modifiers_of_clauses"]
    placed = [Term("", behind.get(text, text)) for text in modifiers if not text.endswith("ly") or text in behind]

    def goes(modifier: Term, site: Term) -> bool:
        words = site.text.split()
        if of_finding and (words[-1] not in of_finding["heads"] or _has_one(words, of_finding["without"])):
            return False
        counts = modifier.text in composition["counting"] and number_of_phrase(site.text) != "plural"
        return not (counts or set(modifier.text.split()) & set(words))

    for modifier, site in _matched(placed, sites, goes):
        if modifier.text in clauses:
            yield _bar(label, rule.name, clauses[modifier.text].format(s=site.text), 1)
        elif stands_behind(modifier.text):
            yield from _some(noun_phrase(label, rule.name, site.text, 1, tail=modifier.text))
        else:
            yield from _some(noun_phrase(label, rule.name, f"{modifier.text} {site.text}", 1))


def _has_one(words: list[str], beginnings: list[str]) -> bool:
    return any(word.startswith(tuple(beginnings)) for word in words)


def _abnormal(
    label: Label, rule: Composed, sites: list[Term], predicates: list[Term], modifiers: list[str], says: int
) -> Iterator[Finding]:
    of_kind = {
        kind: [predicate for predicate in predicates if kind_of(predicate) == kind]
        for kind in ("adjective", "noun", "relation", "verb", "pattern")
    }
    behind = [text for text in modifiers if stands_behind(text)]
    adverbs = [text for text in modifiers if text.endswith("ly")]
    for i, (site, predicate) in enumerate(_matched(sites, of_kind["adjective"], fits)):
        if adverbs or behind:
            modifier = [*adverbs, *behind][i % len([*adverbs, *behind])]
            pair = (predicate.text, modifier) if modifier in behind else (modifier, predicate.text)
            yield from _said_of(label, rule, site, predicate, " ".join(pair), says)
        else:
            yield from _said_of(label, rule, site, predicate, predicate.text, says)
    before = [text for text in modifiers if text not in (*adverbs, *behind)]
    for i, (site, predicate) in enumerate(_matched(sites, of_kind["noun"], nominal_fits)):
        modifier = [*before, *behind][i % len([*before, *behind])] if before or behind else ""
        tail = modifier if modifier in behind else ""
        text = " ".join(filter(None, ["" if tail else modifier, _joined(predicate, site)]))
        yield from _some(noun_phrase(label, rule.name, text, says, tail=tail))
    for site, predicate in _matched(sites, of_kind["relation"], relation_fits):
        yield from _some(_related(label, rule, site, predicate, says))
    for site, predicate in _matched(sites, of_kind["verb"], relation_fits):
        yield _with_verb(label, rule, site, predicate, says)
    for site, predicate in _matched(sites, of_kind["pattern"], pattern_fits):
        for pattern in read_yaml("composition.yaml")["patterns"][predicate.text]:
            yield from _some(_filled(label, rule, pattern, site, says))


def _said_of(label: Label, rule: Composed, site: Term, predicate: Term, text: str, says: int) -> Iterator[Finding]:
    """ "the heart is enlarged", "enlarged heart", "calcified plaque along the diaphragm"."""
    carrier = read_yaml("composition.yaml")["carriers"].get(site.group)
    if carrier:
        yield from _some(noun_phrase(label, rule.name, f"{text} {carrier}", says, tail=_placed(site.text)))
        return
    subject, number = subject_of(site.text)
    yield clause(label, rule.name, subject, number, text, says)
    if has_preposition(text) and not subject.startswith("both "):
        yield from _some(noun_phrase(label, rule.name, subject, says, tail=text))
    elif stands_before(predicate.text, site.text):
        yield from _some(noun_phrase(label, rule.name, f"{text} {subject}", says))


def _plain(
    label: Label, rule: Composed, sites: list[Term], predicates: list[Term], trait: str, says: int
) -> Iterator[Finding]:
    """ "heart size is normal": a statement by itself, for frames that ask for it."""
    without_verb = read_yaml("composition.yaml")["without_verb"]
    adjectives = [predicate for predicate in predicates if kind_of(predicate) == "adjective"]
    nouns = [site for site in sites if is_noun(site.text)]
    for site, predicate in _matched(nouns, adjectives, fits):
        subject, number = subject_of(site.text)
        kind = "without_verb" if predicate.text in without_verb else trait
        found = clause(label, rule.name, subject, number, predicate.text, says, kind)
        yield replace(found, parts=(("site", found.subject.removeprefix("the ")),))


def _some(finding: Finding | None) -> Iterator[Finding]:
    if finding is not None:
        yield finding


def _bar(label: Label, origin: str, text: str, says: int) -> Finding:
    """A clause written "subject | predicate"."""
    subject, _, predicate = text.partition(" | ")
    return clause(label, origin, *subject_of(subject.removeprefix("the ")), predicate, says)


def _joined(predicate: Term, site: Term) -> str:
    """ "enlargement of the heart", "cardiac enlargement", "air in the pleural space", "rise in the pressure"."""
    composition = read_yaml("composition.yaml")
    if site.text in composition["adjective_sites"]:
        return f"{site.text} {predicate.text}"
    if site.group in composition["carriers"]:
        return f"{predicate.text} {_placed(site.text)}"
    preposition = preposition_between(predicate)
    return " ".join([predicate.text, *([preposition] if preposition else []), _with_the(subject_of(site.text)[0])])


def _related(label: Label, rule: Composed, site: Term, predicate: Term, says: int) -> Finding | None:
    """ "gas in the mediastinum", with its parts for "gas is seen in the mediastinum"."""
    composition = read_yaml("composition.yaml")
    place = _placed(predicate.text)
    first = place.split()[0]
    tail = place.replace(first, composition["completed_relations"].get(first, first), 1)
    subject, number = subject_of(site.text)
    found = noun_phrase(label, rule.name, subject, says, tail=tail)
    if found is None or first in composition["never_seen_so"]:
        return found
    parts = (("site", subject), ("a site", with_article(subject, number)), ("place", tail))
    return replace(found, traits=found.traits | {"relation"}, parts=parts)


def _with_verb(label: Label, rule: Composed, site: Term, predicate: Term, says: int) -> Finding:
    """ "gas outlines the aorta", "gas pockets outline the aorta"."""
    plural = predicate.text.split()[0] in read_yaml("composition.yaml")["verbs"]["plural"]
    subject, number = subject_of(site.text)
    if plural and number != "plural":
        subject, number = plural_of_phrase(subject), "plural"
    return verb_clause(label, rule.name, subject, number, _placed(predicate.text), says)


def _filled(label: Label, rule: Composed, pattern: str, site: Term, says: int) -> Finding | None:
    subject, _ = subject_of(site.text)
    text = pattern.format(s=subject)
    if " | " in text:
        return _bar(label, rule.name, text, says)
    return noun_phrase(label, rule.name, text, says)


def _placed(place: str) -> str:
    """ "in the mediastinum" of "in mediastinum"; the lexicon leaves articles out, which the labeler does not see."""
    words = place.split()
    starts = [next((i for i, word in enumerate(words) if i and word not in ("about", "to", "of")), len(words))]
    if words[0] == "between":
        starts += [i + 1 for i, word in enumerate(words) if word in ("and", "of")]
    for start in reversed(starts):
        if start < len(words) and words[start] not in ("the", "both"):
            words.insert(start, "the")
    return " ".join([*words[:-1], subject_of(words[-1])[0]])


def _with_the(subject: str) -> str:
    return subject if subject.startswith(("both ", "the ")) else f"the {subject}"


def subject_of(site: str) -> tuple[str, Number]:
    """A site as the subject of a clause, in the plural where it is used so, and its number."""
    number = number_of_phrase(site)
    if " and " in site:
        return site, "plural"
    if number != "plural" and site.split()[-1] in read_yaml("composition.yaml")["sites_in_plural"]:
        return plural_of(site), "plural"
    return site, number
