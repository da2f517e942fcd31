"""The labeler as users call it: rows, evidence, options, and that nothing but the text decides."""

import pickle
import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marked_text import all_marked

from ltml_dataset import Labeler
from ltml_dataset.errors import UserError
from ltml_dataset.records import Assertion
from ltml_dataset.schema import EVIDENCE_SCHEMA, label_schema
from ltml_lexicons.errors import LexiconError
from ltml_lexicons.lexicon import load_lexicon

LINES = [line.text for line in all_marked()]
FRAGMENTS = sorted({" ".join(line.split()[i : i + 4]) for line in LINES[::3] for i in range(0, 12, 3)} - {""})


@cache
def labeler() -> Labeler:
    return Labeler.default()


def states(text: str, which: Labeler | None = None) -> dict[str, int]:
    row = (which or labeler()).label([text]).to_pylist()[0]
    return {name: state for name, state in row.items() if name != "report_id" and state is not None}


def batch_of(reports: list[str]) -> pa.RecordBatch:
    return pa.record_batch({"report_id": [f"r{i}" for i in range(len(reports))], "text": reports})


reports_of_fragments = st.lists(
    st.sampled_from(FRAGMENTS)
    | st.sampled_from([". ", "\n", ", ", " or ", "\n\n", " XXXX ", "\u00a0", "İ", "ﬁ", "___"]),
    max_size=14,
).map(" ".join)


def test_the_schema_is_the_label_files() -> None:
    table = labeler().label(["Clear.", None])
    assert table.schema.equals(label_schema(labeler().label_names))
    assert len(labeler().label_names) == 39
    assert table.num_rows == 2


def test_positive_wins_over_uncertain_over_negative() -> None:
    assert states("No effusion. Possible effusion.")["Pleural Effusion"] == -1
    assert states("No effusion. Possible effusion. Small effusion.")["Pleural Effusion"] == 1
    assert states("No effusion.") == {"Pleural Effusion": 0, "No Finding": 1}


def test_parents_follow_their_children_and_can_be_switched_off() -> None:
    text = "PAH. Massive cardiomegaly. Pleural thickening."
    found = states(text)
    for name in ("Pulmonary Hypertension", "Hypertension", "Cardiomegaly", "Pleural Other"):
        assert found[name] == 1
    alone = states(text, Labeler(parents=False))
    assert alone["Pulmonary Arterial Hypertension"] == 1
    assert "Pulmonary Hypertension" not in alone


def test_an_absent_child_says_nothing_of_its_parent() -> None:
    assert states("No PAH.")["Pulmonary Arterial Hypertension"] == 0
    assert "Pulmonary Hypertension" not in states("No PAH.")


def test_no_finding_is_withheld_by_findings_words_and_silence() -> None:
    assert states("The lungs are clear.")["No Finding"] == 1
    assert "No Finding" not in states("Possible pneumonia.")
    assert "No Finding" not in states("Calcified granuloma.")
    assert states("Right PICC line.")["No Finding"] == 1
    assert states("") == {}


def test_evidence_slices_back_and_follows_the_schema() -> None:
    text = (
        "FINDINGS:  There is no\n pneumothorax. The heart is\tmildly\u00a0enlarged.\nIMPRESSION:  Possible pneumonia."
    )
    labels, evidence = labeler().judge_batch(batch_of(["Clear.", text]))
    assert labels.num_rows == 2
    assert evidence.schema.names == ["row", *EVIDENCE_SCHEMA.names]
    assert evidence.select(EVIDENCE_SCHEMA.names).schema.equals(EVIDENCE_SCHEMA)
    found = [row for row in evidence.to_pylist() if row["row"] == 1]
    assert {row["label"] for row in found} == {"Pneumothorax", "Cardiomegaly", "Pneumonia"}
    for row in found:
        assert text[row["start"] : row["end"]] == row["text"]
        assert row["report_id"] == "r1"
        if row["cue"] is not None:
            assert text[row["cue_start"] : row["cue_end"]] == row["cue"]
    assert [row["section"] for row in found] == ["findings", "findings", "impression"]


def test_explain_gives_the_evidence_as_records() -> None:
    mentions = labeler().explain("No pneumothorax.")
    assert len(mentions) == 1
    mention = mentions[0]
    assert (mention.label, mention.status, mention.cue, mention.rule) == (
        "Pneumothorax",
        Assertion.NEGATIVE,
        "No",
        "negation",
    )


def test_columns_are_sections_of_their_name() -> None:
    batch = pa.record_batch(
        {
            "report_id": ["a", "b"],
            "indication": ["pneumothorax?", "effusion"],
            "findings": ["Small effusion.", None],
            "impression": ["No edema.", ""],
        }
    )
    which = Labeler(text_columns=("indication", "findings", "impression"))
    labels, evidence = which.judge_batch(batch)
    assert labels.column("Pneumothorax").to_pylist() == [None, None]
    assert labels.column("Pleural Effusion").to_pylist() == [1, None]
    assert set(evidence.column("section").to_pylist()) == {"findings", "impression"}


def test_what_a_span_is_said_to_be() -> None:
    text = "Denies fever or chest pain. Reports cough. Possible sprain."
    expected = {"fever": 0, "chest pain": 0, "cough": 1, "sprain": -1}
    for words, state in expected.items():
        start = text.index(words)
        assert labeler().assert_span(text, start, start + len(words)) == state
    with pytest.raises(ValueError, match="empty or outside"):
        labeler().assert_span(text, 5, 5)


