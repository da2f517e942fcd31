"""`build` on small tables: what the folder holds, that its bytes depend on inputs alone, and what is done again."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from plain_figures import DRAWINGS, draw_plainly
from report_tables import folder_bytes, report_rows, write_csv

from ltml_dataset import job as job_module
from ltml_dataset import load
from ltml_dataset.cli import main
from ltml_dataset.config import BuildConfig, SplitConfig
from ltml_dataset.errors import UserError
from ltml_dataset.export import presentation
from ltml_dataset.export.manifest import differences, read_manifest
from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.pipeline import build
from ltml_dataset.schema import NO_FINDING


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    for function in DRAWINGS:
        monkeypatch.setattr(presentation, function, getattr(presentation, function))
    draw_plainly()


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "reports.csv", report_rows())


@pytest.fixture
def many_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "REPORTS_PER_SHARD", 7)


def config(reports: Path, out: Path, **options: object) -> BuildConfig:
    return BuildConfig.model_validate({"reports": reports, "out": out, "workers": 1, **options})


def test_the_folder_loads_and_says_the_same_in_every_config(reports: Path, tmp_path: Path) -> None:
    built = build(config(reports, tmp_path / "out"))
    assert differences(built.out) == []
    rows = report_rows()
    images = load(built.out)
    studies = load(built.out, config="studies")
    mentions = load(built.out, config="mentions")
    names = images["train"].features["labels"].feature.names
    assert tuple(names) == Labeler.default().label_names
    assert sum(images.num_rows.values()) == sum(studies.num_rows.values()) == built.manifest.counts["studies"] == 60
    assert studies["train"].column_names == ["subject_id", "study_id", *names, NO_FINDING]
    text_of = {row["report_id"]: row["text"] for row in rows}
    subjects = {}
    for split in images:
        subjects[split] = set(images[split]["subject_id"])
        states = studies[split].to_pandas().set_index("study_id")
        for image in images[split]:
            state = states.loc[image["study_id"]]
            assert image["image_id"] == image["study_id"]
            assert image["image_path"] is None
            assert image["target"] == [int(state[name] == 1) for name in names]
            assert image["labels"] == np.flatnonzero(image["target"]).tolist()
        for mention in mentions[split]:
            assert mention["study_id"] in states.index
            found = text_of[mention["study_id"]][mention["start"] : mention["end"]]
            assert found.strip() == found != ""
    assert not subjects["train"] & subjects["test"] | subjects["train"] & subjects["validation"]
    assert not subjects["test"] & subjects["validation"]
    assert sum(mentions.num_rows.values()) == built.manifest.counts["mentions"]
    edema = names.index("Edema")
    assert sum(target[edema] for split in images for target in images[split]["target"]) > 0


@pytest.mark.usefixtures("many_shards")
def test_the_bytes_do_not_depend_on_workers_parts_or_the_folder(reports: Path, tmp_path: Path) -> None:
    build(config(reports, tmp_path / "one"))
    build(config(reports, tmp_path / "two", workers=2))
    for part in ("2/3", "3/3", "1/3"):
        assert main(["build", str(reports), "--out", str(tmp_path / "three"), "--workers", "1", "--shard", part]) == 0
        assert not (tmp_path / "three" / "manifest.json").exists()
    build(config(reports, tmp_path / "three"))
    assert folder_bytes(tmp_path / "one") == folder_bytes(tmp_path / "two") == folder_bytes(tmp_path / "three")


@pytest.mark.usefixtures("many_shards")
def test_only_what_changed_is_done_again(reports: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def stamps() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (out / ".cache").rglob("*.arrow")}

    build(config(reports, out))
    first, before = stamps(), folder_bytes(out)
    build(config(reports, out, split=SplitConfig(seed=1)))
    assert stamps() == first
    assert folder_bytes(out) != before
    build(config(reports, out))
    assert stamps() == first
    assert folder_bytes(out) == before
    build(config(reports, out, profile="paper"))
    assert not stamps().keys() & first.keys()
    write_csv(reports, report_rows(61))
    build(config(reports, out))
    assert read_manifest(out).counts["studies"] == 61
    again = stamps()
    assert main(["build", str(reports), "--out", str(out), "--workers", "1", "--force", "--shard", "1/3"]) == 0
    forced = {path for path, stamp in stamps().items() if stamp > again[path]}
    assert {int(path.name[:6]) for path in forced} == {0, 3, 6}
    build(config(reports, out, force=True))
    assert stamps().keys() == again.keys()
    assert all(stamps()[path] > again[path] for path in again)


@pytest.mark.usefixtures("many_shards")
def test_a_broken_shard_is_labelled_again(reports: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(config(reports, out))
    before = folder_bytes(out)
    labels, mentions = sorted((out / ".cache").rglob("000002*.arrow"))
    labels.write_bytes(labels.read_bytes()[:100])
    mentions.unlink()
    build(config(reports, out))
    assert folder_bytes(out) == before


@pytest.mark.parametrize("uncertain, value", [("zero", 0), ("one", 1), ("ignore", -1)])
def test_uncertain_labels_follow_the_policy(reports: Path, tmp_path: Path, uncertain: str, value: int) -> None:
    built = build(config(reports, tmp_path / "out", uncertain=uncertain))
    images = load(built.out)["train"].to_pandas().set_index("image_id")
    states = load(built.out, config="studies")["train"].to_pandas().set_index("study_id")
    column = built.manifest.labels.index("Pneumonia")
    unsure = states.index[states["Pneumonia"] == -1]
    assert len(unsure) > 0
    for name in unsure:
        assert images.loc[name, "target"][column] == value
        assert (column in images.loc[name, "labels"]) == (value == 1)
    assert built.manifest.config["uncertain"] == uncertain


def test_given_id_lists_decide_and_unknown_ids_are_named(reports: Path, tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("r0001\nr0002\nnobody\n")
    (tmp_path / "test.txt").write_text("r0003\n")
    flags = ["--split.ids", str(tmp_path / "val.txt"), str(tmp_path / "test.txt"), "--workers", "1"]
    assert main(["build", str(reports), "--out", str(tmp_path / "out"), *flags]) == 0
    manifest = read_manifest(tmp_path / "out")
    assert {name: counts.rows for name, counts in manifest.splits.items()} == {"train": 57, "validation": 2, "test": 1}
    assert [skip.input for skip in manifest.skipped] == ["nobody"]
    assert load(tmp_path / "out")["test"]["image_id"][:] == ["r0003"]


def test_a_table_without_patients_splits_by_report(tmp_path: Path) -> None:
    rows = [{"report_id": row["report_id"], "text": row["text"]} for row in report_rows()]
    built = build(config(write_csv(tmp_path / "r.csv", rows), tmp_path / "out"))
    assert built.manifest.splits["train"].rows == 42
    table = pq.read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet")
    assert table["subject_id"].null_count == table.num_rows


def test_dry_run_says_what_it_would_do_and_writes_nothing(
    reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", str(reports), "--out", str(tmp_path / "out"), "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["reports"], plan["reports_to_label"], plan["source"]) == (60, 60, "table")
    assert not (tmp_path / "out").exists()
    assert main(["build", str(reports), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    assert "60 reports" in capsys.readouterr().out


def test_the_summary_is_readable_by_machine_and_by_eye(
    reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["build", str(reports), "--out", str(tmp_path / "out"), "--workers", "1"]
    assert main([*arguments, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["counts"]["studies"] == 60
    assert sum(split["rows"] for split in summary["splits"].values()) == 60
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "Pleural Effusion" in printed
    assert str(tmp_path / "out" / "manifest.json") in printed


def test_a_recipe_builds_the_same_as_flags(reports: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"reports: {reports}\nout: {tmp_path / 'a'}\nworkers: 1\nsplit:\n  seed: 5\n")
    assert main(["build", "--recipe", str(recipe)]) == 0
    assert main(["build", str(reports), "--out", str(tmp_path / "b"), "--workers", "1", "--split.seed", "5"]) == 0
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")


def test_verify_finds_what_was_changed(reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(config(reports, tmp_path / "out"))
    assert main(["verify", str(tmp_path / "out")]) == 0
    path = tmp_path / "out" / "studies" / "test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    capsys.readouterr()
    assert main(["verify", str(tmp_path / "out"), "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 1
    assert main(["verify", str(tmp_path)]) == 1


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"reports": None}, "REPORTS"),
        ({"out": None}, "--out"),
        ({"head": 5, "medium": 10}, "--medium 10 is above --head 5"),
        ({"gold": "nowhere.csv"}, r"nowhere\.csv.*does not exist"),
        ({"reports": "nowhere.zip"}, r"nowhere\.zip"),
    ],
)
def test_what_a_build_cannot_start_with_is_one_sentence(
    reports: Path, tmp_path: Path, options: dict[str, object], complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint) as caught:
        build(config(**{"reports": reports, "out": tmp_path / "out", **options}))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_report_that_names_no_class_was_read_and_one_without_text_was_not(tmp_path: Path) -> None:
    rows = report_rows()
    rows[0]["text"] = "FINDINGS: Calcified granuloma in the right upper lobe. No free air."
    rows[1]["text"] = "INDICATION: Fever."
    built = build(config(write_csv(tmp_path / "reports.csv", rows), tmp_path / "out"))
    images, studies = load(built.out), load(built.out, config="studies")
    targets = {row["study_id"]: row["target"] for split in images.values() for row in split}
    states = {row["study_id"]: row for split in studies.values() for row in split}
    read, silent = rows[0]["report_id"], rows[1]["report_id"]
    for report in (read, silent):
        assert all(states[report][name] is None for name in (*built.manifest.labels, NO_FINDING))
    assert targets[read] == [0] * len(built.manifest.labels)
    assert silent not in targets
    assert [skip.input for skip in built.manifest.skipped] == [silent]
