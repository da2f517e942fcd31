"""Other projects' labels in ours, from `mappings/`."""

from ltml_lexicons.errors import LexiconError
from ltml_lexicons.lexicon import package_root
from ltml_lexicons.model import Mapping, State
from ltml_lexicons.yaml_lines import read_document, validate

CODES: dict[State, int] = {"positive": 1, "negative": 0, "uncertain": -1}


def load_mapping(name: str) -> Mapping:
    """The mapping of that name.

    Raises:
        LexiconError: There is none, or the file breaks a rule.
    """
    path = package_root() / "mappings" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in path.parent.glob("*.yaml")))
        raise LexiconError(f"There is no mapping `{name}`; known: {known}.")
    return validate(Mapping, read_document(path, path.read_text(encoding="utf-8")))


def map_states(mapping: Mapping, theirs: dict[str, str]) -> dict[str, int]:
    """Their labels of one report as ours: label id -> 1, 0, -1; positive over uncertain over negative.

    Args:
        mapping: From `load_mapping`.
        theirs: Their label -> their word for its state.

    Raises:
        LexiconError: A label or state is not in the mapping.
    """
    rank = {1: 2, -1: 1, 0: 0}
    ours: dict[str, int] = {}
    for name, word in theirs.items():
        if word not in mapping.states:
            raise LexiconError(f"`{mapping.id}.yaml`: unknown state `{word}`; add it to `states`.")
        if name in mapping.unmapped:
            continue
        if name not in mapping.labels:
            raise LexiconError(f"`{mapping.id}.yaml`: unknown label `{name}`; add it to `labels` or `unmapped`.")
        label, code = mapping.labels[name].label, CODES[mapping.states[word]]
        if label not in ours or rank[code] > rank[ours[label]]:
            ours[label] = code
    return ours
