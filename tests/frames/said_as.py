"""Composed rules said by hand: `said_as.yaml` where the parts of a rule cannot be crossed freely."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from frames.findings import Finding, clause, noun_phrase
from frames.grammar import Number, number_of_phrase

from ltml_lexicons.model import Label


def findings_said_as(label: Label, rule: str, page: dict[str, Any]) -> Iterator[Finding]:
    """What stands on the page of a rule.

    Args:
        label: The label of the rule.
        rule: Name of the rule.
        page: `nouns`, `clauses`, `normal`, `borderline`, `denied`, and `says` (-1 for a sign that is doubtful).

    Raises:
        ValueError: A noun phrase that the grammar takes for none.
    """
    says = page.get("says", 1)
    for text in page.get("nouns", ()):
        finding = noun_phrase(label, rule, text, says)
        if finding is None:
            raise ValueError(f"{label.id}, {rule}: `{text}` is no noun phrase")
        yield finding
    for kind, state in (("clauses", says), ("normal", 0), ("borderline", -1)):
        for text in page.get(kind, ()):
            yield _clause(label, rule, text, state, "clause" if kind == "clauses" else kind)
    for text in page.get("denied", ()):
        subject, _, predicate = text.rpartition(" | ")
        if subject:
            yield _clause(label, rule, text, 0, "normal")
        else:
            yield Finding(label.id, rule, predicate, "singular", frozenset({"denied"}), 0)


def _clause(label: Label, rule: str, text: str, says: int, trait: str) -> Finding:
    subject, _, predicate = text.partition(" | ")
    bare = subject.removeprefix("the ")
    both = bare.startswith("both ") or " and " in bare
    number: Number = "plural" if both else number_of_phrase(bare)
    return replace(clause(label, rule, bare, number, predicate, says, trait), parts=(("site", bare),))
