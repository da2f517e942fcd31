"""The tables of MIMIC-CXR-JPG in a build, on a simulated release."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ltml_dataset.cli import main
from ltml_dataset.simulate import SimulatedRelease, simulate_release


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRelease:
    return simulate_release(tmp_path_factory.mktemp("release"), studies=300)


def build(reports: Path, out: Path, *options: object) -> dict[str, object]:
    assert main(["build", str(reports), "--out", str(out), "--workers", "1", "--json", *map(str, options)]) == 0
    manifest: dict[str, object] = json.loads((out / "manifest.json").read_text())
    return manifest


def test_sectioned_reports_get_their_patients_from_the_metadata(release: SimulatedRelease, tmp_path: Path) -> None:
    sectioned = tmp_path / "mimic_cxr_sectioned.csv"
    assert main(["sections", str(release.reports), "--out", str(sectioned)]) == 0
    manifest = build(sectioned, tmp_path / "out", "--metadata", release.metadata)
    assert "patients" not in str(manifest["notes"])
    where: dict[int, set[str]] = {}
    for path in (tmp_path / "out" / "data").glob("*.parquet"):
        for subject in pq.read_table(path, columns=["subject_id"])["subject_id"].to_pylist():
            where.setdefault(subject, set()).add(path.name.split("-")[0])
    assert None not in where
    assert all(len(splits) == 1 for splits in where.values())
    manifest = build(sectioned, tmp_path / "alone")
    assert "patients of 300 reports are unknown" in str(manifest["notes"])
