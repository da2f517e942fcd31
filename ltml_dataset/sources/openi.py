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
from ltml_dataset.sources.base import Partition, make_batch

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
        names = sorted(self._names(), key=_order)
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
        chunks = [tuple(kept[start : start + size]) for start in range(0, len(kept), size)]
        return [Partition(i, len(chunk), chunk, () if i else tuple(skips)) for i, chunk in enumerate(chunks)]

    def read(self, partition: Partition) -> tuple[pa.RecordBatch, list[Skip]]:
        """Reports of one partition; files that are no reports are named instead."""
        names = cast("tuple[str, ...]", partition.payload)
        files = dict(self._files(set(names)))
        skips = list(partition.skips)
        rows: list[tuple[str, dict[str, str | None]]] = []
        for name in names:
            data = files.get(name)
            if isinstance(data, Skip) or data is None:
                skips.append(data or Skip(name, "is missing"))
                continue
            try:
                report_id, texts = _parse(data)
            except (ElementTree.ParseError, ValueError) as error:
                skips.append(Skip(name, f"is no Open-I report: {error}"))
                continue
            rows.append((report_id, texts))
        ids = pa.array([report_id for report_id, _ in rows], pa.string())
        columns = {column: pa.array([texts[column] for _, texts in rows], pa.string()) for column in TEXT_COLUMNS}
        return make_batch(ids, pa.nulls(len(rows), pa.string()), ids, columns), skips

    def _names(self) -> list[str]:
        if self._path.is_dir():
            return [str(path.relative_to(self._path)) for path in self._path.rglob("*.xml")]
        return [member.name for member, _ in self._members()]

    def _files(self, wanted: set[str]) -> Iterator[tuple[str, bytes | Skip]]:
        if self._path.is_dir():
            for name in wanted:
                try:
                    yield name, (self._path / name).read_bytes()
                except OSError as error:
                    yield name, Skip(name, f"could not be read: {error.strerror or error}")
            return
        for member, archive in self._members():
            if member.name in wanted:
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
