"""Typing errors in long words are read, other words never."""

import random
import time
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from shared_data import REPOSITORY

from ltml_dataset import Labeler
from ltml_dataset.labeling.near_words import (
    NearWords,
    distance,
    gamuts_words,
    lexicon_words,
    near_words_of,
    ordinary_words,
)
from ltml_lexicons.lexicon import load_lexicon

LINES = [
    line
    for line in (REPOSITORY / "tests/lexicons/near_words.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@cache
def reader() -> NearWords:
    return near_words_of(load_lexicon())


@pytest.mark.parametrize("line", LINES)
def test_words(line: str) -> None:
    written, _, meant = line.partition(" -> ")
    assert reader().read(written) == (None if meant == "-" else meant)


@pytest.mark.parametrize(
    ("sentence", "label", "state", "text"),
    [
        ("No pneumothoraxr is seen.", "Pneumothorax", 0, "pneumothoraxr"),
        ("Small LEFT PNEUMOTHORAXR.", "Pneumothorax", 1, "PNEUMOTHORAXR"),
        ("Mild cardiomegalyy.", "Cardiomegaly", 1, "cardiomegalyy"),
        ("No evidnce of consolidaion.", "Consolidation", 0, "consolidaion"),
        ("The cardiac silhouett is enlarged.", "Cardiomegaly", 1, "cardiac silhouett is enlarged"),
    ],
)
def test_offsets_are_those_of_the_report(sentence: str, label: str, state: int, text: str) -> None:
    report = f"FINDINGS:\n  {sentence}"
    (mention,) = [mention for mention in Labeler.default().explain(report) if mention.label == label]
    assert mention.status == state
    assert report[mention.start : mention.end] == mention.text == text


def test_published_profiles_read_words_as_they_stand() -> None:
    for options in ({"profile": "paper"}, {"profile": "gamuts"}, {"compat": "chexpert"}):
        labeler = Labeler(**options)  # type: ignore[arg-type]
        name = "Embolus" if "Embolus" in labeler.label_names else "Pneumothorax"
        word = "embolismm" if name == "Embolus" else "pneumothorxa"
        assert labeler.label([f"Findings: {word}."])[name].to_pylist() == [None]


def test_what_a_word_is_read_as_does_not_hang_on_the_labels_in_use() -> None:
    few = Labeler("chexpert14").label(["Findings: tuberculsis, bronchietasis and pneumothoraxr."]).to_pylist()[0]
    assert {name for name, state in few.items() if state == 1} == {"Pneumothorax"}
    assert reader().read("bronchietasis") == "bronchiectasis"


def test_no_ordinary_or_published_word_is_read_as_another() -> None:
    words, _ = lexicon_words(load_lexicon())
    for word in ordinary_words() | gamuts_words() | words:
        assert reader().read(word) is None, word


def test_switches_and_exceptions_are_those_of_the_file(tmp_path: Path) -> None:
    for text in (
        "unread: [pneumothoraxr]\n",
        "profiles: []\nreplace: false\n",
        "shortest: 14\n",
        "prefixes: [pneumothoraxr]\n",
    ):
        (tmp_path / "near_words.yaml").write_text(text, encoding="utf-8")
        if text.startswith("profiles"):  # a list grows: to switch it off, take the profile out
            (tmp_path / "near_words.yaml").write_text("remove: {profiles: [clinical]}\n", encoding="utf-8")
        labeler = Labeler(lexicon_folder=tmp_path)
        assert labeler.label(["Findings: pneumothoraxr."])["Pneumothorax"].to_pylist() == [None], text


def test_distance_counts_edits_and_changed_neighbours() -> None:
    assert distance("effusion", "effusion", 2) == 0
    assert distance("effusion", "effuison", 2) == 1
    assert distance("effusion", "effusin", 2) == 1
    assert distance("effusion", "effusiion", 2) == 1
    assert distance("effusion", "affusiom", 2) == 2
    assert distance("effusion", "infusion", 1) == 2
    assert distance("effusion", "pneumonia", 2) == 3


def test_many_unknown_words_cost_time_in_proportion() -> None:
    letters = "abcdefghij"
    words = [
        f"zq{a}{b}{c}{d}xkwv" for a in letters for b in letters for c in letters for d in letters
    ]  # 10,000 words, near nothing
    begin = time.process_time()
    assert {reader().read(word) for word in words} == {None}
    assert time.process_time() - begin < 5
    begin = time.process_time()
    reader().read("pneumothorax" * 10_000)
    assert time.process_time() - begin < 0.1


def test_an_error_in_any_long_lexicon_word_is_read_right_or_not_at_all() -> None:
    rng = random.Random(0)
    words, stems = lexicon_words(load_lexicon())
    counts = Counter[str]()
    for word in sorted(word for word in words if len(word) >= 8 and word.isascii()):
        at, letter = rng.randrange(1, len(word) - 1), rng.choice("abcdefghijklmnopqrstuvwxyz")
        changed = (
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
        for written in changed:
            if written not in words and not written.startswith(tuple(stems)):
                meant = reader().read(written)
                counts["unread" if meant is None else "right" if meant == word else "wrong"] += 1
    assert counts["wrong"] == 0
    assert counts["right"] > 3 * counts["unread"]
