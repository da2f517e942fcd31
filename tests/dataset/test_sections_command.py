"""`sections REPORTS --out FILE.csv`."""

import csv
import json
from pathlib import Path

import pytest
from mimic_files import write_zip

from ltml_dataset.cli import main

REPORTS = {
    (99000001, 90000001): '\n INDICATION: Cough.\n \n FINDINGS: Clear,\n "quiet" lungs.\n \n IMPRESSION: Normal.\n',
    (99000001, 90000002): "\n INDICATION: Cough.\n \n The lungs are clear.\n",
    (99000002, 90000003): "\n RECOMMENDATIONS: Effusion.\n \n COMPARISON: None.\n",
    (99000002, 90000004): "",
}


def read(path: Path) -> list[list[str]]:
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def test_file_of_the_official_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, chosen = tmp_path / "mimic_cxr_sectioned.csv", tmp_path / "mimic_cxr_sections.csv"
    overrides = tmp_path / "overrides.yaml"
    overrides.write_text("sections: {s90000003: recommendations}\n")
    reports = write_zip(tmp_path / "mimic-cxr-reports.zip", REPORTS)
    options = ["--out", str(out), "--chosen", str(chosen), "--section-overrides", str(overrides), "--json"]
    assert main(["sections", str(reports), *options]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "out": str(out),
        "rules": "official",
        "reports": 4,
        "rows": 3,
        "overridden": 1,
        "empty": 1,
        "skipped": [],
    }
    assert read(out) == [
        ["study", "impression", "findings", "last_paragraph", "comparison"],
        ["s90000001", "Normal.", 'Clear,\n "quiet" lungs.', "", ""],
        ["s90000002", "", "", "The lungs are clear.", ""],
        ["s90000004", "", "", "", ""],
    ]
    assert b"comparison\r\ns90000001,Normal.," in out.read_bytes()
    assert read(chosen) == [
        ["s90000001", "Normal."],
        ["s90000002", "The lungs are clear."],
        ["s90000003", "Effusion."],
        ["s90000004", ""],
    ]


def test_its_file_is_a_source_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ltml_dataset.sources import open_source

    out = tmp_path / "any.csv"
    assert main(["sections", str(write_zip(tmp_path / "r.zip", REPORTS)), "--out", str(out), "--rules", "default"]) == 0
    assert "forbids sharing" in capsys.readouterr().out
    source = open_source(out)
    assert (source.kind, source.credentialed) == ("mimic-sectioned", True)
    batch, skips = source.read(source.partitions()[0])
    assert skips == []
    assert batch["report_id"].to_pylist() == ["s90000001", "s90000002", "s90000003", "s90000004"]
    assert batch["study_id"].to_pylist() == [90000001, 90000002, 90000003, 90000004]
    assert batch["findings"].to_pylist()[0] == 'Clear,\n "quiet" lungs.'


def test_columns_of_a_table(tmp_path: Path) -> None:
    table, out = tmp_path / "t.csv", tmp_path / "s.csv"
    table.write_text("id,findings,impression,remark\na,Clear.,Normal.,x\nb,,,\n")
    assert main(["sections", str(table), "--out", str(out), "--text-column", "findings,impression"]) == 0
    assert read(out)[1:] == [["a", "Normal.", "Clear.", "", ""], ["b", "", "", "", ""]]


def test_nothing_is_left_when_it_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports = write_zip(tmp_path / "r.zip", REPORTS)
    assert main(["sections", str(reports), "--out", str(tmp_path / "none" / "s.csv")]) == 1
    assert "could not be written" in capsys.readouterr().err
    assert main(["sections", str(reports), "--out", str(tmp_path / "s.csv"), "--chosen", str(tmp_path / "s.csv")]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.zip"]
