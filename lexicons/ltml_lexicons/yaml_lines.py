"""YAML to plain values, with the line of every value and no duplicate keys."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ltml_lexicons.errors import LexiconError

KeyPath: TypeAlias = tuple[str | int, ...]
Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"
M = TypeVar("M", bound=BaseModel)


@dataclass
class Document:
    """One parsed file: plain values, and where each stands."""

    path: Path
    value: Value = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    shown: str = ""
    """Name in messages; the file's own where empty."""
    others: dict[KeyPath, str] = field(default_factory=dict)
    """Values that another file laid over this one, with the name of that file."""

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self.shown or self.path.name

    def is_own(self, path: KeyPath) -> bool:
        """Whether the value at `path` comes from a user's file."""
        return bool(self.shown) or any(path[:length] in self.others for length in range(len(path), -1, -1))

    def where(self, path: KeyPath) -> str:
        """`file.yaml, line 12`, for the value at `path` or its nearest ancestor."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                name = self.others.get(path[:length], self.name)
                return f"`{name}`, line {self.lines[path[:length]]}"
        return f"`{self.name}`"


def part_of(document: Document, path: KeyPath, value: Value) -> Document:
    """The value at `path` as a document of its own that still knows its lines."""
    depth = len(path)
    lines = {key[depth:]: line for key, line in document.lines.items() if key[:depth] == path}
    others = {key[depth:]: name for key, name in document.others.items() if key[:depth] == path}
    return Document(document.path, value, lines, document.shown, others)


def read_document(path: Path, text: str, shown: str = "") -> Document:
    """The content of one YAML file.

    Args:
        path: Where it is.
        text: What it says.
        shown: Its name in messages; the file's own where empty.

    Raises:
        LexiconError: The text is not YAML, or a key stands twice in one mapping.
    """
    document = Document(path, shown=shown)
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise LexiconError(f"`{document.name}`, line {line}: not valid YAML ({error.problem}).") from None
    if node is None:
        raise LexiconError(f"`{document.name}` is empty; expected the keys described in `ltml_lexicons/model.py`.")
    document.value = _value(document, node, ())
    return document


def _value(document: Document, node: Node, path: KeyPath) -> Value:
    document.lines[path] = node.start_mark.line + 1
    if isinstance(node, ScalarNode):
        return _scalar(node)
    if isinstance(node, SequenceNode):
        return [_value(document, child, (*path, i)) for i, child in enumerate(node.value)]
    if not isinstance(node, MappingNode):
        raise LexiconError(f"{document.where(path)}: unexpected YAML node.")
    mapping: dict[str, Value] = {}
    for key_node, child in node.value:
        key = str(key_node.value)
        if key in mapping:
            line = key_node.start_mark.line + 1
            raise LexiconError(f"`{document.name}`, line {line}: key `{key}` stands twice; keep one.")
        mapping[key] = _value(document, child, (*path, key))
        document.lines[(*path, key)] = key_node.start_mark.line + 1
    return mapping


def _scalar(node: ScalarNode) -> Value:
    kind = str(node.tag).rsplit(":", 1)[-1]
    text: str = node.value
    if kind == "bool":
        return text.lower() in {"true", "yes", "on"}
    if kind == "null":
        return None
    if kind == "int":
        return int(text)
    if kind == "float":
        return float(text)
    return text


def validate(model: type[M], document: Document) -> M:
    """The document as a model.

    Raises:
        LexiconError: A key is unknown or missing, or a value has the wrong type; names file and line.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        first = error.errors()[0]
        path = tuple(part for part in first["loc"] if not (isinstance(part, str) and part in {"Term", "Cue", "str"}))
        key = ".".join(str(part) for part in path) or "file"
        raise LexiconError(f"{document.where(path)}: `{key}`: {first['msg']}.") from None
