"""`mimic-cxr-reports.zip`, read in place: nothing is unpacked to disk."""

import mmap
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ltml_dataset.errors import UserError
from ltml_dataset.records import Skip
from ltml_dataset.sources.base import LARGEST_REPORT, SIMULATED_MARK, TARGET_BYTES, Partition, file_stamp, make_batch
from ltml_dataset.sources.mimic_names import parse_report_names
from ltml_dataset.sources.zip_directory import ZipMembers, data_starts, read_directory

_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x1 | 0x40


@dataclass(frozen=True)
class _Members:
    """Reports of one partition: R rows in every array."""

    subjects: npt.NDArray[np.int32]
    studies: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int64]
    packed: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    crc: npt.NDArray[np.uint32]
    method: npt.NDArray[np.uint16]


class MimicZipSource:
    """Reports of `mimic-cxr-reports.zip`, by subject and study. Every CRC is checked."""

    kind = "mimic-zip"
    text_columns = ("text",)

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = file_stamp(path)
        with path.open("rb") as stream:
            stream.seek(max(0, self._stamp[0] - len(SIMULATED_MARK)))
            self.simulated = stream.read() == SIMULATED_MARK

    @property
    def credentialed(self) -> bool:
        """True but for a simulated release."""
        return not self.simulated

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The archive."""
        return (self._path,)

    def partitions(self, size: int = 4096) -> list[Partition]:
        """Partitions by subject and study.

        Members that are no reports, are encrypted, doubled, or packed in a way we cannot read are named as skipped.

        Raises:
            UserError: The archive is damaged or holds no report.
        """
        members = read_directory(self._path)
        subjects, studies = parse_report_names(members.names)
        usable, skips = _usable(self._path, members, subjects, studies)
        if not len(usable) and not (studies >= 0).any():
            raise UserError(
                f"`{self._path}` holds no files/p10/p.../s....txt; expected mimic-cxr-reports.zip, "
                "which comes with MIMIC-CXR and not with MIMIC-CXR-JPG."
            )
        order = usable[np.lexsort((studies[usable], subjects[usable]))]
        out: list[Partition] = []
        for start, stop in _cuts(members.size[order], size):
            rows = order[start:stop]
            payload = _Members(
                subjects[rows],
                studies[rows],
                members.offset[rows],
                members.packed[rows],
                members.size[rows],
                members.crc[rows],
                members.method[rows],
            )
            out.append(Partition(len(out), len(rows), payload, () if out else skips))
        return out

    def read(self, partition: Partition) -> tuple[pa.RecordBatch, list[Skip]]:
        """Reports of one partition; those that are damaged are named instead."""
        members = cast("_Members", partition.payload)
        data = _mapped(self._path, self._stamp)
        starts, names = data_starts(data, members.offset)
        ends = starts + members.packed
        starts[(ends > len(data)) | (members.packed < 0) | (members.size < 0)] = -1
        texts: list[bytes] = []
        bad: dict[int, str] = {}
        decompress, crc32 = zlib.decompress, zlib.crc32
        with memoryview(data) as view:
            rows = zip(
                starts.tolist(),
                ends.tolist(),
                members.size.tolist(),
                members.crc.tolist(),
                members.method.tolist(),
                names.tolist(),
                members.subjects.tolist(),
                members.studies.tolist(),
                strict=True,
            )
            for row, (start, end, size, crc, method, name_end, subject, study) in enumerate(rows):
                if start < 0:
                    bad[row] = "its place in the archive is damaged"
                    continue
                tail = b"/p%d/s%d.txt" % (subject, study)
                if view[name_end - len(tail) : name_end] != tail:
                    bad[row] = "another name stands at its place in the archive: one of the two is damaged"
                    continue
                try:
                    if method == _STORED:
                        text = bytes(view[start:end])
                    elif end - start < 1 << 16:
                        text = decompress(view[start:end], -15, size or 1)
                    else:  # may claim to be small and unpack to gigabytes
                        text = zlib.decompressobj(-15).decompress(view[start:end], size + 1)
                except zlib.error:
                    bad[row] = "its packed bytes are damaged"
                    continue
                if crc32(text) != crc or len(text) != size:
                    bad[row] = "its CRC does not match"
                    continue
                texts.append(text)
        subjects, studies = members.subjects, members.studies
        skips = list(partition.skips)
        if bad:
            name = self._path.name
            skips += [Skip(f"{name}/{_name(subjects[row], studies[row])}", why) for row, why in bad.items()]
            keep = np.setdiff1d(np.arange(len(studies)), list(bad))
            subjects, studies = subjects[keep], studies[keep]
        batch = make_batch(
            [f"s{study}" for study in studies.tolist()],
            pa.array(subjects),
            pa.array(studies),
            {"text": pa.array(texts, pa.binary())},
        )
        return batch, skips


def _usable(
    path: Path, members: ZipMembers, subjects: npt.NDArray[np.int32], studies: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int64], tuple[Skip, ...]]:
    """Rows of the members that can be read, and the others by name."""
    reasons: dict[int, str] = {}
    for row in np.flatnonzero(studies < 0).tolist():
        if not members.names[row].endswith(b"/"):
            reasons[row] = "is no files/p../p.../s....txt report"
    is_report = studies >= 0
    for row in np.flatnonzero(is_report & ((members.flags & _ENCRYPTED) != 0)).tolist():
        reasons.setdefault(row, "is encrypted")
    for row in np.flatnonzero(is_report & ~np.isin(members.method, (_STORED, _DEFLATED))).tolist():
        reasons.setdefault(row, f"is packed by method {members.method[row]}, which cannot be read")
    for row in np.flatnonzero(is_report & (members.size > LARGEST_REPORT)).tolist():
        reasons.setdefault(row, f"is larger than {LARGEST_REPORT >> 20} MB")
    _, first = np.unique(studies, return_index=True)
    is_first = np.zeros(len(studies), bool)
    is_first[first] = True
    for row in np.flatnonzero(is_report & ~is_first).tolist():
        reasons.setdefault(row, f"is there twice (study s{studies[row]}); the first is used")
    is_usable = is_report.copy()
    is_usable[list(reasons)] = False
    skips = tuple(
        Skip(f"{path.name}/{members.names[row].decode('utf-8', 'replace')}", reasons[row]) for row in sorted(reasons)
    )
    return np.flatnonzero(is_usable), skips


def _cuts(sizes: npt.NDArray[np.int64], count: int) -> list[tuple[int, int]]:
    """Ranges of at most `count` reports and, where reports are long, about `TARGET_BYTES`; at least one range."""
    block = np.maximum(np.arange(len(sizes)) // count, 0)
    new = np.flatnonzero(np.diff(block)) + 1
    out: list[tuple[int, int]] = []
    for start, stop in zip([0, *new.tolist()], [*new.tolist(), len(sizes)], strict=True):
        total = np.cumsum(sizes[start:stop])
        while stop - start and total[-1] > TARGET_BYTES and stop - start > 1:
            n = max(1, int(np.searchsorted(total, TARGET_BYTES, "right")))
            out.append((start, start + n))
            start += n
            total = np.cumsum(sizes[start:stop])
            if start == stop:
                break
        if start < stop or not len(sizes):
            out.append((start, stop))
    return out


def _name(subject: int, study: int) -> str:
    return f"files/p{str(subject)[:2]}/p{subject}/s{study}.txt"


@lru_cache(maxsize=1)
def _mapped(path: Path, stamp: tuple[int, int]) -> mmap.mmap:
    """The archive in this process's memory.

    Raises:
        UserError: It is not the file that was listed.
    """
    try:
        if file_stamp(path) != stamp:
            raise UserError(f"`{path}` changed while it was read; start again.")
        with path.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise UserError(f"`{path}` could not be read: {error.strerror or error}.") from error
