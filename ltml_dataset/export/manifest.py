"""`manifest.json`: what a data set was made from, what is in it, and the hash of every file."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ltml_dataset import __version__
from ltml_dataset.errors import UserError
from ltml_dataset.export.parquet import write_text

MANIFEST_NAME = "manifest.json"
FORMAT = "ltml-dataset/1"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Tool(_Part):
    """The code that wrote the folder."""

    name: str = "ltml-mimic-cxr"
    version: str = __version__


class LexiconStamp(_Part):
    """The words that decided the labels; absent where the labels came with the table."""

    version: str
    fingerprint: str
    label_set: str
    profile: str
    folder: str | None = None
    """Name of the folder that was laid over the shipped words; its content is part of the fingerprint."""


class InputFile(_Part):
    """One file that was read. `name` is the name alone, so that a moved download gives the same bytes."""

    role: str
    name: str
    bytes: int
    sha256: str


class SplitCounts(_Part):
    """Size of one split of the config "images"."""

    rows: int
    studies: int
    subjects: int


class SkippedInput(_Part):
    """An input that could not be used, and why."""

    input: str
    reason: str


class WrittenFile(_Part):
    """One file of the folder; `rows` is null for what is not a table."""

    bytes: int
    sha256: str
    rows: int | None = None


class Manifest(_Part):
    """All of `manifest.json`. No time, host or folder name stands in it: same inputs, same bytes."""

    format: str = FORMAT
    tool: Tool = Tool()
    lexicon: LexiconStamp | None = None
    simulated: bool = False
    """The reports are those of a simulated release: nothing here is of any patient."""
    config: dict[str, Any]
    """The resolved options that decide the content."""
    inputs: list[InputFile]
    labels: list[str]
    """Class names in order."""
    groups: dict[str, list[str]]
    """Class names by frequency: head, medium, tail."""
    group_thresholds: dict[str, int]
    """Least number of images of a head and of a medium class."""
    counts: dict[str, int]
    """Rows by stage: reports, studies, images, mentions, ..."""
    splits: dict[str, SplitCounts]
    label_counts: dict[str, dict[str, int]]
    """Positive images per class: all, train, validation, test."""
    skipped: list[SkippedInput] = []
    notes: list[str] = []
    """Sentences a reader of the card must know, for example labels too rare to balance."""
    agreement: list[dict[str, Any]] = []
    """Official labels against mined ones, one entry per common class; empty where none were given."""
    files: dict[str, WrittenFile] = {}
    """Every other file of the folder, by path with `/`."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def group_labels(counts: Mapping[str, int], head: int = 10_000, medium: int = 1_000) -> dict[str, list[str]]:
    """Class names by number of positive images: head from `head` on, medium from `medium` on, tail below.

    Example:
        >>> group_labels({"Edema": 20_000, "Fracture": 1_000, "Hemothorax": 7})
        {'head': ['Edema'], 'medium': ['Fracture'], 'tail': ['Hemothorax']}
    """
    groups: dict[str, list[str]] = {"head": [], "medium": [], "tail": []}
    for name, count in counts.items():
        groups["head" if count >= head else "medium" if count >= medium else "tail"].append(name)
    return groups


def written_files(folder: Path, rows_by_path: Mapping[Path, int]) -> dict[str, WrittenFile]:
    """Describe every file below `folder` but the manifest and hidden ones.

    Args:
        folder: A finished folder.
        rows_by_path: Rows of the tables among them, as `SplitWriter.close` returns them.
    """
    return {
        path.relative_to(folder).as_posix(): WrittenFile(
            bytes=path.stat().st_size, sha256=sha256_of(path), rows=rows_by_path.get(path)
        )
        for path in sorted(_visible_files(folder))
    }


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `manifest.json` with sorted keys, as the last file of a folder."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)
    write_text(text + "\n", folder / MANIFEST_NAME)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished data set.

    Raises:
        UserError: There is none, or it is not one of ours.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise UserError(
            f"`{path}` was not found: `{folder}` is not a data set of ours, or its build did not end; repeat the "
            "build, which goes on where it stopped."
        )
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"`{path}` is no manifest of this tool ({where}: {first['msg']}); build again.") from None
    if manifest.format != FORMAT:
        raise UserError(f"`{path}` has format {manifest.format!r}, this version reads {FORMAT!r}; build again.")
    return manifest


def differences(folder: Path) -> list[str]:
    """What in a folder is not as its manifest says: missing, surplus and changed files, and row counts.

    Raises:
        UserError: The folder has no readable manifest.
    """
    import pyarrow.parquet as pq

    manifest = read_manifest(folder)
    found = {path.relative_to(folder).as_posix(): path for path in _visible_files(folder)}
    problems = [f"{name}: missing" for name in sorted(manifest.files.keys() - found.keys())]
    problems += [f"{name}: not in the manifest" for name in sorted(found.keys() - manifest.files.keys())]
    for name in sorted(manifest.files.keys() & found.keys()):
        expected, path = manifest.files[name], found[name]
        n_bytes = path.stat().st_size
        if n_bytes != expected.bytes:
            problems.append(f"{name}: {n_bytes} bytes, the manifest says {expected.bytes}")
        elif sha256_of(path) != expected.sha256:
            problems.append(f"{name}: content changed (SHA-256 differs)")
        elif expected.rows is not None and pq.read_metadata(path).num_rows != expected.rows:
            problems.append(f"{name}: {pq.read_metadata(path).num_rows} rows, the manifest says {expected.rows}")
    return problems


def listed_files(path: Path) -> set[str]:
    """Names of files inside the folder that a manifest lists; empty if there is none, or one of something else."""
    try:
        listed = set(json.loads(path.read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()
    names = {name for name in listed if isinstance(name, str)}
    return {name for name in names if ".." not in Path(name).parts and not Path(name).is_absolute()}


def _visible_files(folder: Path) -> list[Path]:
    """Files below a folder, without the manifest and anything hidden (the label cache lies in `.cache`)."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path != folder / MANIFEST_NAME
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
