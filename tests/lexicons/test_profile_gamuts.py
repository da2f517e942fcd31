"""Profile `gamuts`: every Gamuts synonym of a class as it stands, and no other word."""

from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ltml_dataset import Labeler
from ltml_dataset.cli import main
from ltml_dataset.labeling.compiled import compile_lexicon
from ltml_dataset.labeling.labeler import PROFILE_KINDS, labels_of
from ltml_lexicons.choose import choose_labels
from ltml_lexicons.errors import LexiconError
from ltml_lexicons.gamuts import gamuts_findings
from ltml_lexicons.lexicon import load_lexicon

CLASSES = choose_labels().labels


@cache
def labeler() -> Labeler:
    return Labeler(profile="gamuts")


def terms_of(ids: list[str]) -> set[str]:
    return {term.lower() for finding in gamuts_findings() if finding.id in ids for term in finding.terms}


def test_its_phrases_are_those_of_gamuts_and_each_is_there() -> None:
    chosen = choose_labels()
    labels = labels_of(chosen, "gamuts")
    compiled = compile_lexicon(chosen.lexicon, labels, PROFILE_KINDS["gamuts"])
    assert {entry.source for entry in compiled.phrases} == {"gamuts"}
    for number, label in enumerate(labels):
        found = [entry.text.lower() for entry in compiled.phrases if entry.label == number]
        assert len(found) == len(set(found))
        assert set(found) == terms_of(label.gamuts), label.id
    assert sum(bool(label.gamuts) for label in CLASSES) == 26


@pytest.mark.parametrize("label", [label for label in CLASSES if label.gamuts], ids=lambda label: label.id)
def test_every_term_is_read_as_it_stands_with_the_ordinary_assertion(label) -> None:  # type: ignore[no-untyped-def]
    for finding in gamuts_findings():
        if finding.id not in label.gamuts:
            continue
        for term in finding.terms:
            reports = [f"Findings: {frame}" for frame in (f"{term}.", f"No {term}.", f"Possible {term}.")]
            states = labeler().label(reports)[label.name].to_pylist()
            assert states == [1, 0, -1], term


@pytest.mark.parametrize(
    ("report", "label", "clinical", "gamuts"),
    [
        ("The left atrium is enlarged.", "Left Atrial Enlargement", 1, None),
        ("Bronchiectatic change.", "Bronchiectasis", 1, None),
        ("Pleural effusion.", "Pleural Effusion", 1, None),
        ("Pulmonary embolisms.", "Pulmonary Embolism", 1, None),
        ("Bronchietasis at the bases.", "Bronchiectasis", 1, None),
        ("Airspace disease.", "Alveolar Lung Disease", None, 1),
        ("AIR SPACE DISEASE.", "Alveolar Lung Disease", None, 1),
        ("hemothorax", "Hemothorax", 1, 1),
    ],
)
def test_nothing_is_added_and_nothing_left_out(report: str, label: str, clinical: int | None, gamuts: int) -> None:
    assert labeler().label([report])[label].to_pylist() == [gamuts]
    assert Labeler.default().label([report])[label].to_pylist() == [clinical]


def test_build_label_and_explain_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reports.csv").write_text("report_id,text\na,Findings: airspace disease.\n", encoding="utf-8")
    assert main(["label", "reports.csv", "--out", "labels.parquet", "--profile", "gamuts"]) == 0
    assert pq.read_table("labels.parquet")["Alveolar Lung Disease"].to_pylist() == [1]
    assert main(["explain", "Airspace disease.", "--profile", "gamuts"]) == 0
    assert main(["build", "reports.csv", "--out", "built", "--profile", "gamuts"]) == 0
    card = Path("built/README.md").read_text(encoding="utf-8")
    assert "profile gamuts" in card
    assert "curated" not in card.partition("## ")[2].partition("lexicon")[0]
    assert len({Labeler(profile=name).fingerprint for name in ("clinical", "paper", "gamuts")}) == 3


def test_a_label_with_an_unknown_gamuts_id_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "goiter.yaml"
    page.write_text(
        "id: goiter\nname: Goiter\nindex: 1000\norigin: user\ndefinition: x\ngamuts:\n  - '0'\n", encoding="utf-8"
    )
    with pytest.raises(LexiconError, match=r"`goiter.yaml`, line 7: Gamuts has no finding `0`"):
        load_lexicon(extra_labels=[page])
