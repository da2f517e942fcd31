"""What every source of reports offers: partitions to hand to workers, and a function that reads one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from ltml_dataset.errors import UserError
from ltml_dataset.records import Skip
from ltml_dataset.schema import report_schema

TARGET_BYTES = 64 << 20
"""Text that one partition aims to stay below, so that memory stays bounded whatever the reports' size."""

LARGEST_REPORT = 32 << 20
"""Bytes of one report, however it comes; what is larger is no report and is named as skipped."""

SIMULATED_MARK = b"SIMULATED by ltml-mimic-cxr: no patient's report"
"""Comment of the zip archive of a simulated release; beside an unpacked one lies `truth/release.json`."""

DECODED_KEY = b"ltml_not_utf8"


@dataclass(frozen=True)
class Partition:
    """A piece of a source that one worker reads at a time. Picklable; only its source knows what is inside."""

    index: int
    """Position in reading order, from 0."""
    rows: int
    """Reports that it should hold, for progress bars; skipped ones count."""
    payload: object = None
    skips: tuple[Skip, ...] = ()
    """Inputs already known to be unusable; `read` hands them on."""


@runtime_checkable
class Source(Protocol):
    """Reports in a known order. Picklable; `read` may be called in any process."""

    @property
    def kind(self) -> str:
        """`mimic-zip`, `mimic-tree`, `mimic-sectioned`, `openi` or `table`."""

    @property
    def text_columns(self) -> tuple[str, ...]:
        """`("text",)`: whole reports, whose sections are parsed. Several: each column is a section of its name."""

    @property
    def credentialed(self) -> bool:
        """The reports are under a data use agreement (MIMIC-CXR): never uploaded unless the user insists."""

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Files that identify the source; a folder stands for the reports below it (`sources.hashing`)."""

    def partitions(self, size: int = 4096) -> list[Partition]:
        """Partitions of at most `size` reports; the same whatever the order of files on disk."""

    def read(self, partition: Partition) -> tuple[pa.RecordBatch, list[Skip]]:
        """Reports of one partition (`schema.report_schema`), and the inputs that could not be used."""


def is_simulated(source: Source) -> bool:
    """Whether reports are those of a simulated release: nobody's, so that no agreement binds them."""
    return bool(getattr(source, "simulated", False))


def file_stamp(path: Path) -> tuple[int, int]:
    """Size and time of last change: whether a file is still the one that was listed.

    Raises:
        UserError: It is gone.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"`{path}` could not be read: {error.strerror or error}.") from error
    return status.st_size, status.st_mtime_ns


def decode_report(data: bytes) -> str:
    """Text of bytes that are not valid UTF-8: Windows-1252, the five codes it leaves undefined as Latin-1."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return "".join(bytes([byte]).decode("cp1252") if byte not in _UNDEFINED_CP1252 else chr(byte) for byte in data)


_UNDEFINED_CP1252 = frozenset((0x81, 0x8D, 0x8F, 0x90, 0x9D))


def decode_column(values: pa.Array) -> tuple[pa.StringArray, list[int]]:
    """A binary column as text.

    Returns:
        The column as string, and the rows that were not UTF-8 and were read as Windows-1252 (decision 0031).
    """
    if pa.types.is_large_binary(values.type):
        values = values.cast(pa.binary())
    try:
        return values.cast(pa.string()), []
    except pa.ArrowInvalid:
        pass
    texts: list[str | None] = []
    changed: list[int] = []
    for row, value in enumerate(values.to_pylist()):
        try:
            texts.append(None if value is None else value.decode("utf-8"))
        except UnicodeDecodeError:
            texts.append(decode_report(value))
            changed.append(row)
    return pa.array(texts, pa.string()), changed


def make_batch(
    report_ids: Sequence[str] | pa.Array,
    subject_ids: pa.Array,
    study_ids: pa.Array,
    texts: dict[str, pa.Array],
) -> pa.RecordBatch:
    """Reports as one batch; text columns may be binary, and reports that are not UTF-8 are noted in its metadata.

    Args:
        report_ids: N names.
        subject_ids: (N,) int32 or string; nulls where unknown.
        study_ids: (N,) of the same type.
        texts: (N,) string or binary columns by name.
    """
    ids = report_ids if isinstance(report_ids, pa.Array) else pa.array(report_ids, pa.string())
    columns: dict[str, pa.Array] = {}
    changed: set[int] = set()
    for name, values in texts.items():
        if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
            values, rows = decode_column(values)
            changed.update(rows)
        columns[name] = values
    schema = report_schema(tuple(columns), subject_ids.type)
    if changed:
        names = [ids[row].as_py() for row in sorted(changed)]
        schema = schema.with_metadata({DECODED_KEY: json.dumps(names)})
    return pa.RecordBatch.from_arrays([ids, subject_ids, study_ids, *columns.values()], schema=schema)


def not_utf8(batch: pa.RecordBatch) -> list[str]:
    """Names of the batch's reports that were not valid UTF-8 and were read as Windows-1252."""
    noted = (batch.schema.metadata or {}).get(DECODED_KEY)
    return list(json.loads(noted)) if noted else []
