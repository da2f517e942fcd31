"""The lexicon as a whole: read, cross-checked, fingerprinted, cached."""

import hashlib
import json
import os
import tempfile
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeAlias

from ltml_lexicons.errors import LexiconError
from ltml_lexicons.model import (
    CueFile,
    FormFile,
    Label,
    LabelSet,
    PrecedenceFile,
    Source,
    SourceKind,
    SpellingFile,
    TermFile,
    WordFile,
)
from ltml_lexicons.yaml_lines import Document, read_document, validate

NO_FINDING_ID = "no_finding"

Texts: TypeAlias = dict[str, tuple[Path, str]]
"""File name relative to the lexicon folder -> where it is and what it says."""


@dataclass(frozen=True)
class Lexicon:
    """Everything that decides labels, and a fingerprint of it."""

    version: str
    digest: str
    """sha256 over every file, so that a change of one word shows."""
    sources: dict[str, Source]
    labels: dict[str, Label]
    """By id, in index order; `no_finding` stands apart in `no_finding`."""
    no_finding: Label | None
    sites: TermFile
    predicates: TermFile
    modifiers: TermFile
    cues: dict[str, CueFile]
    words: dict[str, WordFile]
    forms: FormFile
    """Words that stand for each other inside cues."""
    precedence: list[list[str]]
    """Kinds of cues, the strongest first; those of one line are equal."""
    spelling: dict[str, str]
    """Other spelling -> the lexicon's (`oedema` -> `edema`)."""
    label_sets: dict[str, LabelSet]
    documents: dict[str, Document] = field(repr=False, default_factory=dict)
    """Parsed label files by label id, for messages with a line number."""

    def source_kind(self, label: Label, source: str) -> SourceKind:
        """Kind of a source named in `label`."""
        return (label.sources.get(source) or self.sources[source]).kind


def package_root() -> Path:
    """Folder of the lexicon files that ship with the package."""
    with as_file(files("ltml_lexicons")) as root:
        return Path(root)


def load_lexicon(
    root: Path | None = None,
    extra_labels: Sequence[Path] = (),
    written_out: Sequence[Document] = (),
    *,
    cache: bool = True,
) -> Lexicon:
    """The lexicon of `root` (the package's own by default), with a user's label files added.

    Reading YAML costs most of a second, so the result is kept in the user's cache folder under the digest of
    all files; a changed word makes another digest. A user's files are read and checked every time.

    Args:
        root: Folder with `labels/`, `anatomy/`, `cues/`, `label_sets/`, `sources.yaml`, `VERSION`.
        extra_labels: Label files that join; an id of the lexicon's own replaces that label.
        written_out: Label pages that join and stand in a set file.
        cache: Use and fill the cache.

    Raises:
        LexiconError: A file breaks a rule; names file and line.
    """
    root = root or package_root()
    texts = _read_texts(root)
    cached = _cache_path(_digest(texts)) if cache else None
    documents = _from_cache(cached, texts) if cached is not None else None
    is_new = documents is None
    if documents is None:
        documents = _parsed(texts)
    own = _read_own_texts(extra_labels)
    own_documents = _parsed(own)
    for page in written_out:
        name = f"labels/{page.value['id'] if isinstance(page.value, dict) else 'unnamed'}.yaml"
        own[name] = (page.path, json.dumps(page.value, sort_keys=True))
        own_documents[name] = page
    lexicon = _build(root, {**texts, **own}, {**documents, **own_documents}, _digest({**texts, **own}))
    if is_new or own:
        check_lexicon(lexicon)
    if cached is not None and is_new:
        _to_cache(cached, documents)
    return lexicon


def _parsed(texts: Texts) -> dict[str, Document]:
    return {name: read_document(path, text) for name, (path, text) in texts.items() if name.endswith(".yaml")}


def _read_texts(root: Path) -> Texts:
    texts: Texts = {}
    for folder in ("anatomy", "cues", "label_sets", "labels"):
        for path in sorted((root / folder).glob("*.yaml")):
            texts[f"{folder}/{path.name}"] = (path, path.read_text(encoding="utf-8"))
    for name in ("sources.yaml", "spelling.yaml", "VERSION"):
        path = root / name
        if not path.is_file():
            raise LexiconError(f"`{name}` was not found in `{root}`; a lexicon folder needs it.")
        texts[name] = (path, path.read_text(encoding="utf-8"))
    return texts


def _read_own_texts(extra_labels: Sequence[Path]) -> Texts:
    texts: Texts = {}
    for path in extra_labels:
        if not path.is_file():
            raise LexiconError(f"`{path}` was not found; expected a label file.")
        texts[f"labels/{path.name}"] = (path, path.read_text(encoding="utf-8"))
    return texts


