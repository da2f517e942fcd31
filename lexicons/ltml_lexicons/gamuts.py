"""The 1,934 findings of the Radiology Gamuts Ontology: names and synonyms, searchable.

Source: `openimagingdata/findingmodels` (MIT, `licences/gamuts.txt`); the entries that carry a Gamuts id.
"""

import json
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from importlib.resources import files

from ltml_lexicons.model import Label, OwnGroups, Phrase


@dataclass(frozen=True, slots=True)
class GamutsFinding:
    """One finding of the ontology."""

    id: str
    name: str
    synonyms: tuple[str, ...]

    @property
    def terms(self) -> tuple[str, ...]:
        """Name and synonyms without repeats, in letter case as published."""
        return tuple(dict.fromkeys((self.name, *self.synonyms)))


@cache
def gamuts_findings() -> tuple[GamutsFinding, ...]:
    """All findings, by id."""
    lines = files("ltml_lexicons").joinpath("gamuts.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return tuple(GamutsFinding(row["id"], row["name"], tuple(row["synonyms"])) for row in rows)


def worded(label: Label, profile: str) -> Label:
    """The label with the words that a profile starts from: `gamuts` has its own."""
    return as_published(label) if profile == "gamuts" else label


def as_published(label: Label) -> Label:
    """The label with the names and synonyms of its Gamuts findings for words, as they stand, and no others.

    Nothing hides them, no plural is made, nothing is composed; a label without a Gamuts finding has no words.
    """
    wanted = [finding for finding in gamuts_findings() if finding.id in label.gamuts]
    terms = {term.lower(): term for finding in wanted for term in finding.terms}
    return label.model_copy(
        update={
            "mentions": [
                Phrase(text=term, source="gamuts", plural=False, upper=_is_abbreviation(term), shared=True)
                for term in terms.values()
            ],
            "unmentions": [],
            "composed": [],
            "groups": OwnGroups(),
        }
    )


def _is_abbreviation(term: str) -> bool:
    """Whether a published term is one word in capitals, which small letters would make another word."""
    return term.isupper() and term.isalpha()


def search_gamuts(query: str, limit: int = 10) -> list[GamutsFinding]:
    """Findings that fit a query best, best first.

    A Gamuts id finds that entry. Otherwise the order is: the whole name or synonym; all words of the query in one
    term; words that begin like those of the query; terms spelt nearly like it.

    Example:
        >>> [finding.name for finding in search_gamuts("mucoid impaction", limit=1)]
        ['mucoid impaction']
    """
    wanted = _words(query)
    if not wanted:
        return []
    ranked = []
    for finding in gamuts_findings():
        score = 10.0 if finding.id == query.strip() else max(_fit(wanted, term) for term in finding.terms)
        if score >= 0.85:
            ranked.append((-score, len(finding.name), finding.name, finding))
    return [finding for *_, finding in sorted(ranked, key=lambda item: item[:3])[:limit]]


def _fit(wanted: list[str], term: str) -> float:
    words = _words(term)
    if words == wanted:
        return 5.0
    if all(word in words for word in wanted):
        return 3.0 + len(wanted) / len(words)
    if all(any(word.startswith(part) for word in words) for part in wanted):
        return 2.0 + len(wanted) / len(words)
    return SequenceMatcher(None, " ".join(wanted), " ".join(words)).ratio()


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())
