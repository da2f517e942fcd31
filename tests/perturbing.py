"""The lexicon's cues changed one at a time, and the recorded sentences that notice.

A change is laid over the compiled lexicon: hits of what is removed are dropped, tables are replaced, and only
sentences that hold the words are judged again. What cannot be done so (words that are read over, endings of nouns) is
compiled anew; `noticed_when_rebuilt` does that for any removal, and a test compares the two.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any, get_args

import yaml
from marked_text import MarkedLine, all_marked
from recorded import Recorded, all_recorded

from ltml_dataset.labeling import matcher
from ltml_dataset.labeling.aggregate import RANK_OF_STATE, parent_pairs
from ltml_dataset.labeling.assertion import AssertionEngine
from ltml_dataset.labeling.compiled import (
    STATES,
    CompiledLexicon,
    CueEntry,
    CueVerbs,
    Role,
    RuleEntry,
    Word,
    compile_lexicon,
    cue_entry,
    tail_of,
)
from ltml_dataset.labeling.judge import Judged, SentenceJudge
from ltml_dataset.labeling.labeler import PROFILE_KINDS
from ltml_dataset.labeling.vocabulary import TOKEN, Vocabulary
from ltml_dataset.text.sections import sections_to_label
from ltml_dataset.text.sentences import sentences_of
from ltml_lexicons.choose import choose_labels, labels_in_use
from ltml_lexicons.lexicon import Lexicon
from ltml_lexicons.model import Cue, CueGroup, CueState, TermGroup

EXCUSED = Path(__file__).parent / "unnoticed.yaml"
WORDINGS = Path(__file__).parent / "lexicons" / "wordings.txt"
KINDS = ("template", "kind", "form", "word", "group", "scope", "precedence", "pair", "number")
_RULES = ("site_rules", "alone_by_site", "finding_rules")
_WIDTHS = ("next", "phrase", "list", "enumeration", "clause", "sentence")
"""Reaches of cues before their findings, the narrowest first."""
_UNSEEN = {"invisible"}
"""Groups of words that no automaton holds."""

Item = tuple[str, int, int]
"""Characters of a pattern, role, reference: what one hit of the automaton is."""
Engine = Callable[[CompiledLexicon], AssertionEngine]


@dataclass(frozen=True)
class Sentence:
    """What is recorded of one text, and its sentences as the labeler reads them."""

    text: str
    where: str
    line: MarkedLine | None
    """Marks; None where `wanted` tells the state of the whole text."""
    rule: str | None
    wanted: tuple[int, str] | None
    """Label number and state as `wordings.txt` writes it."""
    codes: tuple[str, ...]
    spans: tuple[tuple[tuple[int, int], ...], ...]
    """First and last offset of each token, sentence by sentence."""


@dataclass(frozen=True)
class Change:
    """One thing changed."""

    kind: str
    name: str
    removed: frozenset[Item] = frozenset()
    cues: Mapping[int, CueEntry] = field(default_factory=dict)
    """Cues that read otherwise."""
    touched: frozenset[Item] | None = None
    """Patterns whose sentences can be read otherwise; None for all sentences."""
    precedence: Mapping[str, int] | None = None
    engine: Engine = AssertionEngine
    lexicon: Callable[[Lexicon], Lexicon] | None = None
    """The same change on the lexicon, to be compiled."""
    size: float = 0.0
    """Millimetres added to every limit of size."""
    shared: int | None = None
    needs_compiling: bool = False


class _Overlay:
    """An automaton some of whose patterns are gone."""

    def __init__(self, automaton: Any, removed: frozenset[Item]) -> None:
        self._automaton = automaton
        self._removed = removed
        self.get = automaton.get

    def iter(self, code: str) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
        for end, items in self._automaton.iter(code):
            yield (
                end,
                [one for one in items if (code[end - one[0] + 1 : end + 1], one[1], one[2]) not in self._removed],
            )


class Bench:
    """The default labeler's lexicon, the recorded sentences, and what holds of them."""

    def __init__(self) -> None:
        """Compile, read every recorded sentence and index it by its patterns."""
        chosen = choose_labels()
        self.lexicon = chosen.lexicon
        self.labels = labels_in_use(chosen)
        self.compiled = self._compile(self.lexicon)
        self.numbers = {label.id: i for i, label in enumerate(self.compiled.labels)}
        names = {label.name: i for i, label in enumerate(self.compiled.labels)}
        self._pairs = parent_pairs(
            [[self.numbers[p] for p in label.parents if p in self.numbers] for label in self.compiled.labels]
        )
        self.sentences: list[Sentence] = []
        for one in all_recorded():
            if not one.is_open:
                self._record(one.line.text, f"cues/{one.line.file} {one.section}", one.line, one.rule, None)
        for line in all_marked():
            if all(mark.label in self.numbers for mark in line.marks) and line.file != "no_finding":
                self._record(line.text, f"sentences/{line.file}:{line.number}", line, None, None)
        for text in WORDINGS.read_text(encoding="utf-8").splitlines():
            if text and not text.startswith("#"):
                label, state, words = (part.strip() for part in text.split("|"))
                self._record(words, "wordings", None, None, (names[label], state))
        self.sound = [i for i in range(len(self.sentences)) if self.holds(i, self.judge(i, self.compiled))]
        """Numbers of the sentences that are read right today; the others cannot notice anything."""
        self.by_item: dict[Item, list[int]] = defaultdict(list)
        for i in self.sound:
            for item in self._items(self.sentences[i]):
                self.by_item[item].append(i)

    def _compile(self, lexicon: Lexicon) -> CompiledLexicon:
        return compile_lexicon(lexicon, self.labels, PROFILE_KINDS["clinical"])

    def _record(
        self, text: str, where: str, line: MarkedLine | None, rule: str | None, wanted: tuple[int, str] | None
    ) -> None:
        codes, spans = read_codes(text, self.compiled.vocabulary)
        self.sentences.append(Sentence(text, where, line, rule, wanted, codes, spans))

    def _items(self, sentence: Sentence) -> set[Item]:
        return {
            (code[end - length + 1 : end + 1], role, ref)
            for code in sentence.codes
            for end, items in self.compiled.automaton.iter(code)
            for length, role, ref in items
        }

    def judge(self, number: int, compiled: CompiledLexicon, engine: Engine = AssertionEngine) -> list[list[Judged]]:
        """Judgements of a sentence, part by part, with a changed lexicon."""
        judge = SentenceJudge(compiled, engine(compiled))
        sentence = self.sentences[number]
        if compiled.vocabulary is not self.compiled.vocabulary:
            codes, spans = read_codes(sentence.text, compiled.vocabulary)
            sentence = replace(sentence, codes=codes, spans=spans)
            self.sentences[number] = sentence
        return [list(judge.judge_code(code)) for code in sentence.codes]

    def holds(self, number: int, judged: list[list[Judged]]) -> bool:
        """Whether a sentence is read as it was recorded."""
        sentence = self.sentences[number]
        if sentence.wanted is not None:
            return self._holds_as_a_whole(sentence.wanted, judged)
        assert sentence.line is not None
        found = [
            (mention[0], mention[2], spans[mention[3]][0], spans[mention[4] - 1][1], mention[5])
            for mentions, spans in zip(judged, sentence.spans, strict=True)
            for mention in mentions
        ]
        if sentence.rule is not None and all(rule != sentence.rule for *_, rule in found):
            return False
        for mark in sentence.line.marks:
            label = self.numbers[mark.label]
            states = [
                state for one, state, start, end, _ in found if one == label and start < mark.end > mark.start < end
            ]
            if strongest(states) != mark.state:
                return False
        own = self.numbers.get(sentence.line.file, -1)
        marks = [mark for mark in sentence.line.marks if mark.label == sentence.line.file]
        return all(
            any(start < mark.end and end > mark.start for mark in marks)
            for label, _, start, end, _ in found
            if label == own
        )

    def reads(self, one: Recorded) -> bool:
        """Whether a sentence is read as it was recorded, with nothing changed."""
        self._record(one.line.text, one.section, one.line, one.rule, None)
        holds = self.holds(len(self.sentences) - 1, self.judge(len(self.sentences) - 1, self.compiled))
        self.sentences.pop()
        return holds

    def _holds_as_a_whole(self, wanted: tuple[int, str], judged: list[list[Judged]]) -> bool:
        ranks = [0] * len(self.compiled.labels)
        for mentions in judged:
            for mention in mentions:
                ranks[mention[0]] = max(ranks[mention[0]], RANK_OF_STATE[mention[2]])
        for child, parent in self._pairs:
            if ranks[child] > 1:
                ranks[parent] = max(ranks[parent], ranks[child])
        rank = ranks[wanted[0]]
        return rank < 2 if wanted[1] == "-" else rank == RANK_OF_STATE[int(wanted[1])]

    def noticed_by(self, change: Change) -> str | None:
        """A recorded sentence that a change makes wrong, None where there is none."""
        if change.needs_compiling:
            return self.noticed_when_rebuilt(change)
        compiled = self.changed(change)
        numbers: Iterable[int] = self.sound
        if change.touched is not None:
            numbers = sorted({i for item in change.touched for i in self.by_item.get(item, ())})
        before = matcher._SHARED
        if change.shared is not None:
            matcher._SHARED = change.shared
        try:
            for i in numbers:
                if not self.holds(i, self.judge(i, compiled, change.engine)):
                    return f"{self.sentences[i].where}: {self.sentences[i].text}"
        finally:
            matcher._SHARED = before
        return None

    def noticed_when_rebuilt(self, change: Change) -> str | None:
        """The same with the lexicon compiled anew."""
        assert change.lexicon is not None
        compiled = self._compile(change.lexicon(self.lexicon))
        kept = list(self.sentences)
        try:
            for i in self.sound:
                if not self.holds(i, self.judge(i, compiled, change.engine)):
                    return f"{self.sentences[i].where}: {self.sentences[i].text}"
        finally:
            self.sentences = kept
        return None

    def changed(self, change: Change) -> CompiledLexicon:
        """The compiled lexicon with a change."""
        cues = self.compiled.cues
        gone = {ref for _, role, ref in change.removed if role == Role.CUE}
        if change.cues or gone:
            cues = self._with_tails(change.cues, gone)
        return replace(
            self.compiled,
            cues=cues,
            automaton=_Overlay(self.compiled.automaton, change.removed) if change.removed else self.compiled.automaton,
            precedence=dict(change.precedence) if change.precedence is not None else self.compiled.precedence,
            **{name: _resized(getattr(self.compiled, name), change.size) for name in _RULES},
        )

    def _with_tails(self, changed: Mapping[int, CueEntry], gone: set[int]) -> list[CueEntry]:
        cues = list(self.compiled.cues)
        texts = {cues[ref].text for ref in (*changed, *gone)}
        touched = {ref for text in texts for ref in self._ending_in.get(text, ())}
        for ref, cue in changed.items():
            cues[ref] = cue
            if not cue.before:
                touched.add(ref)
        if touched:
            by_text: dict[tuple[str, str], int] = {}
            for ref in self._shared_texts:
                if ref not in gone and cues[ref].before:
                    by_text.setdefault((cues[ref].kind, cues[ref].text), ref)
            for ref in touched:
                cues[ref] = cues[ref]._replace(tail=tail_of(cues[ref], by_text))
        return cues

    @cached_property
    def _shared_texts(self) -> list[int]:
        """Cues whose text ends a cue that stands behind its finding."""
        return [ref for ref, cue in enumerate(self.compiled.cues) if cue.text in self._ending_in]

    @cached_property
    def _ending_in(self) -> dict[str, list[int]]:
        """Words -> cues behind their finding that end in them."""
        found: dict[str, list[int]] = defaultdict(list)
        for ref, cue in enumerate(self.compiled.cues):
            if not cue.before:
                words = cue.text.split()
                for k in range(len(words)):
                    found[" ".join(words[k:])].append(ref)
        return found

    # What can be changed

    @cached_property
    def templates(self) -> list["Template"]:
        """Every wording that stands in the files of cues and words, with its patterns."""
        found: list[Template] = []
        ref = 0
        for file_name, cue_file in self.lexicon.cues.items():
            for group_name, cue_group in cue_file.groups.items():
                for i, cue in enumerate(cue_group.wordings()):
                    items: dict[str, list[Item]] = {}
                    for text in self.lexicon.forms.expand(cue.text):
                        assert self.compiled.cues[ref].text == text
                        items[text] = self._patterns(text, False, Role.CUE, ref)
                        ref += 1
                    found.append(Template(file_name, group_name, i, cue.text, items))
        for file_name, word_file in self.lexicon.words.items():
            for group_name, group in word_file.groups.items():
                word = Word.PSEUDO if file_name == "pseudo" else Word.__members__.get(group_name.upper())
                for i, term in enumerate(group.wordings()):
                    items = {}
                    if word is not None:
                        for text in self.lexicon.forms.expand(term.text):
                            items[text] = self._patterns(text, term.stem, Role.WORD, word)
                    found.append(Template(file_name, group_name, i, term.text, items))
        return found

    def _patterns(self, text: str, stem: bool, role: Role, ref: int) -> list[Item]:
        vocabulary = self.compiled.vocabulary
        tokens = [token for token in TOKEN.findall(f" {text.lower()} ") if not vocabulary.is_invisible(token)]
        last = len(tokens) - 1
        choices = [
            vocabulary.stem_forms(token) if stem and i == last else vocabulary.forms(token)
            for i, token in enumerate(tokens)
        ]
        return [("".join(characters), int(role), int(ref)) for characters in product(*choices)]

    @cached_property
    def providers(self) -> dict[Item, set[tuple[int, str]]]:
        """Pattern -> templates (by position) and texts that make it."""
        found: dict[Item, set[tuple[int, str]]] = defaultdict(set)
        for number, template in enumerate(self.templates):
            for text, items in template.items.items():
                for item in items:
                    found[item].add((number, text))
        return found

    def without(self, texts: set[tuple[int, str]]) -> frozenset[Item]:
        """Patterns that are gone once these texts of templates are."""
        candidates = {item for number, text in texts for item in self.templates[number].items[text]}
        return frozenset(item for item in candidates if self.providers[item] <= texts)

    def changes(self) -> Iterator[Change]:
        """Every change, in the order of the files."""
        yield from self._without_templates()
        yield from self._without_form_words()
        yield from self._other_groups()
        yield from self._other_precedence()
        yield from self._other_numbers()

    def _without_templates(self) -> Iterator[Change]:
        order = [kinds[0] for kinds in self.lexicon.precedence]
        for number, template in enumerate(self.templates):
            name = f"{template.file}.{template.group}: {template.text}"
            is_cue = template.file in self.lexicon.cues
            if not is_cue and template.group in _UNSEEN:
                yield Change("word", name, lexicon=_without_term(template), needs_compiling=True)
                continue
            removed = self.without({(number, text) for text in template.items})
            cues = {} if is_cue or template.file == "pseudo" else self._without_verb(template)
            touched = removed | frozenset(item for ref in cues for item in self._items_of_cue(ref))
            kind = "template" if is_cue or template.file == "pseudo" else "word"
            yield Change(kind, name, removed, cues, touched, lexicon=_without_term(template))
            if is_cue:
                own = self.lexicon.cues[template.file].groups[template.group].kind
                other = order[
                    (next(i for i, kinds in enumerate(self.lexicon.precedence) if own in kinds) + 1) % len(order)
                ]
                refs = [item[2] for items in template.items.values() for item in items]
                yield Change(
                    "kind",
                    f"{name} as {other}",
                    cues={ref: self.compiled.cues[ref]._replace(kind=other) for ref in refs},
                    touched=frozenset(item for items in template.items.values() for item in items),
                )

    def _items_of_cue(self, ref: int) -> list[Item]:
        return self._patterns(self.compiled.cues[ref].text, False, Role.CUE, ref)

    def _without_verb(self, template: "Template") -> dict[int, CueEntry]:
        """Cues that read otherwise once a word makes no verb."""
        if template.group not in ("copula", "copulas", "copula_past", "copulas_past", "verb", "modal", "seen"):
            return {}
        lexicon = _without_term(template)(self.lexicon)
        verbs = CueVerbs.of(lexicon)
        changed: dict[int, CueEntry] = {}
        for ref, (cue, group) in enumerate(self._written):
            text = self.compiled.cues[ref].text
            if template.text in text.split():
                entry = cue_entry(text, cue, group, verbs)._replace(tail=self.compiled.cues[ref].tail)
                if entry != self.compiled.cues[ref]:
                    changed[ref] = entry
        return changed

    @cached_property
    def _written(self) -> list[tuple[Cue, CueGroup]]:
        """The cue and the group that each compiled cue was written in."""
        return [
            (cue, group)
            for file in self.lexicon.cues.values()
            for group in file.groups.values()
            for cue in group.wordings()
            for _ in self.lexicon.forms.expand(cue.text)
        ]

    def _without_form_words(self) -> Iterator[Change]:
        forms = self.lexicon.forms
        for name, words in forms.forms.items():
            users = [(i, t) for i, t in enumerate(self.templates) if "{" + name + "}" in t.text]
            for word in words:
                fewer = forms.model_copy(update={"forms": {**forms.forms, name: [w for w in words if w != word]}})
                gone = {(i, text) for i, t in users for text in set(t.items) - set(fewer.expand(t.text))}
                removed = self.without(gone)
                yield Change(
                    "form",
                    f"forms.{name}: {word}",
                    removed,
                    touched=removed,
                    lexicon=lambda lexicon, fewer=fewer: replace(lexicon, forms=fewer),
                )
        for key in ("nouns", "noun_endings"):
            listed: list[str] = getattr(forms, key)
            for word in listed:
                fewer = forms.model_copy(update={key: [w for w in listed if w != word]})
                yield Change(
                    "form",
                    f"forms.{key}: {word}",
                    lexicon=lambda lexicon, fewer=fewer: replace(lexicon, forms=fewer),
                    needs_compiling=True,
                )

    def _other_groups(self) -> Iterator[Change]:
        """State, direction and reach of every group, and the reach of every cue that has its own."""
        for file_name, file in self.lexicon.cues.items():
            for group_name, group in file.groups.items():
                members = [t for t in self.templates if (t.file, t.group) == (file_name, group_name)]
                wordings = group.wordings()
                name = f"{file_name}.{group_name}"
                everyone = [ref for t in members for ref in t.refs]
                own = [ref for t in members if wordings[t.number].scope is None for ref in t.refs]
                for state in get_args(CueState):
                    if state != group.state:
                        yield self._with_entries("group", f"{name} is {state}", everyone, state=state)
                other = "before" if group.direction == "after" else "after"
                yield self._with_entries("group", f"{name} acts {other}", everyone, direction=other)
                if group.past:
                    yield self._with_entries("group", f"{name} in any tense", everyone, past=False)
                for scope in _other_scopes(group.scope, group):
                    if own:
                        yield self._with_entries("scope", f"{name} reaches {scope}", own, scope=scope)
                for template in members:
                    cue = wordings[template.number]
                    if cue.scope is not None:
                        for scope in _other_scopes(cue.scope, group):
                            title = f"{name}: {template.text} reaches {scope}"
                            yield self._with_entries("scope", title, template.refs, scope=scope)
                    for step in (-1, 1) if cue.words else ():
                        title = f"{name}: {template.text} within {(cue.words or 0) + step} words"
                        yield self._with_entries("number", title, template.refs, words=(cue.words or 0) + step)

    def _with_entries(self, kind: str, name: str, refs: list[int], **changed: Any) -> Change:
        fields = dict(changed)
        if "state" in fields:
            fields["state"] = STATES[fields["state"]]
        if "direction" in fields:
            direction = fields.pop("direction")
            fields |= {
                "before": direction != "after",
                "after": direction != "before",
                "beside": direction == "beside",
            }
        cues = {ref: self.compiled.cues[ref]._replace(**fields) for ref in refs}
        items = frozenset(item for ref in refs for item in self._items_of_cue(ref))
        return Change(kind, name, cues=cues, touched=items)

    def _other_precedence(self) -> Iterator[Change]:
        lines = [list(kinds) for kinds in self.lexicon.precedence]

        def ranked(name: str, order: list[list[str]]) -> Change:
            ranks = {kind: rank for rank, kinds in enumerate(reversed(order)) for kind in kinds}
            return Change("precedence", name, precedence=ranks)

        for i in range(len(lines) - 1):
            upper, lower = " and ".join(lines[i]), " and ".join(lines[i + 1])
            yield ranked(f"{lower} over {upper}", [*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]])
        for i, upper_kinds in enumerate(lines):
            for lower_kinds in lines[i + 1 :]:
                for stronger, weaker in product(upper_kinds, lower_kinds):
                    if len(self._states[stronger] | self._states[weaker]) == 1:
                        continue  # either way the finding is absent
                    name = f"{weaker} over {stronger}, where both meet"
                    yield Change("pair", name, engine=_paired(stronger, weaker), precedence=self.compiled.precedence)

    @cached_property
    def _states(self) -> dict[str, set[str]]:
        """Kind of cue -> what a finding in its reach becomes."""
        found: dict[str, set[str]] = defaultdict(set)
        for file in self.lexicon.cues.values():
            for group in file.groups.values():
                found[group.kind].add(group.state)
        return found

    def _other_numbers(self) -> Iterator[Change]:
        for step in (-1.0, 1.0):
            yield Change("number", f"sizes {step:+} mm", size=step)
        for step in (-1, 1):
            yield Change("number", f"words shared by a list {step:+}", shared=matcher._SHARED + step)


