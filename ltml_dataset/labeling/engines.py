"""Which judge decides on a sentence, by the labeler's options."""

from dataclasses import dataclass
from typing import Literal, Protocol

from ltml_dataset.labeling.asserting import Asserter, CueAsserter, WordedJudge
from ltml_dataset.labeling.assertion import AssertionEngine
from ltml_dataset.labeling.compat import CompatJudge
from ltml_dataset.labeling.compiled import CompiledLexicon
from ltml_dataset.labeling.dependency import DependencyAsserter, load_model
from ltml_dataset.labeling.judge import Judged, SentenceJudge
from ltml_lexicons.compat import compat_text, load_compat
from ltml_lexicons.dependency import DependencyFile

Engine = Literal["rules", "spacy"]
Compat = Literal["chexpert"]


class Judge(Protocol):
    """Sentences to judged mentions; equal sentences get equal judgements."""

    def judge(self, sentence: str) -> tuple[Judged, ...]:
        """Judged mentions in token positions of `sentence`."""
        ...


@dataclass(frozen=True)
class Judges:
    """What a labeler judges with."""

    sentences: Judge
    """Finds and asserts mentions."""
    spans: WordedJudge
    """Asserts any span."""
    stamp: tuple[str, ...]
    """What decides beside lexicon and cues, for the fingerprint."""


def make_judges(
    compiled: CompiledLexicon,
    engine: Engine,
    compat: Compat | None,
    spacy_model: str | None,
    dependency: DependencyFile,
) -> Judges:
    """Judges for the options of a labeler.

    Raises:
        UserError: Engine `spacy` without spaCy or a model.
    """
    asserter: Asserter
    stamp: tuple[str, ...] = ()
    if engine == "spacy":
        nlp = load_model(spacy_model)
        asserter = DependencyAsserter(compiled, nlp, dependency)
        stamp += (f"{nlp.meta['lang']}_{nlp.meta['name']}-{nlp.meta['version']}",)
    else:
        asserter = CueAsserter(AssertionEngine(compiled))
    spans = WordedJudge(compiled, asserter)
    if compat is not None:
        return Judges(CompatJudge(compiled, asserter, load_compat(compat)), spans, (*stamp, compat_text(compat)))
    if engine == "spacy":
        return Judges(spans, spans, stamp)
    return Judges(SentenceJudge(compiled, AssertionEngine(compiled)), spans, stamp)
