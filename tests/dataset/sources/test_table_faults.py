"""Tables with faults: every row that is left out is named, every file that cannot be used is refused in a sentence."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ltml_dataset.errors import UserError
from ltml_dataset.records import Skip
from ltml_dataset.sources import not_utf8, open_source


def read_all(path: Path, size: int = 4096, **options: object) -> tuple[list[dict[str, object]], list[Skip]]:
    source = open_source(path, **options)  # type: ignore[arg-type]
    rows: list[dict[str, object]] = []
    skips: list[Skip] = []
    for partition in source.partitions(size):
        batch, skipped = source.read(partition)
        rows += batch.to_pylist()
        skips += skipped
    return rows, skips


def texts(path: Path, size: int = 4096, **options: object) -> list[tuple[object, object]]:
    return [(row["report_id"], row["text"]) for row in read_all(path, size, **options)[0]]


def test_rows_with_too_many_or_few_fields_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,text\na,one\nb,two,three\nc\nd,four\n")
    rows, skips = read_all(path, 1)
    assert [row["text"] for row in rows] == ["one", "four"]
    assert skips == [
        Skip("t.csv, row 2", "has 3 fields where 2 were expected"),
        Skip("t.csv, row 3", "has 1 fields where 2 were expected"),
    ]


@pytest.mark.parametrize("size", [2, 4096])
def test_repeated_and_missing_ids_are_named(tmp_path: Path, size: int) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,text\na,1\nb,2\na,3\n,4\nc,5\nb,6\n")
    rows, skips = read_all(path, size)
    assert [row["text"] for row in rows] == ["1", "2", "5"]
    assert skips == [
        Skip("t.csv, row 4", "has no id in `id`"),
        Skip("t.csv, row 3", "repeats the id `a` of row 1; the first is used"),
        Skip("t.csv, row 6", "repeats the id `b` of row 2; the first is used"),
    ]


def test_id_column_that_does_not_tell_reports_apart_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,text\n" + "".join(f"{i % 5},x\n" for i in range(100)))
    with pytest.raises(UserError, match="95 of 100 rows repeat an id in `id`"):
        open_source(path).partitions()


def test_empty_reports_stay(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"id": 1, "text": ""}\n\n{"id": 2, "text": null}\n{"id": 3}\n')
    assert texts(path) == [("1", ""), ("2", None), ("3", None)]


def test_ten_megabyte_report(tmp_path: Path) -> None:
    long = "No effusion.\n" * 1_400_000
    path = tmp_path / "t.csv"
    path.write_text(f'id,text\na,"{long}"\nb,short\n')
    assert texts(path) == [("a", long), ("b", "short")]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.csv.gz"])
def test_text_that_is_not_utf8_is_kept_and_noted(tmp_path: Path, name: str) -> None:
    if name == "t.jsonl":
        content = b'{"id": "a", "text": "caf\xe9"}\n{"id": "b", "text": "caf\xc3\xa9"}\n'
    else:
        content = b"id,text\na,caf\xe9\nb,caf\xc3\xa9\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    source = open_source(path)
    batch, _ = source.read(source.partitions()[0])
    assert batch["text"].to_pylist() == ["caf\u00e9", "caf\u00e9"]
    assert not_utf8(batch) == ["a"]


def test_lines_that_are_no_json_objects_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"id": 1, "text": "x"}\n{"id": 2, "te\n[3]\n{"id": 4, "text": ["y"]}\n{"id": 5, "text": "z"}\n')
    rows, skips = read_all(path)
    assert [row["report_id"] for row in rows] == ["1", "5"]
    assert skips == [
        Skip("t.jsonl, row 2", "is not valid JSON"),
        Skip("t.jsonl, row 3", "is not a JSON object"),
        Skip("t.jsonl, row 4", "holds no plain text in `text`"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty|no id column"),
        (b"\xff\xfei\x00d\x00", "UTF-16"),
        (b"\x00\x01\x02", "no source of reports"),
        (b"PAR1 but not parquet", "not a readable Parquet"),
        (b"{not json\n", "one JSON object a line"),
        (
            b"name,text\na,b\n",
            "no id column such as `report_id`; name it with --id-column. Its columns: `name`, `text`",
        ),
        (b"id,words\na,b\n", "no text column"),
        (b"id,id,text\na,b,c\n", "two columns named `id`"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_all(path)


def test_quote_that_never_ends_is_refused_and_not_a_lost_tail(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,text\na,one\nb,"two\n' + "c,three\n" * 1000)
    with pytest.raises(UserError, match="a quoted field is never closed"):
        read_all(path)
    path.write_text('id,text\na,one\nb,"two"\n"c')
    with pytest.raises(UserError, match="a quoted field is never closed"):
        read_all(path)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz"])
def test_cut_gzip_is_refused(tmp_path: Path, name: str) -> None:
    rows = [{"id": i, "text": f"report {i * 7919}"} for i in range(5000)]
    content = (
        "\n".join(json.dumps(row) for row in rows)
        if "jsonl" in name
        else "id,text\n" + "".join(f"{row['id']},{row['text']}\n" for row in rows)
    )
    path = tmp_path / name
    packed = gzip.compress(content.encode())
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UserError, match=r"damaged|cut off|could not be read"):
        read_all(path)


def test_ids_of_many_kinds(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    columns = {
        "study_id": pa.array([50.0, 51.0]),
        "subject_id": pa.array([7, 8], pa.int64()),
        "text": pa.array(["x", "y"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), path)
    rows, _ = read_all(path)
    assert rows[0] == {"report_id": "50", "subject_id": "7", "study_id": "50", "text": "x"}
    path = tmp_path / "names.csv"
    path.write_text("report_id,patient,text\ns90000001,p1,x\ns90000002,p2,y\n")
    rows, _ = read_all(path)
    assert rows[0] == {"report_id": "s90000001", "subject_id": "p1", "study_id": "90000001", "text": "x"}
    path.write_text("report_id,patient,text\ns90000001,1,x\ns90000002,2,y\n")
    rows, _ = read_all(path)
    assert rows[1] == {"report_id": "s90000002", "subject_id": "2", "study_id": "90000002", "text": "y"}
    path.write_text("report_id,text\n01,x\n02,y\n")
    assert read_all(path)[0][0]["study_id"] == "01"
    path.write_text("report_id,text\n1,x\n3000000000,y\n")
    assert read_all(path)[0][0]["study_id"] == "1"


def test_column_without_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": ["a"], "text": [["x"]]}), path)
    with pytest.raises(UserError, match=r"Column `text` of .* holds list<.*>, not text"):
        read_all(path)


def test_other_delimiters_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeffid;text\na;one, two\n".encode())
    assert texts(path) == [("a", "one, two")]
    path.write_text('id\ttext\na\t"one\ttwo"\n')
    assert texts(path) == [("a", "one\ttwo")]


def test_table_that_grew_shorter_while_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,text\n" + "".join(f"{i},x\n" for i in range(100)))
    source = open_source(path)
    partitions = source.partitions(10)
    path.write_text("id,text\n1,x\n")
    with pytest.raises(UserError, match="changed while it was read"):
        source.read(partitions[5])


def test_partitions_of_long_reports_hold_fewer_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,text\n" + "".join(f"{i},{'x' * 4_000_000}\n" for i in range(20)))
    partitions = open_source(path).partitions()
    assert [partition.rows for partition in partitions] == [16, 4]
