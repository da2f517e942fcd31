"""`doctor [PATHS...]`."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from mimic_files import write_tree, write_zip

from ltml_dataset.cli import main
from ltml_dataset.doctor import check_path
from ltml_dataset.simulate import SimulatedRelease, simulate_release


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRelease:
    return simulate_release(tmp_path_factory.mktemp("release"), studies=40, images=32)


def states(path: Path) -> dict[str, tuple[str, str]]:
    return {check.what: (check.state, check.detail) for check in check_path(path)}


def test_installation_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == 0
    names = {check["what"]: check["state"] for check in found["checks"]}
    assert names["pyarrow"] == names["lexicon"] == names["Python"] == "ok"


def test_whole_release_is_found(release: SimulatedRelease) -> None:
    found = states(release.root)
    assert found["reports"] == ("ok", "40 reports (mimic-zip)")
    assert found["images"][0] == "ok"
    assert {state for state, _ in found.values()} == {"ok"}
    assert found["metadata"][1].startswith("mimic-cxr-2.0.0-metadata.csv.gz, ")


def test_missing_files_are_named_with_their_project(release: SimulatedRelease, tmp_path: Path) -> None:
    shutil.copy(release.metadata, tmp_path)
    found = states(tmp_path)
    assert found["reports"] == (
        "missing",
        "mimic-cxr-reports.zip: it comes with MIMIC-CXR, not with MIMIC-CXR-JPG",
    )
    assert found["official split"] == (
        "missing",
        "mimic-cxr-2.0.0-split.csv.gz: it comes with MIMIC-CXR-JPG, not with MIMIC-CXR",
    )
    assert found["images"][0] == "missing"


def test_tree_of_reports_and_single_files(release: SimulatedRelease, tmp_path: Path) -> None:
    assert states(write_tree(tmp_path / "text"))["reports"] == ("ok", "3 reports (mimic-tree)")
    assert states(release.gold)["gold labels"][0] == "ok"
    table = tmp_path / "t.csv"
    table.write_text("id,findings,impression\n1,a,b\n")
    assert states(table) == {"reports": ("ok", "1 reports in columns findings, impression (table)")}


def test_damage_is_a_problem(release: SimulatedRelease, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = write_zip(tmp_path / "mimic-cxr-reports.zip")
    archive.write_bytes(archive.read_bytes()[:-9])
    labels = tmp_path / release.official_labels.name
    labels.write_text("study_id,Edema\n1,1\n")
    assert main(["doctor", str(tmp_path), str(tmp_path / "absent")]) == 1
    out = capsys.readouterr().out
    assert "3 problems." in out
    assert "complete zip archive" in " ".join(out.split())
    assert states(labels)["official labels"][0] == "problem"
    assert "has no column `Atelectasis`" in states(labels)["official labels"][1]


def test_sums_are_compared_where_they_are_there(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "mimic-cxr-reports.zip")
    sums = tmp_path / "SHA256SUMS.txt"
    sums.write_text(f"{hashlib.sha256(archive.read_bytes()).hexdigest()} {archive.name}\n0 other\n")
    assert states(tmp_path)[archive.name] == ("ok", "as SHA256SUMS.txt says")
    sums.write_text(f"{'0' * 64} {archive.name}\n")
    assert states(archive)[archive.name] == ("problem", "is not what SHA256SUMS.txt says; download it again")
