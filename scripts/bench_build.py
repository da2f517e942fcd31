"""Every stage of `build` on a simulated release, beside the floor beneath it.

    python scripts/bench_build.py [--release FOLDER] [--studies 227835] [--workers 2] [--write]

Stages run one after the other in this process with one thread, and their CPU seconds are counted. A floor is the least
that anybody would have to do for the same result, with the same libraries. Before that, one call of `build` is timed as
a user would: from the archive to the finished folder, with worker processes. `--write` puts all of it on the
performance page.
"""

import argparse
import hashlib
import json
import math
import mmap
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import ahocorasick
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from performance_page import machine, write_section

from ltml_dataset.building.dealing import split_images, split_studies
from ltml_dataset.building.folder import describe
from ltml_dataset.building.job import Job, open_job
from ltml_dataset.building.merging import Merged, merge_given_labels
from ltml_dataset.building.shards import LabelPartition, require
from ltml_dataset.config import BuildConfig
from ltml_dataset.export.card import label_notes
from ltml_dataset.export.manifest import Manifest, written_files
from ltml_dataset.export.presentation import write_presentation
from ltml_dataset.export.rows import write_images, write_mentions, write_studies
from ltml_dataset.images import ImageRows
from ltml_dataset.pipeline import find_images, name_patients, read_studies
from ltml_dataset.schema import SPLITS
from ltml_dataset.simulate import simulate_release
from ltml_dataset.sources.zip_directory import data_starts, read_directory
from ltml_lexicons.choose import choose_labels

T = TypeVar("T")
Summary = dict[str, dict[str, float]]


