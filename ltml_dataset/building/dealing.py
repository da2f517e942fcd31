"""Images and studies to train, validation and test."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ltml_dataset.building.job import Job
from ltml_dataset.export.rows import SplitCodes
from ltml_dataset.images import ImageRows
from ltml_dataset.official import States
from ltml_dataset.records import Skip
from ltml_dataset.schema import SPLITS
from ltml_dataset.splits import (
    ALL_ROWS,
    assign_splits,
    balance_table,
    crossing_note,
    iterative_image_split,
    official_splits,
    splits_from_ids,
)
from ltml_dataset.studies import Studies

PAPER_SHARES = (0.72, 0.08, 0.2)
"""Train, validation and test of the authors' release: 20 % test, then 10 % of the rest."""


MOST_NAMED = 1_000
"""Ids of each list that match no image and are named in the manifest; the note counts all."""


@dataclass(frozen=True)
class ImageSplit:
    """How the images were dealt."""

    codes: SplitCodes
    """(n,) split of each image."""
    shares: tuple[float, float, float]
    """Share that each split should have; the actual one where the split was given."""
    notes: list[str]
    """Sentences for the card."""
    skips: list[Skip]
    """Listed ids that match no image."""


def split_images(job: Job, studies: Studies, images: ImageRows, targets: States) -> ImageSplit:
    """Deal the images: by given lists, by the official file, as the paper did, or by patients with balanced labels."""
    options = job.config.split
    image_ids = images.rows["image_id"]
    labels = targets[images.study_rows] == 1
    if options.ids is not None:
        given = splits_from_ids(image_ids.combine_chunks(), *options.ids)
        skips = [
            Skip(image_id, f"listed for {name} in {path.name}, but no image has this id")
            for (name, ids), path in zip(given.unmatched.items(), options.ids, strict=True)
            for image_id in ids[:MOST_NAMED]
        ]
        codes = split_codes(given.splits)
        notes = [given.summary(), *_crossing(studies, images, codes)]
        return ImageSplit(codes, _actual_shares(codes), notes, skips)
    if job.config.official_split is not None:
        has_images = job.config.metadata is not None
        ids = image_ids if has_images else studies.study_ids.take(pa.array(images.study_rows))
        names = official_splits(job.config.official_split, pa.array(ids), "dicom_id" if has_images else "study_id")
        codes = split_codes(names)
        return ImageSplit(codes, _actual_shares(codes), _crossing(studies, images, codes), [])
    groups = {"subject": studies.patients()[images.study_rows], "study": images.study_rows, "image": None}
    unit = groups[options.group_by or "subject"]
    if job.config.protocol == "paper" and options.group_by == "image":
        names, shares = iterative_image_split(labels, image_ids.combine_chunks(), options.seed), PAPER_SHARES
    else:
        names, shares = assign_splits(labels, unit, options.shares, options.seed), options.shares
    cells = balance_table(labels, names, studies.label_names, unit, shares)
    reasons = {cell.label: cell.reason for cell in cells if cell.reason}
    sizes = reasons.pop(ALL_ROWS, None)
    notes = [f"The sizes of the splits could not be met: {sizes}."] if sizes else []
    notes += [f"{label} could not be balanced over the splits: {reason}." for label, reason in reasons.items()]
    return ImageSplit(split_codes(names), shares, notes, [])


def _crossing(studies: Studies, images: ImageRows, codes: SplitCodes) -> list[str]:
    """What to say of patients in a split that was given; nothing where no patient is known."""
    if studies.subject_ids.null_count == len(studies):
        return []
    return [crossing_note(studies.patients()[images.study_rows], codes)]


def split_codes(names: npt.NDArray[np.str_]) -> SplitCodes:
    """(n,) index into SPLITS of each name."""
    return np.select([names == name for name in SPLITS], range(len(SPLITS))).astype(np.int8)


def split_studies(studies: Studies, images: ImageRows, split: SplitCodes) -> SplitCodes:
    """(N,) split of each study: where its images went, or where its patient's did; test before validation before train.

    A study of a patient without any image in the data set is train.
    """
    of_study = np.full(len(studies), -1, dtype=np.int8)
    np.maximum.at(of_study, images.study_rows, split)
    patients = studies.patients()
    of_patient = np.zeros(int(patients.max(initial=-1)) + 1, dtype=np.int8)
    np.maximum.at(of_patient, patients, np.maximum(of_study, 0))
    return np.where(of_study < 0, of_patient[patients], of_study)


def _actual_shares(codes: SplitCodes) -> tuple[float, float, float]:
    train, validation, test = (np.count_nonzero(codes == code) / len(codes) for code in range(3))
    return train, validation, test
