"""The simulated release: files and columns, determinism, layout, and a truth that the text bears out."""

import gzip
import hashlib
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from ltml_dataset.cli import main
from ltml_dataset.errors import UserError
from ltml_dataset.simulate import SimulatedRelease, simulate_release
from ltml_dataset.simulate.findings import LABELS, PARENTS, UNSAID
from ltml_dataset.simulate.official import GOLD_COLUMNS
from ltml_dataset.simulate.release import METADATA_COLUMNS
from ltml_dataset.sources.mimic_tables import OFFICIAL_LABELS

STUDIES = 1500


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRelease:
    return simulate_release(tmp_path_factory.mktemp("release"), STUDIES, seed=3)


def rows(path: Path) -> list[list[str]]:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return [line.split(",") for line in text.splitlines()]


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_official_names_and_columns(release: SimulatedRelease) -> None:
    assert {path.name for path in release.root.iterdir()} == {
        "mimic-cxr-reports.zip",
        "cxr-record-list.csv.gz",
        "cxr-study-list.csv.gz",
        "mimic-cxr-2.0.0-metadata.csv.gz",
        "mimic-cxr-2.0.0-chexpert.csv.gz",
        "mimic-cxr-2.0.0-split.csv.gz",
        "mimic-cxr-2.1.0-test-set-labeled.csv",
        "IMAGE_FILENAMES",
        "truth",
    }
    assert rows(release.record_list)[0] == ["subject_id", "study_id", "dicom_id", "path"]
    assert rows(release.study_list)[0] == ["subject_id", "study_id", "path"]
    assert rows(release.metadata)[0] == list(METADATA_COLUMNS)
    assert rows(release.official_labels)[0] == ["subject_id", "study_id", *OFFICIAL_LABELS]
    assert rows(release.official_split)[0] == ["dicom_id", "study_id", "subject_id", "split"]
    assert rows(release.gold)[0] == ["study_id", *GOLD_COLUMNS]
    assert "Airspace Opacity" in GOLD_COLUMNS
    truth = pq.read_schema(release.truth)
    assert truth.names == ["study_id", "subject_id", *LABELS, "No Finding"]
    assert {str(field.type) for field in truth} == {"int32", "int8"}


def test_ids_join_and_are_unique(release: SimulatedRelease) -> None:
    studies = rows(release.study_list)[1:]
    images = rows(release.record_list)[1:]
    assert len(studies) == STUDIES == release.n_studies
    assert len({study for _, study, _ in studies}) == STUDIES
    assert len({dicom for _, _, dicom, _ in images}) == len(images) == release.n_images
    assert {(row[0], row[1]) for row in images} == {(row[0], row[1]) for row in studies}
    assert len({row[0] for row in studies}) == release.n_patients
    assert all(90_000_000 <= int(subject) < 100_000_000 for subject, _, _ in studies)
    assert all(80_000_000 <= int(study) < 90_000_000 for _, study, _ in studies)
    order = [(int(subject), int(study)) for subject, study, _ in studies]
    assert order == sorted(order)
    with zipfile.ZipFile(release.reports) as archive:
        assert archive.namelist() == [path for _, _, path in studies]
    assert rows(release.metadata)[1][0] == images[0][2]
    assert release.image_filenames.read_text().splitlines()[0] == images[0][3].replace(".dcm", ".jpg")


def test_split_keeps_patients_together(release: SimulatedRelease) -> None:
    of_subject: dict[str, set[str]] = {}
    for _, _, subject, split in rows(release.official_split)[1:]:
        of_subject.setdefault(subject, set()).add(split)
    assert all(len(splits) == 1 for splits in of_subject.values())
    assert set.union(*of_subject.values()) == {"train", "validate", "test"}
    in_test = {study for _, study, _, split in rows(release.official_split)[1:] if split == "test"}
    assert {row[0] for row in rows(release.gold)[1:]} == in_test


def test_same_seed_same_bytes(release: SimulatedRelease, tmp_path: Path) -> None:
    again = simulate_release(tmp_path / "again", STUDIES, seed=3)
    assert digest(again.root) == digest(release.root)
    other = simulate_release(tmp_path / "other", STUDIES, seed=4)
    assert digest(other.root)["mimic-cxr-reports.zip"] != digest(release.root)["mimic-cxr-reports.zip"]


def test_tree_holds_the_reports_of_the_zip(release: SimulatedRelease, tmp_path: Path) -> None:
    tree = simulate_release(tmp_path, STUDIES, seed=3, reports="tree")
    with zipfile.ZipFile(release.reports) as archive:
        for name in archive.namelist():
            assert (tree.root / name).read_bytes() == archive.read(name)


