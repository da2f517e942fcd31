"""Damaged and strange inputs by the thousand: each ends well or in one sentence, never in a traceback or a hang.

`run(target, n, seed)` is what `scripts/fuzz` and the bounded tests call. The same seed makes the same inputs.
"""

import gzip
import io
import json
import random
import signal
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ltml_dataset.config import read_recipe
from ltml_dataset.errors import UserError
from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.sources import open_source
from ltml_dataset.sources.labelled import read_labelled
from ltml_dataset.text.sections import POLICIES, find_sections, sections_to_label
from ltml_lexicons.choose import choose_labels
from ltml_lexicons.errors import LexiconError

SECONDS = 20
"""After which one input counts as a hang."""

TEXTS = (
    "FINDINGS: Small left effusion. IMPRESSION: Edema.",
    "Indication: cough\nFindings:\nHeart: enlarged. Lungs: clear.\nImpression: 1. CHF.",
    "Name: Nobody Age: 45 Sex: F Date: 01/02/2020 The lungs are clear. Adv: CT",
    "                 FINAL REPORT\n EXAMINATION: CHEST\n \n COMPARISON: ___\n \n No pneumothorax.",
    "**IMPRESSION**\n- No acute disease\n____________\nADDENDUM by ___",
    "clinical details | cough | report | clear | opinion | normal",
)
PIECES = (
    ":", "|", "\t", "\n", "\r\n", "___", "Findings", "IMPRESSION", "history:", "Age: 1", ".", ";", "\x00", "\ud7ff", "\uff1a",  # noqa: E501
    "\u200b", "  ", "(", ")", "[", "<b>", "\\n", "-", "1.", "No", "not", "?", "effusion", "\u2028", "A" * 300, "\U0001f600",  # noqa: E501
)  # fmt: skip


class Hang(Exception):
    """One input took too long."""


def strange_text(rnd: random.Random) -> str:
    """A report with pieces moved, cut, doubled and thrown in."""
    text = rnd.choice(TEXTS)
    for _ in range(rnd.randrange(12)):
        place = rnd.randrange(len(text) + 1)
        end = min(len(text), place + rnd.randrange(20))
        text = text[:place] + rnd.choice((*PIECES, text[place:end] * 2, "")) + text[rnd.choice((place, end)) :]
    return text


def damaged(rnd: random.Random, data: bytes) -> bytes:
    """Bytes with some flipped, cut out, doubled or put in."""
    changed = bytearray(data)
    for _ in range(rnd.choice((1, 1, 2, 5, 20))):
        place = rnd.randrange(len(changed) + 1)
        match rnd.randrange(5):
            case 0 if place < len(changed):
                changed[place] ^= 1 << rnd.randrange(8)
            case 1:
                del changed[place : place + rnd.randrange(1, 40)]
            case 2:
                changed[place:place] = rnd.randbytes(rnd.randrange(1, 12))
            case 3:
                changed[place:place] = changed[place : place + 30]
            case _:
                changed[place:place] = rnd.choice((b'"', b",", b"\n", b"{", b"[", b"\xff", b"\x00", b":", b"- "))
    return bytes(changed[: rnd.randrange(len(changed) + 1)]) if rnd.random() < 0.1 else bytes(changed)


def _reads(path: Path) -> None:
    source = open_source(path)
    for partition in source.partitions():
        batch, _ = source.read(partition)
        batch.validate(full=True)


_labeler: list[Labeler] = []


def _label(rnd: random.Random, _: Path) -> None:
    if not _labeler:
        _labeler.append(Labeler.default())
    texts = [strange_text(rnd) for _ in range(4)]
    batch = pa.record_batch(
        {"report_id": [str(i) for i in range(4)], "text": [t.encode("utf-8", "replace").decode() for t in texts]}
    )
    labels, evidence = _labeler[0].judge_batch(batch)
    assert labels.num_rows == 4
    for row in evidence.to_pylist():
        assert batch.column("text")[row["row"]].as_py()[row["start"] : row["end"]] == row["text"]


def _sections(rnd: random.Random, _: Path) -> None:
    text = strange_text(rnd)
    for policy in POLICIES:
        found = find_sections(text, policy)
        assert all(0 <= s.start <= s.end <= len(text) for s in (*found, *sections_to_label(text, policy)))


