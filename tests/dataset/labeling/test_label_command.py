"""`label` and `explain` from the command line."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from marked_text import all_marked

from ltml_dataset.cli import main
from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.schema import EVIDENCE_SCHEMA, label_schema

LINES = [line.text for line in all_marked()]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "reports.parquet"
    texts = [*LINES, None, ""]
    pq.write_table(pa.table({"report_id": [f"r{i}" for i in range(len(texts))], "text": texts}), path)
    return path


def run(*tokens: object) -> int:
    return main([str(token) for token in tokens])


def test_one_row_per_report_in_input_order(table: Path, tmp_path: Path) -> None:
    out, evidence = tmp_path / "labels.parquet", tmp_path / "evidence.parquet"
    assert run("label", table, "--out", out, "--evidence", evidence, "--workers", 1) == 0
    labels = pq.read_table(out)
    assert labels.schema.equals(label_schema(Labeler.default().label_names))
    assert labels["report_id"].to_pylist() == [f"r{i}" for i in range(len(LINES) + 2)]
    rows = pq.read_table(evidence)
    assert rows.schema.equals(EVIDENCE_SCHEMA)
    for row in rows.to_pylist():
        text = LINES[int(row["report_id"][1:])]
        assert text[row["start"] : row["end"]] == row["text"]


def test_workers_do_not_change_a_byte(table: Path, tmp_path: Path) -> None:
    files = []
    for workers in (1, 2):
        out, evidence = tmp_path / f"labels{workers}.parquet", tmp_path / f"evidence{workers}.parquet"
        assert run("label", table, "--out", out, "--evidence", evidence, "--workers", workers) == 0
        files.append((out.read_bytes(), evidence.read_bytes()))
    assert files[0] == files[1]


def test_row_groups_do_not_show_how_the_work_was_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "reports.jsonl"
    path.write_text("".join(json.dumps({"report_id": f"r{i}", "text": line}) + "\n" for i, line in enumerate(LINES)))
    files = []
    for size in (7, 4096):
        monkeypatch.setattr("ltml_dataset.building.label_file.REPORTS_PER_PARTITION", size)
        monkeypatch.setattr("ltml_dataset.building.label_file.ROWS_PER_GROUP", 50)
        out = tmp_path / f"{size}.parquet"
        assert run("label", path, "--out", out, "--workers", 1) == 0
        files.append(out.read_bytes())
    assert files[0] == files[1]


def test_several_text_columns(tmp_path: Path) -> None:
    path, out = tmp_path / "reports.csv", tmp_path / "labels.parquet"
    path.write_text("report_id,findings,impression\na,No effusion.,Small effusion.\n")
    assert run("label", path, "--text-column", "findings,impression", "--out", out, "--workers", 1) == 0
    assert pq.read_table(out)["Pleural Effusion"].to_pylist() == [1]


def test_the_json_summary_counts_states(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "labels.parquet"
    assert run("label", table, "--out", out, "--json", "--workers", 1) == 0
    summary = json.loads(capsys.readouterr().out)
    column = pq.read_table(out)["Cardiomegaly"].to_pylist()
    assert summary["reports"] == len(LINES) + 2
    assert summary["mentions"] is None
    assert summary["labels"]["Cardiomegaly"] == {
        "present": column.count(1),
        "uncertain": column.count(-1),
        "absent": column.count(0),
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "0"], "1 or more"),
        (["--label-set", "no_such"], "unknown"),
        (["--text-column", "body"], "body"),
    ],
)
def test_mistakes_are_one_sentence(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run("label", table, "--out", tmp_path / "labels.parquet", *arguments) == 1
    message = capsys.readouterr().err
    assert message.startswith("Error: ")
    assert words in message
    assert not (tmp_path / "labels.parquet").exists()


def test_a_place_that_cannot_be_written_is_named(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("label", table, "--out", table / "labels.parquet", "--workers", 1) == 1
    assert "could not be written" in capsys.readouterr().err


def test_explain_shows_mentions_cues_and_labels(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "FINDINGS: No pneumothorax. The heart is enlarged. Possible pneumonia.") == 0
    shown = capsys.readouterr().out
    for words in ("Pneumothorax  absent", "Cardiomegaly  present", "Pneumonia     uncertain", "Possible", "negation"):
        assert words in shown
    assert "present: Cardiomegaly" in shown
    assert "absent: Pneumothorax" in shown


def test_explain_as_json_reads_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.txt"
    path.write_text("IMPRESSION:\n  Small effusion.\n")
    assert run("explain", path, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["labels"] == {"Pleural Effusion": 1}
    assert [(m["label"], m["text"], m["section"]) for m in content["mentions"]] == [
        ("Pleural Effusion", "effusion", "impression")
    ]


def test_explain_of_a_missing_file_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "no_such_report.txt") == 1
    assert "was not found" in capsys.readouterr().err


def test_explain_of_a_whole_report_is_as_written_down(capsys: pytest.CaptureFixture[str]) -> None:
    golden = Path(__file__).parents[2] / "golden"
    assert run("explain", golden / "explain_report.txt") == 0
    shown = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    expected = (golden / "explain_output.txt").read_text(encoding="utf-8").splitlines()
    assert shown == [line.rstrip() for line in expected]
