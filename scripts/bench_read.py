"""Reports read per CPU second: our reader, Python's zipfile, and the floor beneath both.

    python scripts/bench_read.py [REPORTS.zip] [--studies 50000] [--repeats 3] [--write]

Without an archive, a release of --studies simulated studies is written to a temporary folder and removed. The floor
inflates each member and checks its CRC, and does nothing else. Every line is the best of --repeats, in this process.
"""

import argparse
import gzip
import mmap
import platform
import resource
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from performance_page import machine, write_section

from ltml_dataset.simulate import simulate_release
from ltml_dataset.sources import open_source
from ltml_dataset.sources.zip_directory import data_starts, read_directory
from ltml_dataset.text.sections import Policy, sections_to_label


def read_source(path: Path) -> int:
    """Read every report behind a path, and return how many."""
    source = open_source(path)
    return sum(source.read(partition)[0].num_rows for partition in source.partitions())


def read_zipfile(path: Path) -> int:
    """Read every report with Python's zipfile."""
    with zipfile.ZipFile(path) as archive:
        return sum(archive.read(name).decode("utf-8") is not None for name in archive.namelist())


def floor_of(path: Path) -> Callable[[], int]:
    """Inflating and checking every member of an archive whose directory is already read."""
    members = read_directory(path)
    with path.open("rb") as stream:
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    starts = data_starts(data, members.offset)[0]
    rows = list(
        zip(
            starts.tolist(),
            (starts + members.packed).tolist(),
            members.size.tolist(),
            members.crc.tolist(),
            strict=True,
        )
    )

    def inflate() -> int:
        with memoryview(data) as view:
            return sum(zlib.crc32(zlib.decompress(view[a:b], -15, size)) == crc for a, b, size, crc in rows if size)

    return inflate


def all_reports(path: Path) -> pa.Table:
    """Every report in memory."""
    source = open_source(path)
    return pa.Table.from_batches([source.read(partition)[0] for partition in source.partitions()])


def measure(name: str, work: Callable[[], int], repeats: int) -> str:
    """Print one line, and return it as a row of Markdown."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        n_reports = work()
        best = min(best, time.process_time() - start)
    print(f"{name:<34}{n_reports:>10,}{best:>10.2f}{n_reports / best:>14,.0f}", flush=True)
    return f"| {name} | {n_reports / best:,.0f} | {best / n_reports * 1e6:.1f} |"


def measure_all(path: Path, folder: Path, repeats: int) -> list[str]:
    """Every line, for an archive of reports and a folder to write in."""
    rows = [
        measure("archive, floor: inflate and check", floor_of(path), repeats),
        measure("archive, listed only", lambda: sum(p.rows for p in open_source(path).partitions()), repeats),
        measure("archive", lambda: read_source(path), repeats),
        measure("archive, Python's zipfile", lambda: read_zipfile(path), repeats),
    ]
    table = all_reports(path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "tree")
    rows.append(measure("folder of text files", lambda: read_source(folder / "tree"), repeats))
    columns = table.select(["report_id", "text"])
    csv.write_csv(columns, folder / "t.csv")
    with gzip.open(folder / "t.csv.gz", "wb", compresslevel=6) as packed:
        packed.write((folder / "t.csv").read_bytes())
    pq.write_table(columns, folder / "t.parquet", compression="zstd")
    for kind in ("parquet", "csv", "csv.gz"):
        rows.append(measure(f"table, .{kind}", lambda kind=kind: read_source(folder / f"t.{kind}"), repeats))
    texts = table["text"].to_pylist()
    for policy in ("default", "official"):

        def parse(policy: Policy = policy) -> int:
            return sum(1 for text in texts if sections_to_label(text, policy) is not None)

        rows.append(measure(f"sections, {policy} rules", parse, repeats))
    return rows


def main() -> None:
    """Measure, print, and write the section of docs/performance.md if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="?")
    parser.add_argument("--studies", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = options.reports or simulate_release(folder / "release", options.studies).reports
        print(f"{'':<34}{'reports':>10}{'CPU s':>10}{'per CPU s':>14}")
        rows = measure_all(path, folder, options.repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)
    print(f"{peak / 2**20:.0f} MiB at the peak; {machine()}")
    if options.write:
        if options.reports:
            parser.error("--write measures simulated reports: leave out the archive")
        table = "\n".join(["| what | reports per CPU second | \u00b5s per report |", "| --- | ---: | ---: |", *rows])
        command = f"python scripts/bench_read.py --studies {options.studies} --repeats {options.repeats} --write"
        write_section(
            "reading",
            "Reading reports",
            f"`{command}`: simulated reports, best of {options.repeats}, {machine()}. The floor inflates each member "
            "and checks its CRC, and "
            f"does nothing else.\n\n{table}",
        )


if __name__ == "__main__":
    main()
