"""The labeler: report text to label rows and evidence."""

import gc
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ltml_dataset.errors import UserError
from ltml_dataset.labeling.aggregate import (
    aggregate_ranks,
    no_finding_column,
    parent_pairs,
    raise_parents,
    ranks_to_column,
)
from ltml_dataset.labeling.compiled import NOT_MENTIONED, RULES_VERSION, compile_lexicon
from ltml_dataset.labeling.engines import Compat, Engine, make_judges
from ltml_dataset.labeling.explained import Explainer, masked
from ltml_dataset.labeling.judge import refers_back
from ltml_dataset.labeling.near_words import near_words_of
from ltml_dataset.labeling.sentence_store import (
    CUE_END,
    CUE_START,
    END,
    LABEL,
    PHRASE,
    RULE,
    START,
    STATE,
    SentenceStore,
)
from ltml_dataset.records import Assertion, Mention
from ltml_dataset.schema import EVIDENCE_SCHEMA, label_schema
from ltml_dataset.text.section_overrides import Overrides
from ltml_dataset.text.section_rules import SectionRules
from ltml_dataset.text.sections import (
    POLICIES,
    Policy,
    columns_to_label,
    find_sections,
    has_words,
    sections_to_label,
)
from ltml_dataset.text.sentences import Stops, sentences_of, split_sentences
from ltml_lexicons.choose import DEFAULT_SET, ChosenLabels, choose_labels, labels_in_use
from ltml_lexicons.gamuts import worded
from ltml_lexicons.model import Label, SourceKind

Profile = Literal["clinical", "paper", "gamuts"]

PROFILE_KINDS: dict[Profile, frozenset[SourceKind]] = {
    "clinical": frozenset({"chexpert", "gamuts", "curated"}),
    "paper": frozenset({"chexpert", "gamuts"}),
    "gamuts": frozenset({"gamuts"}),
}
ID_COLUMNS = ("report_id", "subject_id", "study_id")