@dataclass(frozen=True)
class Template:
    """One line of a file of cues or words."""

    file: str
    group: str
    number: int
    """Position in its group."""
    text: str
    items: dict[str, list[Item]]
    """Wording -> its patterns."""

    @property
    def refs(self) -> list[int]:
        """Its cues."""
        return [item[2] for items in self.items.values() for item in items[:1]]


@cache
def excuses() -> dict[str, str]:
    """Kind and name of a change -> why no sentence can notice it (`unnoticed.yaml`)."""
    by_reason: dict[str, list[str]] = yaml.safe_load(EXCUSED.read_text(encoding="utf-8")) or {}
    return {name: reason for reason, names in by_reason.items() for name in names}


def excused(change: Change) -> bool:
    """Whether it is known that nothing notices a change."""
    return f"{change.kind}  {change.name}" in excuses()


def read_codes(text: str, vocabulary: Vocabulary) -> tuple[tuple[str, ...], tuple[tuple[tuple[int, int], ...], ...]]:
    """Sentences of a text as the labeler encodes them, and the offsets of their tokens."""
    codes: list[str] = []
    spans: list[tuple[tuple[int, int], ...]] = []
    stop = vocabulary.add_word(".")
    for section in sections_to_label(text, "default"):
        for first, sentence in sentences_of(text, section.start, section.end):
            tokens = vocabulary.visible(sentence)
            codes.append(vocabulary.encode([token.group() for token in tokens]).rstrip(stop))
            spans.append(tuple((first + token.start(), first + token.end()) for token in tokens))
    return tuple(codes), tuple(spans)


