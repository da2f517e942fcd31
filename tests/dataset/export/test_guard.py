"""No output destroys an input, a device or somebody else's folder; a data set is replaced whole."""

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ltml_dataset.cli import main
from ltml_dataset.errors import UserError
from ltml_dataset.export.manifest import Manifest, differences, write_manifest, written_files
from ltml_dataset.export.staging import REPLACED_NAME, check_out, staged

COMMANDS = {
    "label": ["label", "IN", "--out", "OUT", "--workers", "1"],
    "evidence": ["label", "IN", "--out", "l.parquet", "--evidence", "OUT", "--workers", "1"],
    "sections": ["sections", "IN", "--out", "OUT"],
    "chosen": ["sections", "IN", "--out", "s.csv", "--chosen", "OUT"],
    "compare": ["compare", "LABELS", "LABELS", "--out", "OUT"],
    "score": ["score", "LABELS", "LABELS", "--errors", "OUT"],
    "build": ["build", "IN", "--out", "OUT"],
    "split": ["split", "TABLE", "--out", "OUT"],
    "simulate": ["simulate", "--studies", "5", "--out", "OUT"],
    "demo": ["demo", "--studies", "5", "--out", "OUT"],
}


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.chdir(tmp_path)
    files = {name: tmp_path / f"{name.lower()}.csv" for name in ("IN", "LABELS", "TABLE")}
    files["IN"].write_text("report_id,text\na,Small effusion.\nb,Clear.\n")
    files["LABELS"].write_text("report_id,Edema\na,1\nb,0\n")
    files["TABLE"].write_text("image_id,patient_id,Edema\n" + "".join(f"i{i},{i},{i % 2}\n" for i in range(20)))
    return files


def read_by(command: str, inputs: dict[str, Path]) -> Path:
    return next((inputs[word] for word in COMMANDS[command] if word in inputs), inputs["IN"])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["same", "dots", "symlink", "hard link", "device", "pipe"])
