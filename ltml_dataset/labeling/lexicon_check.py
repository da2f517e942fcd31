"""Every file of a lexicon read, cross-checked and compiled, as `lexicon check` does."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ltml_dataset.labeling.compiled import compile_lexicon
from ltml_dataset.labeling.labeler import PROFILE_KINDS
from ltml_dataset.text.section_rules import SectionRules
from ltml_lexicons.checking import NO_FINDING_ID
from ltml_lexicons.compat import load_compat
from ltml_lexicons.errors import LexiconError
from ltml_lexicons.gamuts import worded
from ltml_lexicons.lexicon import Lexicon, load_lexicon
from ltml_lexicons.mappings import load_mapping


@dataclass(frozen=True)
class Checked:
    """A lexicon that holds all rules."""

    lexicon: Lexicon
    n_files: dict[str, int]
    """Files read by folder; those that stand alone under their own name."""


def check_everything(folder: Path | None = None) -> Checked:
    """Read, cross-check and compile the lexicon, with a user's folder laid over it.

    Raises:
        LexiconError: A file breaks a rule; names file and line.
    """
    lexicon = load_lexicon(folder=folder)
    SectionRules(lexicon.default_sections, lexicon.official_sections)
    for profile, kinds in PROFILE_KINDS.items():
        compiled = compile_lexicon(lexicon, [worded(label, profile) for label in lexicon.labels.values()], kinds)
        if profile == "clinical" and compiled.unused_abbreviations:
            short = compiled.unused_abbreviations[0]
            where = lexicon.files["abbreviations.yaml"].where(("meanings", short))
            meaning = lexicon.abbreviations.meanings[short]
            raise LexiconError(f"{where}: `{short}` means `{meaning}`, which no phrase, site, predicate or cue has.")
    n_files: dict[str, int] = {}
    for name in lexicon.files:
        place, _, file = name.rpartition("/")
        n_files[place or file] = n_files.get(place or file, 0) + 1
    for name in _names("compat"):
        for label in load_compat(name).labels:
            if label not in {*lexicon.labels, NO_FINDING_ID}:
                raise LexiconError(f"`compat/{name}.yaml`: unknown label `{label}`; no label file has that id.")
    for name in _names("mappings"):
        for theirs, mapped in load_mapping(name).labels.items():
            if mapped.label not in lexicon.labels:
                raise LexiconError(f"`mappings/{name}.yaml`: `{theirs}` is mapped to no label, `{mapped.label}`.")
    n_files |= {place: len(_names(place)) for place in ("compat", "mappings")}
    return Checked(lexicon, dict(sorted(n_files.items())))


def _names(place: str) -> list[str]:
    return sorted(
        Path(entry.name).stem
        for entry in files("ltml_lexicons").joinpath(place).iterdir()
        if entry.name.endswith(".yaml")
    )
