"""Write a simulated release: the files of MIMIC-CXR and MIMIC-CXR-JPG under their official names, and the truth."""

import gzip
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ltml_dataset import __version__
from ltml_dataset.errors import UserError
from ltml_dataset.schema import NO_FINDING
from ltml_dataset.simulate.findings import LABELS
from ltml_dataset.simulate.official import GOLD_COLUMNS, gold_rows, official_rows
from ltml_dataset.simulate.phantoms import draw_images
from ltml_dataset.simulate.studies import NOT_MENTIONED, Chunk, Plan, make_chunks, plan_release
from ltml_dataset.sources.base import SIMULATED_MARK
from ltml_dataset.sources.mimic_tables import OFFICIAL_LABELS

METADATA_COLUMNS = (
    "dicom_id",
    "subject_id",
    "study_id",
    "PerformedProcedureStepDescription",
    "ViewPosition",
    "Rows",
    "Columns",
    "StudyDate",
    "StudyTime",
    "ProcedureCodeSequence_CodeMeaning",
    "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
)

GOLD_STUDIES = 687
"""As many test studies as the official hand-labelled file has; fewer in a small release."""

ReportForm = Literal["zip", "tree"]

_VIEW_MEANING = {"AP": "antero-posterior", "PA": "postero-anterior", "LATERAL": "lateral", "LL": "left lateral"}


@dataclass(frozen=True)
class SimulatedRelease:
    """Where a simulated release lies and how large it is. `images` is the folder that contains `files/`, or None."""

    root: Path
    reports: Path
    record_list: Path
    study_list: Path
    metadata: Path
    official_labels: Path
    official_split: Path
    gold: Path
    image_filenames: Path
    truth: Path
    images: Path | None
    n_patients: int
    n_studies: int
    n_images: int


def simulate_release(
    out: Path,
    studies: int,
    seed: int = 0,
    images: int | None = None,
    reports: ReportForm = "zip",
    progress: Callable[[int], None] | None = None,
    *,
    force: bool = False,
) -> SimulatedRelease:
    """Write a MIMIC-CXR-shaped release whose truth is known.

    The same arguments give the same bytes. Patients are drawn, written and forgotten in chunks of about two thousand
    studies. Everything is written into a hidden folder first; a call that finds the same release complete returns it.

    Args:
        out: Folder to write to; other files in it stay.
        studies: Number of studies, 1 to 10,000,000.
        seed: Seed of everything drawn.
        images: Side of the grey phantoms in pixels, or None for no images.
        reports: One zip as in MIMIC-CXR, or a tree of text files under `files/`.
        force: Write even into a folder that holds other files; they stay.
        progress: Told how many studies more are written, chunk by chunk.

    Raises:
        UserError: Another release lies there, or an argument is out of range.
    """
    if images is not None and not 32 <= images <= 1024:
        raise UserError(f"--images {images}: expected a side of 32 to 1024 pixels.")
    plan = plan_release(studies, seed)
    wanted: dict[str, object] = {
        "simulator": __version__,
        "words": _fingerprint(),
        "studies": studies,
        "seed": seed,
        "images": images,
        "reports": reports,
    }
    if out.exists() and not out.is_dir():
        raise UserError(f"`{out}` is a file or a device: give --out a folder, new or empty.")
    part = out / ".simulate-part"
    finished = _find(out, wanted) or _find(part, wanted)
    if finished is None:
        _refuse_others(out, force=force)
        for name in _top_names(images, reports):
            if (out / name).exists():
                raise UserError(
                    f"{out / name} is there already, from another release: remove it or choose another --out."
                )
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        finished = wanted | _write(part, plan, images, reports, progress or (lambda _: None))
        text = json.dumps(finished, indent=2, sort_keys=True) + "\n"
        (part / "truth" / "release.json").write_text(text, encoding="utf-8")
    for name in (*_top_names(images, reports), "truth"):  # the truth last: it marks the release as complete
        if (part / name).exists():
            (part / name).replace(out / name)
    if part.exists():
        part.rmdir()
    return _described(out, finished)


def _refuse_others(out: Path, *, force: bool) -> None:
    """Keep a release out of a folder that holds something else, real data above all."""
    if force or not out.is_dir() or (out / ".simulate-part").is_dir() or (out / "truth" / "release.json").is_file():
        return
    others = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    if others:
        raise UserError(
            f"`{out}` holds `{others[0]}` and no release of ours: give --out a new folder, or add --force to write "
            "beside what is there."
        )


