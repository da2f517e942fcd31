"""The finished folder: tables, card, figures, manifest."""

from dataclasses import asdict

import numpy as np
import pyarrow as pa

from ltml_dataset.dealing import ImageSplit, split_studies
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
from ltml_dataset.images import ImageRows
from ltml_dataset.job import Job
from ltml_dataset.merging import Merged
from ltml_dataset.official import States
from ltml_dataset.records import Skip
from ltml_dataset.schema import SPLITS
from ltml_dataset.shards import forget_others, require
from ltml_dataset.studies import Studies


def write_data_set(job: Job, merged: Merged, images: ImageRows, targets: States, split: ImageSplit) -> Manifest:
    """Write the folder under a hidden name and move it into place, manifest last."""
    studies = merged.studies
    study_split = split_studies(studies, images, split.codes)
    done = list(require(job.shards, len(job.partitions)))
    first_rows = np.cumsum([0, *(shard.n_reports for shard in done)])
    skips = [skip for shard in done for skip in shard.skips]
    silent = studies.report_ids.filter(pa.array(~studies.is_labelled)).to_pylist()
    skips += [Skip(name, "no text in the sections that are labelled") for name in silent]
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
                "reports": len(studies) + len(skips) - len(silent),
                "reports_skipped": len(skips) - len(silent),
                "studies_unlabelled": len(silent),
                "studies": len(studies),
                "images": len(images.study_rows),
                "mentions": sum(shard.n_mentions for shard in done),
                "studies_without_image": images.n_studies_without_image,
                "images_without_report": images.n_without_report,
                "images_of_other_views": images.n_other_view,
            },
            splits=count_splits(studies, images, split.codes),
            label_counts=label_counts,
            skipped=[SkippedInput(input=skip.input, reason=skip.reason) for skip in [*skips, *split.skips]],
            notes=notes + merged.notes + split.notes,
            agreement=[asdict(row) for row in merged.agreement],
        )
        manifest = manifest.model_copy(update={"files": written_files(folder, rows)})
        write_manifest(manifest, folder)
    forget_others(job.shards)
    return manifest


def count_labels(studies: Studies, images: ImageRows, targets: States, split: SplitCodes) -> dict[str, dict[str, int]]:
    """Positive images per class, of all and of each split."""
    counts = {}
    for name, chosen in [("all", split >= 0), *((name, split == code) for code, name in enumerate(SPLITS))]:
        images_of_study = np.bincount(images.study_rows[chosen], minlength=len(studies))
        positives = images_of_study @ (targets == 1)
        counts[name] = {label: int(n) for label, n in zip(studies.label_names, positives, strict=True)}
    return counts


def count_splits(studies: Studies, images: ImageRows, split: SplitCodes) -> dict[str, SplitCounts]:
    """Rows, studies and patients of each split."""
    patients = studies.patients()
    counts = {}
    for code, name in enumerate(SPLITS):
        rows = images.study_rows[split == code]
        counts[name] = SplitCounts(
            rows=len(rows), studies=len(np.unique(rows)), subjects=len(np.unique(patients[rows]))
        )
    return counts
