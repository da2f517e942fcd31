"""Labels and mentions of one partition of reports, kept on disk: what a killed run does not have to do again.

A shard is two Arrow files below `DIR/.cache/KEY/`, memory-mapped when read, and their hashes: a flipped bit makes it
labelled again. The key changes with the reports, the
lexicon and every option that decides labels, and with nothing else: another split reuses the shards, another word
does not.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ltml_dataset import __version__
from ltml_dataset.building.unread import unread_reports
from ltml_dataset.errors import UserError
from ltml_dataset.export.manifest import InputFile, sha256_of
from ltml_dataset.export.parquet import replacing, write_text, writing
from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.records import Skip
from ltml_dataset.schema import EVIDENCE_SCHEMA, HAS_TEXT
from ltml_dataset.sources import Partition, Source, not_utf8

REPORTS_PER_SHARD = 4096
LAYOUT = 3
"""Raise when the columns of a shard change: shards of an earlier layout are then written again."""
_DETAILS = b"ltml"
_CODED = {"label", "section", "phrase", "phrase_source", "cue", "rule"}
"""Columns of mentions with few distinct values, kept as codes."""


@dataclass(frozen=True)
class ShardDone:
    """What is known of one finished shard."""

    index: int
    n_reports: int
    n_mentions: int
    n_not_utf8: int
    """Reports that were not UTF-8 and were read as Windows-1252."""
    skips: tuple[Skip, ...]
    unread: tuple[Skip, ...]
    """Reports of which nothing was read."""


@dataclass(frozen=True)
class Shards:
    """The shards of one labeling."""

    folder: Path

    def labels_path(self, index: int) -> Path:
        """Ids and states, one row per report."""
        return self.folder / f"{index:06d}.labels.arrow"

    def mentions_path(self, index: int) -> Path:
        """Evidence without text; `row` counts within the shard."""
        return self.folder / f"{index:06d}.mentions.arrow"

    def sums_path(self, index: int) -> Path:
        """SHA-256 of both files; written last, so that it stands for the whole shard."""
        return self.folder / f"{index:06d}.sha256.json"

    def done(self, index: int) -> ShardDone | None:
        """What a shard holds, or None while it is missing or damaged: it is then labelled again."""
        try:
            sums = json.loads(self.sums_path(index).read_bytes())
            if sums != self.sums(index):
                return None
            with pa.memory_map(str(self.labels_path(index))) as stream:
                details = json.loads(pa.ipc.open_file(stream).schema.metadata[_DETAILS])
            with pa.memory_map(str(self.mentions_path(index))) as stream:
                pa.ipc.open_file(stream)
        except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
            return None
        skips, unread = (tuple(Skip(*skip) for skip in details[name]) for name in ("skips", "unread"))
        return ShardDone(index, details["n_reports"], details["n_mentions"], details["n_not_utf8"], skips, unread)

    def sums(self, index: int) -> dict[str, str]:
        """SHA-256 of the two files as they are."""
        return {path.name: sha256_of(path) for path in (self.labels_path(index), self.mentions_path(index))}

    def labels(self, index: int) -> pa.Table:
        """`report_id`, `subject_id`, `study_id`, `has_text`, one int8 column per class, `No Finding`."""
        return _read(self.labels_path(index))

    def mentions(self, index: int) -> pa.Table:
        """`row`, then the evidence columns that hold no id and no text."""
        return _read(self.mentions_path(index))


@dataclass(frozen=True)
class LabelPartition:
    """The work of one worker: read a partition, judge it, write its shard. Picklable, and the same on every machine."""

    source: Source
    labeler: Labeler
    shards: Shards

    def __call__(self, partition: Partition) -> ShardDone:
        """Write the shard of one partition.

        Raises:
            UserError: The cache cannot be written.
        """
        reports, skips = self.source.read(partition)
        labels, evidence, has_text = self.labeler.judge_reports(reports)
        unread = unread_reports(
            reports, has_text, self.source.text_columns, self.labeler.sections, self.labeler.section_rules
        )
        states = [labels.column(name) for name in labels.schema.names[1:]]
        ids = [reports.column(name) for name in ("report_id", "subject_id", "study_id")]
        names = ["report_id", "subject_id", "study_id", HAS_TEXT, *labels.schema.names[1:]]
        details: dict[str, Any] = {
            "n_reports": reports.num_rows,
            "n_mentions": evidence.num_rows,
            "n_not_utf8": len(not_utf8(reports)),
            "skips": [[skip.input, skip.reason] for skip in skips],
            "unread": [[skip.input, skip.reason] for skip in unread],
        }
        _write(_coded(evidence), self.shards.mentions_path(partition.index))
        table = pa.Table.from_arrays([*ids, has_text, *states], names)
        _write(table.replace_schema_metadata({_DETAILS: json.dumps(details)}), self.shards.labels_path(partition.index))
        sums = self.shards.sums(partition.index)
        write_text(json.dumps(sums, indent=2) + "\n", self.shards.sums_path(partition.index))
        done = (partition.index, reports.num_rows, evidence.num_rows, details["n_not_utf8"])
        return ShardDone(*done, tuple(skips), tuple(unread))


def open_shards(out: Path, inputs: Sequence[InputFile], labeler: Labeler, columns: dict[str, object]) -> Shards:
    """The cache of a labeling below the output folder.

    Args:
        out: Output folder of the build.
        inputs: Files of reports, hashed.
        labeler: Decides the labels; its fingerprint is part of the key.
        columns: Options that decide how the reports are read.
    """
    what = {
        "reports": [[file.bytes, file.sha256] for file in inputs],
        "labeler": labeler.fingerprint,
        "columns": columns,
        "rows": REPORTS_PER_SHARD,
        "layout": LAYOUT,
        "version": __version__,
    }
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    return Shards(out / ".cache" / key)


def forget_others(*kept: Shards) -> None:
    """Delete the shards of earlier labelings in the same folder, and what killed calls left half-written."""
    folders = [shards.folder for shards in kept]
    for leftover in folders[0].parent.rglob(".*.unfinished"):
        leftover.unlink(missing_ok=True)
    for folder in folders[0].parent.iterdir():
        if folder not in folders and folder.is_dir():
            with writing(folder):
                shutil.rmtree(folder)


def require(shards: Shards, n_shards: int) -> Iterator[ShardDone]:
    """All shards in order.

    Raises:
        UserError: One is missing.
    """
    for index in range(n_shards):
        done = shards.done(index)
        if done is None:
            raise UserError(
                f"`{shards.labels_path(index)}` is missing or broken: repeat the build, which labels what is missing."
            )
        yield done


def _coded(evidence: pa.RecordBatch) -> pa.Table:
    """Evidence without id and text, repeated words as codes."""
    names = ["row", *(name for name in EVIDENCE_SCHEMA.names if name not in ("report_id", "text"))]
    columns = []
    for name in names:
        column = evidence.column(name)
        if name in _CODED and not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        columns.append(column)
    return pa.Table.from_arrays(columns, names)


def _write(table: pa.Table, path: Path) -> None:
    with (
        replacing(path) as unfinished,
        pa.OSFile(str(unfinished), "wb") as stream,
        pa.ipc.new_file(stream, table.schema) as writer,
    ):
        writer.write_table(table)


def _read(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