def cpu(work: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of a call, and what it returned."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def inflate(path: Path) -> int:
    """Inflate and check every member of an archive, and nothing else."""
    members = read_directory(path)
    with path.open("rb") as stream:
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    starts = data_starts(data, members.offset)
    ends = starts + members.packed
    rows = zip(starts.tolist(), ends.tolist(), members.size.tolist(), members.crc.tolist(), strict=True)
    with memoryview(data) as view:
        return sum(zlib.crc32(zlib.decompress(view[a:b], -15, size)) == crc for a, b, size, crc in rows if size)


def search_phrases(texts: list[str]) -> int:
    """One search for all phrases of the lexicon over the lower-case texts."""
    automaton = ahocorasick.Automaton()
    for label in choose_labels("ltml39").labels:
        for phrase in label.mentions:
            automaton.add_word(phrase.text.lower(), phrase.text)
    automaton.make_automaton()
    return sum(1 for text in texts for _ in automaton.iter(text.lower()))


def strongest_mention(job: Job, n_studies: int) -> int:
    """All mentions to one table of studies by labels with one `numpy.maximum.at`."""
    names = {name: column for column, name in enumerate(job.labeler.label_names)}
    cells, states = [], []
    first = 0
    for done in require(job.shards, len(job.partitions)):
        mentions = job.shards.mentions(done.index)
        label = mentions["label"].combine_chunks()
        columns = np.array([names.get(name, 0) for name in label.dictionary.to_pylist()])
        cells.append((first + mentions["row"].to_numpy().astype(np.int64)) * 39 + columns[label.indices.to_numpy()])
        states.append(mentions["status"].to_numpy())
        first += done.n_reports
    table = np.full(n_studies * 39, -2, np.int8)
    np.maximum.at(table, np.concatenate(cells), np.concatenate(states))
    return int((table == 1).sum())


def write_at_once(folder: Path) -> float:
    """CPU seconds of writing tables that are already in memory, compressed as ours, one file a config."""
    tables = [
        pa.concat_tables([pq.read_table(path) for path in sorted((folder / config).glob("*.parquet"))])
        for config in ("data", "studies", "mentions")
    ]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "table.parquet"
        return cpu(lambda: [pq.write_table(table, path, compression="zstd") for table in tables])[0]


class Stage(NamedTuple):
    """One line of the table; `floor` is nan where there is none."""

    name: str
    seconds: float
    floor_is: str = ""
    floor: float = float("nan")


def bench_labels(job: Job, reports: Path) -> list[Stage]:
    """Reading and labeling, shard by shard as a worker does."""
    reading, texts = cpu(lambda: [job.source.read(part)[0].column("text") for part in job.partitions])
    inflating, _ = cpu(lambda: inflate(reports))
    words = [text for column in texts for text in column.to_pylist()]
    searching, _ = cpu(lambda: search_phrases(words))
    work = LabelPartition(job.source, job.labeler, job.shards)
    both, _ = cpu(lambda: [work(partition) for partition in job.partitions])
    return [
        Stage("read", reading, "inflate every report, check its CRC", inflating),
        Stage("label", both - reading, "search all phrases over lower-case text", searching),
    ]


def bench_folder(job: Job, out: Path) -> tuple[list[Stage], Manifest]:
    """Everything after the shards."""
    aggregating, (merged, images) = cpu(lambda: aggregate(job))
    studies = merged.studies
    maximum, _ = cpu(lambda: strongest_mention(job, len(studies)))
    targets = studies.targets("zero")
    splitting, split = cpu(lambda: split_images(job, studies, images, targets))
    patients = studies.patients()[images.study_rows]
    row, label = np.nonzero(targets[images.study_rows] == 1)
    counting, _ = cpu(lambda: np.bincount(patients[row] * len(studies.label_names) + label))
    done = list(require(job.shards, len(job.partitions)))
    study_split = split_studies(studies, images, split.codes)

    def write() -> dict[Path, int]:
        first_rows = np.cumsum([0, *(shard.n_reports for shard in done)])
        mentions = ((int(first_rows[shard.index]), job.shards.mentions(shard.index)) for shard in done)
        rows = write_images(out, images.rows, images.study_rows, studies, targets, split.codes)
        return rows | write_studies(out, studies, study_split) | write_mentions(out, mentions, studies, study_split)

    writing, written = cpu(write)
    at_once = write_at_once(out)
    manifest = describe(job, merged, images, targets, split, done)
    notes = label_notes(choose_labels("ltml39"), "clinical")
    shares = dict(zip(SPLITS, split.shares, strict=True))
    showing, _ = cpu(lambda: write_presentation(out, manifest, ratios=shares, notes=notes, credentialed=True))
    hashing, _ = cpu(lambda: written_files(out, written))
    stages = [
        Stage("aggregate, find images", aggregating, "mentions to a table, one `numpy.maximum.at`", maximum),
        Stage("split", splitting, "count labels by patient, one `numpy.bincount`", counting),
        Stage("write three tables", writing, "write them from memory, unsplit", at_once),
        Stage("figures and card", showing),
        Stage("hash what was written", hashing),
    ]
    return stages, manifest


def aggregate(job: Job) -> tuple[Merged, ImageRows]:
    """Shards to study labels and image rows."""
    merged = merge_given_labels(job, name_patients(job, read_studies(job)))
    return merged, find_images(job, merged.studies)


def run_whole(release: Path, out: Path, workers: int) -> tuple[float, float, float, Summary]:
    """Wall seconds, CPU seconds and peak MiB of one process of a call as a user makes it, and its summary."""
    arguments = ["build", str(release / "mimic-cxr-reports.zip"), "--metadata", str(release), "--out", str(out)]
    command = [sys.executable, "-m", "ltml_dataset.cli", *arguments, "--workers", str(workers), "--json"]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = after.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return wall, seconds, peak, json.loads(finished.stdout)


def main() -> None:
    """Measure, print, and write the section if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", type=Path, help="folder of a simulated release; made and removed if absent")
    parser.add_argument("--studies", type=int, default=227_835)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        release = options.release or simulate_release(Path(scratch) / "release", options.studies).root
        reports = release / "mimic-cxr-reports.zip"
        load = os.getloadavg()[0]
        wall, seconds, peak, summary = run_whole(release, Path(scratch) / "whole", options.workers)
        config = BuildConfig(reports=reports, metadata=release, out=Path(scratch) / "stages")
        opening, job = cpu(lambda: open_job(config))
        hashing, _ = cpu(lambda: hashlib.sha256(reports.read_bytes()).hexdigest())
        stages = [Stage("open: find, check, hash", opening, "hash the archive", hashing)]
        stages += bench_labels(job, reports)
        after, manifest = bench_folder(job, job.out)
        stages += after
    body = page(stages, manifest, options.workers, wall, seconds, peak, summary)
    if load > 0.5:
        body += (
            f" Other work was running on the machine (load {load:.1f} before the call), so the time passed is too long."
        )
    print(body)
    if options.write:
        write_section("build", "Building a data set", body)


def page(
    stages: list[Stage], manifest: Manifest, workers: int, wall: float, seconds: float, peak: float, summary: Summary
) -> str:
    """The section of the performance page."""
    counts = manifest.counts
    lines = ["| stage | CPU s | floor | CPU s | times the floor |", "| --- | ---: | --- | ---: | ---: |"]
    for stage in stages:
        has_floor = not math.isnan(stage.floor)
        floor, ratio = (f"{stage.floor:.2f}", f"{stage.seconds / stage.floor:.1f}") if has_floor else ("", "")
        lines.append(f"| {stage.name} | {stage.seconds:.2f} | {stage.floor_is} | {floor} | {ratio} |")
    lines.append(f"| all | {sum(stage.seconds for stage in stages):.2f} | | | |")
    by_stage = ", ".join(f"{name} {value:.1f}" for name, value in summary["seconds"].items())
    first = (
        f"`python scripts/bench_build.py --write`: a simulated release of {counts['reports']:,} reports "
        f"({counts['mentions']:,} mentions, {counts['images']:,} images of frontal views), {machine()}. Figures and "
        "card cost the same for any number of reports."
    )
    last = (
        f"One call of `build` from the archive to the finished folder with {workers} worker processes: {wall:.1f} s "
        f"passed (by stage: {by_stage}), {seconds:.1f} s of CPU in all processes, {peak:,.0f} MiB at the peak of the "
        "largest process. Simulated reports repeat their sentences more than real ones do, and the labeler judges each "
        "sentence once: real reports take longer to label."
    )
    return "\n".join([first, "", *lines, "", last])


if __name__ == "__main__":
    main()