def strongest(states: list[int]) -> int | None:
    """Positive over uncertain over negative; None where nothing is said."""
    return next((state for state in (1, -1, 0) if state in states), None)


def _other_scopes(scope: str, group: CueGroup) -> list[str]:
    """The next narrower and the next wider reach, where that can change an outcome.

    What a cue of state positive does not reach is affirmed anyway, and "normal" is said of what stands in its part. A
    cue behind its finding reaches the next one or all that the list holds.
    """
    if group.state == "positive" or group.kind == "normal":
        return []
    if group.direction in ("after", "both", "beside"):
        return ["clause" if scope == "next" else "next"] if group.direction == "after" else []
    at = _WIDTHS.index(scope)
    return [*_WIDTHS[max(0, at - 1) : at], *_WIDTHS[at + 1 : at + 2]]


def _resized(rules: dict[int, list[RuleEntry]], step: float) -> dict[int, list[RuleEntry]]:
    """Rules whose limits of size are a step away."""

    def moved(rule: RuleEntry) -> RuleEntry:
        if not step or rule.size is None:
            return rule
        limits = {key: value + step for key, value in rule.size.model_dump().items() if value is not None}
        return rule._replace(size=rule.size.model_copy(update=limits))

    return {number: [moved(rule) for rule in found] for number, found in rules.items()} if step else rules