def _digest(texts: Texts) -> str:
    digest = hashlib.sha256()
    for name in sorted(texts):
        content = texts[name][1].encode()
        digest.update(f"{name}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _build(root: Path, texts: Texts, documents: dict[str, Document], digest: str) -> Lexicon:
    def folder(name: str) -> dict[str, Document]:
        return {Path(key).stem: doc for key, doc in documents.items() if key.startswith(f"{name}/")}

    def anatomy(name: str) -> TermFile:
        if f"anatomy/{name}.yaml" not in documents:
            raise LexiconError(f"`anatomy/{name}.yaml` was not found in `{root}`.")
        return validate(TermFile, documents[f"anatomy/{name}.yaml"])

    sources_document = documents["sources.yaml"]
    if not isinstance(sources_document.value, dict):
        raise LexiconError("`sources.yaml`: expected a mapping of source names.")
    sources = {
        key: validate(Source, Document(sources_document.path, value, {(): sources_document.lines.get((key,), 1)}))
        for key, value in sources_document.value.items()
    }
    label_documents = folder("labels")
    labels = {stem: validate(Label, doc) for stem, doc in label_documents.items()}
    for stem, label in labels.items():
        if label.id != stem:
            where = label_documents[stem].where(("id",))
            raise LexiconError(f"{where}: id `{label.id}` differs from the file name; rename one of them.")
    no_finding = labels.pop(NO_FINDING_ID, None)
    everything = [*labels.values(), *([no_finding] if no_finding else [])]
    cue_documents = folder("cues")
    word_files = {"pseudo", "termination"}
    for name in (*sorted(word_files), "forms", "precedence"):
        if name not in cue_documents:
            raise LexiconError(f"`cues/{name}.yaml` was not found in `{root}`; a lexicon folder needs it.")
    grammar = {name: cue_documents.pop(name) for name in ("forms", "precedence")}
    return Lexicon(
        version=texts["VERSION"][1].strip(),
        digest=digest,
        sources=sources,
        labels=dict(sorted(labels.items(), key=lambda item: item[1].index)),
        no_finding=no_finding,
        sites=_with_own_groups(anatomy("sites"), "sites", everything, label_documents),
        predicates=_with_own_groups(anatomy("predicates"), "predicates", everything, label_documents),
        modifiers=_with_own_groups(anatomy("modifiers"), "modifiers", everything, label_documents),
        cues={name: validate(CueFile, doc) for name, doc in cue_documents.items() if name not in word_files},
        words={name: validate(WordFile, doc) for name, doc in cue_documents.items() if name in word_files},
        forms=validate(FormFile, grammar["forms"]),
        precedence=[list(kinds) for kinds in validate(PrecedenceFile, grammar["precedence"]).order],
        spelling=validate(SpellingFile, documents["spelling.yaml"]).words,
        label_sets={name: validate(LabelSet, doc) for name, doc in folder("label_sets").items()},
        documents=label_documents,
    )


def _with_own_groups(shared: TermFile, kind: str, labels: Sequence[Label], documents: dict[str, Document]) -> TermFile:
    """The groups of `anatomy/` and those that label files bring along."""
    groups = dict(shared.groups)
    for label in labels:
        for name, group in getattr(label.groups, kind).items():
            if name in groups:
                where = documents[label.id].where(("groups", kind, name))
                raise LexiconError(f"{where}: group `{name}` is already defined; use that one or take another id.")
            groups[name] = group
    return shared.model_copy(update={"groups": groups})


def check_lexicon(lexicon: Lexicon) -> None:
    """Rules that concern several files at once.

    Raises:
        LexiconError: Unknown source, parent, group or label; duplicate index, name or phrase.
    """
    seen_index: dict[int, str] = {}
    seen_name: dict[str, str] = {}
    seen_phrase: dict[str, str] = {}
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
        _check_phrases(lexicon, label, seen_phrase)
        _check_composed(lexicon, label)
    _check_parents_end(lexicon)
    for label_set in lexicon.label_sets.values():
        for name in label_set.labels:
            if name not in lexicon.labels:
                raise LexiconError(f"`{label_set.id}.yaml`: unknown label `{name}`; no label file has that id.")


def _check_phrases(lexicon: Lexicon, label: Label, seen: dict[str, str]) -> None:
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
                other = seen.setdefault(key, label.id)
                if other != label.id:
                    raise LexiconError(
                        f"{where((field_name, i))}: `{phrase.text}` already names `{other}`; "
                        "keep it in one label and make the other its parent, or mark it `shared: true`."
                    )


def _check_composed(lexicon: Lexicon, label: Label) -> None:
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


def _check_parents_end(lexicon: Lexicon) -> None:
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


def _cache_path(digest: str) -> Path | None:
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / "ltml-mimic-cxr"
    except RuntimeError:  # no home folder
        return None
    own = Path(__file__).with_name("model.py").read_bytes() + Path(__file__).read_bytes()
    code = hashlib.sha256(own).hexdigest()
    return folder / f"lexicon-{digest[:24]}-{code[:8]}.json"


def _from_cache(path: Path, texts: Texts) -> dict[str, Document] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {name: Document(texts[name][0], value) for name, value in values.items()}
    except (OSError, ValueError, KeyError, AttributeError):  # absent, unreadable or damaged: read the YAML instead
        return None


def _to_cache(path: Path, documents: dict[str, Document]) -> None:
    text = json.dumps({name: document.value for name, document in documents.items()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as handle:
            handle.write(text)
        Path(handle.name).replace(path)
    except OSError:  # a read-only home costs a second per start, no more
        return
