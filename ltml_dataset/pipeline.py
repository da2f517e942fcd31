"""The main job from end to end.

reports -> sections -> sentences -> mentions -> assertions -> study labels -> image labels -> splits -> Parquet + card
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ltml_dataset.building.dealing import split_images
from ltml_dataset.building.folder import write_data_set
from ltml_dataset.building.job import Job, open_job, read_studies, replaced_sentence
from ltml_dataset.building.merging import merge_given_labels, merge_verified_labels
from ltml_dataset.building.shards import LabelPartition
from ltml_dataset.config import BuildConfig
from ltml_dataset.errors import UserError
from ltml_dataset.export.hub import push_to_hub
from ltml_dataset.export.manifest import Manifest
from ltml_dataset.images import ImageRows, list_images, read_metadata
from ltml_dataset.progress import progress_bar
from ltml_dataset.runners import run
from ltml_dataset.runners.local import n_cores
from ltml_dataset.studies import Studies


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
        replaces = job.replaces
        if replaces:
            print(replaced_sentence(job.out, replaces), file=sys.stderr)
    with clock.stage("label"):
        label_reports(job, show_progress=show_progress)
    with clock.stage("aggregate"):
        merged = merge_given_labels(job, name_patients(job, read_studies(job)))
        images = find_images(job, merged.studies)
    with clock.stage("split"):
        targets = merged.studies.targets(job.config.uncertain)
        split = split_images(job, merged.studies, images, targets)
    with clock.stage("write"):
        if job.config.reviewed is not None:
            merged = merge_verified_labels(merged, job.config.reviewed)
            targets = merged.studies.targets(job.config.uncertain)
        manifest = write_data_set(job, merged, images, targets, split)
    if job.config.push_to_hub is not None:
        with clock.stage("upload"):
            push_to_hub(job.out, job.config.push_to_hub, credentialed=job.source.credentialed)
    return Built(job.out, manifest, clock.seconds)


@dataclass(frozen=True)
class Built:
    """A finished data set."""

    out: Path
    manifest: Manifest
    seconds: dict[str, float]
    """Wall time of each stage."""


def label_reports(job: Job, *, show_progress: bool = False) -> None:
    """Label into the cache of the output folder what no earlier call has labelled; with two engines, for both."""
    todo = job.todo
    workers = job.config.workers or n_cores()
    if job.config.runner == "local":
        workers = max(1, min(workers, len(todo)))
    work = LabelPartition(job.source, job.labeler, job.shards)
    with progress_bar("Labeling", sum(partition.rows for partition in todo), show=show_progress) as advance:
        for done in run(work, todo, runner=job.config.runner, workers=workers) if todo else ():
            advance(done.n_reports)
    if job.second is not None:
        label_reports(job.second, show_progress=show_progress)


def name_patients(job: Job, studies: Studies) -> Studies:
    """Studies with their patients: reports such as `mimic_cxr_sectioned.csv` do not name them, the metadata do."""
    if studies.subject_ids.null_count == 0 or "metadata" not in job.files:
        return studies
    known = read_metadata(job.files["metadata"]).subjects_of(studies.study_ids)
    return replace(studies, subject_ids=pc.coalesce(studies.subject_ids, known))


def find_images(job: Job, studies: Studies) -> ImageRows:
    """Images of the labelled studies by the metadata; without them one row per study, named as its report."""
    if "metadata" in job.files:
        metadata = read_metadata(job.files["metadata"])
        views, one_per_study = job.config.views or "frontal", bool(job.config.one_per_study)
        images = list_images(metadata, studies.study_ids, views, one_per_study=one_per_study)
    else:
        missing = pa.nulls(len(studies), pa.string())
        rows = pa.table({"image_id": studies.report_ids, "view": missing, "image_path": missing})
        images = ImageRows(rows, np.arange(len(studies)), n_without_report=0, n_other_view=0, n_studies_without_image=0)
    is_usable = studies.is_labelled[images.study_rows]
    if not is_usable.any():
        raise UserError(
            f"none of the {len(studies):,} reports of `{job.config.reports}` has text in the sections that are "
            "labelled and an image that was asked for: try --sections all, or --views all."
        )
    return replace(images, rows=images.rows.filter(pa.array(is_usable)), study_rows=images.study_rows[is_usable])


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
