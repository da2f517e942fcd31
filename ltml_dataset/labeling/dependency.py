"""Engine `spacy`: negation and uncertainty decided on a dependency parse, everything else by cues."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltml_dataset.errors import UserError
from ltml_dataset.labeling.assertion import AssertionEngine
from ltml_dataset.labeling.compiled import NEGATIVE, UNCERTAIN, CompiledLexicon, Role
from ltml_dataset.labeling.composed import MentionSpan
from ltml_dataset.labeling.matcher import Hit
from ltml_dataset.labeling.structure import Structure
from ltml_dataset.labeling.verdicts import Verdict
from ltml_lexicons.dependency import DependencyFile, DependencyRule, DependencyWord

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span, Token

_PARSED_KINDS = frozenset({"negation", "uncertainty"})
"""Cue kinds that the parse decides in their place."""
_UNDECIDED = frozenset({"affirmed", "borderline", "alternative"})
"""Verdicts of the cues that leave the parse to decide."""
_PRECEDENCE = {"open": 0, "negation": 1, "uncertainty": 2}
_STATE = {"open": UNCERTAIN, "negation": NEGATIVE, "uncertainty": UNCERTAIN}

_Found = dict[int, tuple[int, int, str, "Token"]]
"""Token -> precedence, number of the rule, its id, and the cue."""


def load_model(name: str | None = None) -> "Language":
    """An installed English spaCy model with a dependency parser.

    Args:
        name: Package name of the model; by default the first installed English one that has a parser.

    Raises:
        UserError: spaCy or such a model is not installed.
    """
    try:
        import spacy
    except ModuleNotFoundError:
        raise UserError(
            "engine spacy needs spaCy, which is not installed: pip install 'ltml-mimic-cxr[spacy]'."
        ) from None
    candidates = [name] if name else sorted(m for m in spacy.util.get_installed_models() if m.startswith("en"))
    for candidate in candidates:
        try:
            nlp = spacy.load(candidate, exclude=["ner"])
        except OSError:
            continue
        if "parser" in nlp.pipe_names:
            return nlp
    wanted = f"`{name}` is not" if name else "no English one is"
    raise UserError(
        f"engine spacy needs an installed spaCy model with a dependency parser, and {wanted}: install one, for example "
        "en_core_web_sm, and name it with --spacy-model if there are several."
    )


class DependencyAsserter:
    """Asserts mentions on the parse of their sentence.

    Cues of history, removal, resolution, exclusion, conditions and other people are read as always; where they leave a
    mention undecided, the rules of `dependency/rules.yaml` decide. A finding in a coordination shares what is said of
    the first member, up to a contrast ("but").
    """

    def __init__(self, compiled: CompiledLexicon, nlp: "Language", file: DependencyFile) -> None:
        """Rules over the parses of `nlp`."""
        from spacy.matcher import DependencyMatcher

        self._nlp = nlp
        self._kinds = [cue.kind for cue in compiled.cues]
        self._engine = AssertionEngine(compiled)
        self._rules = list(file.rules)
        self._contrast = file.contrast
        self._matcher = DependencyMatcher(nlp.vocab)
        for number, rule in enumerate(self._rules):
            patterns = [_pattern(rule, use_lemma=False)]
            if any(word.word and word.lemma for word in rule.words):
                patterns.append(_pattern(rule, use_lemma=True))
            self._matcher.add(str(number), patterns)
        self._cue_places = [[word.id for word in rule.words].index("cue") + 1 for rule in self._rules]

    def assert_sentence(
        self,
        sentence: str,
        tokens: Sequence[re.Match[str]],
        hits: list[Hit],
        mentions: list[MentionSpan],
        structure: Structure,
    ) -> list[Verdict]:
        """One verdict a mention."""
        others = [hit for hit in hits if not (hit[2] == Role.CUE and self._kinds[hit[3]] in _PARSED_KINDS)]
        verdicts = self._engine.assert_mentions(others, mentions, structure)
        by_cues = self._engine.assert_mentions(hits, mentions, structure)
        open_mentions = [
            i for i, v in enumerate(verdicts) if v.rule in _UNDECIDED and not self._is_normal(mentions[i], by_cues[i])
        ]
        for i, verdict in enumerate(verdicts):
            if self._is_normal(mentions[i], by_cues[i]):
                verdicts[i] = by_cues[i]
            elif verdict.rule == "alternative":
                verdicts[i] = Verdict(1, "affirmed", -1, -1, -1)
        if open_mentions:
            # Blanks for line breaks: the parser was trained on running text, and offsets stay as they are.
            doc = self._nlp(re.sub(r"\s", " ", sentence))
            found = self._find(doc)
            for i in open_mentions:
                span = _span(doc, tokens, mentions[i])
                decided = _decision(span, found, self._contrast) if span is not None else None
                if decided is not None:
                    _, number, rule_id, cue = decided
                    kind = self._rules[number].kind
                    first, last = _token_range(tokens, cue.idx, cue.idx + len(cue))
                    verdicts[i] = Verdict(_STATE[kind], f"parse: {rule_id}", -1, first, last)
        return verdicts

    def _is_normal(self, mention: MentionSpan, verdict: Verdict) -> bool:
        """A finding composed with a normal predicate: the predicate is the statement, whatever the parse."""
        return mention[6] == NEGATIVE or verdict.rule == "phrase"

    def _find(self, doc: "Doc") -> "_Found":
        """The strongest rule at each token that a rule starts from."""
        found: _Found = {}
        for match_id, places in self._matcher(doc):
            number = int(doc.vocab.strings[match_id])
            rule = self._rules[number]
            entry = (_PRECEDENCE[rule.kind], number, rule.id, doc[places[self._cue_places[number]]])
            if places[0] not in found or entry[:2] < found[places[0]][:2]:
                found[places[0]] = entry
        return found


def _pattern(rule: DependencyRule, *, use_lemma: bool) -> list[dict[str, Any]]:
    """One pattern of spaCy's DependencyMatcher; the finding may be any word, mentions are looked up afterwards."""
    start: dict[str, Any] = {"DEP": {"NOT_IN": list(rule.finding_not)}} if rule.finding_not else {"IS_SPACE": False}
    pattern: list[dict[str, Any]] = [{"RIGHT_ID": "finding", "RIGHT_ATTRS": start}]
    for word in rule.words:
        pattern.append(
            {
                "LEFT_ID": word.of,
                "REL_OP": word.op,
                "RIGHT_ID": word.id,
                "RIGHT_ATTRS": _attributes(word, use_lemma=use_lemma),
            }
        )
    return pattern


