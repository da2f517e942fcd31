"""Rules that concern several files of a lexicon at once."""

import re
from collections.abc import Container
from typing import TYPE_CHECKING

from ltml_lexicons.errors import LexiconError
from ltml_lexicons.gamuts import gamuts_findings
from ltml_lexicons.model import Label
from ltml_lexicons.yaml_lines import Document, KeyPath

if TYPE_CHECKING:
    from ltml_lexicons.lexicon import Lexicon

NO_FINDING_ID = "no_finding"


def check_lexicon(lexicon: "Lexicon") -> None:
    """Rules that concern several files at once.

    Raises:
        LexiconError: Unknown source, parent, group, label, form, section or Gamuts id; duplicate index, name, phrase
            or title.
    """
    seen_index: dict[int, str] = {}
    seen_name: dict[str, str] = {}
    seen_phrase: dict[str, tuple[Label, KeyPath]] = {}
    known_findings = {finding.id for finding in gamuts_findings()}
    everything = [*lexicon.labels.values(), *([lexicon.no_finding] if lexicon.no_finding else [])]
    for label in everything:
        where = lexicon.documents[label.id].where
        if (other := seen_index.setdefault(label.index, label.id)) != label.id:
            raise LexiconError(
                f"{where(('index',))}: index {label.index} already belongs to `{other}`; take a free one."
            )
        if (other := seen_name.setdefault(label.name.lower(), label.id)) != label.id:
            raise LexiconError(f"{where(('name',))}: name `{label.name}` already belongs to `{other}`.")
        for parents in ("parents", "paper_parents", "implied_by"):
            for i, parent in enumerate(getattr(label, parents)):
                if parent not in lexicon.labels:
                    raise LexiconError(f"{where((parents, i))}: unknown label `{parent}`; no label file has that id.")
        for i, finding in enumerate(label.gamuts):
            if finding not in known_findings:
                raise LexiconError(
                    f"{where(('gamuts', i))}: Gamuts has no finding `{finding}`; `lexicon gamuts` finds ids."
                )
        _check_phrases(lexicon, label, seen_phrase)
        _check_composed(lexicon, label)
    _check_parents_end(lexicon)
    _check_label_sets(lexicon)
    _check_cues(lexicon)
    _check_sections(lexicon)
    _check_words(lexicon)


def _check_label_sets(lexicon: "Lexicon") -> None:
    for name, label_set in lexicon.label_sets.items():
        where = lexicon.files[f"label_sets/{name}.yaml"].where
        if label_set.id not in (name, "own"):
            raise LexiconError(f"{where(('id',))}: id `{label_set.id}` differs from the file name; rename one of them.")
        for i, label in enumerate(label_set.labels):
            if label not in lexicon.labels:
                raise LexiconError(f"{where(('labels', i))}: unknown label `{label}`; no label file has that id.")
        for label in label_set.names:
            if label not in label_set.labels:
                raise LexiconError(f"{where(('names', label))}: `{label}` is none of the set's labels.")


def _check_cues(lexicon: "Lexicon") -> None:
    """Every form that a cue or a word names must be there."""
    for name, file in lexicon.cues.items():
        for group_id, group in file.groups.items():
            for i, cue in enumerate(group.wordings()):
                _expand(lexicon, cue.text, f"cues/{name}.yaml", ("groups", group_id, "cues", i))
    for name, words in lexicon.words.items():
        for role, terms in words.groups.items():
            for i, term in enumerate(terms.wordings()):
                _expand(lexicon, term.text, f"cues/{name}.yaml", ("groups", role, "terms", i))


def _expand(lexicon: "Lexicon", text: str, file: str, path: KeyPath) -> None:
    try:
        wordings = lexicon.forms.expand(text)
    except KeyError as error:
        where = lexicon.files[file].where(path)
        raise LexiconError(
            f"{where}: `{text}` names the form {error}, which `cues/forms.yaml` does not have."
        ) from None
    if "" in wordings:
        where = lexicon.files[file].where(path)
        raise LexiconError(f"{where}: `{text}` may be nothing at all; leave a word outside the angle brackets.")


