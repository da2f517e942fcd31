"""A folder of one's own words, laid over those that ship, decides labels end to end."""

import json
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from ltml_dataset import Labeler
from ltml_dataset.cli import main
from ltml_dataset.errors import UserError
from ltml_dataset.text.sentences import Stops, split_sentences
from ltml_lexicons.errors import LexiconError
from ltml_lexicons.lexicon import load_lexicon

RIB = """\
id: cervical_rib
name: Cervical Rib
index: 1000
origin: user
definition: A rib of the seventh cervical vertebra.
mentions:
  - cervical rib
  - {text: CRIB, upper: true}
"""
TITLE = "sections:\n  impression:\n    headers: [what we saw]\n"
CUE = "groups:\n  negation:\n    cues: [zilch in the way of]\n"
SHORT = "meanings: {PTX: pneumothorax}\n"
REPORT = "Why we looked: ? edema\nWhat we saw: Cervical rib. Zilch in the way of effusion. Left PTX."


def cases(name: str) -> list[dict[str, Any]]:
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    found: list[dict[str, Any]] = YAML(typ="safe", pure=True).load(text)
    return found


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    return write(
        tmp_path / "hospital",
        {
            "labels/cervical_rib.yaml": RIB,
            "cues/before.yaml": CUE,
            "sections/default.yaml": TITLE + "  history:\n    headers: [why we looked]\n",
            "abbreviations.yaml": SHORT,
            "README.md": "Words of our hospital.",
        },
    )


@cache
def shipped() -> Labeler:
    return Labeler()


def states(report: str, **options: object) -> dict[str, int]:
    labeler = Labeler(**options) if options else shipped()  # type: ignore[arg-type]
    row = labeler.label([report]).to_pylist()[0]
    return {name: state for name, state in row.items() if name != "report_id" and state is not None}


EXPECTED = {"Cervical Rib": 1, "Pleural Effusion": 0, "Pneumothorax": 1}


