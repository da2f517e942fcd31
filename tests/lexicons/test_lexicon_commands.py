"""`lexicon check|show|gamuts|new|stats` as a user calls them, and a 40th label from one file."""

import json
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from shared_data import shared

from ltml_dataset import Labeler
from ltml_dataset.cli import main
from ltml_lexicons.choose import choose_labels
from ltml_lexicons.drafts import FIRST_USER_INDEX, draft_label, label_id
from ltml_lexicons.errors import LexiconError
from ltml_lexicons.gamuts import gamuts_findings, search_gamuts
from ltml_lexicons.lexicon import load_lexicon


@pytest.fixture
def cervical_rib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drafted label file in the current folder."""
    monkeypatch.chdir(tmp_path)
    assert main(["lexicon", "new", "Cervical Rib"]) == 0
    return tmp_path / "cervical_rib.yaml"


def test_a_draft_is_a_fortieth_label_as_it_stands(cervical_rib: Path) -> None:
    labeler = Labeler(label_set=str(cervical_rib))
    assert labeler.label_names == (*Labeler.default().label_names, "Cervical Rib")
    row = labeler.label(["Cervical rib, a variant. No pneumothorax."]).to_pylist()[0]
    assert row["Cervical Rib"] == 1
    assert row["Pneumothorax"] == 0
    assert row["No Finding"] is None
    assert labeler.label(["No cervical rib."]).to_pylist()[0]["Cervical Rib"] == 0


def test_the_page_of_a_label_outside_the_39_becomes_the_draft(tmp_path: Path) -> None:
    assert main(["lexicon", "new", "Azygos Lobe", "--out", str(tmp_path)]) == 0
    labeler = Labeler(label_set=str(tmp_path / "azygos_lobe.yaml"))
    assert labeler.label_names[-1] == "Azygos Lobe"
    assert len(labeler.label_names) == 40
    assert labeler.label(["Azygous lobe, a normal variant."]).to_pylist()[0]["Azygos Lobe"] == 1
    assert main(["lexicon", "check", str(tmp_path / "azygos_lobe.yaml")]) == 0


def test_one_file_is_enough_for_the_label_command(cervical_rib: Path, tmp_path: Path) -> None:
    reports = tmp_path / "reports.csv"
    reports.write_text("report_id,text\na,There is a cervical rib.\nb,Clear lungs.\n", encoding="utf-8")
    out = tmp_path / "labels.parquet"
    assert main(["label", str(reports), "--out", str(out), "--label-set", str(cervical_rib)]) == 0
    assert pq.read_table(out).column("Cervical Rib").to_pylist() == [1, None]


def test_an_edited_file_with_its_own_site_finds_composed_wordings(cervical_rib: Path) -> None:
    text = cervical_rib.read_text(encoding="utf-8")
    edited = text.replace(
        "composed: []",
        "composed:\n  - {name: thick cervical band, site: [cervical_band], abnormal: [thickened]}\n"
        "groups:\n  sites:\n    cervical_band: {definition: Its band., terms: [cervical band]}\n#",
    )
    cervical_rib.write_text(edited, encoding="utf-8")
    assert main(["lexicon", "check", str(cervical_rib)]) == 0
    row = Labeler(label_set=str(cervical_rib)).label(["The cervical band is thickened."]).to_pylist()[0]
    assert row["Cervical Rib"] == 1


def test_a_set_file_takes_names_ids_and_adjacent_files(cervical_rib: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "id: mine\nname: Mine\nabout: A test.\nsource: here\nfiles: [cervical_rib.yaml]\n"
        "labels: [Cervical Rib, pneumothorax, Pleural Effusion]\nnames: {pleural_effusion: Effusion}\n",
        encoding="utf-8",
    )
    labeler = Labeler(label_set=str(path))
    assert labeler.label_names == ("Cervical Rib", "Pneumothorax", "Effusion")
    row = labeler.label(["Small effusion beside a cervical rib."]).to_pylist()[0]
    assert (row["Cervical Rib"], row["Pneumothorax"], row["Effusion"]) == (1, None, 1)


SHORT_SET = """\
labels: [Pneumothorax, Cervical Rib]
own:
  - id: cervical_rib
    name: Cervical Rib
    index: 1000
    origin: user
    definition: A rib of the seventh neck vertebra.
    mentions:
      - {text: cervical rib, source: curated}
