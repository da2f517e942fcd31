"""The main job from end to end.

reports -> sections -> sentences -> mentions -> assertions -> study labels -> image labels -> splits -> Parquet + card
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ltml_dataset.config import BuildConfig
from ltml_dataset.export.manifest import (
    Manifest,
    SkippedInput,
    SplitCounts,
    group_labels,
    write_manifest,
    written_files,
)
from ltml_dataset.export.rows import SplitCodes, write_images, write_mentions, write_studies
from ltml_dataset.export.staging import staged
from ltml_dataset.job import Job, open_job
from ltml_dataset.progress import progress_bar
from ltml_dataset.records import Skip
from ltml_dataset.runners import run
from ltml_dataset.runners.local import n_cores
from ltml_dataset.schema import SPLITS
from ltml_dataset.shards import LabelPartition, forget, forget_others, require
from ltml_dataset.splits import (
    Cell,
    assign_splits,
    balance_table,
    iterative_image_split,
    official_splits,
    splits_from_ids,
)
from ltml_dataset.studies import States, Studies, collect_studies


def build(config: BuildConfig, *, show_progress: bool = False) -> "Built":
    """Build a data set folder from reports.

    Args:
        config: What to build from what; `reports` and `out` must be set.
        show_progress: Show bars on the error stream if that is a terminal.

    Raises:
        UserError: An input is missing or not what it should be, or the output cannot be written.
    """
    clock = Clock()
    with clock.stage("open"):
        job = open_job(config)
    with clock.stage("label"):
        label_reports(job, show_progress=show_progress)
    with clock.stage("aggregate"):
        studies = read_studies(job)
        images = list_images(job, studies)
    with clock.stage("split"):
        targets = studies.targets(job.config.uncertain)
        split = split_images(job, studies, images, targets)
    with clock.stage("write"):
        manifest = write_data_set(job, studies, images, targets, split)
    return Built(job.out, manifest, clock.seconds)


PAPER_SHARES = (0.72, 0.08, 0.2)
"""Train, validation and test of the authors' release: 20 % test, then 10 % of the rest."""


@dataclass(frozen=True)
class Built:
    """A finished data set."""

    out: Path
    manifest: Manifest
    seconds: dict[str, float]
    """Wall time of each stage."""


@dataclass(frozen=True)
class Images:
    """Images in their final order: by study, then by id."""

    rows: pa.Table
    """`image_id`, `view`, `image_path`."""
    study_rows: npt.NDArray[np.int64]
    """(n,) row of each image's study in `Studies`."""


@dataclass(frozen=True)
class ImageSplit:
    """How the images were dealt."""

    codes: SplitCodes
    """(n,) split of each image."""
    cells: list[Cell] | None
    """Balance of every label in every split; None where the split was given."""
    notes: list[str]
    """Sentences for the card."""
    skips: list[Skip]
    """Listed ids that match no image."""


def label_reports(job: Job, *, show_progress: bool = False) -> None:
    """Label what no earlier call has labelled, into the cache of the output folder."""
    if job.config.force:
        forget(job.shards)
    todo = job.todo
    workers = min(job.config.workers or n_cores(), len(todo)) or 1
    if job.config.runner == "local" or todo:
        work = LabelPartition(job.source, job.labeler, job.shards)
        with progress_bar("Labeling", sum(partition.rows for partition in todo), show=show_progress) as advance:
            for done in run(work, todo, runner=job.config.runner, workers=workers):
                advance(done.n_reports)


def read_studies(job: Job) -> Studies:
    """Labels of all reports, from the shards."""
    tables = [job.shards.labels(partition.index) for partition in job.partitions]
    return collect_studies(tables, job.labeler.label_names)


def list_images(job: Job, studies: Studies) -> Images:
    """One row per study, named as its report."""
    missing = pa.nulls(len(studies), pa.string())
    rows = pa.table({"image_id": studies.report_ids, "view": missing, "image_path": missing})
    return Images(rows, np.arange(len(studies)))