def _without_term(template: Template) -> Callable[[Lexicon], Lexicon]:
    """The lexicon without one line."""

    def apply(lexicon: Lexicon) -> Lexicon:
        if template.file in lexicon.cues:
            file = lexicon.cues[template.file]
            group = file.groups[template.group]
            cues = [cue for i, cue in enumerate(group.cues) if i != template.number]
            groups = {**file.groups, template.group: group.model_copy(update={"cues": cues})}
            return replace(lexicon, cues={**lexicon.cues, template.file: file.model_copy(update={"groups": groups})})
        words = lexicon.words[template.file]
        terms: TermGroup = words.groups[template.group]
        fewer = [term for i, term in enumerate(terms.terms) if i != template.number]
        named = {**words.groups, template.group: terms.model_copy(update={"terms": fewer})}
        return replace(lexicon, words={**lexicon.words, template.file: words.model_copy(update={"groups": named})})

    return apply


def _paired(stronger: str, weaker: str) -> Engine:
    """An engine in which `weaker` decides wherever both reach a mention."""

    class Paired(AssertionEngine):
        def _decide(self, mention: Any, found: list[Any]) -> Any:
            kinds = {self._cues[hit[3]].kind for _, _, hit in found}
            if {stronger, weaker} <= kinds:
                found = [one for one in found if self._cues[one[2][3]].kind != stronger]
            return super()._decide(mention, found)

    return Paired
