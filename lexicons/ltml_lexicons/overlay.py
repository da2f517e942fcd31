"""A lexicon folder of a user's own, laid over the one that ships.

A file with the name of a shipped one adds to it: mappings join key by key, lists grow, a list item with the `text`,
`name` or `id` of a shipped one takes its place, and any other value replaces the shipped one. `remove:` holds the same
shape with what is to go, `replace: true` puts the file in the place of the shipped one (decision 0015).
"""

from pathlib import Path

from ltml_lexicons.errors import LexiconError
from ltml_lexicons.yaml_lines import Document, KeyPath, Value, read_document

FOLDERS = ("labels", "anatomy", "cues", "sections", "label_sets", "dependency")
FILES = ("sources.yaml", "spelling.yaml", "abbreviations.yaml", "near_words.yaml")
OWN_SOURCE = "own"
"""Source of a phrase that names none."""

_OPEN_FOLDERS = ("labels", "label_sets", "cues")
"""Folders that files of other names may join."""
_NAMES = ("text", "name", "id", "label")
"""Keys by which an item of a list is known."""
_PHRASES = ("mentions", "unmentions")


def read_overlay(folder: Path) -> dict[str, tuple[Path, str]]:
    """The files of a lexicon folder: name relative to the folder -> where it is and what it says.

    Raises:
        LexiconError: There is no such folder, it holds no lexicon file, or a YAML file no lexicon has.
    """
    if not folder.is_dir():
        raise LexiconError(f"`{folder}` is no folder; give --lexicon the folder that holds your lexicon files.")
    texts: dict[str, tuple[Path, str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".yaml", ".yml") or not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        place, _, _ = name.rpartition("/")
        if path.suffix == ".yml":
            raise LexiconError(f"`{_shown(folder, name)}`: lexicon files end in .yaml; rename it.")
        if name not in FILES and place not in FOLDERS:
            raise LexiconError(
                f"`{_shown(folder, name)}` is no lexicon file; a lexicon folder has {', '.join(FILES)} and the folders "
                f"{', '.join(FOLDERS)}."
            )
        try:
            texts[name] = (path, path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise LexiconError(f"`{_shown(folder, name)}` is not UTF-8 text; save it as UTF-8.") from None
    if not texts:
        raise LexiconError(f"`{folder}` holds no lexicon file; expected for example `labels/my_label.yaml`.")
    return texts


def parse_overlay(folder: Path, texts: dict[str, tuple[Path, str]]) -> dict[str, Document]:
    """The files as documents that are called by the folder's name in messages.

    Raises:
        LexiconError: A file is not valid YAML.
    """
    documents = {}
    for name, (path, text) in texts.items():
        document = read_document(path, text, _shown(folder, name))
        if not isinstance(document.value, dict):
            raise LexiconError(f"{document.where(())}: expected keys with values, as the shipped file has them.")
        if name.startswith("labels/"):
            _name_sources(document.value)
        documents[name] = document
    return documents


def lay_over(shipped: dict[str, Document], own: dict[str, Document]) -> dict[str, Document]:
    """The shipped documents with a user's laid over them.

    Raises:
        LexiconError: `remove` names what is not there, or a file has no counterpart where it needs one.
    """
    laid = dict(shipped)
    for name, document in own.items():
        base = shipped.get(name)
        if base is None and name.partition("/")[0] not in _OPEN_FOLDERS:
            place = name.rpartition("/")[0]
            known = [other for other in shipped if other.rpartition("/")[0] == place and other.endswith(".yaml")]
            raise LexiconError(
                f"`{document.name}`: the lexicon has no file of that name; take one of {', '.join(sorted(known))}."
            )
        laid[name] = _laid(base, document)
    return laid


def _laid(base: Document | None, own: Document) -> Document:
    value = dict(own.value) if isinstance(own.value, dict) else {}
    replaces, goes = value.pop("replace", False), value.pop("remove", None)
    if not isinstance(replaces, bool):
        raise LexiconError(f"{own.where(('replace',))}: `replace` is true or false.")
    if base is None or replaces:
        if goes is not None or (base is None and replaces):
            key = "remove" if goes is not None else "replace"
            reason = "the file replaces the shipped one" if replaces and base else "no shipped file has that name"
            raise LexiconError(f"{own.where((key,))}: there is nothing to {key}, because {reason}.")
        return Document(own.path, dict(value), own.lines, own.shown)
    merged = Document(base.path, None, {}, base.shown)
    kept = base.value if goes is None else _without(base.value, goes, own, ("remove",))
    # lines of what `remove` moved are no longer known
    merged.value = _merged(_Side(base, goes is None), kept, (), _Side(own), dict(value), (), merged, ())
    return merged


class _Side:
    """A document of which values are taken."""

    def __init__(self, document: Document, knows_lines: bool = True) -> None:
        self.document = document
        self.knows_lines = knows_lines


def _take(side: _Side, value: Value, path: KeyPath, out: Document, place: KeyPath) -> Value:
    """A value with the lines of all that is in it."""
    document = side.document
    if side.knows_lines and path in document.lines:
        out.lines[place] = document.lines[path]
        if document.name != out.name:
            out.others[place] = document.name
    if isinstance(value, dict):
        return {key: _take(side, inner, (*path, key), out, (*place, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_take(side, inner, (*path, i), out, (*place, i)) for i, inner in enumerate(value)]
    return value


def _merged(
    base: _Side, old: Value, at: KeyPath, own: _Side, new: Value, here: KeyPath, out: Document, place: KeyPath
) -> Value:
    """`new` laid over `old`; `at`, `here` and `place` are their paths and the path of the result."""
    if isinstance(old, dict) and isinstance(new, dict):
        result: dict[str, Value] = {}
        for key in (*old, *(key for key in new if key not in old)):
            paths = (*at, key), (*here, key), (*place, key)
            if key not in new:
                result[key] = _take(base, old[key], paths[0], out, paths[2])
            elif key not in old:
                result[key] = _take(own, new[key], paths[1], out, paths[2])
            else:
                result[key] = _merged(base, old[key], paths[0], own, new[key], paths[1], out, paths[2])
        return result
    if isinstance(old, list) and isinstance(new, list) and not any(isinstance(item, list) for item in (*old, *new)):
        return _merged_lists(base, old, at, own, new, here, out, place)
    return _take(own, new, here, out, place)


def _merged_lists(
    base: _Side, old: list[Value], at: KeyPath, own: _Side, new: list[Value], here: KeyPath, out: Document,
    place: KeyPath,
) -> list[Value]:  # fmt: skip
    given: dict[str, list[int]] = {}
    for number, item in enumerate(new):
        given.setdefault(_key(item), []).append(number)
    result: list[Value] = []
    used: set[str] = set()
    for number, item in enumerate(old):
        key = _key(item)
        if key not in given:
            result.append(_take(base, item, (*at, number), out, (*place, len(result))))
        elif key not in used:
            used.add(key)
            for other in given[key]:
                result.append(_take(own, new[other], (*here, other), out, (*place, len(result))))
    for number, item in enumerate(new):
        if _key(item) not in used:
            result.append(_take(own, item, (*here, number), out, (*place, len(result))))
    return result


def _without(old: Value, goes: Value, own: Document, path: KeyPath) -> Value:
    """`old` without what `goes` names."""
    if isinstance(goes, dict) and isinstance(old, dict):
        result = dict(old)
        for key, inner in goes.items():
            if key not in result:
                raise LexiconError(f"{own.where((*path, key))}: `{key}` is not in the shipped file; nothing to remove.")
            result[key] = _without(result[key], inner, own, (*path, key))
        return result
    names = goes if isinstance(goes, list) else [goes]
    if not isinstance(old, (dict, list)) or any(isinstance(name, (dict, list)) for name in names):
        raise LexiconError(
            f"{own.where(path)}: `remove` holds keys as the file has them, and below them lists of the texts, names or "
            "keys that go."
        )
    known = {_key(item) for item in old}
    for number, name in enumerate(names):
        if _key(name) not in known:
            where = own.where((*path, number) if isinstance(goes, list) else path)
            raise LexiconError(f"{where}: `{name}` is not in the shipped file; nothing to remove.")
    gone = {_key(name) for name in names}
    if isinstance(old, dict):
        return {key: inner for key, inner in old.items() if _key(key) not in gone}
    return [item for item in old if _key(item) not in gone]


def _key(item: Value) -> str:
    """What an item of a list is known by."""
    if isinstance(item, dict):
        name = next((item[key] for key in _NAMES if key in item), None)
        return " ".join(str(name).lower().split()) if name is not None else repr(item)
    return " ".join(str(item).lower().split())


def _name_sources(page: dict[str, Value]) -> None:
    """Phrases of a label file may be bare words, and name no source: they are the folder's own. In place."""
    for field in _PHRASES:
        phrases = page.get(field)
        if isinstance(phrases, list):
            page[field] = [
                {"text": phrase, "source": OWN_SOURCE}
                if isinstance(phrase, str)
                else {**phrase, "source": phrase.get("source", OWN_SOURCE)}
                if isinstance(phrase, dict)
                else phrase
                for phrase in phrases
            ]


def _shown(folder: Path, name: str) -> str:
    return f"{folder.name or folder.resolve().name}/{name}"
