"""A manifest that its own files contradict is found out."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from plain_figures import DRAWINGS, draw_plainly
from report_tables import report_rows, write_csv

from ltml_dataset.config import BuildConfig
from ltml_dataset.export import presentation
from ltml_dataset.export.manifest import Manifest, read_manifest, write_manifest, written_files
from ltml_dataset.export.proof import problems_of
from ltml_dataset.pipeline import build


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for function in DRAWINGS:
        monkeypatch.setattr(presentation, function, getattr(presentation, function))
    draw_plainly()
    reports = write_csv(tmp_path / "r.csv", report_rows())
    return build(BuildConfig(reports=reports, out=tmp_path / "out", workers=1)).out


def rewrite(folder: Path, **changes: object) -> None:
    """Change what the manifest says, keeping the hashes of the files right."""
    rows = {path: pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet")}
    said = {**read_manifest(folder).model_dump(), **changes, "files": {}}
    files = written_files(folder, rows)
    write_manifest(Manifest.model_validate(said).model_copy(update={"files": files}), folder)


def test_an_honest_manifest_has_no_problems(folder: Path) -> None:
    assert problems_of(folder) == []
    rewrite(folder)
    assert problems_of(folder) == []


def test_wrong_counts_names_and_groups_are_found(folder: Path) -> None:
    manifest = read_manifest(folder)
    counts = {split: dict(by_label) for split, by_label in manifest.label_counts.items()}
    counts["train"]["Edema"] += 1
    rewrite(folder, label_counts=counts)
    assert problems_of(folder) == [
        f"Edema: {counts['train']['Edema'] - 1} positive images in train, the manifest says {counts['train']['Edema']}"
    ]
    rewrite(folder, label_counts=manifest.label_counts, groups={"head": manifest.labels, "medium": [], "tail": []})
    assert problems_of(folder) == ["the groups head, medium and tail do not follow from the counts"]
    rewrite(folder, groups=manifest.groups, labels=manifest.labels[::-1])
    assert "label names" in problems_of(folder)[0]


def test_a_patient_in_two_splits_is_found(folder: Path) -> None:
    manifest = read_manifest(folder)
    test, validation = (folder / "data" / f"{split}-00000-of-00001.parquet" for split in ("test", "validation"))
    validation.write_bytes(test.read_bytes())
    assert [problem.split(":")[0] for problem in problems_of(folder)] == ["data/validation-00000-of-00001.parquet"]
    rewrite(folder)
    found = problems_of(folder)
    assert f"{manifest.splits['test'].subjects} patients are in validation and in test" in found
    assert found[0] == f"validation: {manifest.splits['test'].rows} rows, the manifest says " + (
        f"{manifest.splits['validation'].rows}"
    )