def test_inputs_and_devices_survive(command: str, kind: str, inputs: dict[str, Path], tmp_path: Path) -> None:
    source = read_by(command, inputs)
    link = tmp_path / "link"
    if kind == "symlink":
        link.symlink_to(source)
    elif kind == "hard link":
        link.hardlink_to(source)
    elif kind == "pipe":
        os.mkfifo(link)
    out = {"same": source, "dots": tmp_path / "x" / ".." / source.name, "device": Path("/dev/null")}.get(kind, link)
    (tmp_path / "x").mkdir()
    before = {path: path.read_bytes() for path in inputs.values()}
    words = [str(out) if word == "OUT" else str(inputs.get(word, word)) for word in COMMANDS[command]]
    assert main(words) == 1
    assert {path: path.read_bytes() for path in inputs.values()} == before
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("command", ["build", "split", "simulate", "demo"])
@pytest.mark.parametrize("content", ["thesis.tex", "manifest.json", ".cache/pip/x"])
def test_a_folder_of_something_else_is_left_alone(
    command: str, content: str, inputs: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "theirs"
    (out / content).parent.mkdir(parents=True)
    (out / content).write_text('{"files": {"notes.txt": {}}}')
    (out / "notes.txt").write_text("x")
    words = [str(out) if word == "OUT" else str(inputs.get(word, word)) for word in COMMANDS[command]]
    assert main(words) == 1
    assert (out / "notes.txt").read_text() == "x"
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == sorted(
        {"notes.txt", *([content] if content[0] != "." else [])}
    )


@pytest.mark.parametrize("command", ["label", "sections", "compare", "score"])
def test_a_file_of_another_kind_is_not_replaced(command: str, inputs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "thesis.tex"
    out.write_text("\\documentclass")
    words = [str(out) if word == "OUT" else str(inputs.get(word, word)) for word in COMMANDS[command]]
    assert main(words) == 1
    assert out.read_text() == "\\documentclass"
    out.unlink()
    assert main(words) == 0
    assert main(words) == 0  # its own file it does replace


@pytest.mark.parametrize("option", ["--out", "--chosen"])
def test_section_overrides_survive(option: str, inputs: dict[str, Path], tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("sections: {}\nranges: {}\n")
    outs = {"--out": str(tmp_path / "s.csv"), option: str(rules)}
    words = [word for pair in outs.items() for word in pair]
    assert main(["sections", str(inputs["IN"]), "--section-overrides", str(rules), *words]) == 1
    assert rules.read_text() == "sections: {}\nranges: {}\n"


@pytest.mark.parametrize("command", ["label", "sections", "build"])
def test_a_lexicon_folder_is_no_place_for_an_output(command: str, inputs: dict[str, Path], tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.mkdir()
    (words / "spelling.yaml").write_text("words: {effushun: effusion}\n")
    call = [command, str(inputs["IN"]), "--lexicon", str(words), "--out"]
    assert main([*call, str(words / "out")]) == 1
    assert [path.name for path in words.iterdir()] == ["spelling.yaml"]
    assert main([*call, str(tmp_path / "out")]) == 0


def test_an_output_inside_a_folder_of_reports_is_refused(tmp_path: Path) -> None:
    report = tmp_path / "files" / "p10" / "p10000032" / "s50000001.txt"
    report.parent.mkdir(parents=True)
    report.write_text("Clear.")
    assert main(["label", str(tmp_path / "files"), "--out", str(tmp_path / "files" / "l.parquet")]) == 1
    assert main(["label", str(tmp_path / "files"), "--out", str(tmp_path / "l.parquet"), "--workers", "1"]) == 0


def fill(folder: Path, word: str, n_shards: int) -> None:
    names = [f"data/{split}-{i:05d}-of-{n_shards:05d}.parquet" for split in ("train", "test") for i in range(n_shards)]
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"version": [word]}), folder / name)
    (folder / "README.md").write_text(word)
    manifest = Manifest(
        config={}, inputs=[], labels=[], groups={}, group_thresholds={}, counts={}, splits={}, label_counts={}
    )
    write_manifest(manifest.model_copy(update={"files": written_files(folder, {})}), folder)


def versions(folder: Path) -> set[str]:
    return {word for path in folder.glob("data/*.parquet") for word in pq.read_table(path)["version"].to_pylist()}


def test_a_replacement_that_is_killed_anywhere_never_shows_files_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    for kill_at in range(1, 30):
        out = tmp_path / str(kill_at)
        with staged(out) as folder:
            fill(folder, "old", 3)
        steps = 0

        def dying(original: object, kill_at: int = kill_at) -> object:
            def step(self: Path, *arguments: object, **options: object) -> object:
                nonlocal steps
                if ".unfinished" not in str(self) or arguments:
                    steps += 1
                    if steps == kill_at:
                        raise Killed
                return original(self, *arguments, **options)  # type: ignore[operator]

            return step

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", dying(Path.replace))
            patch.setattr(Path, "unlink", dying(Path.unlink))
            try:
                with staged(out) as folder:
                    fill(folder, "new", 2)
            except Killed:
                pass
        assert len(versions(out)) <= 1
        if (out / "manifest.json").exists():
            assert differences(out) == []
        if (out / "README.md").exists():
            assert versions(out) <= {(out / "README.md").read_text()}
        check_out(out, force=False)
        with staged(out) as folder:
            fill(folder, "third", 1)
        assert differences(out) == []
        assert versions(out) == {"third"}
        assert not (out / REPLACED_NAME).exists()
        shutil.rmtree(out)


def test_automatic_labels_are_not_taken_for_a_persons(tmp_path: Path) -> None:
    release = tmp_path / "release"
    assert main(["simulate", "--studies", "60", "--out", str(release)]) == 0
    build = ["build", str(release / "mimic-cxr-reports.zip"), "--out", str(tmp_path / "o"), "--workers", "1"]
    assert main([*build, "--gold", str(release / "mimic-cxr-2.0.0-chexpert.csv.gz")]) == 1
    assert main([*build, "--gold", str(release / "mimic-cxr-2.1.0-test-set-labeled.csv"), "--force"]) == 0


def test_simulated_data_say_so_first_and_may_be_shared(tmp_path: Path) -> None:
    release = tmp_path / "release"
    assert main(["simulate", "--studies", "60", "--out", str(release)]) == 0
    alone = tmp_path / "mimic-cxr-reports.zip"
    shutil.copy(release / "mimic-cxr-reports.zip", alone)
    out = tmp_path / "o"
    assert main(["build", str(alone), "--out", str(out), "--workers", "1"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["simulated"] is True
    assert manifest["notes"][0].startswith("SIMULATED")
    card = (out / "README.md").read_text()
    assert 'license: "cc0-1.0"' in card
    assert "# SIMULATED" in card
    assert "PhysioNet" not in card
    croissant = json.loads((out / "croissant.json").read_text())
    assert croissant["name"].startswith("SIMULATED")
    assert croissant["description"].startswith("SIMULATED")
    assert "CC0" in croissant["license"]


def test_given_lists_that_let_patients_cross_are_told_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("image_id,patient_id,Edema\n" + "".join(f"i{i},p{i // 2},{i % 3 % 2}\n" for i in range(40)))
    (tmp_path / "val.txt").write_text("i0\ni10\n")
    (tmp_path / "test.txt").write_text("i1\ni20\ni21\n")
    out = tmp_path / "o"
    lists = [str(tmp_path / "val.txt"), str(tmp_path / "test.txt")]
    assert main(["split", str(table), "--out", str(out), "--split.ids", *lists]) == 0
    printed = capsys.readouterr().out
    said = "2 patients are in more than one split of the 20"
    assert said in printed
    assert "Group     subject" not in printed
    assert said in (out / "manifest.json").read_text()
    assert "1 images (33.3%) of test" in (out / "README.md").read_text()
    assert main(["verify", str(out)]) == 0
    assert "1 patients are in train and in validation" in capsys.readouterr().out


def test_a_damaged_shard_is_labelled_again(tmp_path: Path) -> None:
    reports = tmp_path / "r.csv"
    reports.write_text("report_id,text\n" + "".join(f"r{i},Small effusion.\n" for i in range(50)))
    build = ["build", str(reports), "--out", str(tmp_path / "o"), "--workers", "1"]
    assert main(build) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "o").rglob("*.parquet")}
    for shard in (tmp_path / "o" / ".cache").rglob("*.arrow"):
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(bytes(data))
    assert main([*build, "--split.seed", "0"]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "o").rglob("*.parquet")} == before


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        check_out(tmp_path / "f", force=True)


def test_a_build_with_other_options_says_what_it_replaces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports = tmp_path / "r.csv"
    reports.write_text("report_id,text\n" + "".join(f"r{i},Small effusion.\n" for i in range(50)))
    build = ["build", str(reports), "--out", str(tmp_path / "o"), "--workers", "1"]
    assert main(build) == 0
    assert main(build) == 0
    assert "is replaced" not in capsys.readouterr().err
    assert main([*build, "--uncertain", "one", "--dry-run"]) == 0
    assert "uncertain: 'zero' -> 'one'" in capsys.readouterr().out
    assert main([*build, "--uncertain", "one"]) == 0
    assert "is replaced (uncertain: 'zero' -> 'one')" in capsys.readouterr().err