class _Read(NamedTuple):
    """The sentences of a batch by number, report after report."""

    numbers: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    bases: npt.NDArray[np.int64]
    sections: npt.NDArray[np.int64]
    section_names: list[str]

    @property
    def has_text(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each report has a sentence."""
        has_text: npt.NDArray[np.bool_] = np.append(self.starts[1:], len(self.numbers)) > self.starts
        return has_text


class JudgedReports(NamedTuple):
    """What is known of a batch of reports."""

    labels: pa.RecordBatch
    """The label file's rows."""
    evidence: pa.RecordBatch
    """One row per mention, as `Labeler.judge_batch` says."""
    has_text: pa.BooleanArray
    """(N,) whether a section with text was read; a report with text may have no label at all."""


class Labeler:
    """Labels reports; the same text always gets the same labels, in any order, batch or process.

    Example:
        >>> table = Labeler.default().label(["No pneumothorax. Moderate cardiomegaly."])
        >>> table["Cardiomegaly"].to_pylist(), table["Pneumothorax"].to_pylist()
        ([1], [0])
    """

    def __init__(
        self,
        label_set: str | Path = DEFAULT_SET,
        profile: Profile = "clinical",
        sections: Policy = "default",
        engine: Engine = "rules",
        parents: bool = True,
        text_columns: Sequence[str] | None = None,
        section_overrides: Overrides | None = None,
        compat: Compat | None = None,
        spacy_model: str | None = None,
        lexicon_folder: str | Path | None = None,
    ) -> None:
        """A labeler by its options.

        Args:
            label_set: `ltml39`, `chexpert14`, another set's name, or a YAML file (a label set or a label).
            profile: `clinical` uses every phrase, `paper` the CheXpert and Gamuts phrases only, `gamuts` every name and
                synonym of a label's Gamuts findings as it stands, and nothing else.
            sections: Which sections are read (`text.sections`).
            engine: How mentions are asserted.
            parents: Whether a parent label follows its children.
            text_columns: Columns of the batches that hold text: one holds whole reports, several are sections of
                that name. By default every column that is no id.
            section_overrides: Studies whose text is chosen by hand, for `official` sections (`load_overrides`).
            compat: `chexpert` uses the CheXpert labeler's own phrases, cleaning, sections and aggregation, and its
                labels; `label_set`, `profile`, `sections` and `parents` are then not free.
            spacy_model: Installed spaCy model for engine `spacy`; by default the first English one with a parser.
            lexicon_folder: Folder of your own words, laid over those that ship (`docs/lexicons.md`).

        Raises:
            UserError: An option has an unknown value.
            LexiconError: The label set or a lexicon file is wrong.
        """
        for name, value, known in (
            ("profile", profile, get_args(Profile)),
            ("sections", sections, POLICIES),
            ("engine", engine, get_args(Engine)),
            ("compat", compat, (*get_args(Compat), None)),
        ):
            if value not in known:
                raise UserError(f"{name} `{value}` is unknown; choose one of {', '.join(map(str, known))}.")
        if compat == "chexpert":
            label_set, profile, parents = "chexpert14", "clinical", False
            sections = "official" if sections == "default" else sections
        if section_overrides and sections != "official":
            raise UserError(f"section overrides belong to the official rules; sections are `{sections}`.")
        columns = tuple(text_columns) if text_columns else None
        folder = None if lexicon_folder is None else Path(lexicon_folder).resolve()
        self._options = (
            label_set,
            profile,
            sections,
            engine,
            parents,
            columns,
            section_overrides,
            compat,
            spacy_model,
            folder,
        )
        self._policy: Policy = sections
        self._text_columns = columns
        # The CheXpert labeler is given impressions, not reports: a text without any title is one.
        self._reads_bare_text = compat is not None and sections == "official"
        self._overrides = section_overrides
        chosen = choose_labels(label_set, folder=folder)
        lexicon = chosen.lexicon
        self._rules = SectionRules(lexicon.default_sections, lexicon.official_sections)
        self._stops = Stops(lexicon.abbreviations.stops)
        self.label_names: tuple[str, ...] = chosen.names
        self.lexicon_version: str = lexicon.version
        """Version of the words, with the name of a folder laid over them."""
        compiled = compile_lexicon(lexicon, labels_of(chosen, profile), PROFILE_KINDS[profile])
        if profile in lexicon.near_words.profiles and compat is None:
            compiled.vocabulary.read_near = near_words_of(lexicon).read
        self._compiled = compiled
        numbers = {label.id: i for i, label in enumerate(compiled.labels)}
        ancestry = [[*label.parents, *(label.paper_parents if profile == "paper" else ())] for label in compiled.labels]
        in_use = [[numbers[name] for name in names if name in numbers] for names in ancestry]
        self._pairs = parent_pairs(in_use) if parents else []
        self._columns = [numbers[label.id] for label in chosen.labels]
        shown = set(self._columns)
        for child, parent in reversed(self._pairs):
            if parent in shown:
                shown.add(child)
        self._findings = sorted({i for i in shown if not compiled.labels[i].device} | ({compiled.suppressor} - {-1}))
        self._names = [label.name for label in compiled.labels]
        for i, name in zip(self._columns, chosen.names, strict=True):
            self._names[i] = name
        self._is_shown = np.array([i in shown for i in range(len(compiled.labels))])
        judges = make_judges(compiled, engine, compat, spacy_model, lexicon.dependency)
        self._spans = judges.spans
        words = "|".join(map(re.escape, compiled.pronoun_words)) or r"(?!)"
        self._may_refer_back = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
        """A cheap look before the lexicon decides whether a sentence names its finding by a pronoun."""
        self._explainer = Explainer(compiled, lexicon.abbreviations.explained)
        self._store = SentenceStore(judges.sentences, len(compiled.labels), compiled.vocabulary.visible)
        decided = (*judges.stamp, *([section_overrides.digest()] if section_overrides else []))
        self.fingerprint: str = _fingerprint(
            lexicon.digest, chosen.id, chosen.names, profile, sections, engine, parents, *decided
        )
        self._schema = label_schema(self.label_names)
        self._lock = threading.Lock()  # the store is shared by all batches of this labeler
        self._chosen_columns: dict[tuple[tuple[str, ...], tuple[bool, ...]], list[tuple[int, str]]] = {}

    @classmethod
    def default(cls) -> "Labeler":
        """The 39 labels, every phrase, findings and impression."""
        return cls()

    def __reduce__(self) -> tuple[Callable[..., "Labeler"], tuple[object, ...]]:
        """Pickled by its options; a worker rebuilds the rest, and must come to the same labels."""
        return (_rebuilt, (self.fingerprint, self._options))

    def label(self, texts: Sequence[str | None] | pa.RecordBatch | pa.Table) -> pa.Table:
        """Label reports.

        Args:
            texts: Report texts (their position becomes `report_id`), or a batch or table of reports.

        Returns:
            `report_id`, one nullable int8 column per label in order, `No Finding`.
        """
        if isinstance(texts, pa.RecordBatch):
            return pa.Table.from_batches([self.label_batch(texts)])
        if isinstance(texts, pa.Table):
            batches = [self.label_batch(batch) for batch in texts.to_batches(max_chunksize=4096)]
            return pa.Table.from_batches(batches, schema=self._schema)
        ids = pa.array([str(i) for i in range(len(texts))], pa.string())
        batch = pa.record_batch({"report_id": ids, "text": pa.array(texts, pa.string())})
        return pa.Table.from_batches([self.label_batch(batch)])

    def label_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The label file's rows for one batch of reports, in order. A pure function of the batch."""
        names = self._names_of_texts(batch)
        with self._lock:
            return self._labels(batch, self._read(batch, names, with_mentions=False))

    @property
    def sections(self) -> Policy:
        """Which sections are read."""
        return self._policy

    @property
    def section_rules(self) -> SectionRules:
        """What titles mean."""
        return self._rules

    def label_reports(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.BooleanArray]:
        """As `label_batch`, and which reports had any text to read."""
        names = self._names_of_texts(batch)
        with self._lock:
            read = self._read(batch, names, with_mentions=False)
            return self._labels(batch, read), pa.array(read.has_text)

    def judge_batch(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """Labels and evidence of one batch.

        Returns:
            The label file's rows, and one row per mention: `row` (int32, position in the batch), then the columns of
            `EVIDENCE_SCHEMA`.
        """
        judged = self.judge_reports(batch)
        return judged.labels, judged.evidence

    def judge_reports(self, batch: pa.RecordBatch) -> JudgedReports:
        """Labels and evidence of one batch, and which reports had any text to read."""
        names = self._names_of_texts(batch)
        with self._lock:
            read = self._read(batch, names, with_mentions=True)
            return JudgedReports(self._labels(batch, read), self._evidence(batch, read), pa.array(read.has_text))

    def explain(self, text: str) -> list[Mention]:
        """Every mention of one report, in reading order, also those that lose in aggregation."""
        batch = pa.record_batch({"report_id": pa.array([""]), "text": pa.array([text], pa.string())})
        with self._lock:
            evidence = self._evidence(batch, self._read(batch, ("text",), with_mentions=True))
        return [
            Mention(**{**row, "status": None if row["status"] is None else Assertion(row["status"])})
            for row in evidence.drop_columns(["row", "report_id"]).to_pylist()
        ]

    def assert_span(self, text: str, start: int, end: int) -> Assertion:
        """What the text says of the words between two offsets, whether the lexicon knows them or not.

        A past or somebody else's finding counts as asserted; conditions and risks leave it uncertain.

        Raises:
            ValueError: The span is empty or outside the text.
        """
        if not 0 <= start < end <= len(text):
            raise ValueError(f"span {start}:{end} is empty or outside a text of {len(text)} characters")
        overlapping = [(a, b) for a, b in split_sentences(text, stops=self._stops) if a < end and b > start]
        if not overlapping:
            return Assertion.POSITIVE
        first, last = overlapping[0][0], overlapping[-1][1]
        return Assertion(self._spans.assert_span(text[first:last], start - first, end - first))

    def _names_of_texts(self, batch: pa.RecordBatch) -> tuple[str, ...]:
        names = self._text_columns or tuple(name for name in batch.schema.names if name not in ID_COLUMNS)
        missing = [name for name in names if name not in batch.schema.names]
        if missing or not names:
            raise UserError(
                f"text column `{missing[0] if missing else 'text'}` is not in the batch, which has "
                f"{', '.join(batch.schema.names)}; name the columns that hold text."
            )
        return names

    def _read(self, batch: pa.RecordBatch, names: tuple[str, ...], *, with_mentions: bool) -> _Read:
        self._store.begin_batch(with_mentions=with_mentions)
        with _no_garbage_collection():
            return self._read_sentences(batch, names)

    def _read_sentences(self, batch: pa.RecordBatch, names: tuple[str, ...]) -> _Read:
        columns = [batch.column(name).to_pylist() for name in names]
        ids = batch.column("report_id").to_pylist() if "report_id" in batch.schema.names else [None] * batch.num_rows
        known, add, stops = self._store.numbers, self._store.add, self._stops
        may_refer_back = self._may_refer_back.search
        numbers: list[int] = []
        starts: list[int] = []
        bases: list[int] = []
        sections: list[int] = []
        section_numbers: dict[str, int] = {}
        for row, report_id in enumerate(ids):
            starts.append(len(numbers))
            texts = [column[row] for column in columns]
            explained = self._explainer.otherwise(texts)
            for text, name, start, end in self._sections(names, texts, report_id):
                section = section_numbers.setdefault(name, len(section_numbers))
                before = -1
                for first, sentence in sentences_of(text, start, end, stops):
                    read, at = sentence, first
                    if before >= 0 and may_refer_back(sentence) and refers_back(sentence, self._compiled):
                        # "There is a small one on the left." is read with the sentence before it
                        read, at = text[before : first + len(sentence)], before
                    if explained:
                        number: int | None = self._store.number_of(read, masked(read, explained))
                    else:
                        number = known.get(read)
                    number = add(read) if number is None else number
                    if at < first:
                        numbers[-1] = number
                        continue
                    before = first
                    numbers.append(number)
                    bases.append(first)
                    sections.append(section)
        return _Read(
            np.array(numbers, dtype=np.int64),
            np.array(starts, dtype=np.int64),
            np.array(bases, dtype=np.int64),
            np.array(sections, dtype=np.int64),
            list(section_numbers),
        )

    def _sections(
        self, names: tuple[str, ...], texts: Sequence[str | None], report_id: str | None
    ) -> list[tuple[str, str, int, int]]:
        if len(names) > 1:
            filled = tuple([text is not None and has_words(text, self._rules) for text in texts])
            key = (names, filled)
            if key not in self._chosen_columns:
                marked = columns_to_label(names, ["x" if full else None for full in filled], self._policy, self._rules)
                self._chosen_columns[key] = [(i, section.name) for i, section in marked]
            return [
                (text, name, 0, len(text)) for i, name in self._chosen_columns[key] if (text := texts[i]) is not None
            ]
        text = texts[0]
        if not text:
            return []
        parsed = sections_to_label(
            text, self._policy, report_id=report_id, overrides=self._overrides, rules=self._rules
        )
        if not parsed and self._reads_bare_text:
            found = find_sections(text, "official", self._rules)
            parsed = [section for section in found if section.name == "full report" and has_words(text, self._rules)]
        return [(text, section.name, section.start, section.end) for section in parsed]

    def _labels(self, batch: pa.RecordBatch, read: _Read) -> pa.RecordBatch:
        ranks = aggregate_ranks(self._store.ranks, read.numbers, read.starts)
        raise_parents(ranks, self._pairs)
        columns = [ranks_to_column(ranks[:, i]) for i in self._columns]
        columns.append(no_finding_column(ranks, self._findings, read.has_text))
        return pa.RecordBatch.from_arrays([_report_ids(batch), *columns], schema=self._schema)

    def _evidence(self, batch: pa.RecordBatch, read: _Read) -> pa.RecordBatch:
        store = self._store
        first, count = store.mention_range(read.numbers)
        occurrence = np.repeat(np.arange(len(read.numbers)), count)
        within = np.arange(len(occurrence)) - np.repeat(np.cumsum(count) - count, count)
        mentions = first[occurrence] + within
        table = store.mentions(mentions)
        keep = self._is_shown[table[:, LABEL]]
        occurrence, mentions, table = occurrence[keep], mentions[keep], table[keep]
        ends = np.append(read.starts[1:], len(read.numbers))
        rows = np.repeat(np.arange(batch.num_rows), ends - read.starts)[occurrence]
        bases = read.bases[occurrence]

        def named(values: npt.NDArray[np.int32] | npt.NDArray[np.int64], names: Sequence[str]) -> pa.Array:
            return pa.array(names, pa.string()).take(pa.array(values))

        entries = self._compiled.phrases
        no_cue = table[:, CUE_START] < 0
        arrays = [
            pa.array(rows, pa.int32()),
            _report_ids(batch).take(pa.array(rows)),
            named(table[:, LABEL], self._names),
            pa.array(table[:, STATE], pa.int8(), mask=table[:, STATE] == NOT_MENTIONED),
            named(read.sections[occurrence], read.section_names),
            pa.array(table[:, START] + bases, pa.int32()),
            pa.array(table[:, END] + bases, pa.int32()),
            pa.array([store.texts[i] for i in mentions.tolist()], pa.string()),
            named(table[:, PHRASE], [entry.text for entry in entries]),
            named(table[:, PHRASE], [entry.source for entry in entries]),
            pa.array([store.cues[i] for i in mentions.tolist()], pa.string()),
            pa.array(table[:, CUE_START] + bases, pa.int32(), mask=no_cue),
            pa.array(table[:, CUE_END] + bases, pa.int32(), mask=no_cue),
            named(table[:, RULE], list(store.rules)),
        ]
        schema = pa.schema([pa.field("row", pa.int32(), nullable=False), *EVIDENCE_SCHEMA])
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def labels_of(chosen: ChosenLabels, profile: Profile) -> list[Label]:
    """The labels a profile looks for, with its words."""
    return [worded(label, profile) for label in labels_in_use(chosen)]


def _rebuilt(fingerprint: str, options: tuple[Any, ...]) -> Labeler:
    """A labeler in a worker.

    Raises:
        UserError: The words changed since the work began, or the worker has others.
    """
    labeler = Labeler(*options)
    if labeler.fingerprint != fingerprint:
        raise UserError("the lexicon or a label set changed while reports were labelled: start again.")
    return labeler


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Spare the collector: the loop makes many small tuples and no cycles, and searching them costs a fifth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _report_ids(batch: pa.RecordBatch) -> pa.Array:
    if "report_id" in batch.schema.names:
        return batch.column("report_id").cast(pa.string())
    return pa.array([str(i) for i in range(batch.num_rows)], pa.string())


def _fingerprint(digest: str, label_set: str, *options: object) -> str:
    content = json.dumps([digest, label_set, RULES_VERSION, *options])
    return hashlib.sha256(content.encode()).hexdigest()
