"""The lexicon as a whole: read, cross-checked, fingerprinted, cached."""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeAlias

from ltml_lexicons.checking import NO_FINDING_ID, check_lexicon
from ltml_lexicons.dependency import DependencyFile
from ltml_lexicons.errors import LexiconError
from ltml_lexicons.model import (
    AbbreviationFile,
    CueFile,
    FormFile,
    Label,
    LabelSet,
    NearWordFile,
    PrecedenceFile,
    Source,
    SourceKind,
    SpellingFile,
    TermFile,
    WordFile,
)
from ltml_lexicons.overlay import FILES, FOLDERS, lay_over, parse_overlay, read_overlay
from ltml_lexicons.sections import DefaultRules, OfficialRules
from ltml_lexicons.yaml_lines import Document, part_of, read_document, validate

_LISTS = ("gamuts.jsonl", "ordinary_words.txt")
"""Word lists that decide labels too; no user lays anything over them."""
WORD_FILES = ("pseudo", "termination")
"""Files of `cues/` that hold words by role, not cues."""

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
    default_sections: DefaultRules
    official_sections: OfficialRules
    dependency: DependencyFile
    abbreviations: AbbreviationFile
    near_words: NearWordFile
    own_labels: tuple[str, ...] = ()
    """Ids of labels that a user's folder brings and the package does not have."""
    documents: dict[str, Document] = field(repr=False, default_factory=dict)
    """Parsed label files by label id, for messages with a line number."""
    files: dict[str, Document] = field(repr=False, default_factory=dict)
    """All parsed files by name relative to the lexicon folder."""

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
    folder: Path | None = None,
    cache: bool = True,
) -> Lexicon:
    """The lexicon of `root` (the package's own by default), with a user's folder laid over it and label files added.

    Reading YAML costs most of a second, so the result is kept in the user's cache folder under the digest of
    all files; a changed word makes another digest. A user's files are read and checked every time.

    Args:
        root: Folder with all that the package's own has.
        extra_labels: Label files that join; an id of the lexicon's own replaces that label.
        written_out: Label pages that join and stand in a set file.
        folder: A user's lexicon folder, laid over the lexicon (`overlay.py`).
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
    own = _Own.read(folder, extra_labels, written_out)
    try:
        lexicon = _with_own(root, texts, documents, own)
        if is_new or own:
            check_lexicon(lexicon)
    except LexiconError as error:
        if is_new or ", line " in str(error):
            raise
        # the cache has no lines: read the files again, for a message that has them
        lexicon = _with_own(root, texts, _parsed(texts), own)
        check_lexicon(lexicon)
    if cached is not None and is_new:
        _to_cache(cached, documents)
    return lexicon


@dataclass(frozen=True)
class _Own:
    """What a user adds."""

    folder: Path | None
    overlay: dict[str, Document]
    """Files of the folder."""
    pages: dict[str, Document]
    """Label files and pages that join whole."""
    texts: Texts

    def __bool__(self) -> bool:
        return bool(self.texts)

    @classmethod
    def read(cls, folder: Path | None, extra_labels: Sequence[Path], written_out: Sequence[Document]) -> "_Own":
        laid = read_overlay(folder) if folder is not None else {}
        joined = _read_own_texts(extra_labels)
        pages = _parsed(joined)
        for page in written_out:
            name = f"labels/{page.value['id'] if isinstance(page.value, dict) else 'unnamed'}.yaml"
            joined[name] = (page.path, json.dumps(page.value, sort_keys=True))
            pages[name] = page
        texts = {**{f"own/{name}": text for name, text in laid.items()}, **joined}
        return cls(folder, parse_overlay(folder, laid) if folder is not None else {}, pages, texts)


def _with_own(root: Path, texts: Texts, documents: dict[str, Document], own: _Own) -> Lexicon:
    laid = {**lay_over(documents, own.overlay), **own.pages}
    lexicon = _build(root, texts, laid, _digest({**texts, **own.texts}))
    if own.folder is None:
        return lexicon
    brought = {Path(name).stem for name in own.overlay if name.startswith("labels/") and name not in documents}
    name = own.folder.resolve().name
    return replace(
        lexicon,
        version=f"{lexicon.version}+{name}",
        own_labels=tuple(label for label in lexicon.labels if label in brought),
    )


def _parsed(texts: Texts) -> dict[str, Document]:
    return {name: read_document(path, text) for name, (path, text) in texts.items() if name.endswith(".yaml")}


def _read_texts(root: Path) -> Texts:
    texts: Texts = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*.yaml")):
            texts[f"{folder}/{path.name}"] = (path, path.read_text(encoding="utf-8"))
    for name in (*FILES, *_LISTS, "VERSION"):
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
    def file(name: str) -> Document:
        if name not in documents:
            raise LexiconError(f"`{name}` was not found in `{root}`; a lexicon folder needs it.")
        return documents[name]

    def folder(name: str) -> dict[str, Document]:
        return {Path(key).stem: doc for key, doc in documents.items() if key.startswith(f"{name}/")}

    def anatomy(name: str) -> TermFile:
        return validate(TermFile, file(f"anatomy/{name}.yaml"))

    sources_document = documents["sources.yaml"]
    if not isinstance(sources_document.value, dict):
        raise LexiconError("`sources.yaml`: expected a mapping of source names.")
    sources = {
        key: validate(Source, part_of(sources_document, (key,), value)) for key, value in sources_document.value.items()
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
    word_files = {name: file(f"cues/{name}.yaml") for name in WORD_FILES}
    grammar = {name: file(f"cues/{name}.yaml") for name in ("forms", "precedence")}
    return Lexicon(
        version=texts["VERSION"][1].strip(),
        digest=digest,
        sources=sources,
        labels=dict(sorted(labels.items(), key=lambda item: item[1].index)),
        no_finding=no_finding,
        sites=_with_own_groups(anatomy("sites"), "sites", everything, label_documents),
        predicates=_with_own_groups(anatomy("predicates"), "predicates", everything, label_documents),
        modifiers=_with_own_groups(anatomy("modifiers"), "modifiers", everything, label_documents),
        cues={
            name: validate(CueFile, doc) for name, doc in cue_documents.items() if name not in {*word_files, *grammar}
        },
        words={name: validate(WordFile, doc) for name, doc in word_files.items()},
        forms=validate(FormFile, grammar["forms"]),
        precedence=[list(kinds) for kinds in validate(PrecedenceFile, grammar["precedence"]).order],
        spelling=validate(SpellingFile, documents["spelling.yaml"]).words,
        label_sets={name: validate(LabelSet, doc) for name, doc in folder("label_sets").items()},
        default_sections=validate(DefaultRules, file("sections/default.yaml")),
        official_sections=validate(OfficialRules, file("sections/official.yaml")),
        dependency=validate(DependencyFile, file("dependency/rules.yaml")),
        abbreviations=validate(AbbreviationFile, file("abbreviations.yaml")),
        near_words=validate(NearWordFile, file("near_words.yaml")),
        documents=label_documents,
        files=documents,
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


def _cache_path(digest: str) -> Path | None:
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / "ltml-mimic-cxr"
    except RuntimeError:  # no home folder
        return None
    modules = ("model.py", "lexicon.py", "checking.py", "sections.py", "dependency.py", "yaml_lines.py")
    own = b"".join(Path(__file__).with_name(name).read_bytes() for name in modules)
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