def _zip(rnd: random.Random, folder: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for study in range(3):
            archive.writestr(f"files/p10/p10000032/s5000000{study}.txt", strange_text(rnd).encode("utf-8", "replace"))
    (folder / "mimic-cxr-reports.zip").write_bytes(damaged(rnd, stream.getvalue()))
    _reads(folder / "mimic-cxr-reports.zip")


def _openi(rnd: random.Random, folder: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz" if rnd.random() < 0.3 else "w") as archive:
        for number in range(3):
            text = rnd.choice(TEXTS).replace("<", "&lt;")
            xml = f'<r><uId id="CXR{number}"/><AbstractText Label="FINDINGS">{text}</AbstractText></r>'.encode()
            data = damaged(rnd, xml) if rnd.random() < 0.5 else xml
            member = tarfile.TarInfo(f"{number}.xml")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    data = stream.getvalue()
    (folder / "NLMCXR_reports.tgz").write_bytes(damaged(rnd, data) if rnd.random() < 0.5 else data)
    _reads(folder / "NLMCXR_reports.tgz")


def _table(rnd: random.Random, folder: Path, name: str, data: bytes) -> None:
    data = damaged(rnd, data)
    if name != "t.parquet" and rnd.random() < 0.2:
        data = gzip.compress(data)
        data = damaged(rnd, data) if rnd.random() < 0.5 else data
    path = folder / name
    path.write_bytes(data)
    for read in (_reads, read_labelled):
        try:
            read(path)
        except UserError:
            if read is read_labelled:
                raise


def _rows(rnd: random.Random) -> list[dict[str, object]]:
    return [
        {
            "report_id": rnd.choice((i, f"r{i}", float(i), None)),
            "subject_id": i // 2,
            "text": strange_text(rnd),
            "Edema": rnd.choice((0, 1, -1, None)),
            "Mass": rnd.choice((0, 1)),
        }
        for i in range(rnd.randrange(1, 6))
    ]


def _csv(rnd: random.Random, folder: Path) -> None:
    rows = _rows(rnd)
    cells = [[str(cell).replace('"', '""') for cell in row.values()] for row in rows]
    lines = [",".join(rows[0]), *(",".join(f'"{cell}"' for cell in row) for row in cells)]
    _table(rnd, folder, "t.csv", "\n".join(lines).encode("utf-8", "replace"))


def _jsonl(rnd: random.Random, folder: Path) -> None:
    rows = _rows(rnd)
    text = json.dumps(rows) if rnd.random() < 0.4 else "\n".join(map(json.dumps, rows))
    _table(rnd, folder, "t.jsonl", text.encode())


def _parquet(rnd: random.Random, folder: Path) -> None:
    rows = [
        {**row, "report_id": str(row["report_id"]), "text": str(row["text"]).encode("utf-8", "replace").decode()}
        for row in _rows(rnd)
    ]
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    _table(rnd, folder, "t.parquet", stream.getvalue())


def _yaml(rnd: random.Random, folder: Path) -> None:
    recipe = b"reports: a.zip\nsplit:\n  ratios: '7:1:2'\n  seed: 0\nuncertain: zero\nlabel_set: ltml39\nhead: 10\n"
    label_set = b"id: mine\nname: My Label\nindex: 0\norigin: own\ndefinition: x\nparents: []\nmentions:\n  - {text: blob, source: dev}\n"  # noqa: E501
    path = folder / "r.yaml"
    path.write_bytes(damaged(rnd, rnd.choice((recipe, label_set))))
    for read in (lambda: read_recipe(path, {}), lambda: choose_labels(path)):
        try:
            read()
        except (UserError, LexiconError):
            continue


TARGETS: dict[str, Callable[[random.Random, Path], None]] = {
    "label": _label,
    "sections": _sections,
    "zip": _zip,
    "openi": _openi,
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "yaml": _yaml,
}


def run(target: str, n: int, seed: int = 0) -> Counter[str]:
    """Try `n` inputs.

    Returns:
        How many were read and refused, and the failures by name of the exception; the first is raised by `main`.
    """
    results: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        for number in range(n):
            folder = Path(name) / str(number)
            folder.mkdir()
            try:
                with _limited():
                    TARGETS[target](random.Random(f"{target} {seed} {number}"), folder)
                results["read"] += 1
            except (UserError, LexiconError):
                results["refused in one sentence"] += 1
            except Exception as error:
                results[f"{type(error).__name__} at {seed}/{number}"] += 1
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
    return results


@contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def failures(results: Counter[str]) -> dict[str, int]:
    """What is neither read nor refused."""
    return {name: count for name, count in results.items() if name not in ("read", "refused in one sentence")}
