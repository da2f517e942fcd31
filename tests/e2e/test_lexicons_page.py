"""What docs/lexicons.md shows is run, in the order of the page, with the folder it shows."""

import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from shared_data import REPOSITORY

from ltml_dataset.cli import main

BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)


def test_the_page_on_lexicons_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    report = "HISTORY: edema\nWHAT WE SAW: Cervical rib. Zilch in the way of PLEFF. Dropped lung. The CSL is enlarged."
    Path("reports.csv").write_text(f'report_id,text\na,"{report}"\n', encoding="utf-8")
    page = (REPOSITORY / "docs" / "lexicons.md").read_text(encoding="utf-8")
    shown: dict[str, str] = {}
    for name, kind, content in BLOCK.findall(page):
        if kind == "yaml":
            assert name, "every file on the page has a name"
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            continue
        for line in content.splitlines():
            program, *arguments = shlex.split(line)
            assert (program, main(arguments)) == ("ltml-build-labels", 0), line
            shown[line] = capsys.readouterr().out
    (row,) = pq.read_table("labels.parquet").to_pylist()
    expected = {"Cervical Rib": 1, "Pleural Effusion": 0, "Pneumothorax": 1, "Cardiomegaly": 1, "Edema": None}
    assert {name: row[name] for name in expected} == expected
    (study,) = pq.read_table(next(Path("dataset/studies").glob("*.parquet"))).to_pylist()
    assert {name: study[name] for name in expected} == expected
    assert Path("hospital/labels/azygos_fissure.yaml").is_file()
    assert main(["lexicon", "check", "--lexicon", "hospital"]) == 0
    assert "Alveolar Lung Disease" in shown[next(line for line in shown if "--profile gamuts" in line)]
    assert "Left Atrial" not in shown[next(line for line in shown if "--profile gamuts" in line)]


def test_the_tables_of_the_page_name_every_kind_and_scope() -> None:
    from typing import get_args

    from ltml_lexicons.model import CueGroup, CueKind, Scope

    page = (REPOSITORY / "docs" / "lexicons.md").read_text(encoding="utf-8")
    for word in (*get_args(CueKind), *get_args(Scope), *get_args(CueGroup.model_fields["direction"].annotation)):
        assert f"`{word}`" in page, word