def split_images(job: Job, studies: Studies, images: Images, targets: States) -> ImageSplit:
    """Deal the images: by given lists, by the official file, as the paper did, or by patients with balanced labels."""
    options = job.config.split
    image_ids = images.rows["image_id"]
    labels = targets[images.study_rows] == 1
    if options.ids is not None:
        given = splits_from_ids(image_ids.combine_chunks(), *options.ids)
        skips = [
            Skip(image_id, f"listed for {name} in {path.name}, but no image has this id")
            for (name, ids), path in zip(given.unmatched.items(), options.ids, strict=True)
            for image_id in ids
        ]
        return ImageSplit(split_codes(given.splits), None, [given.summary()], skips)
    if job.config.official_split is not None:
        has_images = job.config.metadata is not None
        ids = image_ids if has_images else studies.study_ids.take(pa.array(images.study_rows))
        names = official_splits(job.config.official_split, pa.array(ids), "dicom_id" if has_images else "study_id")
        return ImageSplit(split_codes(names), None, [], [])
    groups = {"subject": studies.patients()[images.study_rows], "study": images.study_rows, "image": None}
    unit = groups[options.group_by or "subject"]
    if job.config.protocol == "paper" and options.group_by == "image":
        names, shares = iterative_image_split(labels, image_ids.combine_chunks(), options.seed), PAPER_SHARES
    else:
        names, shares = assign_splits(labels, unit, options.shares, options.seed), options.shares
    cells = balance_table(labels, names, studies.label_names, unit, shares)
    reasons = {cell.label: cell.reason for cell in cells if cell.reason}
    notes = [f"{label} could not be balanced over the splits: {reason}." for label, reason in reasons.items()]
    return ImageSplit(split_codes(names), cells, notes, [])


def split_codes(names: npt.NDArray[np.str_]) -> SplitCodes:
    """(n,) index into SPLITS of each name."""
    return np.select([names == name for name in SPLITS], range(len(SPLITS))).astype(np.int8)


def split_studies(studies: Studies, images: Images, split: SplitCodes) -> SplitCodes:
    """(N,) split of each study: where its images went, or where its patient's did; test before validation before train.

    A study of a patient without any image in the data set is train.
    """
    of_study = np.full(len(studies), -1, dtype=np.int8)
    np.maximum.at(of_study, images.study_rows, split)
    patients = studies.patients()
    of_patient = np.zeros(int(patients.max(initial=-1)) + 1, dtype=np.int8)
    np.maximum.at(of_patient, patients, np.maximum(of_study, 0))
    return np.where(of_study < 0, of_patient[patients], of_study)


def write_data_set(job: Job, studies: Studies, images: Images, targets: States, split: ImageSplit) -> Manifest:
    """Write the folder under a hidden name and move it into place, manifest last."""
    study_split = split_studies(studies, images, split.codes)
    done = list(require(job.shards, len(job.partitions)))
    first_rows = np.cumsum([0, *(shard.n_reports for shard in done)])
    skips = [skip for shard in done for skip in shard.skips]
    label_counts = count_labels(studies, images, targets, split.codes)
    n_not_utf8 = sum(shard.n_not_utf8 for shard in done)
    notes = [f"{n_not_utf8:,} reports are not valid UTF-8 and were read as Windows-1252."] if n_not_utf8 else []
    with staged(job.out) as folder:
        rows = write_images(folder, images.rows, images.study_rows, studies, targets, split.codes)
        rows |= write_studies(folder, studies, study_split)
        mentions = ((int(first_rows[shard.index]), job.shards.mentions(shard.index)) for shard in done)
        rows |= write_mentions(folder, mentions, studies, study_split)
        manifest = Manifest(
            lexicon=job.lexicon,
            config=job.config.content(),
            inputs=job.inputs,
            labels=list(studies.label_names),
            groups=group_labels(label_counts["all"], job.config.head, job.config.medium),
            group_thresholds={"head": job.config.head, "medium": job.config.medium},
            counts={
                "reports": len(studies) + len(skips),
                "reports_skipped": len(skips),
                "studies": len(studies),
                "images": len(images.study_rows),
                "mentions": sum(shard.n_mentions for shard in done),
            },
            splits=count_splits(studies, images, split.codes),
            label_counts=label_counts,
            skipped=[SkippedInput(input=skip.input, reason=skip.reason) for skip in [*skips, *split.skips]],
            notes=notes + split.notes,
        )
        manifest = manifest.model_copy(update={"files": written_files(folder, rows)})
        write_manifest(manifest, folder)
    forget_others(job.shards)
    return manifest


def count_labels(studies: Studies, images: Images, targets: States, split: SplitCodes) -> dict[str, dict[str, int]]:
    """Positive images per class, of all and of each split."""
    counts = {}
    for name, chosen in [("all", split >= 0), *((name, split == code) for code, name in enumerate(SPLITS))]:
        images_of_study = np.bincount(images.study_rows[chosen], minlength=len(studies))
        positives = images_of_study @ (targets == 1)
        counts[name] = {label: int(n) for label, n in zip(studies.label_names, positives, strict=True)}
    return counts


def count_splits(studies: Studies, images: Images, split: SplitCodes) -> dict[str, SplitCounts]:
    """Rows, studies and patients of each split."""
    patients = studies.patients()
    counts = {}
    for code, name in enumerate(SPLITS):
        rows = images.study_rows[split == code]
        counts[name] = SplitCounts(
            rows=len(rows), studies=len(np.unique(rows)), subjects=len(np.unique(patients[rows]))
        )
    return counts


@dataclass
class Clock:
    """Wall time of named stages."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
