"""Phrases that readers reported as wrong, judged again: a regression test for the lexicon."""

from dataclasses import dataclass
from pathlib import Path

from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.review.session import flagged_phrases


@dataclass(frozen=True, slots=True)
class Replayed:
    """One reported sentence: what a reader said of the label, and what the labeler says now."""

    label: str
    phrase: str
    sentence: str
    expected: int | None
    found: int | None

    @property
    def is_right(self) -> bool:
        """Negated and not mentioned both leave a label absent, so either stands for the other."""
        return (self.expected or 0) == (self.found or 0)


def replay_flags(review: Path, labeler: Labeler) -> list[Replayed]:
    """Judge every reported sentence with `labeler`; labels it does not have are left out.

    Raises:
        UserError: The folder holds no decisions.
    """
    flags = [flag for flag in flagged_phrases(review) if flag["label"] in labeler.label_names]
    rows = labeler.label([str(flag["sentence"]) for flag in flags]).to_pylist()
    return [
        Replayed(
            label=str(flag["label"]),
            phrase=str(flag["phrase"]),
            sentence=str(flag["sentence"]),
            expected=None if flag["expected"] is None else int(str(flag["expected"])),
            found=row[str(flag["label"])],
        )
        for flag, row in zip(flags, rows, strict=True)
    ]
