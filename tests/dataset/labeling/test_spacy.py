"""Engine `spacy`: negation and uncertainty on a parse; and the spaCy component."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution

import pytest

from ltml_dataset.errors import UserError
from ltml_dataset.labeling.labeler import Labeler
from ltml_lexicons.dependency import DependencyRule, load_dependency_rules

spacy = pytest.importorskip("spacy", reason="the spacy extra is not installed")

import_module("ltml_dataset.labeling.spacy_component")  # a source tree on the path has no entry point

STATE = {"open": -1, "negation": 0, "uncertainty": -1}


@pytest.fixture(scope="module")
def labeler() -> Labeler:
    if not any(name.startswith("en") for name in spacy.util.get_installed_models()):
        pytest.skip("no English spaCy model is installed (scripts/test installs one)")
    return Labeler(engine="spacy")


@pytest.mark.parametrize("rule", load_dependency_rules(), ids=lambda rule: rule.id)
def test_every_rule_decides_its_own_example(labeler: Labeler, rule: DependencyRule) -> None:
    found = {int(mention.status) for mention in labeler.explain(rule.example)}
    assert STATE[rule.kind] in found, f"{rule.example} -> {labeler.explain(rule.example)}"


@pytest.mark.parametrize(
    "sentence, expected",
    [
        (
            "No pleural effusion, pneumothorax or focal consolidation.",
            {"Pleural Effusion": 0, "Pneumothorax": 0, "Consolidation": 0},
        ),
        ("No edema but a small effusion.", {"Edema": 0, "Pleural Effusion": 1}),
        ("Opacity may represent atelectasis.", {"Lung Opacity": 1, "Atelectasis": -1}),
        ("History of pneumothorax.", {"Pneumothorax": 0}),
        ("The heart is mildly enlarged.", {"Cardiomegaly": 1}),
        ("Heart size is normal.", {"Cardiomegaly": 0}),
    ],
)
def test_sentences(labeler: Labeler, sentence: str, expected: dict[str, int]) -> None:
    row = labeler.label([sentence]).to_pylist()[0]
    assert {name: row[name] for name in expected} == expected


def test_evidence_names_rule_and_cue_with_offsets(labeler: Labeler) -> None:
    text = "There is no\nevidence of edema."
    (mention,) = labeler.explain(text)
    assert mention.rule.startswith("parse: ")
    assert mention.cue == "no"
    assert text[mention.start : mention.end] == "edema"
    assert (mention.cue_start, mention.cue_end) == (9, 11)


def test_the_engine_is_part_of_the_fingerprint(labeler: Labeler) -> None:
    assert labeler.fingerprint != Labeler().fingerprint


def test_any_span_is_asserted_on_the_parse(labeler: Labeler) -> None:
    text = "There is no evidence of sarcoidosis."
    assert labeler.assert_span(text, text.index("sarc"), len(text) - 1) == 0


def test_a_missing_model_is_one_sentence() -> None:
    with pytest.raises(UserError, match="no_such_model"):
        Labeler(engine="spacy", spacy_model="no_such_model")


def test_the_component_labels_documents_and_marks_spans() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("ltml_labeler")
    doc = nlp("No pneumothorax. Moderate cardiomegaly.")
    assert doc._.ltml_labels == {"Pneumothorax": 0, "Cardiomegaly": 1}
    spans = [(span.text, span.label_, span._.ltml_status, span._.ltml_cue) for span in doc.spans["ltml"]]
    assert spans == [("pneumothorax", "Pneumothorax", 0, "No"), ("cardiomegaly", "Cardiomegaly", 1, None)]


def test_the_component_takes_options() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("ltml_labeler", config={"label_set": "chexpert14"})
    assert nlp("Left atrial enlargement.")._.ltml_labels.get("Left Atrial Enlargement") is None


def test_spacy_finds_the_component_without_importing_us() -> None:
    try:
        distribution("ltml-mimic-cxr")
    except PackageNotFoundError:
        pytest.skip("needs the package installed; scripts/test installs it")
    code = "import spacy; nlp = spacy.blank('en'); nlp.add_pipe('ltml_labeler'); print(nlp.pipe_names)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "['ltml_labeler']" in done.stdout, done.stderr