def _fingerprint() -> str:
    """Hash of the words and numbers that a release is made from: another wording makes another release."""
    digest = hashlib.sha256()
    for folder in ("data", "wording"):
        for item in sorted((files("ltml_dataset.simulate") / folder).iterdir(), key=lambda item: item.name):
            if item.name.endswith((".json", ".yaml")):
                digest.update(item.name.encode() + item.read_bytes())
    return digest.hexdigest()[:16]


def _find(folder: Path, wanted: dict[str, object]) -> dict[str, object] | None:
    """What `folder` holds, if it is the wanted release and complete."""
    record = folder / "truth" / "release.json"
    if not record.exists():
        return None
    found: dict[str, object] = json.loads(record.read_text(encoding="utf-8"))
    return found if {key: found.get(key) for key in wanted} == wanted else None


def _write(
    part: Path, plan: Plan, images: int | None, reports: ReportForm, progress: Callable[[int], None]
) -> dict[str, object]:
    """Write everything but `truth/release.json`; returns the counts for it."""
    with ReleaseWriter(part, reports) as writer:
        for chunk in make_chunks(plan):
            writer.add(chunk)
            if images is not None:
                draw_images(chunk, part, images, plan.seed)
            progress(len(chunk.reports))
    (part / "truth" / "README.md").write_text(_TRUTH_NOTE, encoding="utf-8")
    return {"patients": len(plan.n_studies), "image_files": writer.n_images}


def _top_names(images: int | None, reports: ReportForm) -> tuple[str, ...]:
    tree = ("files",) if images is not None or reports == "tree" else ()
    zipped = ("mimic-cxr-reports.zip",) if reports == "zip" else ()
    return (*zipped, *tree, *_TABLES)


_TABLES = (
    "cxr-record-list.csv.gz",
    "cxr-study-list.csv.gz",
    "mimic-cxr-2.0.0-metadata.csv.gz",
    "mimic-cxr-2.0.0-chexpert.csv.gz",
    "mimic-cxr-2.0.0-split.csv.gz",
    "mimic-cxr-2.1.0-test-set-labeled.csv",
    "IMAGE_FILENAMES",
)


def _described(out: Path, record: dict[str, object]) -> SimulatedRelease:
    record_list, study_list, metadata, chexpert, split, gold, names = (out / name for name in _TABLES)
    return SimulatedRelease(
        root=out,
        reports=out / ("mimic-cxr-reports.zip" if record["reports"] == "zip" else "files"),
        record_list=record_list,
        study_list=study_list,
        metadata=metadata,
        official_labels=chexpert,
        official_split=split,
        gold=gold,
        image_filenames=names,
        truth=out / "truth" / "studies.parquet",
        images=out if record["images"] is not None else None,
        n_patients=int(str(record["patients"])),
        n_studies=int(str(record["studies"])),
        n_images=int(str(record["image_files"])),
    )


def truth_schema() -> pa.Schema:
    """Columns of `truth/studies.parquet`: ids, then 39 classes and No Finding as nullable int8."""
    ids = [pa.field("study_id", pa.int32(), nullable=False), pa.field("subject_id", pa.int32(), nullable=False)]
    return pa.schema(ids + [pa.field(name, pa.int8()) for name in (*LABELS, NO_FINDING)])


