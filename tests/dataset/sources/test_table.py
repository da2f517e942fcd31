"""Tables as sources of reports."""

import gzip
import json
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ltml_dataset.errors import UserError
from ltml_dataset.records import Skip
from ltml_dataset.schema import report_schema
from ltml_dataset.sources import Source, open_source

ROWS = [{"report_id": f"r{i}", "text": f'No effusion,\nbut "{i}" nodules.'} for i in range(25)]


def csv_text(rows: list[dict[str, str]]) -> str:
    lines = [",".join(rows[0])]
    lines += [",".join('"' + str(value).replace('"', '""') + '"' for value in row.values()) for row in rows]
    return "\n".join(lines) + "\n"


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
        return path
    content = "\n".join(json.dumps(row) for row in rows) if ".jsonl" in path.name else csv_text(rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_text(content, encoding="utf-8")
    return path


def read_all(source: Source, size: int = 4096) -> tuple[list[dict[str, object]], list[Skip]]:
    rows: list[dict[str, object]] = []
    skips: list[Skip] = []
    for partition in source.partitions(size):
        batch, skipped = source.read(partition)
        rows += batch.to_pylist()
        skips += skipped
    return rows, skips


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl", "t.jsonl.gz", "t.parquet", "misnamed.dat"])
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    source = open_source(write(tmp_path / name, ROWS))
    assert source.kind == "table"
    assert source.text_columns == ("text",)
    assert not source.credentialed
    rows, skips = read_all(source, size=4)
    assert [row["report_id"] for row in rows] == [row["report_id"] for row in ROWS]
    assert [row["text"] for row in rows] == [row["text"] for row in ROWS]
    assert skips == []


def test_partitions_are_read_in_any_order_and_process(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "t.csv", ROWS))
    partitions = source.partitions(10)
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301
    for partition in reversed(partitions):
        batch, _ = copy.read(pickle.loads(pickle.dumps(partition)))  # noqa: S301
        assert batch.schema.equals(report_schema(("text",), pa.string()))
        assert batch["report_id"][0].as_py() == f"r{partition.index * 10}"
    assert [p.rows for p in partitions] == [10, 10, 5]


def test_several_text_columns_keep_their_names(tmp_path: Path) -> None:
    rows = [{"uid": "7", "findings": "Clear.", "impression": "Normal."}]
    source = open_source(write(tmp_path / "t.csv", rows), text_columns=["impression", "findings"])
    assert source.text_columns == ("impression", "findings")
    batch, _ = source.read(source.partitions()[0])
    assert batch.to_pylist() == [
        {"report_id": "7", "subject_id": None, "study_id": "7", "impression": "Normal.", "findings": "Clear."}
    ]


def test_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ROWS)
    with pytest.raises(UserError, match="no column `body`; name another with --text-column"):
        open_source(path, text_columns=["body"])
    with pytest.raises(UserError, match="does not exist"):
        open_source(tmp_path / "none.csv")
