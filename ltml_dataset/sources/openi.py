"""Open-I (Indiana University): `NLMCXR_reports.tgz`, or the folder of XML files in it.

Every report is one XML file with `<AbstractText Label="FINDINGS">` and its like; `<uId id="CXR1"/>` names it.
"""

import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

import pyarrow as pa

from ltml_dataset.errors import UserError
from ltml_dataset.records import Skip
from ltml_dataset.sources.base import TARGET_BYTES, Partition, make_batch
from ltml_dataset.sources.mimic_tree import read_report

LARGEST_XML = 2 << 20
"""Bytes of one report; those of Open-I have about 5,000."""
TEXT_COLUMNS = ("comparison", "indication", "findings", "impression")
_ID = re.compile(rb"<uId\s+id=[\"']([^\"']+)")
_NUMBER = re.compile(r"(\d+)\.xml$")


class OpenISource:
    """Open-I reports by number, one column per section."""

    kind = "openi"
    text_columns = TEXT_COLUMNS
    credentialed = False

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The archive, or the folder with the XML files, which stands for them."""
        return (self._path,)

    def partitions(self, size: int = 4096) -> list[Partition]:
        """Partitions by report number.

        Raises:
            UserError: The archive is damaged or holds no XML file.
        """
        sizes = dict(self._sizes())
        names = sorted(sizes, key=_order)
        if not names:
            raise UserError(f"`{self._path}` holds no XML report; expected Open-I's NLMCXR_reports.tgz or its folder.")
        ids = {name: _ID.search(data) for name, data in self._files(set(names)) if isinstance(data, bytes)}
        first: dict[bytes, str] = {}
        skips: list[Skip] = []
        kept: list[str] = []
        for name in names:
            match = ids.get(name)
            if match and first.setdefault(match[1], name) != name:
                skips.append(Skip(name, f"repeats the report {match[1].decode('utf-8', 'replace')}; the first is used"))
            else:
                kept.append(name)
        chunks = _chunks(kept, sizes, size)
        return [Partition(i, len(chunk), chunk, () if i else tuple(skips)) for i, chunk in enumerate(chunks)]

    def read(self, partition: Partition) -> tuple[pa.RecordBatch, list[Skip]]:
        """Reports of one partition; files that are no reports are named instead."""
        names = cast("tuple[str, ...]", partition.payload)
        skips = list(partition.skips)
        found = {name: _report_or_skip(name, data) for name, data in self._files(set(names))}
        rows: list[tuple[str, dict[str, str | None]]] = []
        for name in names:
            report = found.get(name, Skip(name, "is missing"))
            if isinstance(report, Skip):
                skips.append(report)
            else:
                rows.append(report)
        ids = pa.array([report_id for report_id, _ in rows], pa.string())
        columns = {column: pa.array([texts[column] for _, texts in rows], pa.string()) for column in TEXT_COLUMNS}
        return make_batch(ids, pa.nulls(len(rows), pa.string()), ids, columns), skips

    def _sizes(self) -> Iterator[tuple[str, int]]:
        if self._path.is_dir():
            for path in self._path.rglob("*.xml"):
                yield str(path.relative_to(self._path)), path.lstat().st_size
        else:
            for member, _ in self._members():
                yield member.name, member.size

    def _files(self, wanted: set[str]) -> Iterator[tuple[str, bytes | Skip]]:
        if self._path.is_dir():
            for name in wanted:
                try:
                    yield name, read_report(str(self._path / name))
                except OSError as error:
                    yield name, Skip(name, f"could not be read: {error.strerror or error}")
            return
        for member, archive in self._members():
            if member.name in wanted:
                if member.size > LARGEST_XML:
                    yield member.name, _too_large(member.name)
                    continue
                stream = archive.extractfile(member)
                yield member.name, b"" if stream is None else stream.read()

    def _members(self) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
        try:
            with tarfile.open(self._path, "r:*") as archive:
                for member in archive:
                    if member.isfile() and member.name.endswith(".xml"):
                        yield member, archive
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise UserError(
                f"`{self._path}` is damaged or cut off: {error}; download NLMCXR_reports.tgz again."
            ) from error


def _chunks(names: list[str], sizes: dict[str, int], count: int) -> list[tuple[str, ...]]:
    """At most `count` names at a time, and about `TARGET_BYTES`."""
    chunks: list[tuple[str, ...]] = []
    chunk: list[str] = []
    total = 0
    for name in names:
        if chunk and (len(chunk) >= count or total + sizes[name] > TARGET_BYTES):
            chunks.append(tuple(chunk))
            chunk, total = [], 0
        chunk.append(name)
        total += min(sizes[name], LARGEST_XML)
    return [*chunks, tuple(chunk)] if chunk else chunks


def _too_large(name: str) -> Skip:
    return Skip(name, f"is larger than {LARGEST_XML >> 20} MB, which no Open-I report is")


def _report_or_skip(name: str, data: bytes | Skip) -> tuple[str, dict[str, str | None]] | Skip:
    if isinstance(data, Skip):
        return data
    if len(data) > LARGEST_XML:
        return _too_large(name)
    if b"<!ENTITY" in data:
        return Skip(name, "declares entities, which no Open-I report does")
    try:
        return _parse(data)
    except (ElementTree.ParseError, ValueError, RecursionError, LookupError) as error:
        return Skip(name, f"is no Open-I report: {error}")


def _order(name: str) -> tuple[int, str]:
    number = _NUMBER.search(name)
    return (int(number[1]) if number else -1, name)


def _parse(data: bytes) -> tuple[str, dict[str, str | None]]:
    root = ElementTree.fromstring(data)
    name = root.find(".//uId")
    report_id = name.get("id") if name is not None else None
    if not report_id:
        raise ValueError("it has no <uId id=...>")
    texts: dict[str, str | None] = dict.fromkeys(TEXT_COLUMNS)
    for part in root.iter("AbstractText"):
        column = (part.get("Label") or "").lower()
        if column in texts:
            text = "".join(part.itertext())
            texts[column] = text if texts[column] is None else f"{texts[column]}\n\n{text}"
    return report_id, {column: text or None for column, text in texts.items()}
