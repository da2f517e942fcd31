"""Patients, studies and images of a simulated release, chunk by chunk: ids, states, reports and views."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ltml_dataset.errors import UserError
from ltml_dataset.simulate.findings import LABELS, PARENTS, UNSAID, children_first, load_figure1, load_model
from ltml_dataset.simulate.phrases import load_wording
from ltml_dataset.simulate.reports import Report, Writer

STUDIES_PER_CHUNK = 2048
SUBJECT_SPACE = 10_000_000
STUDY_SPACE = 10_000_000
FIRST_SUBJECT = 90_000_000
FIRST_STUDY = 80_000_000
"""MIMIC-CXR's subjects begin at 10,000,032 and its studies at 50,000,000: no simulated id is a real one."""

ODDS_UNCERTAIN = {
    "Enlarged Cardiomediastinum": 0.020, "Cardiomegaly": 0.020, "Lung Lesion": 0.006, "Lung Opacity": 0.015,
    "Edema": 0.035, "Consolidation": 0.018, "Pneumonia": 0.070, "Atelectasis": 0.045, "Pneumothorax": 0.006,
    "Pleural Effusion": 0.025, "Pleural Other": 0.002, "Fracture": 0.003, "Support Devices": 0.0005,
    "Pericardial Effusion": 0.003, "Pulmonary Embolism": 0.002,
}  # fmt: skip
"""Share of studies without a class that hedge it, as often as labelers report it. Others: a third of their share."""

