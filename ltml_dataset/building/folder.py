"""The finished folder: tables, card, figures, manifest."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from ltml_dataset.building.dealing import ImageSplit, split_studies
from ltml_dataset.building.job import Job, read_studies
from ltml_dataset.building.merging import Merged
from ltml_dataset.building.second_opinion import count_disagreements, write_disagreements
from ltml_dataset.building.shards import ShardDone, forget_others, require
from ltml_dataset.building.unread import Unread
from ltml_dataset.export.card import label_notes
from ltml_dataset.export.manifest import (
    Manifest,
    SkippedInput,
    SplitCounts,
    group_labels,
    write_manifest,
    written_files,
)
from ltml_dataset.export.parquet import write_text
from ltml_dataset.export.presentation import write_presentation
from ltml_dataset.export.rows import SplitCodes, write_images, write_mentions, write_studies
from ltml_dataset.export.staging import staged
from ltml_dataset.images import ImageRows
from ltml_dataset.official import States
from ltml_dataset.review.folder import SOURCE_NOTE
from ltml_dataset.schema import NO_FINDING, SPLITS
from ltml_dataset.sources.base import is_simulated
from ltml_dataset.studies import Studies
from ltml_lexicons.choose import choose_labels

SIMULATED_NOTE = (
    "SIMULATED: no patient, report or image behind this folder exists; it may be shared, also with --push-to-hub."
)


def write_data_set(job: Job, merged: Merged, images: ImageRows, targets: States, split: ImageSplit) -> Manifest:
    """Write the folder under a hidden name and move it into place, manifest last."""
    studies = merged.studies
    study_split = split_studies(studies, images, split.codes)
    done = list(require(job.shards, len(job.partitions)))
    first_rows = np.cumsum([0, *(shard.n_reports for shard in done)])
    note_source(job)
    with staged(job.out) as folder:
        rows = write_images(folder, images.rows, images.study_rows, studies, targets, split.codes)
        rows |= write_studies(folder, studies, study_split)
        mentions = ((int(first_rows[shard.index]), job.shards.mentions(shard.index)) for shard in done)
        rows |= write_mentions(folder, mentions, studies, study_split)
        manifest = describe(job, merged, images, targets, split, done)
        if job.second is not None:
            first, second = read_studies(job).states, read_studies(job.second).states
            rows |= write_disagreements(folder, studies, first, second, study_split)
            manifest = with_disagreements(manifest, job, first, second)
        write_presentation(
            folder,
            manifest,
            ratios=dict(zip(SPLITS, split.shares, strict=True)),
            notes=label_notes(choose_labels(job.config.label_set, folder=job.config.lexicon), job.lexicon.profile),
            credentialed=job.source.credentialed,
        )
        manifest = manifest.model_copy(update={"files": written_files(folder, rows)})
        write_manifest(manifest, folder)
    forget_others(job.shards, *([job.second.shards] if job.second is not None else []))
    return manifest


def note_source(job: Job) -> None:
    """Note in the cache where the reports are, for `review`; never part of the data set itself."""
    source = {
        "reports": str(job.config.reports.resolve()) if job.config.reports else None,
        "id_column": job.config.id_column,
        "lexicon": str(job.config.lexicon.resolve()) if job.config.lexicon else None,
        "text_columns": list(job.source.text_columns) if job.config.text_column else None,
    }
    write_text(json.dumps(source, indent=2) + "\n", job.out / SOURCE_NOTE)


def with_disagreements(manifest: Manifest, job: Job, first: States, second: States) -> Manifest:
    """The manifest with the number of labels on which the second engine differs."""
    by_label = count_disagreements(first, second, (*manifest.labels, NO_FINDING))
    n_labels = sum(by_label.values())
    worst = sorted(by_label, key=lambda name: -by_label[name])[:3]
    note = (
        f"A second engine ({job.config.second_engine}) differs on {n_labels:,} labels, most on "
        f"{', '.join(f'{name} ({by_label[name]:,})' for name in worst)}; they are in config disagreements."
    )
    counts = {**manifest.counts, "disagreements": n_labels}
    return manifest.model_copy(update={"counts": counts, "notes": [*manifest.notes, note]})


def describe(
    job: Job, merged: Merged, images: ImageRows, targets: States, split: ImageSplit, shards: Sequence[ShardDone]
) -> Manifest:
    """The manifest of a data set, without its files."""
    studies, config = merged.studies, job.config
    unread = [skip for shard in shards for skip in shard.skips]
    silent = [skip for shard in shards for skip in shard.unread]
    passed_over = Unread()
    passed_over.add(silent)
    skips = [*unread, *silent, *split.skips]
    n_not_utf8 = sum(shard.n_not_utf8 for shard in shards)
    notes = [SIMULATED_NOTE] if is_simulated(job.source) else []
    notes += [f"{n_not_utf8:,} reports are not valid UTF-8 and were read as Windows-1252."] if n_not_utf8 else []
    notes += passed_over.sentences(len(studies))
    label_counts = count_labels(studies, images, targets, split.codes)
    return Manifest(
        lexicon=job.lexicon,
        simulated=is_simulated(job.source),
        config=config.content(),
        inputs=job.inputs,
        labels=list(studies.label_names),
        groups=group_labels(label_counts["all"], config.head, config.medium),
        group_thresholds={"head": config.head, "medium": config.medium},
        counts={
            "reports": len(studies) + len(unread),
            "reports_skipped": len(unread),
            "studies": len(studies),
            "studies_unlabelled": int(np.count_nonzero(~studies.is_labelled)),
            "reports_without_text": passed_over.n_without_text,
            "reports_not_read": passed_over.n_not_read,
            "studies_without_image": images.n_studies_without_image,
            "images": len(images.study_rows),
            "images_without_report": images.n_without_report,
            "images_of_other_views": images.n_other_view,
            "mentions": sum(shard.n_mentions for shard in shards),
        },
        splits=count_splits(studies, images, split.codes),
        label_counts=label_counts,
        skipped=[SkippedInput(input=skip.input, reason=skip.reason) for skip in skips],
        notes=notes + merged.notes + split.notes,
        agreement=[asdict(row) for row in merged.agreement],
    )


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