def test_a_pickled_labeler_is_the_same() -> None:
    which = Labeler(profile="paper", sections="all", parents=False)
    again = pickle.loads(pickle.dumps(which))  # noqa: S301
    assert again.fingerprint == which.fingerprint
    assert again.label(LINES[:20]).equals(which.label(LINES[:20]))


def test_fingerprints_tell_options_apart() -> None:
    assert labeler().fingerprint == Labeler().fingerprint
    others = [Labeler(profile="paper"), Labeler(sections="official"), Labeler(parents=False), Labeler("chexpert14")]
    assert len({labeler().fingerprint, *(other.fingerprint for other in others)}) == 5


def test_the_paper_profile_knows_published_phrases_only() -> None:
    paper = Labeler(profile="paper")
    sources = {mention.phrase_source for line in LINES for mention in paper.explain(line)}
    assert sources <= {"chexpert", "gamuts"}
    assert states("The heart is mildly enlarged.", paper).get("Cardiomegaly") != 1


def test_a_label_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "azygos_lobe.yaml").write_text(
        "id: azygos_lobe\nname: Azygos Lobe\nindex: 900\norigin: user\ndefinition: An azygos fissure and its lobe.\n"
        "mentions:\n  - {text: azygos lobe, source: curated}\n  - {text: azygos fissure, source: curated}\n"
    )
    which = Labeler(tmp_path / "azygos_lobe.yaml")
    assert which.label_names[-1] == "Azygos Lobe"
    assert states("Incidental azygos fissure.", which)["Azygos Lobe"] == 1


def test_unknown_options_are_one_sentence() -> None:
    with pytest.raises(UserError, match="profile `both` is unknown"):
        Labeler(profile="both")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="text column `body`"):
        Labeler(text_columns=("body",)).label_batch(batch_of(["x"]))
    with pytest.raises(LexiconError, match="unknown"):
        Labeler("no_such_set")


@settings(max_examples=60, deadline=None)
@given(reports_of_fragments)
def test_offsets_slice_back_for_any_report(report: str) -> None:
    for mention in labeler().explain(report):
        assert report[mention.start : mention.end] == mention.text
        assert mention.text.strip()
        if mention.cue is not None:
            assert report[mention.cue_start : mention.cue_end] == mention.cue


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_string_is_labelled(report: str) -> None:
    assert labeler().label([report]).num_rows == 1
    for mention in labeler().explain(report):
        assert report[mention.start : mention.end] == mention.text


@settings(max_examples=25, deadline=None)
@given(st.lists(reports_of_fragments, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_order_batching_and_caching_change_nothing(reports: list[str], rng: random.Random) -> None:
    together = labeler().label_batch(batch_of(reports)).drop_columns(["report_id"]).to_pylist()
    judged = labeler().judge_batch(batch_of(reports))[0].drop_columns(["report_id"]).to_pylist()
    assert judged == together
    one_by_one = [labeler().label([report]).drop_columns(["report_id"]).to_pylist()[0] for report in reports]
    assert one_by_one == together
    order = list(range(len(reports)))
    rng.shuffle(order)
    shuffled = labeler().label([reports[i] for i in order]).drop_columns(["report_id"]).to_pylist()
    assert shuffled == [together[i] for i in order]


def test_a_full_store_changes_nothing() -> None:
    small = Labeler.default()
    small._store._limit = 3
    small._store._judge._cache_size = 3  # type: ignore[attr-defined]
    batches = [batch_of(LINES[i : i + 7]) for i in range(0, 140, 7)]
    for batch in [*batches, *batches]:
        labels, evidence = small.judge_batch(batch)
        expected_labels, expected_evidence = labeler().judge_batch(batch)
        assert labels.equals(expected_labels)
        assert evidence.equals(expected_evidence)


def test_threads_may_share_a_labeler() -> None:
    shared_one = Labeler.default()
    shared_one._store._limit = 20
    batches = [batch_of(LINES[i : i + 40]) for i in range(0, 320, 40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(shared_one.judge_batch, batches * 3))
    for batch, (labels, evidence) in zip(batches * 3, found, strict=True):
        expected_labels, expected_evidence = labeler().judge_batch(batch)
        assert labels.equals(expected_labels)
        assert evidence.equals(expected_evidence)


def test_evidence_after_labels_is_the_same() -> None:
    batch = batch_of(LINES[:100])
    fresh = Labeler.default()
    fresh.label_batch(batch)
    assert fresh.judge_batch(batch)[1].equals(Labeler.default().judge_batch(batch)[1])


def test_every_phrase_of_the_lexicon_is_found() -> None:
    lexicon = load_lexicon()
    which = Labeler.default()
    reports, wanted = [], []
    for name in which.label_names:
        label = next(label for label in lexicon.labels.values() if label.name == name)
        for phrase in label.mentions:
            reports.append(phrase.text.upper() if phrase.upper else phrase.text)
            wanted.append((name, phrase.text))
    for report, (name, phrase) in zip(reports, wanted, strict=True):
        found = {mention.label for mention in which.explain(report)}
        hidden = any(
            " ".join(other.text.split()) in " ".join(phrase.split())
            for label in lexicon.labels.values()
            if label.name == name
            for other in label.unmentions
        )
        assert name in found or hidden, f"`{phrase}` does not find {name}"


@pytest.mark.parametrize(
    "piece",
    ["no effusion ", "effusion, ", "no no ", "heart normal and ", "or ", "a", "x ", ", ", "(", "small nodule 3 mm "],
)
def test_no_report_blows_up_in_time(piece: str) -> None:
    report = piece * (60_000 // len(piece))
    begin = time.process_time()
    labeler().label([report])
    assert time.process_time() - begin < 10