def test_label_build_and_explain_read_the_folder(
    hospital: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reports.jsonl").write_text(json.dumps({"report_id": "a", "text": REPORT}) + "\n", encoding="utf-8")
    assert states(REPORT, lexicon_folder=hospital) == EXPECTED
    assert main(["label", "reports.jsonl", "--out", "labels.parquet", "--lexicon", "hospital"]) == 0
    assert main(["build", "reports.jsonl", "--out", "built", "--lexicon", "hospital"]) == 0
    (study,) = pq.read_table(next(Path("built/studies").glob("*.parquet"))).to_pylist()
    (labelled,) = pq.read_table("labels.parquet").to_pylist()
    for row in (study, labelled):
        assert {name: row[name] for name in EXPECTED} == EXPECTED
        assert row["No Finding"] is None
        assert list(row)[-2:] == ["Cervical Rib", "No Finding"]
    stamp = json.loads(Path("built/manifest.json").read_text(encoding="utf-8"))["lexicon"]
    assert stamp["folder"] == "hospital"
    assert stamp["version"] == f"{load_lexicon().version}+hospital"
    assert stamp["fingerprint"] == Labeler(lexicon_folder=hospital, text_columns=["text"]).fingerprint
    capsys.readouterr()
    assert main(["explain", REPORT, "--lexicon", "hospital", "--json"]) == 0
    explained = json.loads(capsys.readouterr().out)
    assert explained["labels"] == EXPECTED
    cues = {mention["label"]: mention["cue"] for mention in explained["mentions"]}
    assert cues["Pleural Effusion"] == "Zilch in the way of"


def test_another_word_is_another_cache_and_another_folder_replaces(hospital: Path, tmp_path: Path) -> None:
    before = Labeler(lexicon_folder=hospital).fingerprint
    assert before != Labeler().fingerprint
    assert before == Labeler(lexicon_folder=str(hospital)).fingerprint
    (hospital / "cues" / "before.yaml").write_text(CUE.replace("zilch", "nada"), encoding="utf-8")
    assert Labeler(lexicon_folder=hospital).fingerprint != before
    assert states("Findings: zilch in the way of effusion.", lexicon_folder=hospital)["Pleural Effusion"] == 1


def test_without_the_folder_nothing_of_it_is_read() -> None:
    assert "Cervical Rib" not in states(REPORT)
    assert states(REPORT)["Pleural Effusion"] == 1


def test_two_labelers_with_other_titles_share_no_memory(hospital: Path) -> None:
    report = "Why we looked: edema\nFindings: clear lungs."
    assert "Edema" not in states(report, lexicon_folder=hospital)
    assert states("Why we looked: edema", sections="all")["Edema"] == 1
    assert "Edema" not in states(report, lexicon_folder=hospital)


def test_workers_get_the_folder_by_whatever_way_they_start(
    hospital: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    labeler = Labeler(lexicon_folder="hospital")
    sent = pickle.dumps(labeler)
    monkeypatch.chdir(hospital)
    assert pickle.loads(sent).label([REPORT]).equals(labeler.label([REPORT]))  # noqa: S301
    (hospital / "cues" / "before.yaml").write_text(CUE.replace("zilch", "nada"), encoding="utf-8")
    with pytest.raises(UserError, match="changed while"):
        pickle.loads(sent)  # noqa: S301


def test_two_processes_write_what_one_writes(hospital: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [json.dumps({"report_id": f"r{i}", "text": REPORT}) for i in range(5000)]
    Path("reports.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for n in (1, 2):
        out = f"labels{n}.parquet"
        assert main(["label", "reports.jsonl", "--out", out, "--lexicon", "hospital", "--workers", str(n)]) == 0
    assert Path("labels1.parquet").read_bytes() == Path("labels2.parquet").read_bytes()
    assert set(pq.read_table("labels2.parquet")["Cervical Rib"].to_pylist()) == {1}


def test_the_sections_command_reads_the_titles(hospital: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reports.jsonl").write_text(json.dumps({"report_id": "a", "text": REPORT}) + "\n", encoding="utf-8")
    call = ["sections", "reports.jsonl", "--rules", "default", "--out"]
    assert main([*call, "own.csv", "--lexicon", "hospital"]) == 0
    assert main([*call, "plain.csv"]) == 0
    assert Path("own.csv").read_text(encoding="utf-8").splitlines()[1].startswith("a,Cervical rib.")
    assert Path("own.csv").read_bytes() != Path("plain.csv").read_bytes()


def test_a_named_set_keeps_its_columns_and_a_set_of_the_folder_may_name_the_new_one(hospital: Path) -> None:
    assert "Cervical Rib" not in Labeler("chexpert14", lexicon_folder=hospital).label_names
    write(hospital, {"label_sets/mine.yaml": "id: mine\nlabels: [cervical_rib, edema]\n"})
    assert Labeler("mine", lexicon_folder=hospital).label_names == ("Cervical Rib", "Edema")
    write(hospital, {"label_sets/ltml39.yaml": "remove: {labels: [fracture]}\n"})
    names = Labeler(lexicon_folder=hospital).label_names
    assert "Fracture" not in names
    assert names[-1] == "Cervical Rib"


@pytest.mark.parametrize("case", cases("folder_cases.yaml"), ids=lambda case: case["report"])
def test_every_kind_of_file_decides(tmp_path: Path, case: dict[str, Any]) -> None:
    folder = write(tmp_path / "hospital", {case["file"]: case["text"]})
    assert states(case["report"]).get(case["label"]) == case["before"]
    assert states(case["report"], lexicon_folder=folder).get(case["label"]) == case["after"]


def test_a_word_with_a_stop_of_its_own_ends_no_sentence(tmp_path: Path) -> None:
    lexicon = load_lexicon(folder=write(tmp_path / "hospital", {"abbreviations.yaml": "stops: [compd]\n"}))
    text = "Chest compd. with old films."
    assert len(split_sentences(text)) == 2
    assert len(split_sentences(text, stops=Stops(lexicon.abbreviations.stops))) == 1
    assert "dr" in lexicon.abbreviations.stops


def test_precedence_can_be_turned_and_a_file_replaced(tmp_path: Path) -> None:
    order = [list(kinds) for kinds in load_lexicon().precedence]
    folder = write(
        tmp_path / "hospital",
        {"cues/precedence.yaml": f"about: Ours.\nreplace: true\norder: {json.dumps(order[::-1])}\n"},
    )
    assert [list(kinds) for kinds in load_lexicon(folder=folder).precedence] == order[::-1]
    folder = write(
        tmp_path / "other", {"cues/forms.yaml": "replace: true\nabout: x\nforms: {}\nnouns: []\nnoun_endings: []\n"}
    )
    with pytest.raises(LexiconError, match=r"which `cues/forms.yaml` does not have"):
        load_lexicon(folder=folder)


def test_the_second_engine_reads_rules_of_the_folder(tmp_path: Path) -> None:
    words = "words: [{id: cue, of: finding, op: '>', word: [nope]}]"
    rule = f"rules:\n  - {{id: no_finding, kind: negation, example: Nope., {words}}}\n"
    folder = write(tmp_path / "hospital", {"dependency/rules.yaml": rule})
    rules = load_lexicon(folder=folder).dependency.rules
    assert len(rules) == len(load_lexicon().dependency.rules)
    assert next(rule for rule in rules if rule.id == "no_finding").example == "Nope."


@pytest.mark.parametrize("case", cases("folder_mistakes.yaml"), ids=lambda case: f"{case['file']}: {case['says']}")
def test_mistakes_are_one_sentence_with_file_and_line(
    tmp_path: Path, case: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "hospital", {case["file"]: case["text"]})
    assert main(["lexicon", "check", "--lexicon", str(tmp_path / "hospital")]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"hospital/{case['file']}`" in message, message
    assert case["says"] in message
    if case["line"] is not None:
        assert f"line {case['line']}" in message


def test_a_folder_that_holds_nothing_is_the_users_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, words in ((tmp_path, "holds no lexicon file"), (tmp_path / "x", "is no folder")):
        assert main(["explain", "Clear.", "--lexicon", str(folder)]) == 1
        assert words in capsys.readouterr().err


def test_a_fault_that_shows_in_a_shipped_file_has_its_line_although_that_came_from_the_cache(tmp_path: Path) -> None:
    load_lexicon()
    folder = write(tmp_path / "hospital", {"cues/forms.yaml": "remove: {forms: [sign]}\n"})
    with pytest.raises(LexiconError, match=r"`before.yaml`, line \d+: .* names the form 'sign'"):
        load_lexicon(folder=folder)


def test_lexicon_commands_know_the_folder(hospital: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lexicon", "show", "Cervical Rib", "--lexicon", str(hospital)]) == 0
    assert main(["lexicon", "stats", "--lexicon", str(hospital)]) == 0
    assert "cervical_rib" in capsys.readouterr().out
    new = tmp_path / "fresh"
    assert main(["lexicon", "new", "Azygos Arch", "--lexicon", str(new)]) == 0
    assert main(["lexicon", "new", "Bifid Rib", "--lexicon", str(new)]) == 0
    assert main(["lexicon", "check", "--lexicon", str(new)]) == 0
    assert "labels of your own: Azygos Arch, Bifid Rib" in capsys.readouterr().out
    assert main(["lexicon", "new", "Azygos Lobe", "--lexicon", str(new)]) == 1
    assert "label_sets" in capsys.readouterr().err
    assert main(["lexicon", "new", "Bifid Rib", "--lexicon", str(new)]) == 1


def test_check_reads_every_file_of_the_shipped_lexicon(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lexicon", "check"]) == 0
    shown = capsys.readouterr().out
    root = Path(load_lexicon().documents["edema"].path).parents[1]
    for path in root.rglob("*.yaml"):
        place = path.relative_to(root).as_posix().partition("/")[0]
        assert place in shown, place
