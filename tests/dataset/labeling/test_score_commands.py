"""`score` and `compare` as a user calls them."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ltml_dataset.cli import main


@pytest.fixture
def files(tmp_path: Path) -> Path:
    labels = {"report_id": ["a", "b", "c"], "Edema": [1, 1, None], "No Finding": [None, None, 1]}
    gold = {"report_id": ["a", "b", "c"], "Edema": [1, 0, 1], "No Finding": [None, None, 1]}
    evidence = {
        "report_id": ["a", "b", "b"],
        "label": ["Edema", "Edema", "Fracture"],
        "phrase": ["edema", "congestion", "fracture"],
        "status": [1, 1, 0],
    }
    for name, columns in (("labels", labels), ("gold", gold), ("evidence", evidence)):
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    return tmp_path


def test_score_prints_tables_and_the_phrases_of_false_positives(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        str(files / "labels.parquet"),
        str(files / "gold.parquet"),
        "--evidence",
        str(files / "evidence.parquet"),
    ]
    assert main(["score", *arguments, "--errors", str(files / "errors.csv")]) == 0
    shown = capsys.readouterr().out
    assert "Edema" in shown
    assert "0.500" in shown
    assert "congestion" in shown
    with (files / "errors.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert rows == [
        {"report_id": "b", "label": "Edema", "predicted": "1", "gold": "0", "phrases": "congestion (1)"},
        {"report_id": "c", "label": "Edema", "predicted": "", "gold": "1", "phrases": ""},
    ]


def test_score_as_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(files / "labels.parquet"), str(files / "gold.parquet"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["labels"]["Edema"]["f1"] == 0.5
    assert summary["micro"]["false_negative"] == 1
    assert summary["macro_labels"] == 1


def test_compare_lists_and_writes_differences(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = files / "differences.csv"
    assert main(["compare", str(files / "labels.parquet"), str(files / "gold.parquet"), "--out", str(out)]) == 0
    assert "Edema: b, c" in capsys.readouterr().out
    assert out.read_text(encoding="utf-8").splitlines()[1:] == ["b,Edema,1,0", "c,Edema,,1"]


def test_an_unknown_label_is_the_users_error(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(files / "labels.parquet"), str(files / "gold.parquet"), "--labels", "Oedema"]) == 1
    assert "`Oedema` is not in both tables" in capsys.readouterr().err
