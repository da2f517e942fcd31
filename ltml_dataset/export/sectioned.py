"""`mimic_cxr_sectioned.csv`, the file that everybody looks for and nobody may hand out."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from ltml_dataset.errors import UserError
from ltml_dataset.export.guard import check_file
from ltml_dataset.export.parquet import writing
from ltml_dataset.records import Section, Skip
from ltml_dataset.sources import Source
from ltml_dataset.text.section_overrides import Overrides
from ltml_dataset.text.section_rules import SectionRules, shipped_rules
from ltml_dataset.text.sections import (
    Policy,
    columns_to_label,
    find_sections,
    sections_to_label,
)

COLUMNS = ("impression", "findings", "last_paragraph", "comparison")
_COLUMN_OF_KIND = {"body": "last_paragraph", "addendum": "findings"}


@dataclass
class SectionedCounts:
    """What was written."""

    reports: int = 0
    overridden: list[str] = field(default_factory=list)
    """Studies that have no row because an override names their text, as upstream."""
    empty: int = 0
    """Rows without any of the four sections."""
    skips: list[Skip] = field(default_factory=list)


def write_sectioned(
    source: Source,
    out: Path,
    *,
    policy: Policy = "official",
    overrides: Overrides | None = None,
    chosen: Path | None = None,
    rules: SectionRules | None = None,
    others_read: Sequence[Path] = (),
) -> SectionedCounts:
    """Write the sections of all reports as one CSV.

    Columns `study, impression, findings, last_paragraph, comparison`, blank where a report has no such section; with
    the `official` rules the same fields, quoting and line ends as MIT-LCP/mimic-cxr's `create_section_files.py`, which
    leaves out the studies that have an override.

    Args:
        source: The reports.
        out: The CSV.
        policy: `official` takes the last section of a name, `default` all of them, an empty line between.
        overrides: Per-study exceptions, for `official`.
        chosen: Another CSV, without header, for each study and the text that is labelled under the policy.
        rules: What titles mean; as the lexicon that ships has it by default.
        others_read: What is read besides the reports, and may not be replaced.

    Raises:
        UserError: A file cannot be written, or would replace something else.
    """
    rules = rules or shipped_rules()
    if chosen is not None and chosen.resolve() == out.resolve():
        raise UserError(f"`{out}` cannot hold both: give --out and --chosen two names.")
    read = [*source.inputs, *others_read]
    check_file(out, read, is_ours=lambda start: start.startswith(b"study,impression,findings"))
    if chosen is not None:
        check_file(chosen, [*read, out], flag="--chosen")
    counts = SectionedCounts()
    paths = [out, *([chosen] if chosen else [])]
    parts = [path.with_name(f".{path.name}.unfinished") for path in paths]
    try:
        with writing(out), ExitStack() as stack:
            streams = [stack.enter_context(part.open("w", encoding="utf-8", newline="")) for part in parts]
            sectioned, *others = [csv.writer(stream) for stream in streams]
            sectioned.writerow(["study", *COLUMNS])
            for partition in source.partitions():
                batch, skips = source.read(partition)
                counts.skips += skips
                for report_id, texts in _rows(batch):
                    counts.reports += 1
                    if others:
                        text = _chosen(source.text_columns, texts, policy, report_id, overrides, rules)
                        others[0].writerow([report_id, text])
                    if policy == "official" and overrides and report_id in overrides:
                        counts.overridden.append(report_id)
                        continue
                    row = _sections(source.text_columns, texts, policy, rules)
                    counts.empty += not any(row)
                    sectioned.writerow([report_id, *row])
        with writing(out):
            for part, path in zip(parts, paths, strict=True):
                part.replace(path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return counts


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[str, tuple[str | None, ...]]]:
    ids, _, _, *texts = (column.to_pylist() for column in batch.columns)
    yield from zip(ids, zip(*texts, strict=True), strict=True)


def _sections(
    columns: Sequence[str], texts: tuple[str | None, ...], policy: Policy, rules: SectionRules
) -> list[str | None]:
    """The four columns of one report, None where there is no such section."""
    pieces: dict[str, list[str]] = {name: [] for name in COLUMNS}
    for name, piece in _found(columns, texts, policy, rules):
        kind = rules.official_name(name) if policy == "official" else rules.kind(name)
        kind = kind if policy == "official" else _COLUMN_OF_KIND.get(kind, kind)
        if kind in pieces:
            pieces[kind].append(piece)
    if policy == "official":
        return [found[-1] if found else None for found in pieces.values()]
    return ["\n\n".join(filter(None, found)) if found else None for found in pieces.values()]


def _found(
    columns: Sequence[str], texts: tuple[str | None, ...], policy: Policy, rules: SectionRules
) -> Iterator[tuple[str, str]]:
    if len(columns) == 1:
        text = texts[0] or ""
        for section in find_sections(text, policy, rules):
            yield section.name, text[section.start : section.end]
    else:
        for name, value in zip(columns, texts, strict=True):
            if value and value.strip():
                yield name, value.strip()


def _chosen(
    columns: Sequence[str],
    texts: tuple[str | None, ...],
    policy: Policy,
    report_id: str,
    overrides: Overrides | None,
    rules: SectionRules,
) -> str:
    if len(columns) == 1:
        text = texts[0] or ""
        sections: list[Section] = sections_to_label(text, policy, report_id=report_id, overrides=overrides, rules=rules)
        return "\n\n".join(text[s.start : s.end] for s in sections)
    found = columns_to_label(columns, texts, policy, rules)
    return "\n\n".join((texts[column] or "")[s.start : s.end] for column, s in found)
