"""Reports of which nothing was read are blank, counted, named and explained: by `label`, `build` and their files."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ltml_dataset.cli import main
from ltml_dataset.config import BuildConfig
from ltml_dataset.export.manifest import read_manifest
from ltml_dataset.pipeline import build

MISSING = ["nan", "NaN", "None", "N/A", "___", ".", "Not available.", ""]
SILENT = ["Indication: Zzyzx pneumonia.", "Clinical history: zzyzx.", "History: cough. Comparison: None."]
GOOD = ["FINDINGS: Small left effusion.", "Normal chest."]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    texts = [*MISSING, *SILENT, *GOOD]
    lines = [json.dumps({"report_id": f"r{i}", "text": text}) for i, text in enumerate(texts)]
    lines += [json.dumps({"report_id": f"n{i}", "text": value}) for i, value in enumerate((None, float("nan")))]
    path = tmp_path / "reports.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_label_leaves_them_blank_and_says_why(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "labels.parquet"
    main(["label", str(table), "--out", str(out), "--workers", "1", "--json"])
    printed = capsys.readouterr()
    rows = {row.pop("report_id"): row for row in pq.read_table(out).to_pylist()}
    blank = [name for name, row in rows.items() if all(value is None for value in row.values())]
    assert blank == [f"r{i}" for i in range(len(MISSING) + len(SILENT))] + ["n0", "n1"]
    summary = json.loads(printed.out)
    assert (summary["reports_without_text"], summary["reports_not_read"]) == (10, 3)
    reasons = {entry["reason"]: entry for entry in summary["not_read"]}
    assert reasons["its text is in sections that are not read (indication)"]["first"] == ["r8"]
    assert reasons["its text is in sections that are not read (history)"]["reports"] == 2
    assert "--sections all" in printed.err
    assert "Warning: nothing was read of 3 reports with text (60.0% of those with text)" in printed.err
    assert "zzyzx" not in printed.err.lower()


def test_build_names_them_in_manifest_and_card(table: Path, tmp_path: Path) -> None:
    manifest = build(BuildConfig(reports=table, out=tmp_path / "set", workers=1)).manifest
    assert manifest == read_manifest(tmp_path / "set")
    assert manifest.counts["reports_without_text"] == 10
    assert manifest.counts["reports_not_read"] == 3
    reasons = {skip.input: skip.reason for skip in manifest.skipped}
    assert reasons["r0"] == "has no text"
    assert reasons["r8"] == "its text is in sections that are not read (indication)"
    card = (tmp_path / "set" / "README.md").read_text()
    assert "nothing was read of 3 reports" in card
    assert "zzyzx" not in card.lower()


def test_columns_of_sections_count_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id,indication,findings\na,Pneumonia.,nan\nb,Pneumonia.,Clear lungs.\nc,nan,N/A\n")
    main(["label", str(table), "--out", str(tmp_path / "l.parquet"), "--workers", "1", "--json"])
    summary = json.loads(capsys.readouterr().out)
    assert (summary["reports_without_text"], summary["reports_not_read"]) == (1, 1)
