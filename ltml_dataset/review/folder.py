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
from ltml_dataset.images import find_image
from ltml_dataset.review.render import Mark, Passage
from ltml_dataset.schema import NO_FINDING, NOT_MENTIONED

SOURCE_NOTE = Path(".cache") / "source.json"
"""Where `build` notes which reports a folder came from; never part of the data set itself."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of a study: its file, its view where that is known, and the path that the data set names."""

    file: Path
    view: str
    image_path: str


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
    _mentions: dict[str, list[dict[str, Any]]]
    _images: dict[str, list[tuple[str, str]]]
    _texts: dict[str, tuple[Passage, ...]]
    image_root: Path | None
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
        for number, mention in enumerate(self._mentions.get(study, ())):
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

    def phrases(self, study: str, label: str) -> set[str]:
        """Phrases of a label that were found in the report."""
        return {mention["phrase"] for mention in self._mentions.get(study, ()) if mention["label"] == label}

    def images(self, study: str) -> list[Picture]:
        """Images of a study whose files lie under the image root."""
        if self.image_root is None:
            return []
        found = [(find_image(self.image_root, path), view, path) for path, view in self._images.get(study, ())]
        return [Picture(file, view, path) for file, view, path in found if file is not None]


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
        image_root: Folder that `image_path` starts from; without it no images are shown.

    Raises:
        UserError: No built folder, no such split, the reports are gone, or there is no such image root.
    """
    if image_root is not None and not image_root.is_dir():
        raise UserError(f"the image root `{image_root}` is not a folder: give the one that holds `files/`.")
    manifest_path = directory / "manifest.json"
    if not manifest_path.is_file():
        raise UserError(f"`{directory}` holds no manifest.json: give the folder that `ltml-build-labels build` wrote.")
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
        _mentions=_by_study(_read(directory / "mentions", splits), wanted),
        _images=_image_paths(directory, splits),
        _texts=_texts(reports, pointer, wanted),
        image_root=image_root,
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


def _by_study(mentions: pa.Table, wanted: set[str]) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for mention in mentions.to_pylist():
        study = str(mention["study_id"])
        if study in wanted:
            grouped.setdefault(study, []).append(mention)
    return grouped


def _image_paths(directory: Path, splits: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """`image_path` and view of every image of a study."""
    paths: dict[str, list[tuple[str, str]]] = {}
    for split in splits:
        files = sorted((directory / "data").glob(f"{split}-*.parquet"))
        if not files:
            continue
        table = pads.dataset(files).to_table(columns=["study_id", "image_path", "view"])
        table = table.filter(pc.is_valid(table["image_path"]))
        for row in table.to_pylist():
            paths.setdefault(str(row["study_id"]), []).append((row["image_path"], row["view"] or ""))
    return paths


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