VIEW_SHARES = (("", 0.0418), ("LAO", 0.0002), ("RAO", 0.0001), ("AP AXIAL", 0.0001), ("XTABLE LATERAL", 0.0001))
"""Images whose view is blank or rare, of all; the others follow from the kind of study."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Chunk:
    """Some patients with all their studies and images.

    `subject`, `study` (n,) int64 ids by study; `states` (n, 40) int8 with 2 for "not mentioned", No Finding last;
    `image_study` (m,) index of each image's study; `dicom`, `view` by image; `step`, `date`, `time` by study.
    """

    index: int
    first_patient: int
    patient: Ints
    subject: Ints
    study: Ints
    reports: list[str]
    states: NDArray[np.int8]
    image_study: Ints
    dicom: list[str]
    view: list[str]
    portable: NDArray[np.bool_]
    date: list[str]
    time: list[str]


NOT_MENTIONED = 2
"""Stands for null inside `Chunk.states`."""


@dataclass(frozen=True)
class Plan:
    """How many studies each patient has and where the chunks begin.

    `n_studies` (P,) int32; `first_patient` (K + 1,) and `first_study` (K + 1,) by chunk.
    """

    seed: int
    n_studies: NDArray[np.int32]
    first_patient: Ints
    first_study: Ints

    @property
    def n_chunks(self) -> int:
        """Number of chunks."""
        return len(self.first_patient) - 1


def plan_release(studies: int, seed: int) -> Plan:
    """Spread studies over patients: 3.5 a patient on average, a third with one, a few with dozens.

    Raises:
        UserError: Fewer than one study, or more than ids of eight digits can name.
    """
    if not 1 <= studies <= STUDY_SPACE:
        raise UserError(f"--studies {studies}: expected a number from 1 to {STUDY_SPACE:,}.")
    if seed < 0:
        raise UserError(f"--seed {seed}: expected 0 or more.")
    rng = np.random.default_rng([seed, 0])
    parts, total = [], 0
    while total < studies:
        part = np.minimum(np.ceil(np.exp(rng.normal(0.49, 1.1, 4096))), 150).astype(np.int32)
        parts.append(part)
        total += int(part.sum())
    n_studies = np.concatenate(parts)
    ends = np.cumsum(n_studies)
    last = int(np.searchsorted(ends, studies))
    n_studies = n_studies[: last + 1].copy()
    n_studies[last] -= ends[last] - studies
    ends = np.cumsum(n_studies)
    cuts = np.searchsorted(ends, np.arange(STUDIES_PER_CHUNK, studies, STUDIES_PER_CHUNK), side="left") + 1
    first_patient = np.unique(np.concatenate([[0], cuts, [len(n_studies)]]))
    first_study = np.concatenate([[0], ends[first_patient[1:] - 1]])
    return Plan(seed, n_studies, first_patient, first_study)


def make_chunk(plan: Plan, index: int) -> Chunk:
    """Everything about the patients of one chunk; depends on nothing but the plan and the index."""
    rng = np.random.default_rng([plan.seed, 1, index])
    low, high = int(plan.first_patient[index]), int(plan.first_patient[index + 1])
    counts = plan.n_studies[low:high].astype(np.int64)
    n = int(counts.sum())
    patient = np.repeat(np.arange(low, high), counts)
    subject, study = _ids(plan, rng, low, high, counts, int(plan.first_study[index]))
    present = load_model().draw(rng, counts)
    uncertain, remarks = _hedges(rng, present)
    portable = rng.random(n) < np.where(present[:, LABELS.index("Support Devices")], 0.80, 0.438)
    reports = _reports(rng, present, uncertain, remarks, portable)
    image_study, view = _views(rng, portable)
    dicom = _dicom_ids(rng, len(image_study))
    return Chunk(
        index=index,
        first_patient=low,
        patient=patient,
        subject=np.repeat(subject, counts),
        study=study,
        reports=[report.text for report in reports],
        states=_states(reports),
        image_study=image_study,
        dicom=dicom,
        view=view,
        portable=portable,
        date=_dates(rng, counts),
        time=[f"{h:02d}{m:02d}{s:02d}.{f:03d}" for h, m, s, f in rng.integers(0, (24, 60, 60, 1000), (n, 4)).tolist()],
    )


def make_chunks(plan: Plan) -> Iterator[Chunk]:
    """All chunks in order."""
    for index in range(plan.n_chunks):
        yield make_chunk(plan, index)


def _ids(plan: Plan, rng: np.random.Generator, low: int, high: int, counts: Ints, first: int) -> tuple[Ints, Ints]:
    """Subject ids in ascending order over the release; study ids scattered, ascending within a patient."""
    stride = SUBJECT_SPACE // len(plan.n_studies)
    subject = FIRST_SUBJECT + np.arange(low, high) * stride + rng.integers(0, stride, high - low)
    serial = np.arange(first, first + int(counts.sum()))
    study = FIRST_STUDY + (serial * 3_141_593 + 271_828) % STUDY_SPACE  # coprime to the space: no id comes twice
    owner = np.repeat(np.arange(high - low), counts)
    return subject, study[np.lexsort((study, owner))]


def _hedges(rng: np.random.Generator, present: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Classes hedged, and studies with a remark outside the classes, so that No Finding gets its share."""
    share = load_figure1().share
    odds = np.array([ODDS_UNCERTAIN.get(name, share[i] / 3) for i, name in enumerate(LABELS)])
    others = [i for i, name in enumerate(LABELS) if name != "Support Devices"]
    quiet = ~present[:, others].any(axis=1)
    silent = quiet & (rng.random(len(present)) < load_figure1().quiet / load_model().quiet)
    uncertain = (rng.random(present.shape) < odds) & ~present & ~silent[:, None]
    restless = quiet & ~silent & ~uncertain[:, others].any(axis=1)
    remarks = ~silent & (rng.random(len(present)) < 0.12)
    remarks |= restless & (rng.random(len(present)) < 0.3)
    forced = np.flatnonzero(restless & ~remarks)
    choice = rng.choice(len(LABELS), len(forced), p=_normalised(np.where(np.isin(np.arange(39), others), odds, 0.0)))
    uncertain[forced, choice] = True
    lung, any_place = LABELS.index("Pulmonary Embolism"), LABELS.index("Embolus")
    both = uncertain[:, lung] & ~present[:, any_place] & (rng.random(len(present)) < 0.7)
    uncertain[:, any_place] |= both  # "pulmonary embolism cannot be excluded" hedges both classes
    for child in (name for name in children_first() if name not in UNSAID):
        parent = LABELS.index(PARENTS[child])
        uncertain[:, parent] |= uncertain[:, LABELS.index(child)] & ~present[:, parent]
    return uncertain, remarks


