"""The spaCy component `ltml_labeler`: labels and mentions on a `Doc`."""

from spacy.language import Language
from spacy.tokens import Doc, Span

from ltml_dataset.labeling.labeler import Labeler, Profile
from ltml_dataset.text.sections import Policy


class LtmlLabeler:
    """Sets `doc._.ltml_labels` (label -> 1, 0, -1; labels not mentioned are absent) and `doc.spans["ltml"]`.

    Every span has the label's name as label, and `span._.ltml_status`, `span._.ltml_cue` and `span._.ltml_rule`.
    """

    def __init__(self, label_set: str, profile: Profile, sections: Policy, lexicon_folder: str | None) -> None:
        """A component by the labeler's options."""
        self._labeler = Labeler(label_set=label_set, profile=profile, sections=sections, lexicon_folder=lexicon_folder)
        Doc.set_extension("ltml_labels", default=None, force=True)
        for name in ("ltml_status", "ltml_cue", "ltml_rule"):
            Span.set_extension(name, default=None, force=True)

    def __call__(self, doc: Doc) -> Doc:
        """Label one document; a mention inside a token takes the whole token."""
        row = self._labeler.label([doc.text]).to_pylist()[0]
        doc._.ltml_labels = {name: state for name, state in row.items() if name != "report_id" and state is not None}
        spans = []
        for mention in self._labeler.explain(doc.text):
            span = doc.char_span(mention.start, mention.end, label=mention.label, alignment_mode="expand")
            if span is not None:
                span._.ltml_status = None if mention.status is None else int(mention.status)
                span._.ltml_cue = mention.cue
                span._.ltml_rule = mention.rule
                spans.append(span)
        doc.spans["ltml"] = spans
        return doc


@Language.factory(
    "ltml_labeler",
    default_config={"label_set": "ltml39", "profile": "clinical", "sections": "default", "lexicon_folder": None},
    assigns=["doc._.ltml_labels", "doc.spans"],
)
def make_ltml_labeler(
    nlp: Language, name: str, label_set: str, profile: Profile, sections: Policy, lexicon_folder: str | None
) -> LtmlLabeler:
    """The factory behind `nlp.add_pipe("ltml_labeler", config={"label_set": ...})`."""
    return LtmlLabeler(label_set, profile, sections, lexicon_folder)
