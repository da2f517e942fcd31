"""What the page shows: studies, states, mentions, images and report text of a built folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from ltml_dataset.errors import UserError
from ltml_dataset.review.pictures import Pictures
from ltml_dataset.review.render import Mark, Passage
from ltml_dataset.schema import NO_FINDING, NOT_MENTIONED

SOURCE_NOTE = Path(".cache") / "source.json"
"""Where `build` notes which reports a folder came from; never part of the data set itself."""


@dataclass(slots=True)
class ReviewFolder:
    """The studies of the chosen splits, in the order of the files.

    `states` is (N, C) int8 with `NOT_MENTIONED` for null; C counts `No Finding`, which comes last.
    """

    directory: Path
    labels: tuple[str, ...]
    group_of: dict[str, str]
    lexicon_version: str
    studies: list[str]
    splits: list[str]
    states: npt.NDArray[np.int8]
    row_of: dict[str, int]
    disagreements: npt.NDArray[np.bool_] | None
    _mentions: "Mentions"
    pictures: Pictures
    _texts: dict[str, tuple[Passage, ...]]
    _plain: dict[str, str]
    lexicon_folder: Path | None = None
    """Words that were laid over those that ship, where they still are."""

    def machine(self, study: str) -> dict[str, int]:
        """The machine's states of a study, without the labels it did not mention."""
        row = self.states[self.row_of[study]]
        return {label: int(code) for label, code in zip(self.labels, row, strict=True) if code != NOT_MENTIONED}

    def passages(self, study: str) -> tuple[Passage, ...]:
        """The report; empty where its text was not found."""
        return self._texts.get(study, ())

    def marks(self, study: str) -> dict[int, list[Mark]]:
        """Mentions by position of the passage they point into."""
        passages = self.passages(study)
        by_title = {passage.title: position for position, passage in enumerate(passages) if passage.title}
        marks: dict[int, list[Mark]] = {}
        for number, mention in enumerate(self._mentions.of(study)):
            position = by_title.get(mention["section"], 0)
            mark = Mark(
                number=number,
                label=mention["label"],
                state=mention["status"],
                start=mention["start"],
                end=mention["end"],
                phrase=mention["phrase"],
                rule=mention["rule"],
                cue=mention["cue"],
                cue_start=mention["cue_start"],
                cue_end=mention["cue_end"],
            )
            marks.setdefault(position, []).append(mark)
        return marks

    def plain(self, study: str) -> str:
        """The report in small letters, with one blank for every run of blanks and line breaks: what is searched."""
        return self._plain.get(study, "")

    def mentioning(self, label: str) -> set[str]:
        """Studies whose report mentions a label."""
        return self._mentions.studies_with(label)


class Mentions:
    """Mentions by study, kept as the columns that were read: a million Python objects would slow every key."""

    def __init__(self, table: pa.Table) -> None:
        """Rows of any order; those of one study keep theirs."""
        studies = table["study_id"].cast(pa.string()).combine_chunks().dictionary_encode()
        numbers = studies.indices.to_numpy(zero_copy_only=False)
        order = np.argsort(numbers, kind="stable")
        self._table = table.select(_MENTION_COLUMNS).take(pa.array(order)).combine_chunks()
        names = studies.dictionary.to_pylist()
        bounds = np.searchsorted(numbers[order], np.arange(len(names) + 1))
        self._places = {name: (int(bounds[place]), int(bounds[place + 1])) for place, name in enumerate(names)}
        self._studies = studies.take(pa.array(order))

    def of(self, study: str) -> list[dict[str, Any]]:
        """The mentions of one study."""
        start, end = self._places.get(study, (0, 0))
        mentions: list[dict[str, Any]] = self._table.slice(start, end - start).to_pylist()
        return mentions

    def studies_with(self, label: str) -> set[str]:
        """Studies that mention a label."""
        return set(self._studies.filter(pc.equal(self._table["label"], label).combine_chunks()).to_pylist())


_MENTION_COLUMNS = ["label", "status", "section", "start", "end", "phrase", "rule", "cue", "cue_start", "cue_end"]


