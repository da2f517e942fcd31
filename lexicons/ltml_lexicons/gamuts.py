"""The 1,934 findings of the Radiology Gamuts Ontology: names and synonyms, searchable.

Source: `openimagingdata/findingmodels` (MIT, `licences/gamuts.txt`); the entries that carry a Gamuts id.
"""

import json
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from importlib.resources import files


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
