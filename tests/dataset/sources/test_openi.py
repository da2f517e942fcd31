"""Open-I's archive and its folder of XML files."""

import io
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from shared_data import shared

from ltml_dataset.errors import UserError
from ltml_dataset.sources import open_source

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
  <uId id="{name}"/>
  <MedlineCitation><Article><Abstract>
    <AbstractText Label="COMPARISON"></AbstractText>
    <AbstractText Label="INDICATION">Cough &amp; fever.</AbstractText>
    <AbstractText Label="FINDINGS">{findings}</AbstractText>
    <AbstractText Label="IMPRESSION">Normal.</AbstractText>
  </Abstract></Article></MedlineCitation>
</eCitation>
"""
FILES = {
    "ecgen-radiology/10.xml": XML.format(name="CXR10", findings="Clear lungs."),
    "ecgen-radiology/2.xml": XML.format(name="CXR2", findings="No effusion."),
    "ecgen-radiology/3.xml": "<eCitation><uId",
    "ecgen-radiology/4.xml": XML.format(name="CXR2", findings="Again."),
}


def write_archive(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content.encode()))
    return path


def write_folder(path: Path) -> Path:
    for name, content in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)
    return path


@pytest.mark.parametrize("form", ["archive", "folder"])
def test_reports_by_number_with_faults_named(tmp_path: Path, form: str) -> None:
    source = open_source(
        write_archive(tmp_path / "NLMCXR_reports.tgz") if form == "archive" else write_folder(tmp_path)
    )
    assert (source.kind, source.credentialed) == ("openi", False)
    batch, skips = source.read(source.partitions()[0])
    assert batch.to_pylist() == [
        {
            "report_id": f"CXR{number}",
            "subject_id": None,
            "study_id": f"CXR{number}",
            "comparison": None,
            "indication": "Cough & fever.",
            "findings": findings,
            "impression": "Normal.",
        }
        for number, findings in ((2, "No effusion."), (10, "Clear lungs."))
    ]
    assert [skip.input for skip in skips] == ["ecgen-radiology/4.xml", "ecgen-radiology/3.xml"]
    assert skips[0].reason == "repeats the report CXR2; the first is used"


def test_cut_archive_is_an_error(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "NLMCXR_reports.tgz")
    path.write_bytes(path.read_bytes()[:-60])
    source = open_source(path)
    with pytest.raises(UserError, match="damaged or cut off"):
        source.partitions()


def test_table_of_real_reports_gives_its_sections() -> None:
    path = shared("data/openi/openi_reports.parquet")
    source = open_source(path)
    assert source.text_columns == ("comparison", "indication", "findings", "impression")
    n_rows = 0
    for partition in source.partitions(1000):
        batch, skips = source.read(partition)
        assert skips == []
        n_rows += batch.num_rows
    assert n_rows == pq.read_metadata(path).num_rows
