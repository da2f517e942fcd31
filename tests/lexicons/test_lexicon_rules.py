"""A lexicon file that breaks a rule is refused, with file and line."""

from pathlib import Path

import pytest

from ltml_lexicons.errors import LexiconError
from ltml_lexicons.lexicon import load_lexicon

HEAD = "id: goiter\nname: Goiter\nindex: 900\norigin: user\ndefinition: A large thyroid.\n"


def load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "goiter.yaml"
    path.write_text(text)
    load_lexicon(extra_labels=[path], cache=False)


def test_a_sound_label_is_taken(tmp_path: Path) -> None:
    load(tmp_path, HEAD + "mentions:\n  - {text: goiter, source: curated}\n")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEAD + "mentoins: []\n", 6, "mentoins"),
        (HEAD + "name: Struma\n", 6, "`name` stands twice"),
        (HEAD + "mentions:\n  - {text: goiter}\n", 7, "source"),
        (HEAD + "mentions:\n  - {text: goiter, source: nowhere}\n", 7, "unknown source `nowhere`"),
        (
            HEAD + "mentions:\n  - {text: goiter, source: curated}\n  - {text: Goiter, source: curated}\n",
            8,
            "stands twice",
        ),
        (HEAD + "mentions:\n  - {text: pneumothorax, source: curated}\n", 7, "already names `pneumothorax`"),
        (HEAD + "parents: [thyroid]\n", 6, "unknown label `thyroid`"),
        (HEAD + "composed:\n  - {name: x, site: [moon], abnormal: [enlarged]}\n", 7, "unknown group `moon`"),
        (HEAD + "composed:\n  - {name: x, site: [heart]}\n", 7, "give a predicate group"),
        (HEAD.replace("900", "1"), 3, "index 1 already belongs to `cardiomegaly`"),
        (HEAD.replace("Goiter", "Edema"), 2, "already belongs to `edema`"),
        (HEAD.replace("id: goiter", "id: struma"), 1, "differs from the file name"),
        (HEAD + "counts: [a\n", 7, "not valid YAML"),
        ("", None, "is empty"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    with pytest.raises(LexiconError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert "`goiter.yaml`" in message
    assert words in message
    if line is not None:
        assert f"line {line}" in message


def test_a_circle_of_parents_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cardiomegaly.yaml"
    original = Path(load_lexicon().documents["cardiomegaly"].path).read_text()
    path.write_text(original + "parents: [massive_cardiomegaly]\n")
    with pytest.raises(LexiconError, match="its own ancestor"):
        load_lexicon(extra_labels=[path], cache=False)


def test_the_cache_is_filled_used_and_not_trusted_when_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = load_lexicon()
    files = list(tmp_path.rglob("*.json"))
    assert len(files) == 1
    assert load_lexicon().labels == first.labels
    files[0].write_text("{")
    assert load_lexicon().labels == first.labels


def test_a_read_only_home_only_costs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load_lexicon().labels) >= 39
