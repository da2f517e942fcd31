"""Every composed rule of the lexicon in several wordings: a clause, an adjective before its noun, a noun with "of"."""

from collections.abc import Callable, Iterator

from frames.findings import Finding, clause, noun_phrase
from frames.grammar import Number, head_of, number_of, plural_of, read_yaml

from ltml_lexicons.lexicon import Lexicon
from ltml_lexicons.model import Composed, Label, TermGroup

SMALL = "6 mm"
"""Within the size of the rules that have one."""

Term = tuple[str, str]
"""Group and wording."""


def findings_of_rules(label: Label, lexicon: Lexicon) -> Iterator[Finding]:
    """The composed findings of a label: every site and every predicate that go together at least once."""
    if label.id in read_yaml("words.yaml")["not_rendered"]:
        return
    for rule in label.composed:
        sites = _sites(rule, lexicon)
        modifiers = _modifiers(rule, lexicon)
        if rule.alone:
            yield from _alone(label, rule, sites, modifiers)
        if rule.abnormal:
            yield from _abnormal(label, rule, sites, _terms(lexicon.predicates.groups, rule.abnormal), modifiers, 1)
            borderline = _terms(lexicon.predicates.groups, rule.uncertain)
            yield from _plain(label, rule, sites, borderline, "borderline", -1)
        elif rule.uncertain:
            yield from _abnormal(label, rule, sites, _terms(lexicon.predicates.groups, rule.uncertain), modifiers, -1)
        yield from _plain(label, rule, sites, _terms(lexicon.predicates.groups, rule.normal), "normal", 0)


def _terms(groups: dict[str, TermGroup], ids: list[str]) -> list[Term]:
    return [(group, term.text) for group in ids for term in groups[group].wordings()]


def _sites(rule: Composed, lexicon: Lexicon) -> list[Term]:
    left_out = read_yaml("words.yaml")["sites_left_out"]
    if rule.site:
        return [site for site in _terms(lexicon.sites.groups, rule.site) if site[1] not in left_out]
    return [
        (label, phrase.text)
        for label in rule.finding
        for phrase in lexicon.labels[label].mentions
        if not phrase.stem and head_of(phrase.text) and not {"and", "or", "/"} & set(phrase.text.split())
    ]


def _modifiers(rule: Composed, lexicon: Lexicon) -> list[str]:
    left_out = read_yaml("words.yaml")["modifiers_left_out"]
    modifiers = [text for _, text in _terms(lexicon.modifiers.groups, rule.needs) if text not in left_out]
    also = [text for _, text in _terms(lexicon.modifiers.groups, rule.needs_also) if text not in left_out]
    if also:
        modifiers = [f"{also[i % len(also)]} {modifier}" for i, modifier in enumerate(modifiers)]
    within_size = [SMALL] if rule.size and rule.size.max_mm else []
    return [*modifiers, *within_size]


def _matched(first: list[Term], second: list[Term], fits: Callable[[Term, Term], bool]) -> Iterator[tuple[Term, Term]]:
    """Every member of both lists in at least one pair that fits, where it has one, and few pairs beyond."""
    used: set[Term] = set()
    for i, one in enumerate(first):
        partners = [other for other in second if fits(one, other)]
        fresh = [other for other in partners if other not in used]
        if partners:
            partner = fresh[0] if fresh else partners[i % len(partners)]
            used.add(partner)
            yield one, partner
    for i, other in enumerate(other for other in second if other not in used):
        partners = [one for one in first if fits(one, other)]
        if partners:
            yield partners[i % len(partners)], other


def _alone(label: Label, rule: Composed, sites: list[Term], modifiers: list[str]) -> Iterator[Finding]:
    """ "multiple nodules", "hemorrhagic pleural effusion": modifier and noun."""
    adjectives = [("", modifier) for modifier in modifiers if not modifier.endswith("ly")]

    def fits(adjective: Term, site: Term) -> bool:
        return not set(adjective[1].split()) & set(site[1].split()) and not site[1].startswith("enlarge")

    for (_, adjective), (_, site) in _matched(adjectives, sites, fits):
        yield from _some(noun_phrase(label, rule.name, f"{adjective} {site}", 1))


