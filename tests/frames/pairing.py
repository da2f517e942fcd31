"""Which site goes with which predicate; the words themselves stand in `composition.yaml`."""

from typing import Literal, NamedTuple

from frames.grammar import head_of, number_of_phrase, read_yaml

Kind = Literal["adjective", "noun", "relation", "verb", "pattern"]


class Term(NamedTuple):
    """A wording and its group."""

    group: str
    text: str


def kind_of(predicate: Term) -> Kind:
    """What a predicate is: it decides the sentence.

    Example:
        >>> kind_of(Term("enlarged", "increase in size")), kind_of(Term("in_mediastinum", "outlining aorta"))
        ('noun', 'relation')
    """
    composition = read_yaml("composition.yaml")
    if predicate.text in composition["patterns"]:
        return "pattern"
    if predicate.group in composition["groups_of_relations"]:
        verbs = composition["verbs"]
        return "verb" if predicate.text.split()[0] in (*verbs["singular"], *verbs["plural"]) else "relation"
    if predicate.text.split()[0] in read_yaml("words.yaml")["participles"]:
        return "adjective"
    return "noun" if predicate.group in composition["preposition_of_group"] or _is_noun(predicate.text) else "adjective"


def _is_noun(predicate: str) -> bool:
    """Whether a predicate is a noun: "enlargement", "increase in size", "enlarged node"."""
    composition = read_yaml("composition.yaml")
    first, *more = predicate.split()
    if predicate in (*composition["adjectives_that_look_like_nouns"], *composition["without_verb"]):
        return False
    if predicate in (*composition["nouns"], *composition["preposition_of_noun"]):
        return True
    if "in" in more:
        return first in composition["nouns"]
    last = more[-1] if more else first
    return last in composition["nouns"] or (last.endswith(tuple(composition["noun_endings"])) and first != "normal")


def preposition_between(predicate: Term) -> str:
    """What stands between a noun and its site: "of", "in", or nothing where the noun brings it along."""
    composition = read_yaml("composition.yaml")
    if predicate.text.split()[-1] in read_yaml("words.yaml")["prepositions"]:
        return ""
    of_noun: str = composition["preposition_of_noun"].get(predicate.text, "of")
    of_group: str = composition["preposition_of_group"].get(predicate.group, of_noun)
    return of_group


def is_noun(site: str) -> bool:
    """Whether a site can be a subject."""
    return site not in read_yaml("composition.yaml")["adjective_sites"] and head_of(site) is not None


def _is_measured(site: str) -> bool:
    return site.split()[-1] in read_yaml("composition.yaml")["measures"] or site.startswith("size of")


def _goes_with(site: Term, predicate: str) -> bool:
    composition = read_yaml("composition.yaml")
    only = composition["said_only_of"].get(predicate)
    is_whole = predicate in composition["nouns"] or predicate.split()[-1] not in read_yaml("words.yaml")["prepositions"]
    return (
        is_whole
        and predicate not in composition["predicates_left_out"]
        and (only is None or site.group in only or site.text in only)
    )


def fits(site: Term, predicate: Term) -> bool:
    """Whether "the site is predicate" is said."""
    composition = read_yaml("composition.yaml")
    if not _goes_with(site, predicate.text):
        return False
    if site.group in composition["carriers"]:
        return True
    if not is_noun(site.text):
        return False
    if _is_measured(site.text):
        return predicate.text in composition["said_of_a_measure"]
    return predicate.text not in composition["said_of_a_measure_only"]


def nominal_fits(site: Term, predicate: Term) -> bool:
    """Whether "predicate of the site" is said, or with an adjective "cardiac enlargement"."""
    composition = read_yaml("composition.yaml")
    if _is_measured(site.text) or not _goes_with(site, predicate.text):
        return False
    if site.text in composition["adjective_sites"]:
        beside = composition["nouns_beside_adjectives"]
        return predicate.group not in composition["preposition_of_group"] and (
            " " not in predicate.text or predicate.text in beside
        )
    if not (is_noun(site.text) or site.group in composition["carriers"]):
        return False
    return predicate.text not in composition["nouns_beside_adjectives"] and predicate.text.split()[-1] != "abnormality"


def relation_fits(site: Term, predicate: Term) -> bool:
    """Whether "site predicate" is said, as "gas in the mediastinum" is."""
    composition = read_yaml("composition.yaml")
    first = predicate.text.split()[0]
    of_site = composition["relations_of_site"].get(site.text)
    if of_site is not None and first not in of_site:
        return False
    if first in composition["relations_of_mass"] and number_of_phrase(site.text) != "mass":
        return False
    if first in composition["verbs"]["plural"] and number_of_phrase(site.text) == "mass":
        return False
    return is_noun(site.text) and site.text in composition["relations_of"].get(first, [site.text])


def pattern_fits(site: Term, predicate: Term) -> bool:
    """Whether a predicate in words of its own is said: "rib #", but not "ribs #"."""
    return is_noun(site.text) and not (predicate.text.startswith("#") and number_of_phrase(site.text) == "plural")


def has_preposition(text: str) -> bool:
    """Whether the words stand behind their noun: "filled with blood", "elevated on the right", "of massive size"."""
    words = read_yaml("words.yaml")
    return " in " not in text and any(word in words["prepositions"] for word in text.split())


def stands_behind(modifier: str) -> bool:
    """Whether a modifier stands behind its noun: "in both lungs", "consistent with blood"."""
    words = read_yaml("words.yaml")
    first = modifier.split()[0]
    return (
        first in words["prepositions"]
        or (first in words["participles"] and " " in modifier)
        or modifier in read_yaml("composition.yaml")["modifiers_behind"].values()
    )


def stands_before(predicate: str, site: str) -> bool:
    """Whether "predicate site" is said: "enlarged heart", but not "dilated both atria" or "large heart size"."""
    composition = read_yaml("composition.yaml")
    if " in " in predicate or predicate in composition["never_before_a_noun"] or site.startswith("both "):
        return False
    if _is_measured(site):
        return predicate in composition["said_of_a_measure_only"] and predicate == "increased"
    return " and " not in site or number_of_phrase(site) == "plural"
