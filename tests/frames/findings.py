"""Every phrase of the lexicon as a finding that can stand in a sentence."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from frames.grammar import (
    Number,
    head_of,
    number_of,
    plural_of,
    read_yaml,
    tokens_of,
    with_article,
    with_capitals_inside,
)

from ltml_lexicons.choose import choose_labels
from ltml_lexicons.lexicon import load_lexicon
from ltml_lexicons.model import Label, Phrase

SAYS = {"positive": 1, "negative": 0, "uncertain": -1, None: 1}


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
    """What frames ask for; `frames.yaml` lists them."""
    says: int = 1
    """State of the plain statement: 1, or -1 for a sign that is doubtful by itself."""
    subject: str = ""
    """Of a clause: the site."""
    plural_text: str = ""
    """The plural of a countable noun phrase, where the lexicon allows it."""
    parts: tuple[tuple[str, str], ...] = ()
    """Of a finding that shares a word: place in the frame and word."""


def findings_of_phrases(label: Label) -> Iterator[Finding]:
    """The mention phrases of a label that are noun phrases or clauses, but for those an unmention hides."""
    for phrase in label.mentions:
        says = SAYS[phrase.state]
        if says == 0 or phrase.text in read_yaml("words.yaml")["phrases_left_out"]:
            continue
        subject, verb, predicate = phrase.text.partition(" is ")
        if verb:
            yield clause(label, phrase.text, subject, "singular", predicate, says)
        yield from _with_verb(label, phrase, says)
        for text in _completed(phrase):
            finding = noun_phrase(label, phrase.text, text, says, countable=phrase.plural or phrase.stem)
            if finding is not None and not is_hidden(finding, finding.text):
                yield finding


def _with_verb(label: Label, phrase: Phrase, says: int) -> Iterator[Finding]:
    """ "pulls the mediastinum", "loops fill left hemithorax": a thing that does something."""
    words = read_yaml("words.yaml")
    for text in _completed(phrase):
        parts = text.split()
        at = next((i for i, part in enumerate(parts) if part in words["finite_verbs"]), None)
        if at is not None:
            subject = " ".join(parts[:at]) or words["subjects"][parts[0]]
            predicate = " ".join(parts[at:])
            for verb in words["before_articles"]:
                predicate = predicate.replace(f"{verb} ", f"{verb} the ")
            yield verb_clause(label, phrase.text, subject, number_of(subject.split()), predicate, says)


def stems_without_endings() -> list[str]:
    """Stems of the lexicon that `words.yaml` does not know how to end."""
    endings = read_yaml("words.yaml")["stem_endings"]
    return [
        phrase.text
        for label in choose_labels().labels
        for phrase in label.mentions
        if phrase.stem and phrase.text.split()[-1] not in endings
    ]


def noun_phrase(
    label: Label, origin: str, text: str, says: int, *, tail: str = "", countable: bool = True
) -> Finding | None:
    """The finding, or None where the words are no noun phrase; `tail` are words known to stand behind it."""
    words = read_yaml("words.yaml")
    for compound in words["compounds"]:
        text = text.replace(compound, compound.replace(" ", "-"))
    for apart in words["written_together"]:
        text = text.replace(apart, apart.replace(" ", ""))
    split = head_of(text)
    if split is None:
        return None
    front, behind = split[0], [*split[1], *tail.split()]
    if front[-1] in words["always_plural"]:
        front = [*front[:-1], plural_of(front[-1])]
    front, behind = with_capitals_inside(" ".join(front)).split(), with_capitals_inside(" ".join(behind)).split()
    number: Number = "singular" if front[-1] in words["counted_acronyms"] else number_of(front)
    plural_text = ""
    if number == "singular" and countable and _is_regular(front[-1]):
        plural_text = " ".join([*front[:-1], plural_of(front[-1]), *behind])
    text = " ".join([*front, *behind]).replace(" / ", "/")
    traits = {"noun", number, *_traits_of_label(label), *_traits_of_beginning(text)}
    traits.update(
        trait
        for trait, holds in (
            ("organ", front[-1].lower() in words["organs"] and not label.device and front[0] not in words["prefixes"]),
            ("degree", front[-1] in words["ungraded_nouns"]),
            ("coordinated", {"and", "or", "/"} & {*front, *behind}),
            ("alternative", {"or", "/"} & {*front, *behind}),
            ("countable", plural_text),
            ("long", behind),
            ("doubtful", says == -1),
            ("change", any(phrase in text for phrase in words["phrases_of_change"])),
        )
        if holds
    )
    return Finding(label.id, origin, text, number, frozenset(traits), says, plural_text=plural_text)


def clause(
    label: Label, origin: str, site: str, number: Number, predicate: str, says: int, trait: str = "clause"
) -> Finding:
    """A site and what is said of it."""
    subject = site if site.startswith(("both ", "the ")) else f"the {site}"
    traits = {trait, number, *_traits_of_label(label), *_traits_of_beginning(predicate)}
    if " and " in site:
        traits.add("coordinated")
    if predicate.split()[-1] in read_yaml("composition.yaml")["of_any_structure"] and number == "singular" and says:
        traits.add("of_any_structure")
    return Finding(
        label.id,
        origin,
        with_capitals_inside(predicate),
        number,
        frozenset(traits),
        says,
        with_capitals_inside(subject),
    )


def verb_clause(label: Label, origin: str, subject: str, number: Number, predicate: str, says: int) -> Finding:
    """ "gas outlines the aorta"."""
    found = clause(label, origin, subject, number, predicate, says, "verb")
    return replace(found, parts=(("site", subject), ("a site", with_article(subject, number))))


def is_hidden(finding: Finding, sentence: str) -> bool:
    """Whether an unmention of the label covers the finding where it stands in the sentence.

    An unmention hides the phrases inside it: "pleural scarring" is no Pleural Thickening, but "pleural scarring and
    thickening", longer than the unmention, is.
    """
    unmentions = _unmentions(finding.label)
    words = " ".join(tokens_of(sentence))
    if unmentions is None or not unmentions.search(words):
        return False
    core = " ".join(tokens_of(finding.origin))
    if f" {core} " not in f" {words} ":
        core = " ".join(tokens_of(finding.text))
    return any(f" {core} " in f" {hidden[0]} " for hidden in unmentions.finditer(words))


@cache
def _unmentions(label_id: str) -> re.Pattern[str] | None:
    """What hides the phrases of a label in profile `clinical`, the longest first."""
    patterns = []
    for each in load_lexicon().labels[label_id].unmentions:
        if not each.paper_only:
            *front, last = tokens_of(each.text)
            ending = r"\S*" if each.stem else ""
            lasts = {last, plural_of(last)} if each.plural and not each.stem else {last}
            either = "|".join(re.escape(word) for word in sorted(lasts, reverse=True))
            patterns.append(" ".join([*map(re.escape, front), f"(?:{either}){ending}"]))
    patterns.sort(key=len, reverse=True)
    return re.compile(rf"(?<!\S)(?:{'|'.join(patterns)})(?!\S)") if patterns else None


def _is_regular(noun: str) -> bool:
    words = read_yaml("words.yaml")
    return (
        noun.islower() and noun not in words["never_counted"] and not noun.endswith(tuple(words["plurals_irregular"]))
    )


def _completed(phrase: Phrase) -> list[str]:
    """The wordings of a phrase that end in a whole word, a noun where `words.yaml` knows one."""
    words = read_yaml("words.yaml")
    parts = phrase.text.split()
    if phrase.stem:
        *front, last = parts
        return [" ".join([*front, last + ending]) for ending in words["stem_endings"].get(last, ())]
    if parts[0].endswith("ing") and parts[0] in words["subjects"]:
        return [f"{words['subjects'][parts[0]]} {phrase.text}"]
    for start in range(len(parts)):
        noun = words["completions"].get(" ".join(parts[start:]))
        if noun is not None:
            return [phrase.text + noun[1:] if noun.startswith("+") else f"{phrase.text} {noun}"]
    return [phrase.text]


def _traits_of_label(label: Label) -> set[str]:
    return {name for name, holds in (("chronic", label.chronic), ("device", label.device)) if holds}


def _traits_of_beginning(text: str) -> set[str]:
    beginnings = read_yaml("words.yaml")["beginnings"]
    return {
        trait for trait, begins in beginnings.items() if f"{text} ".startswith(tuple(f"{word} " for word in begins))
    }
