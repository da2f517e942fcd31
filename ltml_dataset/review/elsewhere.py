"""The same sentence in other reports: templates repeat, and so may a decision about them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ltml_dataset.review.folder import ReviewFolder
from ltml_dataset.text.sentences import split_sentences


@dataclass(frozen=True, slots=True)
class SameSentence:
    """A study that holds the sentence, word for word, and what the machine says of the label there."""

    study: str
    sentence: str
    machine: int | None


def sentence_around(text: str, start: int, end: int) -> str:
    """The sentence that holds a mention, with blanks in place of line breaks."""
    for first, last in split_sentences(text, 0, len(text)):
        if first <= start < last:
            return " ".join(text[first : max(last, end)].split())
    return " ".join(text[start:end].split())


def same_sentences(folder: ReviewFolder, study: str, label: str, others: Iterable[str]) -> Iterator[SameSentence]:
    """Other studies with a sentence that mentions the label and stands, word for word, in `study` too.

    Args:
        folder: The reports and their mentions.
        study: The study whose sentences are looked for.
        label: The label that they mention.
        others: Studies to look through, as far as the caller goes on.

    Yields:
        In the order of `others`, each study once. Case and line breaks do not count.
    """
    wanted = {sentence.lower() for sentence in _sentences(folder, study, label)}
    if not wanted:
        return
    mentioning = folder.mentioning(label)
    for other in others:
        if other not in mentioning or not any(sentence in folder.plain(other) for sentence in wanted):
            continue
        same = next((sentence for sentence in _sentences(folder, other, label) if sentence.lower() in wanted), None)
        if same is not None:
            yield SameSentence(other, same, folder.machine(other).get(label))


def _sentences(folder: ReviewFolder, study: str, label: str) -> list[str]:
    """Sentences that mention the label."""
    passages = folder.passages(study)
    return [
        sentence_around(passages[position].text, mark.start, mark.end)
        for position, members in folder.marks(study).items()
        for mark in members
        if mark.label == label
    ]