def test_repeat_call_returns_the_release_and_another_refuses(release: SimulatedRelease) -> None:
    before = digest(release.root)
    assert simulate_release(release.root, STUDIES, seed=3) == release
    assert digest(release.root) == before
    with pytest.raises(UserError, match="from another release"):
        simulate_release(release.root, STUDIES, seed=5)


def test_killed_call_is_taken_up_again(release: SimulatedRelease, tmp_path: Path) -> None:
    part = tmp_path / ".simulate-part"
    part.mkdir()
    (part / "mimic-cxr-reports.zip").write_bytes(b"half a file")
    again = simulate_release(tmp_path, STUDIES, seed=3)
    assert digest(tmp_path) == digest(release.root)
    part.mkdir()  # as if killed between two renames
    for name in ("truth", "IMAGE_FILENAMES"):
        (tmp_path / name).rename(part / name)
    assert simulate_release(tmp_path, STUDIES, seed=3) == again
    assert digest(tmp_path) == digest(release.root)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "sim")
    assert main(["simulate", "--studies", "20", "--out", out, "--images", "32", "--reports", "tree"]) == 0
    assert "20 studies" in capsys.readouterr().out
    assert len(list(Path(out).rglob("s8*.txt"))) == 20
    assert list(Path(out).rglob("*.jpg"))
    assert main(["simulate", "--studies", "21", "--out", out]) == 1
    assert "from another release" in capsys.readouterr().err
    assert main(["simulate", "--studies", "20"]) == 2


@pytest.mark.parametrize("studies", [0, -1, 10_000_001])
def test_impossible_sizes_are_refused(tmp_path: Path, studies: int) -> None:
    with pytest.raises(UserError, match="--studies"):
        simulate_release(tmp_path, studies)


@pytest.mark.parametrize("studies", [1, 2, 7])
def test_tiny_releases_are_whole(tmp_path: Path, studies: int) -> None:
    release = simulate_release(tmp_path, studies)
    assert pq.read_metadata(release.truth).num_rows == studies
    assert json.loads((tmp_path / "truth" / "release.json").read_text())["studies"] == studies


def test_reports_are_laid_out_like_mimic(release: SimulatedRelease) -> None:
    seen = set()
    with zipfile.ZipFile(release.reports) as archive:
        for name in archive.namelist():
            text = archive.read(name).decode()
            assert max(len(line) for line in text.splitlines()) <= 80
            assert all(line.startswith(" ") for line in text.splitlines() if line)
            assert "FINAL REPORT\n" in text
            assert not set("{}|@") & set(text)
            seen |= set(re.findall(r"\n ([A-Z ()/,-]+):\s", text))
            seen |= {word for word in ("WET READ", "FINAL ADDENDUM", "___", "\n 2. ") if word in text}
    assert seen >= {
        "EXAMINATION", "INDICATION", "HISTORY", "TECHNIQUE", "COMPARISON", "FINDINGS", "IMPRESSION",
        "RECOMMENDATION(S)", "NOTIFICATION", "WET READ", "FINAL ADDENDUM", "___", "\n 2. ",
    }  # fmt: skip


def test_truth_follows_parents_and_no_finding(release: SimulatedRelease) -> None:
    truth = pq.read_table(release.truth).to_pydict()
    for child, parent in PARENTS.items():
        pairs = set(zip(truth[child], truth[parent], strict=True))
        assert not {(c, p) for c, p in pairs if c == 1 and p != 1}
        assert child in UNSAID or not {(c, p) for c, p in pairs if c == -1 and p not in (1, -1)}
    others = [name for name in LABELS if name != "Support Devices"]
    for i, none in enumerate(truth["No Finding"]):
        found = any(truth[name][i] in (1, -1) for name in others)
        assert none is None or (none == 1 and not found)
    assert 0.28 < np.mean([none == 1 for none in truth["No Finding"]]) < 0.37


def test_official_labels_differ_from_the_truth_only_a_little(release: SimulatedRelease) -> None:
    truth = pq.read_table(release.truth)
    official = pa_csv.read_csv(release.official_labels)
    for name in ("Pleural Effusion", "Cardiomegaly", "Atelectasis"):
        said = np.array([v == 1 for v in official[name].to_pylist()])
        true = np.array([v == 1 for v in truth[name].to_pylist()])
        assert 0.85 < said[true].mean() < 1.0
        assert said[~true].mean() < 0.05