def open_folder(
    directory: Path,
    *,
    splits: Sequence[str],
    reports: Path | None = None,
    image_root: Path | None = None,
) -> ReviewFolder:
    """Read a built folder for review.

    Args:
        directory: What `build` wrote.
        splits: Splits under review.
        reports: The reports it was built from; by default those that `build` noted.
        image_root: Folder that `image_path` starts from, or the `files/` in it; without it only images are shown that
            the data set holds in its column `image`.

    Raises:
        UserError: No built folder, no such split, the reports are gone, or there is no such image root.
    """
    if image_root is not None and not image_root.is_dir():
        raise UserError(f"the image root `{image_root}` is not a folder: give the one that holds `files/`.")
    manifest_path = directory / "manifest.json"
    if not manifest_path.is_file():
        raise UserError(f"`{directory}` holds no manifest.json: give the folder that `ltml-build-labels build` wrote.")
    if not (directory / "studies").is_dir():
        raise UserError(
            f"`{directory}` holds no reports: `split` made it from a table of labels. Give a folder that "
            "`ltml-build-labels build` wrote."
        )
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    studies = _read(directory / "studies", splits)
    labels = tuple(studies.column_names[studies.column_names.index("study_id") + 1 :])
    if NO_FINDING not in labels:
        raise UserError(f"`{directory / 'studies'}` has no column `{NO_FINDING}`: the folder was not made by `build`.")
    columns = [studies[label].fill_null(NOT_MENTIONED).to_numpy() for label in labels]
    study_ids = [str(study) for study in studies["study_id"].to_pylist()]
    wanted = set(study_ids)
    pointer = _pointer(directory)
    disagreements = _disagreements(directory, study_ids, labels)
    texts = _texts(reports, pointer, wanted)
    return ReviewFolder(
        directory=directory,
        labels=labels,
        group_of={name: group for group, names in manifest["groups"].items() for name in names},
        lexicon_version=str(manifest["lexicon"]["version"]),
        studies=study_ids,
        splits=studies["split"].to_pylist(),
        states=np.stack(columns, axis=1).astype(np.int8) if columns else np.zeros((0, 0), np.int8),
        row_of={study: row for row, study in enumerate(study_ids)},
        disagreements=disagreements,
        _mentions=Mentions(_read(directory / "mentions", splits)),
        pictures=Pictures(directory, splits, image_root),
        _texts=texts,
        _plain={study: _plain(passages) for study, passages in texts.items()},
        lexicon_folder=_lexicon_folder(pointer),
    )


def _read(folder: Path, splits: Sequence[str]) -> pa.Table:
    """All rows of some splits of a config, with a column `split`."""
    tables = []
    for split in splits:
        files = sorted(folder.glob(f"{split}-*.parquet"))
        if not files:
            raise UserError(f"`{folder}` has no split `{split}`: choose among train, validation and test.")
        table = pads.dataset(files).to_table()
        # First, so that the label columns are all that follows `study_id`.
        tables.append(table.add_column(0, "split", pa.array([split] * table.num_rows, pa.string())))
    return pa.concat_tables(tables)


def _plain(passages: Sequence[Passage]) -> str:
    return " ".join(" ".join(passage.text for passage in passages).lower().split())


def _pointer(directory: Path) -> Mapping[str, Any]:
    path = directory / SOURCE_NOTE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _lexicon_folder(pointer: Mapping[str, Any]) -> Path | None:
    """The folder of words the data set was built with, where it still is."""
    folder = Path(pointer["lexicon"]) if pointer.get("lexicon") else None
    return folder if folder is not None and folder.is_dir() else None


def _texts(reports: Path | None, pointer: Mapping[str, Any], wanted: set[str]) -> dict[str, tuple[Passage, ...]]:
    """Report text of the wanted studies, read from the source the folder was built from."""
    from ltml_dataset.sources import open_source
    from ltml_dataset.text.section_rules import rules_of
    from ltml_dataset.text.sections import find_sections

    path = reports or (Path(pointer["reports"]) if pointer.get("reports") else None)
    if path is None:
        raise UserError("the reports are needed to show them: give --reports, the file or folder that `build` read.")
    if not path.exists():
        raise UserError(f"`{path}`, which the folder was built from, was not found: give its new place with --reports.")
    source = open_source(path, id_column=pointer.get("id_column"), text_columns=pointer.get("text_columns"))
    rules = rules_of(_lexicon_folder(pointer))
    texts: dict[str, tuple[Passage, ...]] = {}
    for partition in source.partitions():
        batch, _ = source.read(partition)
        for row in batch.to_pylist():
            study = str(row["study_id"] if row.get("study_id") is not None else row["report_id"])
            if study not in wanted:
                continue
            if len(source.text_columns) == 1:
                text = row[source.text_columns[0]] or ""
                texts[study] = (Passage(None, text, _headings(text, find_sections(text, rules=rules))),)
            else:
                texts[study] = tuple(Passage(name, row[name]) for name in source.text_columns if row[name])
    return texts


def _headings(text: str, sections: Sequence[Any]) -> tuple[tuple[int, int], ...]:
    """Offsets of the section titles: what stands on the line before a section's body."""
    spans = []
    for section in sections:
        head = text[: section.start].rstrip()
        if head.endswith(":"):
            spans.append((head.rfind("\n") + 1, len(head)))
    return tuple(spans)


def _disagreements(directory: Path, studies: Sequence[str], labels: Sequence[str]) -> npt.NDArray[np.bool_] | None:
    """Where a second engine differs, as `build --second-engine` stored it; None if it did not run."""
    files = sorted((directory / "disagreements").glob("*.parquet"))
    if not files:
        return None
    table = pads.dataset(files).to_table()
    row_of = {study: row for row, study in enumerate(studies)}
    column_of = {label: column for column, label in enumerate(labels)}
    found = np.zeros((len(studies), len(labels)), dtype=bool)
    for study, label in zip(table["study_id"].to_pylist(), table["label"].to_pylist(), strict=True):
        if str(study) in row_of and label in column_of:
            found[row_of[str(study)], column_of[label]] = True
    return found
