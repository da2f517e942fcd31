"""MIMIC-CXR reports unpacked to `files/p10/p10xxxxxx/s5xxxxxxx.txt`."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa

from ltml_dataset.errors import UserError
from ltml_dataset.records import Skip
from ltml_dataset.sources.base import LARGEST_REPORT, TARGET_BYTES, Partition, make_batch

_GROUP = re.compile(r"p\d\d")
_SUBJECT = re.compile(r"p(\d{1,9})")
_REPORT = re.compile(r"s(\d{1,9})\.txt")


class MimicTreeSource:
    """Reports below a folder, by subject and study, whatever the order in which the disk lists them."""

    kind = "mimic-tree"
    text_columns = ("text",)

    def __init__(self, root: Path) -> None:
        """Make the source.

        Args:
            root: The folder that holds `p10` to `p19` (usually called `files`), see `find_report_root`.
        """
        self._root = root
        self.simulated = (root.parent / "truth" / "release.json").is_file()

    @property
    def credentialed(self) -> bool:
        """True but for a simulated release."""
        return not self.simulated

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The folder with `p10` to `p19`; it stands for the reports below it."""
        return (self._root,)

    def partitions(self, size: int = 4096) -> list[Partition]:
        """Partitions by subject and study. Folders that cannot be listed and doubled studies are named as skipped.

        Raises:
            UserError: The folder holds no report.
        """
        skips: list[Skip] = []
        found = sorted(self._find(skips))
        studies_seen: set[int] = set()
        reports: list[tuple[int, int, str]] = []
        for subject, study, group in found:
            if study in studies_seen:
                skips.append(Skip(_name(group, subject, study), f"is there twice (study s{study}); the first is used"))
                continue
            studies_seen.add(study)
            reports.append((subject, study, group))
        if not reports and not skips:
            raise UserError(no_reports(self._root))
        out: list[Partition] = []
        for start in range(0, len(reports), size) or (0,):
            rows = reports[start : start + size]
            out.append(Partition(len(out), len(rows), tuple(rows), () if out else tuple(skips)))
        return out

    def read(self, partition: Partition) -> tuple[pa.RecordBatch, list[Skip]]:
        """Reports of one partition; those that cannot be read are named instead."""
        rows = cast("tuple[tuple[int, int, str], ...]", partition.payload)
        skips = list(partition.skips)
        kept: list[tuple[int, int]] = []
        texts: list[bytes] = []
        root = str(self._root)
        total = 0
        for subject, study, group in rows:
            try:
                text = read_report(f"{root}/{group}/p{subject}/s{study}.txt")
            except OSError as error:
                skips.append(Skip(_name(group, subject, study), f"could not be read: {error.strerror or error}"))
                continue
            total += len(text)
            if len(text) > LARGEST_REPORT or total > 24 * TARGET_BYTES:
                skips.append(Skip(_name(group, subject, study), f"is larger than {LARGEST_REPORT >> 20} MB"))
                total -= len(text)
                continue
            kept.append((subject, study))
            texts.append(text)
        ids = np.array(kept, np.int32).reshape(-1, 2)
        batch = make_batch(
            [f"s{study}" for _, study in kept],
            pa.array(ids[:, 0].copy()),
            pa.array(ids[:, 1].copy()),
            {"text": pa.array(texts, pa.binary())},
        )
        return batch, skips

    def report_paths(self) -> list[Path]:
        """Every report file, by subject and study."""
        return [
            self._root / group / f"p{subject}" / f"s{study}.txt" for subject, study, group in sorted(self._find([]))
        ]

    def _find(self, skips: list[Skip]) -> Iterator[tuple[int, int, str]]:
        for group in _listed(self._root, "", skips):
            if not _GROUP.fullmatch(group):
                continue
            for folder in _listed(self._root / group, f"{group}/", skips):
                subject = _SUBJECT.fullmatch(folder)
                if subject is None:
                    continue
                place = f"{group}/{folder}/"
                for name in _listed(self._root / group / folder, place, skips):
                    report = _REPORT.fullmatch(name)
                    if report:
                        yield int(subject[1]), int(report[1]), group
                    elif name.endswith(".txt"):
                        skips.append(Skip(f"files/{place}{name}", "is no s....txt report"))


def read_report(path: str) -> bytes:
    """Bytes of a report's file, at most one more than `LARGEST_REPORT`.

    Raises:
        OSError: It cannot be read, or is a folder, a pipe or a device, which is not waited for.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb", buffering=0) as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is a folder, a pipe or a device")
        return stream.read(LARGEST_REPORT + 1)


def find_report_root(path: Path) -> Path | None:
    """The folder with `p10`...: the path itself, or its `files`; None where there is none."""
    for root in (path, path / "files", path / "mimic-cxr-reports" / "files"):
        if root.is_dir() and any(_GROUP.fullmatch(entry.name) for entry in root.iterdir()):
            return root
    return None


def no_reports(root: Path) -> str:
    """The sentence for a folder without reports; says so where it is the folder of the images."""
    for folder, _, names in os.walk(root):
        if any(name.endswith((".jpg", ".dcm")) for name in names):
            return (
                f"`{root}` holds images but no reports (found in {Path(folder).name}); the reports come with MIMIC-CXR "
                "as mimic-cxr-reports.zip, not with MIMIC-CXR-JPG."
            )
    return (
        f"`{root}` holds no files/p10/p.../s....txt report; expected the unpacked mimic-cxr-reports.zip of MIMIC-CXR."
    )


def _listed(folder: Path, name: str, skips: list[Skip]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except NotADirectoryError:
        return []
    except OSError as error:
        skips.append(Skip(f"files/{name}", f"could not be listed: {error.strerror or error}"))
        return []


def _name(group: str, subject: int, study: int) -> str:
    return f"files/{group}/p{subject}/s{study}.txt"