def _check_sections(lexicon: "Lexicon") -> None:
    document = lexicon.files["sections/default.yaml"]
    rules, where = lexicon.default_sections, document.where
    opened: dict[str, str] = {}
    for section, entry in rules.sections.items():
        for i, header in enumerate(entry.headers):
            line = where(("sections", section, "headers", i))
            if header != header.lower():
                raise LexiconError(f"{line}: the title `{header}` has capitals; titles are compared in lower case.")
            if header in opened or header in rules.parts or header in rules.items:
                other = opened.get(header, "parts" if header in rules.parts else "items")
                raise LexiconError(f"{line}: the title `{header}` stands in `{other}` too; remove one.")
            opened[header] = section
    for key in ("inline", "bare"):
        for i, title in _listed(document, key):
            if title not in opened:
                raise LexiconError(f"{where((key, i))}: `{title}` opens no section; list it under `sections` too.")
    for i, title in _listed(document, "always"):
        if title not in rules.bare:
            raise LexiconError(f"{where(('always', i))}: `{title}` is not among `bare`; list it there too.")
    named = {
        "main": rules.main,
        "beside_main": rules.beside_main,
        "kinds": rules.kinds.values(),
        "part_of": (rules.part_of,),
        "closing": (rules.closing,),
        "form_lines": (rules.form_lines,),
    }
    for key, sections in named.items():
        for section in sections:
            if section not in rules.sections:
                raise LexiconError(f"{where((key,))}: `{section}` is no section; `sections` does not have it.")
    for name, pattern in rules.values.items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise LexiconError(f"{where(('values', name))}: `{pattern}` is no regular expression: {error}.") from None


def _listed(document: Document, key: str) -> list[tuple[int, str]]:
    """Items of a list with their places."""
    items = document.value.get(key) if isinstance(document.value, dict) else None
    return [(i, str(item)) for i, item in enumerate(items)] if isinstance(items, list) else []


def _check_words(lexicon: "Lexicon") -> None:
    where = lexicon.files["spelling.yaml"].where
    for word, meant in lexicon.spelling.items():
        for written in (word, meant):
            if not written.isalpha() or written != written.lower():
                raise LexiconError(f"{where(('words', word))}: `{written}` is not one word in small letters.")
        if meant in lexicon.spelling:
            raise LexiconError(f"{where(('words', word))}: `{meant}` has another spelling itself; name the last one.")
    where = lexicon.files["abbreviations.yaml"].where
    for short, meaning in lexicon.abbreviations.meanings.items():
        if not short.strip() or not meaning.strip():
            raise LexiconError(f"{where(('meanings', short))}: an abbreviation and its words were expected.")


def _check_phrases(lexicon: "Lexicon", label: Label, seen: dict[str, tuple[Label, KeyPath]]) -> None:
    where = lexicon.documents[label.id].where
    for field_name in ("mentions", "unmentions"):
        own: set[str] = set()
        for i, phrase in enumerate(getattr(label, field_name)):
            if phrase.source not in lexicon.sources and phrase.source not in label.sources:
                line = where((field_name, i, "source"))
                raise LexiconError(f"{line}: unknown source `{phrase.source}`; add it to `sources.yaml` or `sources`.")
            key = " ".join(phrase.text.lower().split())
            if key in own:
                raise LexiconError(f"{where((field_name, i))}: `{phrase.text}` stands twice in `{field_name}`.")
            own.add(key)
            if field_name == "mentions" and label.id != NO_FINDING_ID and not getattr(phrase, "shared", False):
                earlier, path = seen.setdefault(key, (label, (field_name, i)))
                if earlier.id != label.id:
                    here: tuple[Label, KeyPath] = (label, (field_name, i))
                    there = (earlier, path)
                    if lexicon.documents[earlier.id].is_own(path):  # the user's file is the one to change
                        here, there = there, here
                    raise LexiconError(
                        f"{lexicon.documents[here[0].id].where(here[1])}: `{phrase.text}` already names "
                        f"`{there[0].id}`; keep it in one label and make the other its parent, or mark it "
                        "`shared: true`."
                    )


def _check_composed(lexicon: "Lexicon", label: Label) -> None:
    where = lexicon.documents[label.id].where
    for i, rule in enumerate(label.composed):
        groups: list[tuple[str, Container[str]]] = [
            ("site", lexicon.sites.groups),
            ("abnormal", lexicon.predicates.groups),
            ("uncertain", lexicon.predicates.groups),
            ("normal", lexicon.predicates.groups),
            ("needs", lexicon.modifiers.groups),
            ("needs_also", lexicon.modifiers.groups),
            ("forbids", lexicon.modifiers.groups),
            ("finding", lexicon.labels),
        ]
        for key, known in groups:
            for j, name in enumerate(getattr(rule, key)):
                if name not in known:
                    raise LexiconError(f"{where(('composed', i, key, j))}: unknown group `{name}` in `{key}`.")
        if rule.source not in lexicon.sources and rule.source not in label.sources:
            raise LexiconError(f"{where(('composed', i))}: unknown source `{rule.source}`.")


def _check_parents_end(lexicon: "Lexicon") -> None:
    for start in lexicon.labels:
        reached: set[str] = set()
        frontier = [start]
        while frontier:
            label = lexicon.labels[frontier.pop()]
            for parent in (*label.parents, *label.paper_parents):
                if parent == start:
                    line = lexicon.documents[start].where(("parents",))
                    raise LexiconError(f"{line}: `{start}` is its own ancestor; drop one of the parents.")
                if parent not in reached:
                    reached.add(parent)
                    frontier.append(parent)
