"""Verified labels reach the data set, change nothing else, and say where they come from; so do engine disagreements."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ltml_dataset.building.second_opinion import count_disagreements
from ltml_dataset.config import BuildConfig
from ltml_dataset.errors import UserError
from ltml_dataset.export.loading import load
from ltml_dataset.pipeline import build
from ltml_dataset.review.desk import Desk
from ltml_dataset.review.session import open_review
from ltml_dataset.schema import NOT_MENTIONED
from ltml_dataset.simulate import simulate_release

LABEL = "Pleural Effusion"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> BuildConfig:
    folder = tmp_path_factory.mktemp("reviewed")
    release = simulate_release(folder / "release", 200, seed=1)
    config = BuildConfig(
        reports=release.reports, metadata=release.metadata, out=folder / "set", head=40, medium=10, workers=1
    )
    build(config)
    return config


def test_verified_labels_replace_the_machines_and_move_no_image(config: BuildConfig, tmp_path: Path) -> None:
    assert config.out is not None
    before = {split: pq.read_table(config.out / f"data/{split}-00000-of-00001.parquet") for split in ("train", "test")}
    review = open_review(config.out, tmp_path / "review", negatives=5)
    first = Desk(review.folder, review.queue, review.log, "anna", "first")
    judged = []
    stated: dict[str, set[str]] = {}
    for turn in range(5):
        assert first.item is not None
        study = first.item.study
        assert review.folder.passages(study)[0].text, "the page finds the reports that the build noted"
        machine = review.folder.machine(study).get(LABEL)
        first.set_state(study, LABEL, 0 if machine == 1 else 1)
        judged.append((study, int(machine != 1), turn < 3))
        stated[study] = {*review.folder.machine(study), *first.asked(), LABEL}
        first.finish(study, review.folder.labels, whole=turn < 3, part=turn >= 3, hasty=True)

    built = build(config.model_copy(update={"out": tmp_path / "verified", "reviewed": tmp_path / "review"}))
    after = {split: pq.read_table(built.out / f"data/{split}-00000-of-00001.parquet") for split in ("train", "test")}
    for split, table in before.items():
        assert table["image_id"].equals(after[split]["image_id"])
    column = built.manifest.labels.index(LABEL)
    rows = {str(row["study_id"]): row for row in after["test"].to_pylist()}
    labels = built.manifest.labels
    for study, target, is_whole in judged:
        if study in rows:
            assert rows[study]["target"][column] == target
            sources = dict(zip(labels, rows[study]["label_source"], strict=True))
            unmentioned = "report" if is_whole else "machine"
            assert sources == {label: "reader" if label in stated[study] else unmentioned for label in labels}
            assert rows[study]["verified"] == [int(source != "machine") for source in sources.values()]
    assert {is_whole for study, _, is_whole in judged if study in rows} == {True, False}
    others = [row for study, row in rows.items() if study not in stated]
    assert others
    assert all(sum(row["verified"]) == 0 and set(row["label_source"]) == {"machine"} for row in others)
    assert any("Readers verified 5 studies" in note for note in built.manifest.notes)
    assert any("the 3 reports that were confirmed whole" in note for note in built.manifest.notes)
    assert any("5 studies were finished faster than they can be read" in note for note in built.manifest.notes)
    assert any(file.role == "reviewed" for file in built.manifest.inputs)
    assert "Readers verified 5 studies" in (built.out / "README.md").read_text()
    assert load(built.out)["test"].features["label_source"].length == len(built.manifest.labels)


def test_a_folder_without_decisions_is_refused_before_any_work(config: BuildConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a review folder"):
        build(config.model_copy(update={"out": tmp_path / "out", "reviewed": tmp_path}))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_negated_and_not_mentioned_are_no_disagreement() -> None:
    first = np.array([[1, 0, NOT_MENTIONED], [-1, 1, 0]], np.int8)
    second = np.array([[1, NOT_MENTIONED, 0], [1, 0, 0]], np.int8)
    assert count_disagreements(first, second, ["a", "b", "c"]) == {"a": 1, "b": 1, "c": 0}


def test_a_second_engine_leaves_its_disagreements_for_review(config: BuildConfig, tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy", reason="the spacy extra is not installed")
    if not any(name.startswith("en") for name in spacy.util.get_installed_models()):
        pytest.skip("no English spaCy model is installed (scripts/test installs one)")
    built = build(config.model_copy(update={"out": tmp_path / "two", "second_engine": "spacy"}))
    rows = load(built.out, config="disagreements")
    assert sum(rows.num_rows.values()) == built.manifest.counts["disagreements"] > 0
    for row in rows["train"]:
        assert (row["status"] or 0) != (row["second_status"] or 0)
    review = open_review(built.out, tmp_path / "review", splits=("train", "validation", "test"), negatives=0)
    assert "disagreement" in {item.stratum for item in review.queue.items}
    again = build(config.model_copy(update={"out": tmp_path / "two", "second_engine": "spacy"}))
    assert again.manifest == built.manifest