class ReleaseWriter:
    """Appends chunks to every file of a release."""

    def __init__(self, root: Path, reports: ReportForm) -> None:
        """Open the files under `root`."""
        self.root, self.n_images, self._n_gold, self._as_tree = root, 0, 0, reports == "tree"
        (root / "truth").mkdir(parents=True, exist_ok=True)
        self._stack = ExitStack()
        self._text = {name: self._open(name) for name in _TABLES}
        self._truth = self._stack.enter_context(
            pq.ParquetWriter(root / "truth" / "studies.parquet", truth_schema(), compression="zstd")
        )
        if not self._as_tree:
            self._zip = self._stack.enter_context(
                zipfile.ZipFile(root / "mimic-cxr-reports.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=6)
            )
            self._zip.comment = SIMULATED_MARK
        self._put("cxr-record-list.csv.gz", ["subject_id,study_id,dicom_id,path"])
        self._put("cxr-study-list.csv.gz", ["subject_id,study_id,path"])
        self._put("mimic-cxr-2.0.0-metadata.csv.gz", [",".join(METADATA_COLUMNS)])
        self._put("mimic-cxr-2.0.0-chexpert.csv.gz", [",".join(("subject_id", "study_id", *OFFICIAL_LABELS))])
        self._put("mimic-cxr-2.0.0-split.csv.gz", ["dicom_id,study_id,subject_id,split"])
        self._put("mimic-cxr-2.1.0-test-set-labeled.csv", [",".join(("study_id", *GOLD_COLUMNS))])

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every file."""
        self._stack.close()

    def add(self, chunk: Chunk) -> None:
        """Append the studies and images of a chunk."""
        folders = [
            f"files/p{s // 1_000_000}/p{s}/s{t}"
            for s, t in zip(chunk.subject.tolist(), chunk.study.tolist(), strict=True)
        ]
        ids = [f"{s},{t}" for s, t in zip(chunk.subject.tolist(), chunk.study.tolist(), strict=True)]
        self._add_reports(folders, chunk.reports)
        self._put("cxr-study-list.csv.gz", [f"{i},{f}.txt" for i, f in zip(ids, folders, strict=True)])
        self._truth.write_table(_truth_table(chunk))
        official = official_rows(chunk)
        self._put("mimic-cxr-2.0.0-chexpert.csv.gz", [f"{i},{row}" for i, row in zip(ids, official, strict=True)])
        split = split_of(chunk.patient)
        wanted = np.flatnonzero(split == 2)[: GOLD_STUDIES - self._n_gold]
        self._n_gold += len(wanted)
        gold = gold_rows(chunk.states[wanted])
        self._put(
            "mimic-cxr-2.1.0-test-set-labeled.csv",
            [f"{chunk.study[i]},{row}" for i, row in zip(wanted, gold, strict=True)],
        )
        self._add_images(chunk, folders, ids, split)

    def _add_reports(self, folders: list[str], reports: list[str]) -> None:
        if self._as_tree:
            for folder, text in zip(folders, reports, strict=True):
                path = self.root / f"{folder}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="\n")
            return
        for folder, text in zip(folders, reports, strict=True):
            entry = zipfile.ZipInfo(f"{folder}.txt", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            self._zip.writestr(entry, text)

    def _add_images(self, chunk: Chunk, folders: list[str], ids: list[str], split: NDArray[np.int64]) -> None:
        records, metadata, splits, names = [], [], [], []
        for study, dicom, view in zip(chunk.image_study.tolist(), chunk.dicom, chunk.view, strict=True):
            subject_id, _, study_id = ids[study].partition(",")
            records.append(f"{ids[study]},{dicom},{folders[study]}/{dicom}.dcm")
            names.append(f"{folders[study]}/{dicom}.jpg")
            splits.append(f"{dicom},{study_id},{subject_id},{_SPLITS[split[study]]}")
            at_bed = bool(chunk.portable[study])
            step = "CHEST (PORTABLE AP)" if at_bed else "CHEST (PA AND LAT)"
            size = "2539,3050" if at_bed else "3056,2544"
            orientation = "" if not view else "Recumbent" if at_bed else "Erect"
            metadata.append(
                f"{dicom},{ids[study]},{step},{view},{size},{chunk.date[study]},{chunk.time[study]},{step},"
                f"{_VIEW_MEANING.get(view, '')},{orientation}"
            )
        self.n_images += len(names)
        self._put("cxr-record-list.csv.gz", records)
        self._put("mimic-cxr-2.0.0-metadata.csv.gz", metadata)
        self._put("mimic-cxr-2.0.0-split.csv.gz", splits)
        self._put("IMAGE_FILENAMES", names)

    def _open(self, name: str) -> IO[bytes] | gzip.GzipFile:
        raw = self._stack.enter_context((self.root / name).open("wb"))
        if name.endswith(".gz"):
            return self._stack.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0))
        return raw

    def _put(self, name: str, lines: list[str]) -> None:
        if lines:
            self._text[name].write(("\n".join(lines) + "\n").encode())


_SPLITS = ("train", "validate", "test")


def split_of(patient: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 train, 1 validate, 2 test by running number of the patient: 97, 1 and 2 of a hundred."""
    return np.where(patient % 50 == 1, 2, np.where(patient % 100 == 2, 1, 0))


def _truth_table(chunk: Chunk) -> pa.Table:
    columns = [pa.array(chunk.study.astype(np.int32)), pa.array(chunk.subject.astype(np.int32))]
    for values in chunk.states.T:
        columns.append(pa.array(np.ascontiguousarray(values), mask=values == NOT_MENTIONED))
    return pa.Table.from_arrays(columns, schema=truth_schema())


_TRUTH_NOTE = """# Simulated truth

Everything in this release is simulated: patients, reports, images, labels, dates and ids. Nothing comes from
MIMIC-CXR or from any patient; only the file names and columns are those of MIMIC-CXR and MIMIC-CXR-JPG.

`studies.parquet` holds, for every study, what its report states in the sections that count: 1 present, 0 negated,
-1 uncertain, null not mentioned; parents follow children; No Finding is 1 or null.
`release.json` holds the arguments that make the same bytes again.
"""