def _abnormal(
    label: Label, rule: Composed, sites: list[Term], predicates: list[Term], modifiers: list[str], says: int
) -> Iterator[Finding]:
    words = read_yaml("words.yaml")
    before = [text for text in modifiers if not text.endswith("ly")]
    front = [text for text in modifiers if text.endswith("ly") and text not in words["adverbs_behind"]]
    behind = [text for text in modifiers if text in words["adverbs_behind"]]
    nouns = [predicate for predicate in predicates if _is_nominal(predicate[1])]
    adjectives = [predicate for predicate in predicates if not _is_nominal(predicate[1])]
    many = bool(behind)
    for i, (site, predicate) in enumerate(_matched([site for site in sites if _is_noun(site[1])], adjectives, _fits)):
        subject, number = _subject(site[1], many=many)
        text = f"{front[i % len(front)]} {predicate[1]}" if front else predicate[1]
        after = f" {behind[0]}" if behind and not front else ""
        if not (many and number == "singular"):
            yield clause(label, rule.name, subject, number, text + after, says)
            if _stands_before(predicate[1], site[1]):
                yield from _some(noun_phrase(label, rule.name, f"{text} {subject}{after}", says))
    for i, (site, predicate) in enumerate(_matched(sites, nouns, _nominal_fits)):
        adjective = f"{before[i % len(before)]} " if before else ""
        subject, number = _subject(site[1], many=many)
        if site[1] in words["adjective_sites"]:
            yield from _some(noun_phrase(label, rule.name, f"{adjective}{site[1]} {predicate[1]}", says))
        elif not (many and number == "singular"):
            yield from _some(noun_phrase(label, rule.name, f"{adjective}{_joined(predicate[1], site, subject)}", says))


def _plain(
    label: Label, rule: Composed, sites: list[Term], predicates: list[Term], trait: str, says: int
) -> Iterator[Finding]:
    """ "heart size is normal": a statement by itself, for frames that ask for it."""
    adjectives = [predicate for predicate in predicates if not _is_nominal(predicate[1])]
    for site, predicate in _matched([site for site in sites if _is_noun(site[1])], adjectives, _fits):
        subject, number = _subject(site[1], many=False)
        yield clause(label, rule.name, subject, number, predicate[1], says, trait)


def _some(finding: Finding | None) -> Iterator[Finding]:
    if finding is not None:
        yield finding


def _joined(predicate: str, site: Term, subject: str) -> str:
    """ "enlargement of the heart", "herniation through the diaphragm", "prominence of both hila"."""
    prepositions = read_yaml("words.yaml")["site_prepositions"]
    if site[1].split()[0] in prepositions.values():
        return f"{predicate} {site[1]}"
    article = "" if subject.startswith("both ") else "the "
    return f"{predicate} {prepositions.get(site[0], 'of')} {article}{subject}"


def _subject(site: str, *, many: bool) -> tuple[str, Number]:
    """A site as the subject of a clause; `many` where the rule wants both sides."""
    words = read_yaml("words.yaml")
    last = site.split()[-1]
    number: Number = "plural" if number_of(site.split()) == "plural" or " and " in site else "singular"
    if number == "singular" and (last in words["sites_in_plural"] or (many and not last.endswith("um"))):
        return plural_of(site), "plural"
    return site, number


def _is_noun(site: str) -> bool:
    words = read_yaml("words.yaml")
    return site not in words["adjective_sites"] and head_of(site) is not None


def _is_measured(site: str) -> bool:
    words = read_yaml("words.yaml")
    return site.split()[-1] in words["measures"] or site.startswith("size of")


def _is_nominal(predicate: str) -> bool:
    """Whether a predicate is a noun: "enlargement", "increase in size", "enlarged node"."""
    words = read_yaml("words.yaml")
    first, *more = predicate.split()
    if "in" in more:
        return first in words["nouns_of_predicates"]
    last = more[-1] if more else first
    return last in words["nouns_of_predicates"] or (
        last.endswith(tuple(words["noun_endings_of_predicates"])) and first != "normal"
    )


def _goes_with(site: Term, predicate: str) -> bool:
    words = read_yaml("words.yaml")
    groups = words["said_only_of"].get(predicate)
    return predicate not in words["predicates_left_out"] and (groups is None or site[0] in groups)


def _fits(site: Term, predicate: Term) -> bool:
    """Whether "the site is predicate" is said."""
    words = read_yaml("words.yaml")
    if site[0] in words["site_prepositions"] or not _goes_with(site, predicate[1]):
        return False
    if _is_measured(site[1]):
        return predicate[1] in words["said_of_a_measure"]
    return predicate[1] not in words["said_of_a_measure_only"]


def _nominal_fits(site: Term, predicate: Term) -> bool:
    """Whether "predicate of the site" is said, or with an adjective "cardiac enlargement"."""
    words = read_yaml("words.yaml")
    if _is_measured(site[1]) or not _goes_with(site, predicate[1]):
        return False
    if site[1] in words["adjective_sites"]:
        return " " not in predicate[1] or predicate[1] in words["nouns_beside_adjectives"]
    return predicate[1] not in words["nouns_beside_adjectives"] and predicate[1].split()[-1] != "abnormality"


def _stands_before(predicate: str, site: str) -> bool:
    """Whether "predicate site" is said: "enlarged heart", but not "dilated both atria" or "large heart size"."""
    words = read_yaml("words.yaml")
    if " in " in predicate or predicate in words["never_before_a_noun"] or site.startswith("both "):
        return False
    if _is_measured(site):
        return predicate in words["said_of_a_measure_only"]
    return " and " not in site or number_of(site.split()) == "plural"
