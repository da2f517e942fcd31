"""How fast reports are labelled: ours, negspaCy, medspaCy and the bare phrase scan, in one run.

    python scripts/bench_label.py REPORTS [--text-column findings,impression] [--reports 20000] [--corpus 227835]

REPORTS is any table of reports; its sentences are the material. It is enlarged to `--reports`, 38 % of the sentences
being unlike any before (the share in Open-I): a new sentence is the beginning of one real sentence and the end of
another, so that it holds real findings and cues and no cache can know it. Seconds are CPU seconds of one process; the
figure is the median of `--repeats` fresh runs. `--corpus N` also times the `label` command on N reports of
MIMIC-CXR's length (about 650 characters, hard-wrapped, with section titles) with two workers. The table is written
into its section of docs/performance.md.
"""

import argparse
import importlib.util
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from performance_page import write_section

from ltml_dataset.labeling.compiled import Role
from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.sources import open_source
from ltml_dataset.text.sentences import split_sentences
from ltml_lexicons.lexicon import load_lexicon

UNIQUE_SHARE = 0.38
BATCH = 4096
MEASURE = """
import resource, subprocess, sys, time
begin = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
"""A small process of its own, so that the peak memory is not the benchmark's."""
SLOW_SAMPLE = 1000
"""Reports given to the spaCy pipelines, which would take minutes on all."""


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports_file", type=Path)
    parser.add_argument("--text-column", default="findings,impression")
    parser.add_argument("--reports", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--corpus", type=int, default=0)
    options = parser.parse_args()
    columns = tuple(options.text_column.split(","))
    base = [report for report in read_reports(options.reports_file, columns) if any(report)]
    enlarged, share = enlarge(base, options.reports)
    n_characters = sum(len(text) for report in enlarged for text in report)
    rows: list[tuple[str, float | None, str]] = []
    batches = as_batches(enlarged, columns)
    for name, call in (("labels", Labeler.label_batch), ("labels and evidence", Labeler.judge_batch)):
        seconds = [timed(lambda call=call: run_ours(call, batches, columns)) for _ in range(options.repeats)]
        rows.append((f"LTML labeler, {name}", len(enlarged) / statistics.median(seconds), ""))
    joined = [" ".join(report) for report in enlarged]
    seconds = [timed(lambda: raw_scan(joined)) for _ in range(options.repeats)]
    rows.append(("bare scan for the phrases (pyahocorasick), no labels", len(joined) / statistics.median(seconds), ""))
    for name, module, run in (("negspaCy", "negspacy", run_negspacy), ("medspaCy ConText", "medspacy", run_medspacy)):
        if importlib.util.find_spec(module) is None:
            rows.append((name, None, f"skipped: `{module}` is not installed beside this project's spaCy"))
            continue
        sample = joined[:SLOW_SAMPLE]
        rows.append((name, len(sample) / statistics.median([run(sample) for _ in range(options.repeats)]), ""))
    text = "`python scripts/bench_label.py REPORTS --corpus 227835`: "
    text += as_markdown(rows, len(enlarged), share, n_characters, options)
    if options.corpus:
        text += corpus_lines(base, options.corpus)
    print(text)
    write_section("labeling", "Labeling", text)


def read_reports(path: Path, columns: tuple[str, ...]) -> list[list[str]]:
    """Texts of every report, one string a column."""
    source = open_source(path, text_columns=columns)
    reports: list[list[str]] = []
    for partition in source.partitions():
        batch, _ = source.read(partition)
        texts = [batch.column(name).to_pylist() for name in source.text_columns]
        reports.extend([text or "" for text in row] for row in zip(*texts, strict=True))
    return reports


def enlarge(base: list[list[str]], n: int, seed: int = 0) -> tuple[list[list[str]], float]:
    """`n` reports of which `UNIQUE_SHARE` of the sentences are new when they are read, and the share reached."""
    rng = random.Random(seed)
    split = [[[text[a:b] for a, b in split_sentences(text)] for text in report] for report in base]
    words = [sentence.split(" ") for report in split for column in report for sentence in column]
    seen: set[str] = set()
    reports: list[list[str]] = []
    n_sentences = n_new = 0
    for i in range(n):
        columns = []
        for column in split[i % len(split)]:
            sentences = []
            for sentence in column:
                if n_new < UNIQUE_SHARE * n_sentences:
                    while sentence in seen:
                        head, tail = rng.choice(words), rng.choice(words)
                        beginning = head[: rng.randint(1, len(head))]
                        sentence = " ".join(beginning + tail[rng.randrange(len(tail)) :])
                n_sentences += 1
                n_new += sentence not in seen
                seen.add(sentence)
                sentences.append(sentence)
            columns.append(" ".join(sentences))
        reports.append(columns)
    return reports, n_new / n_sentences


def as_batches(reports: list[list[str]], columns: tuple[str, ...]) -> list[pa.RecordBatch]:
    """Batches as a source hands them out."""
    return [
        pa.record_batch(
            {
                "report_id": pa.array([str(i) for i in range(first, min(first + BATCH, len(reports)))]),
                **{name: pa.array([r[j] for r in reports[first : first + BATCH]]) for j, name in enumerate(columns)},
            }
        )
        for first in range(0, len(reports), BATCH)
    ]


def timed(run: Callable[[], float | None]) -> float:
    """CPU seconds of a run, or what it says itself (without its set-up)."""
    begin = time.process_time()
    own = run()
    return own if own is not None else time.process_time() - begin


def run_ours(
    call: Callable[[Labeler, pa.RecordBatch], object], batches: list[pa.RecordBatch], columns: tuple[str, ...]
) -> float:
    """A fresh labeler over all batches; its start is not counted."""
    labeler = Labeler(text_columns=columns)
    begin = time.process_time()
    for batch in batches:
        call(labeler, batch)
    return time.process_time() - begin


def phrases() -> list[tuple[str, str]]:
    """(label id, phrase) of the CheXpert-type phrases, without stems."""
    lexicon = load_lexicon()
    labels = [label for label in lexicon.labels.values() if label.origin == "chexpert"]
    return [(label.id, phrase.text) for label in labels for phrase in label.mentions if not phrase.stem]


def raw_scan(texts: list[str]) -> float:
    """All phrases of the 39 labels found in the raw text, nothing decided."""
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for label in load_lexicon().labels.values():
        for phrase in label.mentions:
            automaton.add_word(phrase.text, Role.PHRASE)
    automaton.make_automaton()
    begin = time.process_time()
    for text in texts:
        for _ in automaton.iter(text.lower()):
            pass
    return time.process_time() - begin


def run_negspacy(texts: list[str]) -> float:
    """Blank English, sentencizer, entity ruler with the phrases, negex."""
    import negspacy.negation  # noqa: F401  (registers the component)
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    ruler = nlp.add_pipe("entity_ruler", config={"phrase_matcher_attr": "LOWER"})
    ruler.add_patterns([{"label": label, "pattern": text} for label, text in phrases()])
    nlp.add_pipe("negex")
    begin = time.process_time()
    for _ in nlp.pipe(texts):
        pass
    return time.process_time() - begin


def run_medspacy(texts: list[str]) -> float:
    """medspaCy's sentence splitter, target matcher and ConText, with the phrases."""
    import medspacy
    from medspacy.target_matcher import TargetRule

    nlp = medspacy.load(enable=["medspacy_pyrush", "medspacy_target_matcher", "medspacy_context"])
    nlp.get_pipe("medspacy_target_matcher").add([TargetRule(text, label) for label, text in phrases()])
    begin = time.process_time()
    for _ in nlp.pipe(texts):
        pass
    return time.process_time() - begin


def as_markdown(
    rows: list[tuple[str, float | None, str]], n: int, share: float, n_characters: int, options: argparse.Namespace
) -> str:
    """The table."""
    ours = rows[0][1] or 0.0
    lines = [
        f"{n:,} reports of {n_characters / n:.0f} characters on average, {share:.0%} of the sentences new when they "
        f"are read; CPU seconds of one process, median of {options.repeats} runs; Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores.",
        "",
        "| what | reports per CPU second | ours is faster by |",
        "| --- | ---: | ---: |",
    ]
    for name, rate, remark in rows:
        if rate is None:
            lines.append(f"| {name} | {remark} | |")
        else:
            lines.append(f"| {name} | {rate:,.0f} | {ours / rate:,.2f} x |")
    return "\n".join(lines) + "\n"


def corpus_lines(base: list[list[str]], n: int) -> str:
    """Wall time and memory of the `label` command on a corpus of MIMIC-CXR's size."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "reports.parquet"
        n_characters = write_corpus(base, n, table)
        out = Path(folder) / "labels.parquet"
        command = [sys.executable, "-m", "ltml_dataset.cli", "label", str(table), "--out", str(out), "--workers", "2"]
        measured = subprocess.run(
            [sys.executable, "-c", MEASURE, *command], check=True, capture_output=True, text=True
        ).stdout
    wall, cpu, peak = map(float, measured.split())
    unit = 1 if platform.system() == "Darwin" else 1024
    return (
        f"\nThe `label` command on {n:,} reports of {n_characters / n:.0f} characters with section titles and hard "
        f"wraps, two workers, from a Parquet table to the label file: {wall:.1f} s passed, "
        f"{cpu:.1f} s of CPU, {peak * unit / 2**20:,.0f} MiB at the peak of the largest process; load average "
        f"{os.getloadavg()[0]:.1f} at the end (2 is this command alone).\n"
    )


def write_corpus(base: list[list[str]], n: int, path: Path) -> int:
    """`n` wrapped reports of about 650 characters; returns the number of characters."""
    schema = pa.schema([("report_id", pa.string()), ("text", pa.string())])
    n_characters = 0
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, n, 20_000):
            count = min(20_000, n - first)
            parts, _ = enlarge(base, 2 * count, seed=first)
            texts = []
            for i in range(count):
                body = [" ".join(pair).strip() for pair in zip(parts[2 * i], parts[2 * i + 1], strict=True)]
                titles = ["FINDINGS", "IMPRESSION"][-len(body) :]
                wrapped = [textwrap.fill(f"{title}:  {text}", 78) for title, text in zip(titles, body, strict=True)]
                texts.append("\n\n".join(["EXAMINATION:  CHEST (PA AND LAT)", "INDICATION:  Cough.", *wrapped]))
            n_characters += sum(map(len, texts))
            writer.write_table(pa.table([[f"r{first + i}" for i in range(count)], texts], schema=schema))
    return n_characters


if __name__ == "__main__":
    main()