def _normalised(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = weights / weights.sum()
    return result


def _reports(
    rng: np.random.Generator,
    present: NDArray[np.bool_],
    uncertain: NDArray[np.bool_],
    remarks: NDArray[np.bool_],
    portable: NDArray[np.bool_],
) -> list[Report]:
    bits = 1 << np.arange(len(LABELS), dtype=np.int64)
    writer = Writer(load_wording(), random.Random(int(rng.integers(2**62))).random)
    return [
        writer.write(has, may, remarks=remark, portable=at_bed)
        for has, may, remark, at_bed in zip(
            (present @ bits).tolist(), (uncertain @ bits).tolist(), remarks.tolist(), portable.tolist(), strict=True
        )
    ]


def _states(reports: list[Report]) -> NDArray[np.int8]:
    """(n, 40) int8: 1, 0, -1 or `NOT_MENTIONED` by class, No Finding last."""
    bits = 1 << np.arange(len(LABELS), dtype=np.int64)
    states = np.full((len(reports), len(LABELS) + 1), NOT_MENTIONED, np.int8)
    for value, masks in (
        (1, [report.present for report in reports]),
        (-1, [report.uncertain for report in reports]),
        (0, [report.absent for report in reports]),
    ):
        states[:, :-1][(np.array(masks, dtype=np.int64)[:, None] & bits) != 0] = value
    states[[i for i, report in enumerate(reports) if report.no_finding], -1] = 1
    return states


def _views(rng: np.random.Generator, portable: NDArray[np.bool_]) -> tuple[Ints, list[str]]:
    """Study index and view of every image: AP films, or PA with laterals."""
    extra = rng.random(len(portable))
    view_lists = np.where(
        portable, np.where(extra < 0.215, 1, 0), np.where(extra < 0.166, 3, np.where(extra < 0.216, 4, 2))
    )
    shapes = (("AP",), ("AP", "AP"), ("PA", "LATERAL"), ("PA", "LATERAL", "LATERAL"), ("AP", "LATERAL"))
    image_study, view = [], []
    left = (rng.random(len(portable)) < 0.30).tolist()
    for study, (shape, is_left) in enumerate(zip(view_lists.tolist(), left, strict=True)):
        for name in shapes[shape]:
            image_study.append(study)
            view.append("LL" if is_left and name == "LATERAL" else name)
    draw = rng.random(len(view))
    edge = 0.0
    for name, share in VIEW_SHARES:
        for i in np.flatnonzero((draw >= edge) & (draw < edge + share)).tolist():
            view[i] = name
        edge += share
    return np.array(image_study, dtype=np.int64), view


def _dicom_ids(rng: np.random.Generator, n: int) -> list[str]:
    """Ids in the shape of MIMIC-CXR's; the first group says that they are simulated."""
    digits = rng.bytes(16 * n).hex()
    return [f"51a1a7ed-{d[:8]}-{d[8:16]}-{d[16:24]}-{d[24:]}" for d in (digits[32 * i : 32 * i + 32] for i in range(n))]


def _dates(rng: np.random.Generator, counts: Ints) -> list[str]:
    """Dates between 2110 and 2200, as the real ones are shifted, ascending within a patient."""
    first = np.repeat(rng.integers(0, 80 * 365, len(counts)), counts)
    gaps = np.ceil(rng.exponential(90, int(counts.sum())) ** 0.9).astype(np.int64)
    starts = np.cumsum(counts) - counts
    running = np.cumsum(gaps)
    days = np.datetime64("2110-01-01") + first + (running - np.repeat(running[starts], counts))
    return [str(day).replace("-", "") for day in days]
