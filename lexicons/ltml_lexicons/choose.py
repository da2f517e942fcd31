"""Which labels to look for: a named set, a set file, or the 39 and one label file of the user's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ltml_lexicons.errors import LexiconError
from ltml_lexicons.lexicon import Lexicon, load_lexicon
from ltml_lexicons.model import Label, LabelSet
from ltml_lexicons.yaml_lines import Document, part_of, read_document, validate

DEFAULT_SET = "ltml39"


@dataclass(frozen=True)
class ChosenLabels:
    """Labels in column order, with the column names and the lexicon they come from."""

    id: str
    lexicon: Lexicon
    labels: tuple[Label, ...]
    names: tuple[str, ...]
    """Column names, in the order of `labels`; `No Finding` is not among them."""


def choose_labels(spec: str | Path = DEFAULT_SET, root: Path | None = None, folder: Path | None = None) -> ChosenLabels:
    """The labels a user asked for; labels that a lexicon folder brings join the 39.

    Args:
        spec: Name of a set that ships with the package (`ltml39`, `chexpert14`, ...), a set file (key `labels`),
            or a label file (key `mentions`), which joins the 39.
        root: Folder of the lexicon, the package's own by default.
        folder: A user's lexicon folder, laid over it.

    Raises:
        LexiconError: There is no such set or file, or a file breaks a rule.
    """
    text = str(spec)
    if not text.endswith((".yaml", ".yml")):
        lexicon = load_lexicon(root, folder=folder)
        if text not in lexicon.label_sets:
            known = ", ".join(sorted(lexicon.label_sets))
            raise LexiconError(f"Label set `{text}` is unknown; choose one of {known}, or give a .yaml file.")
        label_set = lexicon.label_sets[text]
        if text == DEFAULT_SET:
            label_set = _joined(label_set, lexicon.own_labels)
        return _chosen(lexicon, label_set, f"`{text}.yaml`")
    path = Path(text)
    if not path.is_file():
        raise LexiconError(f"`{path}` was not found; a label set file or a label file was expected.")
    document = read_document(path, path.read_text(encoding="utf-8"))
    if isinstance(document.value, dict) and "labels" in document.value:
        return _from_set_file(path, document, root, folder)
    lexicon = load_lexicon(root, [path], folder=folder)
    if DEFAULT_SET not in lexicon.label_sets:
        raise LexiconError(f"Label set `{DEFAULT_SET}` is missing from the lexicon that `{path}` joins.")
    default = lexicon.label_sets[DEFAULT_SET]
    together = _joined(default, (*lexicon.own_labels, path.stem)).model_copy(update={"id": path.stem})
    return _chosen(lexicon, together, f"`{path.name}`")


def _joined(label_set: LabelSet, more: Sequence[str]) -> LabelSet:
    """The set with further labels behind its own."""
    return label_set.model_copy(update={"labels": list(dict.fromkeys([*label_set.labels, *more]))})


def labels_in_use(chosen: ChosenLabels) -> list[Label]:
    """The chosen labels and all labels that make one of them present, in index order.

    Others take no part, so a set's labels do not depend on pages it does not name.
    """
    wanted = {label.id for label in chosen.labels}
    everything = chosen.lexicon.labels
    grew = True
    while grew:
        children = {
            label.id
            for label in everything.values()
            if label.id not in wanted and wanted & {*label.parents, *label.paper_parents}
        }
        wanted |= children
        grew = bool(children)
    return [label for label in everything.values() if label.id in wanted]


def find_label(lexicon: Lexicon, name: str) -> Label | None:
    """The label with that id or, in any letter case, that name; None where there is none."""
    if name in lexicon.labels:
        return lexicon.labels[name]
    wanted = " ".join(name.lower().replace("_", " ").split())
    everything = [*lexicon.labels.values(), *([lexicon.no_finding] if lexicon.no_finding else [])]
    return next((label for label in everything if label.name.lower() == wanted), None)


def _from_set_file(path: Path, document: Document, root: Path | None, folder: Path | None) -> ChosenLabels:
    label_set = validate(LabelSet, document)
    if isinstance(document.value, dict) and "id" not in document.value:
        label_set = label_set.model_copy(update={"id": path.stem})
    written = document.value.get("own") if isinstance(document.value, dict) else None
    pages = [part_of(document, ("own", i), page) for i, page in enumerate(written if isinstance(written, list) else [])]
    lexicon = load_lexicon(root, [path.parent / name for name in label_set.files], pages, folder=folder)
    return _chosen(lexicon, label_set, f"`{path.name}`")


def _chosen(lexicon: Lexicon, label_set: LabelSet, where: str) -> ChosenLabels:
    labels: list[Label] = []
    for name in label_set.labels:
        label = find_label(lexicon, name)
        if label is None:
            raise LexiconError(f"{where}: unknown label `{name}`; `lexicon stats` lists all ids, `files` adds yours.")
        if label in labels:
            raise LexiconError(f"{where}: label `{name}` stands twice; keep one.")
        labels.append(label)
    if not labels:
        raise LexiconError(f"{where}: no labels are listed; at least one was expected.")
    names = tuple(label_set.names.get(label.id, label.name) for label in labels)
    return ChosenLabels(label_set.id, lexicon, tuple(labels), names)
