"""A first version of a label file, for its author to edit."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from ltml_lexicons.choose import DEFAULT_SET, find_label
from ltml_lexicons.errors import LexiconError
from ltml_lexicons.gamuts import GamutsFinding
from ltml_lexicons.lexicon import Lexicon, package_root
from ltml_lexicons.yaml_lines import read_document

FIRST_USER_INDEX = 1000
"""Labels of users count from here, so that they never meet one that ships with the package."""

PLACEHOLDER = "Say in one sentence what a radiologist would call by this name."
"""Definition of a draft; `lexicon check` asks for a real one."""

_TEMPLATE = """\
# {name}: a draft. Edit it, check it with `ltml-build-labels lexicon check {id}.yaml`, try it with
# `ltml-build-labels explain --label-set {id}.yaml "..."`, and use it with `--label-set {id}.yaml`: the 39 and this one.
id: {id}                  # equals the file name
name: {quoted}            # column name in every table
index: {index}                 # unique; a user's labels start at {first}
origin: user
definition: {definition}
counts: []                # short examples of what counts
does_not_count: []        # and of what does not, with where it goes instead
neighbours: []            # - {{label: atelectasis, note: "how the two are told apart"}}
gamuts: {gamuts}
parents: []               # labels that are present wherever this one is
mentions:                 # whole words in any case; `stem: true` lets the last word go on; `upper: true` wants capitals
{mentions}
unmentions: []            # longer words that hide a mention: - {{text: azygos vein, source: curated}}
composed: []              # a site with a predicate in one clause; see lexicons/README.md
"""


_SHIPPED = """\
# {name}: the page that ships for other label sets, as a draft. Edit it; with `--label-set {id}.yaml` it joins the 39.
"""


def label_id(name: str) -> str:
    """The id of a label: its name in lower-case words joined by underscores.

    Raises:
        LexiconError: Nothing is left of the name.

    Example:
        >>> label_id("Azygos Lobe")
        'azygos_lobe'
    """
    text = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not text or not text[0].isalpha():
        raise LexiconError(f"`{name}` makes no label id; give a name that begins with a letter.")
    return text


def draft_label(name: str, lexicon: Lexicon, finding: GamutsFinding | None = None, taken: Iterable[int] = ()) -> str:
    """Text of a label file that is valid as it stands.

    Args:
        name: Column name of the new label.
        lexicon: The lexicon it will join; phrases that name another label there are left out.
        finding: A Gamuts finding whose name and synonyms become phrases.
        taken: Indexes of other label files of the user's.

    Raises:
        LexiconError: The lexicon already has a label of that id or name.
    """
    identifier = label_id(name)
    names = {label.name.lower() for label in lexicon.labels.values()}
    if identifier in lexicon.labels or name.lower() in names:
        raise LexiconError(f"Label `{name}` exists already; `lexicon show {identifier}` prints it.")
    used = {phrase.text.lower() for label in lexicon.labels.values() for phrase in label.mentions}
    terms = [(name, "curated")] if finding is None else [(term, "gamuts") for term in finding.terms]
    seen: set[str] = set()
    lines = []
    for term, source in terms:
        text = " ".join(term.lower().split())
        if text in seen:
            continue
        seen.add(text)
        shared = ", shared: true" if text in used else ""
        capitals = ", upper: true" if term.isupper() and len(term) <= 5 else ""
        written = term if capitals else text
        lines.append(f"  - {{text: {json.dumps(written)}, source: {source}{capitals}{shared}}}")
    indexes = {*taken, *(label.index for label in lexicon.labels.values())}
    index = next(
        number for number in range(FIRST_USER_INDEX, FIRST_USER_INDEX + len(indexes) + 1) if number not in indexes
    )
    return _TEMPLATE.format(
        id=identifier,
        name=name,
        quoted=json.dumps(name),
        index=index,
        first=FIRST_USER_INDEX,
        definition=json.dumps(PLACEHOLDER),
        gamuts=json.dumps([finding.id] if finding else []),
        mentions="\n".join(lines),
    )


def shipped_draft(name: str, lexicon: Lexicon) -> str | None:
    """The page that ships for a label outside the 39, as a draft; None where there is none.

    A user's file of the same id replaces the page.
    """
    label = find_label(lexicon, name)
    if (
        label is None
        or label.id in lexicon.own_labels
        or label.id in lexicon.label_sets[DEFAULT_SET].labels
        or label is lexicon.no_finding
    ):
        return None
    text = (package_root() / "labels" / f"{label.id}.yaml").read_text(encoding="utf-8")
    return _SHIPPED.format(name=label.name, id=label.id) + text


def taken_indexes(folder: Path) -> set[int]:
    """Indexes of the label files in a folder; files that are not YAML mappings are passed over."""
    indexes: set[int] = set()
    for path in sorted(folder.glob("*.yaml")):
        try:
            value = read_document(path, path.read_text(encoding="utf-8")).value
        except (LexiconError, UnicodeDecodeError):
            continue
        if isinstance(value, dict) and isinstance(value.get("index"), int):
            indexes.add(int(str(value["index"])))
    return indexes
