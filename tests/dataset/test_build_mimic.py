"""`build` on simulated releases: images, official and gold labels, official split, the paper's protocol."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plain_figures import DRAWINGS, draw_plainly
from report_tables import folder_bytes

from ltml_dataset.cli import main
from ltml_dataset.config import BuildConfig
from ltml_dataset.errors import UserError
from ltml_dataset.export import presentation
from ltml_dataset.export.manifest import differences, read_manifest
from ltml_dataset.images import FRONTAL_VIEWS, PAPER_VIEWS
from ltml_dataset.pipeline import Built, build
from ltml_dataset.schema import NO_FINDING, SPLITS
from ltml_dataset.simulate import SimulatedRelease, simulate_release
from ltml_dataset.sources.mimic_tables import OFFICIAL_LABELS

COMMON = [name for name in OFFICIAL_LABELS if name != NO_FINDING]


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    for function in DRAWINGS:
        monkeypatch.setattr(presentation, function, getattr(presentation, function))
    draw_plainly()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRelease:
    return simulate_release(tmp_path_factory.mktemp("release"), 900, seed=3)


def built_from(release: SimulatedRelease, out: Path, **options: object) -> Built:
    given = {"reports": release.reports, "metadata": release.metadata, "out": out, "workers": 1, **options}
    return build(BuildConfig.model_validate(given))


def read(out: Path, config: str = "data") -> pd.DataFrame:
    """All splits of a config, with a column `split`."""
    tables = []
    for split in SPLITS:
        table = pq.read_table(out / config / f"{split}-00000-of-00001.parquet")
        tables.append(table.append_column("split", pa.array([split] * len(table))))
    return pa.concat_tables(tables).to_pandas()


def test_frontal_images_of_whole_patients(release: SimulatedRelease, tmp_path: Path) -> None:
    built = built_from(release, tmp_path / "out")
    images, studies, mentions = (read(built.out, config) for config in ("data", "studies", "mentions"))
    metadata = pd.read_csv(release.metadata, dtype={"dicom_id": str}).set_index("dicom_id")
    assert differences(built.out) == []
    assert images["subject_id"].dtype == np.int32
    assert set(images["view"]) <= set(FRONTAL_VIEWS)
    listed = metadata.loc[images["image_id"]]
    assert (listed["study_id"].to_numpy() == images["study_id"]).all()
    assert (listed["subject_id"].to_numpy() == images["subject_id"]).all()
    subject, study = str(images["subject_id"][0]), images["study_id"][0]
    assert images["image_path"][0] == f"files/p{subject[:2]}/p{subject}/s{study}/{images['image_id'][0]}.jpg"
    for table in (images, studies, mentions):
        assert table.groupby("subject_id")["split"].nunique().max() == 1
    in_split = images.sort_values(["subject_id", "study_id", "image_id"]).groupby("split", sort=False)
    for split, rows in in_split:
        assert (rows["image_id"].to_numpy() == images[images["split"] == split]["image_id"].to_numpy()).all()
    assert len(studies) == 900
    shares = images["split"].value_counts(normalize=True)
    assert np.abs(shares[list(SPLITS)].to_numpy() - [0.7, 0.1, 0.2]).max() < 0.01
    counts = built.manifest.counts
    assert counts["images"] + counts["images_of_other_views"] >= len(metadata) - counts["studies_unlabelled"] * 9
    assert built.manifest.label_counts["all"]["Support Devices"] == sum(
        int(target[built.manifest.labels.index("Support Devices")]) for target in images["target"]
    )


def test_reports_without_text_make_no_image_rows(tmp_path: Path) -> None:
    release = simulate_release(tmp_path / "tree", 100, seed=3, reports="tree")
    emptied = sorted(release.reports.rglob("s*.txt"))[10:13]
    for path, text in zip(emptied, ("", "\n \n", "                FINAL REPORT\n INDICATION:  Fever.\n"), strict=True):
        path.write_text(text)
    built = built_from(release, tmp_path / "out")
    silent = {int(path.stem.removeprefix("s")) for path in emptied}
    assert {skip.input.removesuffix(".txt").rsplit("/", 1)[-1] for skip in built.manifest.skipped} >= {
        path.stem for path in emptied
    }
    studies = read(built.out, "studies").set_index("study_id")
    known = sorted(silent & set(studies.index))
    assert studies.loc[known, [*built.manifest.labels, NO_FINDING]].isna().all().all()
    assert not silent & set(read(built.out)["study_id"])


def test_official_labels_are_compared_and_a_radiologists_win(release: SimulatedRelease, tmp_path: Path) -> None:
    built = built_from(release, tmp_path / "out", official_labels=release.official_labels, gold=release.gold)
    agreement = {row["label"]: row for row in built.manifest.agreement}
    assert set(agreement) == set(OFFICIAL_LABELS)
    assert 0 < agreement["Edema"]["both"] <= agreement["Edema"]["n"] <= 900
    gold = pd.read_csv(release.gold).rename(columns={"Airspace Opacity": "Lung Opacity"}).set_index("study_id")
    images = read(built.out)
    columns = [built.manifest.labels.index(name) for name in COMMON]
    is_gold = images["study_id"].isin(gold.index).to_numpy()
    verified = np.stack(images["verified"].to_list())
    assert is_gold.any()
    assert (verified[is_gold][:, columns] == 1).all()
    assert verified.sum() == is_gold.sum() * len(columns)
    target = np.stack(images["target"].to_list())[is_gold][:, columns]
    assert (target == (gold.loc[images["study_id"][is_gold], COMMON] == 1).to_numpy()).all()


def test_the_official_split_is_taken_as_it_is(release: SimulatedRelease, tmp_path: Path) -> None:
    built = built_from(release, tmp_path / "out", official_split=release.official_split)
    official = pd.read_csv(release.official_split).set_index("dicom_id")["split"].replace("validate", "validation")
    images = read(built.out)
    assert (official.loc[images["image_id"]].to_numpy() == images["split"]).all()


def test_the_paper_protocol(release: SimulatedRelease, tmp_path: Path) -> None:
    built = built_from(
        release, tmp_path / "out", official_labels=release.official_labels, protocol="paper", head=100, medium=20
    )
    images, manifest = read(built.out), built.manifest
    assert images["study_id"].is_unique
    assert set(images["view"]) <= set(PAPER_VIEWS)
    metadata = pd.read_csv(release.metadata, dtype={"dicom_id": str})
    first = metadata[metadata["ViewPosition"].isin(PAPER_VIEWS)].drop_duplicates("study_id").set_index("study_id")
    assert (first.loc[images["study_id"], "dicom_id"].to_numpy() == images["image_id"]).all()
    rows = np.array([manifest.splits[split].rows for split in SPLITS]) / len(images)
    assert np.abs(rows - [0.72, 0.08, 0.2]).max() < 0.01
    official = pd.read_csv(release.official_labels).set_index("study_id").loc[images["study_id"], COMMON]
    target = pd.DataFrame(np.stack(images["target"].to_list()), columns=manifest.labels)
    raised = (target[COMMON].to_numpy() == 1) & (official.to_numpy() != 1)
    assert (target[COMMON].to_numpy() >= (official == 1).to_numpy()).all()
    children = {"Atelectasis": "Segmental Atelectasis", "Cardiomegaly": "Massive Cardiomegaly"}
    for parent, child in children.items():
        added = raised[:, COMMON.index(parent)]
        assert (target[child].to_numpy()[added] == 1).all()
    assert "verified" not in images.columns
    source = pd.DataFrame(np.stack(images["label_source"].to_list()), columns=manifest.labels)
    assert ((source[COMMON].to_numpy() == "official") == ~raised).all()
    assert (source.drop(columns=COMMON) == "machine").all().all()
    assert set(manifest.groups["head"]) == {name for name, n in manifest.label_counts["all"].items() if n >= 100}
    assert set(manifest.groups["tail"]) == {name for name, n in manifest.label_counts["all"].items() if n < 20}
    assert (manifest.config["profile"], manifest.config["common_labels"]) == ("paper", "official")


def test_the_paper_protocol_says_what_it_needs(release: SimulatedRelease, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mimic-cxr-2\.0\.0-chexpert\.csv\.gz.*MIMIC-CXR-JPG.*--official-labels"):
        built_from(release, tmp_path / "out", protocol="paper")


def test_no_finding_never_stands_beside_a_finding(release: SimulatedRelease, tmp_path: Path) -> None:
    out = tmp_path / "out"
    built_from(release, out, official_labels=release.official_labels, common_labels="official")
    studies = read(out, "studies")
    findings = [name for name in read_manifest(out).labels if name != "Support Devices"]
    assert (studies[NO_FINDING] == 1).any()
    assert not ((studies[NO_FINDING] == 1) & (studies[findings] == 1).any(axis=1)).any()


def test_an_archive_and_its_unpacked_tree_give_the_same_tables(release: SimulatedRelease, tmp_path: Path) -> None:
    tree = simulate_release(tmp_path / "tree", 900, seed=3, reports="tree")
    built_from(release, tmp_path / "a")
    built_from(tree, tmp_path / "b", metadata=release.metadata)
    tables = [
        {name: content for name, content in folder_bytes(tmp_path / out).items() if name.endswith(".parquet")}
        for out in "ab"
    ]
    assert tables[0] == tables[1]


def test_demo_builds_a_data_set_that_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert main(["demo", "--out", str(tmp_path / "demo"), "--studies", "300", "--workers", "1"]) == 0
        printed = capsys.readouterr().out
        assert "Pleural Effusion" in printed
        assert "mimic-cxr-reports.zip" in printed
    assert main(["verify", str(tmp_path / "demo")]) == 0
    manifest = read_manifest(tmp_path / "demo")
    assert manifest.counts["reports"] == 300
    assert manifest.groups["head"]


def test_sectioned_reports_get_their_patients_from_the_metadata(release: SimulatedRelease, tmp_path: Path) -> None:
    sectioned = tmp_path / "mimic_cxr_sectioned.csv"
    assert main(["sections", str(release.reports), "--out", str(sectioned)]) == 0
    built = built_from(release, tmp_path / "out", reports=sectioned)
    assert "patients" not in str(built.manifest.notes)
    images = read(built.out)
    assert images["subject_id"].notna().all()
    assert images.groupby("subject_id")["split"].nunique().max() == 1
    alone = built_from(release, tmp_path / "alone", reports=sectioned, metadata=None)
    assert "patients of 900 reports are unknown" in str(alone.manifest.notes)
