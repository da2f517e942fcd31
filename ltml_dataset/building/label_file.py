"""From an input of reports to a label file and an evidence file."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ltml_dataset.building.unread import Unread, unread_reports
from ltml_dataset.config import Runner
from ltml_dataset.errors import UserError
from ltml_dataset.export.guard import check_file, is_parquet
from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.progress import progress_bar
from ltml_dataset.records import Skip
from ltml_dataset.runners import run
from ltml_dataset.schema import EVIDENCE_SCHEMA, NO_FINDING, label_schema
from ltml_dataset.sources import Partition, Source

REPORTS_PER_PARTITION = 4096
ROWS_PER_GROUP = 32_768
STATE_NAMES = {1: "present", -1: "uncertain", 0: "absent"}


@dataclass(frozen=True)
class LabelWork:
    """What one worker does: read a partition, label it. Picklable; workers build the labeler once."""

    source: Source
    labeler: Labeler
    with_evidence: bool

    def __call__(self, partition: Partition) -> "LabelledPart":
        """Read and label one partition."""
        reports, skips = self.source.read(partition)
        evidence = None
        if self.with_evidence:
            labels, mentions, was_read = self.labeler.judge_reports(reports)
            evidence = mentions.drop_columns(["row"])
        else:
            labels, was_read = self.labeler.label_reports(reports)
        unread = unread_reports(
            reports, was_read, self.source.text_columns, self.labeler.sections, self.labeler.section_rules
        )
        return LabelledPart(labels, evidence, tuple(skips), tuple(unread))


class LabelledPart(NamedTuple):
    """What a worker hands back."""

    labels: pa.RecordBatch
    evidence: pa.RecordBatch | None
    skips: tuple[Skip, ...]
    """Inputs that could not be read."""
    unread: tuple[Skip, ...]
    """Reports of which nothing was read."""


@dataclass
class LabelSummary:
    """What a labeling run did."""

    n_reports: int = 0
    n_mentions: int | None = None
    """None where no evidence was asked for."""
    states: dict[str, dict[str, int]] = field(default_factory=dict)
    """Reports by label and state."""
    skips: list[Skip] = field(default_factory=list)
    unread: Unread = field(default_factory=Unread)
    """Reports without text, and those of whose text nothing was read."""
    seconds: float = 0.0


def write_labels(
    source: Source,
    labeler: Labeler,
    out: Path,
    evidence: Path | None,
    *,
    runner: Runner,
    workers: int | None,
    show_progress: bool = False,
    others_read: Sequence[Path] = (),
) -> LabelSummary:
    """Label every report of a source, in input order, with memory that does not grow with their number.

    Both files are written under temporary names and renamed when complete. The bytes do not depend on the number of
    workers. `others_read` is what is read besides the reports, and may not be replaced.

    Raises:
        UserError: A file cannot be written, would replace something else, or two reports cannot be told apart.
    """
    begin = time.perf_counter()
    read = [*source.inputs, *others_read]
    check_file(out, read, is_ours=is_parquet)
    if evidence is not None:
        check_file(evidence, [*read, out], flag="--evidence", is_ours=is_parquet)
    summary = LabelSummary(n_mentions=None if evidence is None else 0)
    names = (*labeler.label_names, NO_FINDING)
    counts = {name: Counter[int]() for name in names}
    work = LabelWork(source, labeler, evidence is not None)
    partitions = source.partitions(REPORTS_PER_PARTITION)
    with ExitStack() as files:
        labels_writer = files.enter_context(_grouped_writer(out, label_schema(labeler.label_names)))
        evidence_writer = files.enter_context(_grouped_writer(evidence, EVIDENCE_SCHEMA)) if evidence else None
        total = sum(partition.rows for partition in partitions)
        advance = files.enter_context(progress_bar("Labeling", total, show=show_progress))
        for partition, (labels, mentions, skips, unread) in zip(
            partitions, run(work, partitions, runner=runner, workers=workers), strict=True
        ):
            advance(partition.rows)
            labels_writer.write(labels)
            if evidence_writer is not None and mentions is not None:
                evidence_writer.write(mentions)
                summary.n_mentions = (summary.n_mentions or 0) + mentions.num_rows
            summary.n_reports += labels.num_rows
            summary.skips.extend(skips)
            summary.unread.add(unread)
            for name in names:
                for entry in pc.value_counts(labels.column(name)).to_pylist():
                    if entry["values"] is not None:
                        counts[name][entry["values"]] += entry["counts"]
    summary.states = {name: {word: counts[name][state] for state, word in STATE_NAMES.items()} for name in names}
    summary.seconds = time.perf_counter() - begin
    return summary


class _GroupedWriter:
    """Gathers batches to row groups of one size, so that the file does not show how the work was cut."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._waiting: list[pa.RecordBatch] = []
        self._n_waiting = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._n_waiting += batch.num_rows
        while self._n_waiting >= ROWS_PER_GROUP:
            table = pa.Table.from_batches(self._waiting, schema=self._schema)
            self._writer.write_table(table.slice(0, ROWS_PER_GROUP), row_group_size=ROWS_PER_GROUP)
            self._waiting = table.slice(ROWS_PER_GROUP).to_batches()
            self._n_waiting -= ROWS_PER_GROUP

    def finish(self) -> None:
        if self._n_waiting:
            table = pa.Table.from_batches(self._waiting, schema=self._schema)
            self._writer.write_table(table, row_group_size=ROWS_PER_GROUP)


@contextmanager
def _grouped_writer(path: Path, schema: pa.Schema) -> Iterator[_GroupedWriter]:
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            grouped = _GroupedWriter(writer, schema)
            yield grouped
            grouped.finish()
        unfinished.replace(path)
    except OSError as error:
        reason = error.strerror or "it is not a place for a file"
        raise UserError(f"`{path}` could not be written ({reason}): free space or give another --out.") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def skipped_sentence(skips: Sequence[Skip]) -> str:
    """One sentence on the inputs that could not be read; empty if all could."""
    if not skips:
        return ""
    shown = "; ".join(f"{skip.input}: {skip.reason}" for skip in skips[:5])
    more = f"; and {len(skips) - 5:,} more" if len(skips) > 5 else ""
    return f"{len(skips):,} inputs could not be read and have no row ({shown}{more})."
