"""Is everything there? The installation, and the files of a release: what is missing, and where it comes from."""

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pyarrow.compute as pc

from ltml_dataset import __version__
from ltml_dataset.errors import UserError
from ltml_dataset.runners.local import n_cores
from ltml_dataset.sources import Source, open_source
from ltml_dataset.sources.hashing import hash_input
from ltml_dataset.sources.mimic_tables import FILES, read_columns, read_labels, search_files
from ltml_dataset.sources.mimic_tree import find_report_root
from ltml_lexicons.errors import LexiconError

State = Literal["ok", "missing", "problem"]

EXTRAS = {
    "benchmark": ("torch", "train and score models"),
    "review": ("starlette", "verify labels on a page"),
    "dicom": ("pydicom", "show DICOM images on that page"),
    "ray": ("ray", "label on a cluster with Ray"),
    "spark": ("pyspark", "label on a cluster with Spark"),
    "spacy": ("spacy", "use the labeler inside spaCy"),
}
"""Extra to the module that shows it is installed, and what it is for."""

_IMAGES_LOOKED_AT = 20


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis."""

    group: str
    what: str
    state: State
    detail: str


def check_installation() -> Iterator[Check]:
    """Python, our packages, what they need, and the lexicon."""
    group = "installation"
    python = ".".join(map(str, sys.version_info[:3]))
    yield Check(
        group, "Python", "ok" if sys.version_info >= (3, 11) else "problem", f"{python}; 3.11 or later is needed"
    )
    yield Check(group, "ltml-mimic-cxr", "ok", __version__)
    for name in _needed():
        try:
            yield Check(group, name, "ok", version(name))
        except PackageNotFoundError:
            yield Check(group, name, "problem", f"not installed: pip install {name}")
    for extra, (module, purpose) in EXTRAS.items():
        found = find_spec(module) is not None
        detail = f"there, to {purpose}" if found else f"to {purpose}: pip install 'ltml-mimic-cxr[{extra}]'"
        yield Check(group, f"extra {extra}", "ok" if found else "missing", detail)
    yield _check_lexicon(group)
    yield Check(group, "cores", "ok", str(n_cores()))


def check_path(path: Path) -> Iterator[Check]:
    """A file or folder that the user means to build from."""
    group = str(path)
    if not path.exists():
        yield Check(group, "path", "problem", "does not exist")
        return
    found = search_files(path) if path.is_dir() else _role_of(path)
    holds_reports = path.is_dir() and "reports" not in found and _has_texts(path)
    is_release = bool(found) or (path.is_dir() and (path / "files").is_dir())
    if not is_release or holds_reports:
        yield _check_reports(group, path)
    for role, file in FILES.items():
        if role == "reports" and (holds_reports or (not is_release)):
            continue
        for place in found.get(role, []):
            yield _check_file(group, role, place)
        if path.is_dir() and is_release and role not in found and (file.flag or role == "reports"):
            yield Check(group, role, "missing", f"{file.name}: {file.origin}")
    for place in sorted({place for places in found.values() for place in places}):
        yield from _check_sum(group, place)
    if path.is_dir():
        if len(found.get("metadata", [])) == 1:
            yield from _check_images(group, path, found["metadata"][0])
        free = shutil.disk_usage(path).free
        yield Check(group, "free disk space", "ok", f"{free / 2**30:.1f} GiB")


def _has_texts(folder: Path) -> bool:
    """Reports lie below the folder as text files, not only images."""
    root = find_report_root(folder)
    return root is not None and next(root.glob("p*/p*/s*.txt"), None) is not None


def _needed() -> list[str]:
    """Distributions that our core needs, by our own metadata."""
    try:
        lines = requires("ltml-mimic-cxr") or []
    except PackageNotFoundError:  # a source tree on the path, not installed
        return ["cyclopts", "datasets", "numpy", "pyarrow", "pydantic", "rich"]
    return sorted(re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines if "extra ==" not in line)


def _check_lexicon(group: str) -> Check:
    from ltml_lexicons.lexicon import load_lexicon

    try:
        lexicon = load_lexicon()
    except (LexiconError, OSError) as error:
        return Check(group, "lexicon", "problem", str(error))
    return Check(group, "lexicon", "ok", f"version {lexicon.version}, {len(lexicon.labels)} labels")


def _role_of(path: Path) -> dict[str, list[Path]]:
    return {role: [path] for role, file in FILES.items() if file.pattern.fullmatch(path.name)}


def _check_reports(group: str, path: Path) -> Check:
    try:
        source = open_source(path)
        partitions = source.partitions()
    except UserError as error:
        return Check(group, "reports", "problem", str(error))
    n_reports = sum(partition.rows for partition in partitions)
    skips = [skip for partition in partitions for skip in partition.skips]
    columns = "" if source.text_columns == ("text",) else f" in columns {', '.join(source.text_columns)}"
    said = f"{n_reports:,} reports{columns} ({source.kind})"
    if skips:
        return Check(
            group, "reports", "problem", f"{said}; {len(skips)} unusable, first {skips[0].input}: {skips[0].reason}"
        )
    return _first_report(group, source, said)


def _first_report(group: str, source: Source, said: str) -> Check:
    _, skips = source.read(source.partitions()[0])
    if skips:
        return Check(group, "reports", "problem", f"{said}; {skips[0].input}: {skips[0].reason}")
    return Check(group, "reports", "ok", said)


def _check_file(group: str, role: str, path: Path) -> Check:
    if role == "reports":
        return _check_reports(group, path)
    file = FILES[role]
    try:
        if "labels" in role:
            n_rows = read_labels(role, path).num_rows
        elif file.columns:
            n_rows = read_columns(role, path).num_rows
        else:
            return Check(group, role, "ok", path.name)
    except UserError as error:
        return Check(group, role, "problem", str(error))
    return Check(group, role, "ok", f"{path.name}, {n_rows:,} rows")


def _check_sum(group: str, path: Path) -> Iterator[Check]:
    """Compare with the SHA256SUMS.txt that PhysioNet puts beside the files, where it is there."""
    sums = path.parent / "SHA256SUMS.txt"
    if not sums.is_file():
        return
    with sums.open(encoding="utf-8", errors="replace") as lines:
        expected = next((line.split()[0] for line in lines if line.split()[1:] == [path.name]), None)
    if expected is None:
        return
    if hash_input(path)[1] == expected.lower():
        yield Check(group, path.name, "ok", "as SHA256SUMS.txt says")
    else:
        yield Check(group, path.name, "problem", "is not what SHA256SUMS.txt says; download it again")


def _check_images(group: str, folder: Path, metadata: Path) -> Iterator[Check]:
    """Look for some of the images that the metadata list, below the folder and below its `files`."""
    from ltml_dataset.images import read_metadata

    try:
        paths = read_metadata(metadata).table["image_path"]
    except UserError:
        return  # said already
    if not len(paths):
        return
    step = max(1, len(paths) // _IMAGES_LOOKED_AT)
    some = [str(path) for path in paths.take(list(range(0, len(paths), step))).to_pylist()]
    root = next((root for root in (folder, metadata.parent, folder.parent) if (root / "files").is_dir()), folder)
    there = sum((root / path).is_file() for path in some)
    n_images = pc.count(paths).as_py()
    if there == len(some):
        yield Check(group, "images", "ok", f"{n_images:,} listed; all {len(some)} looked for are below {root}")
    else:
        yield Check(
            group,
            "images",
            "missing",
            f"{len(some) - there} of {len(some)} looked for are not below {root}; building labels does not need them, "
            "they come with MIMIC-CXR-JPG",
        )