"""


def test_a_set_file_may_write_its_own_labels_out(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text(SHORT_SET, encoding="utf-8")
    labeler = Labeler(label_set=str(path))
    assert labeler.label_names == ("Pneumothorax", "Cervical Rib")
    assert labeler.label(["Left cervical rib."]).to_pylist()[0]["Cervical Rib"] == 1
    path.write_text(SHORT_SET.replace("cervical rib,", "neck rib,"), encoding="utf-8")
    changed = Labeler(label_set=str(path))
    assert changed.fingerprint != labeler.fingerprint
    path.write_text(SHORT_SET.replace("source: curated", "source: hearsay"), encoding="utf-8")
    with pytest.raises(LexiconError, match=r"`short.yaml`, line 9: unknown source `hearsay`"):
        choose_labels(path)


@pytest.mark.parametrize("name", ["ltml39", "chexpert14", "cxr_lt_2023", "cxr_lt_2024"])
def test_sets_that_ship_say_what_they_are(name: str) -> None:
    label_set = load_lexicon().label_sets[name]
    assert label_set.id == name
    assert label_set.name
    assert label_set.about
    assert label_set.source


def test_the_39_stand_in_the_released_order() -> None:
    labels = choose_labels("ltml39").labels
    assert [label.index for label in labels] == list(range(39))


@pytest.mark.parametrize(("name", "count"), [("chexpert14", 13), ("cxr_lt_2023", 25), ("cxr_lt_2024", 44)])
def test_other_sets_have_their_size_without_no_finding(name: str, count: int) -> None:
    assert len(choose_labels(name).labels) == count


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("origin: user", "origin: user\ncolour: red"), "line 7.*colour"),
        (("source: curated", "source: hearsay"), "unknown source `hearsay`"),
        (('text: "cervical rib"', "text: cardiomegaly"), "already names `cardiomegaly`"),
        (("parents: []", "parents: [no_such_label]"), "unknown label `no_such_label`"),
        (("index: 1000", "index: 3"), "index 3 already belongs to `lung_opacity`"),
        (("origin: user", "origin: user\norigin: user"), "`origin` stands twice"),
    ],
)
def test_faults_of_a_users_file_are_named_with_file_and_line(
    cervical_rib: Path, change: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = cervical_rib.read_text(encoding="utf-8")
    assert change[0] in text
    cervical_rib.write_text(text.replace(*change), encoding="utf-8")
    assert main(["lexicon", "check", str(cervical_rib)]) == 1
    shown = capsys.readouterr().err
    assert "`cervical_rib.yaml`, line" in shown
    with pytest.raises(LexiconError, match=message):
        choose_labels(cervical_rib)


def test_a_draft_is_never_overwritten_unasked(cervical_rib: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cervical_rib.write_text("mine", encoding="utf-8")
    assert main(["lexicon", "new", "Cervical Rib"]) == 1
    assert "--force" in capsys.readouterr().err
    assert cervical_rib.read_text(encoding="utf-8") == "mine"


def test_new_refuses_labels_that_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lexicon", "new", "pleural effusion", "--out", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_drafts_in_one_folder_take_different_indexes(cervical_rib: Path, tmp_path: Path) -> None:
    assert main(["lexicon", "new", "Bifid Rib", "--out", str(tmp_path)]) == 0
    indexes = [choose_labels(path).labels[-1].index for path in (cervical_rib, tmp_path / "bifid_rib.yaml")]
    assert indexes == [FIRST_USER_INDEX, FIRST_USER_INDEX + 1]


def test_gamuts_search_drafts_the_best_hit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lexicon", "gamuts", "dilated azygos", "--write", "--out", str(tmp_path)]) == 0
    assert "dilated azygos vein" in capsys.readouterr().out
    chosen = choose_labels(tmp_path / "dilated_azygos_vein.yaml")
    label = chosen.labels[-1]
    assert label.gamuts == ["14108"]
    assert {phrase.source for phrase in label.mentions} == {"gamuts"}
    row = Labeler(label_set=str(tmp_path / "dilated_azygos_vein.yaml"), profile="paper").label(["Dilated azygos vein."])
    assert row.to_pylist()[0]["Dilated Azygos Vein"] == 1


def test_the_gamuts_index_is_whole() -> None:
    findings = gamuts_findings()
    assert len(findings) == 1934
    assert len({finding.id for finding in findings}) == 1934


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("mucoid impaction", "mucoid impaction"),
        ("PULMONARY artery thromboembolism", "pulmonary embolism"),
        ("22456", "diaphragmatic hernia"),
        ("bronchectasis", "bronchiectasis"),
        ("hilar enlarg", "bilateral hilar enlargement"),
    ],
)
def test_search_finds_names_synonyms_ids_and_near_misses(query: str, name: str) -> None:
    assert search_gamuts(query)[0].name == name


def test_search_without_a_hit_is_the_users_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lexicon", "gamuts", "zzzz"]) == 1
    assert "No Gamuts finding fits" in capsys.readouterr().err


def test_gamuts_phrases_of_our_labels_are_in_the_index() -> None:
    terms = {term.lower().replace("-", " ") for finding in gamuts_findings() for term in finding.terms}
    joined = " | ".join(terms)
    for label in load_lexicon().labels.values():
        for phrase in label.mentions:
            if phrase.source == "gamuts":
                assert phrase.text.lower().replace("-", " ") in joined, (
                    f"{label.id}: `{phrase.text}` is not Gamuts wording"
                )


def test_every_gamuts_id_of_a_label_exists() -> None:
    known = {finding.id for finding in gamuts_findings()}
    for label in load_lexicon().labels.values():
        assert set(label.gamuts) <= known, label.id


def test_show_prints_the_page_by_id_or_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lexicon", "show", "aortic_aneurysm", "--markdown"]) == 0
    by_id = capsys.readouterr().out
    assert main(["lexicon", "show", "Aortic Aneurysm", "--markdown"]) == 0
    assert capsys.readouterr().out == by_id
    assert by_id.startswith("## Aortic Aneurysm")
    assert main(["lexicon", "show", "aortic aneurism"]) == 1
    assert "did you mean `aortic_aneurysm`" in capsys.readouterr().err


def test_stats_count_every_label(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lexicon", "stats", "--label-set", "chexpert14"]) == 0
    shown = capsys.readouterr().out
    assert "13 labels" in shown
    assert "pleural_effusion" in shown


def test_ids_come_from_names() -> None:
    assert label_id("Round(ed) Atelectasis") == "round_ed_atelectasis"
    with pytest.raises(LexiconError, match="begins with a letter"):
        label_id("3")


def test_drafted_text_is_valid_for_every_tenth_gamuts_finding(tmp_path: Path) -> None:
    lexicon = load_lexicon()
    names = {label.name.lower() for label in lexicon.labels.values()}
    for finding in gamuts_findings()[::200]:
        if finding.name.lower() in names:
            continue
        path = tmp_path / f"{label_id(finding.name)}.yaml"
        path.write_text(draft_label(finding.name, lexicon, finding), encoding="utf-8")
        assert choose_labels(path).labels[-1].name == finding.name


def test_column_names_are_those_of_the_release() -> None:
    released = json.loads(shared("data/ltml/class_names.json").read_text(encoding="utf-8"))
    assert list(choose_labels("ltml39").names) == released


def test_the_commands_of_the_lexicon_readme_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = Path(__file__).resolve().parents[2] / "lexicons" / "README.md"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports.csv").write_text("report_id,text\na,There is an azygos lobe.\n", encoding="utf-8")
    commands = [
        line for line in readme.read_text(encoding="utf-8").splitlines() if line.startswith("ltml-build-labels")
    ]
    assert len(commands) == 3
    for command in commands:
        assert main(shlex.split(command, comments=True)[1:]) == 0, command
    assert pq.read_table("labels.parquet")["Azygos Lobe"].to_pylist() == [1]