def _attributes(word: DependencyWord, *, use_lemma: bool) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if word.word and not (use_lemma and word.lemma):
        attributes["LOWER"] = {"IN": list(word.word)}
    elif word.lemma:
        attributes["LEMMA"] = {"IN": list(word.lemma)}
    if word.dep:
        attributes["DEP"] = {"IN": list(word.dep)}
    if word.pos:
        attributes["POS"] = {"IN": list(word.pos)}
    return attributes or {"IS_SPACE": False}


def _span(doc: "Doc", tokens: Sequence[re.Match[str]], mention: MentionSpan) -> "Span | None":
    """The words that cues act on, in the parser's tokens."""
    return doc.char_span(tokens[mention[2]].start(), tokens[mention[3] - 1].end(), alignment_mode="expand")


def _decision(span: "Span", found: "_Found", contrast: frozenset[str]) -> "tuple[int, int, str, Token] | None":
    """The strongest rule at any word of the mention, at its head, or at what its head is coordinated with."""
    inside = {token.i for token in span}
    own = [found[i] for i in inside if i in found and found[i][3].i not in inside]
    if own:
        return min(own, key=lambda entry: entry[:2])
    head = span.root
    while head.dep_ in ("conj", "amod", "compound", "nmod", "appos") and head.head.i != head.i:
        if head.dep_ == "conj" and any(child.lower_ in contrast for child in head.head.children if child.dep_ == "cc"):
            return None
        head = head.head
        if head.pos_ in ("VERB", "AUX") and head.i not in inside and not found.get(head.i):
            break
        entry = found.get(head.i)
        if entry is not None and entry[3].i not in inside:
            return entry
    return None


def _token_range(tokens: Sequence[re.Match[str]], start: int, end: int) -> tuple[int, int]:
    """Our tokens that overlap a stretch of text; (-1, -1) where none does."""
    inside = [i for i, token in enumerate(tokens) if token.start() < end and token.end() > start]
    return (inside[0], inside[-1] + 1) if inside else (-1, -1)
