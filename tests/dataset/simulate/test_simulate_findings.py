"""The simulated findings follow Fig. 1: shares, cells, implications, and findings that stay."""

import random
import re

import numpy as np
import pytest

from ltml_dataset.simulate.findings import LABELS, PARENTS, load_figure1, load_model
from ltml_dataset.simulate.phrases import BIT, close, load_wording, say
from ltml_dataset.simulate.reports import REGIONS, Writer
from ltml_dataset.simulate.studies import make_chunk, plan_release

STUDIES = 50_000
CELL_TOLERANCE = 0.06
"""Largest distance of a strong cell from the figure that the model itself may leave, beside sampling error."""


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Classes present (50,000, 39) and the patient of each study."""
    plan = plan_release(STUDIES, seed=11)
    counts = plan.n_studies.astype(np.int64)
    present = load_model().draw(np.random.default_rng(11), counts)
    return present, np.repeat(np.arange(len(counts)), counts)


def clustered_error(values: np.ndarray, patient: np.ndarray) -> float:
    """Standard error of a mean of studies when studies of one patient resemble each other."""
    sums = np.bincount(patient, values - values.mean())
    return float(np.sqrt((sums**2).sum()) / len(values))


def test_shares_are_those_of_the_figure_within_sampling_error(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    present, patient = drawn
    for name, wanted, values in zip(LABELS, load_figure1().share, present.T, strict=True):
        rare = np.sqrt(wanted * (1 - wanted) * 2 / STUDIES)  # a class with a handful of studies has no error of its own
        error = max(clustered_error(values.astype(float), patient), rare)
        assert abs(values.mean() - wanted) < 4 * error + 0.02 * wanted, name


def test_strong_cells_are_those_of_the_figure(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    present, _ = drawn
    figure = load_figure1()
    checked = 0
    for row in range(39):
        n = int(present[:, row].sum())
        if n < 100:
            continue
        for column in range(39):
            wanted = figure.joint[row, column] / figure.share[row]
            if column == row or wanted < 0.3:
                continue
            got = present[present[:, row], column].mean()
            assert abs(got - wanted) < CELL_TOLERANCE + 2 / np.sqrt(n), (LABELS[row], LABELS[column], got, wanted)
            checked += 1
    assert checked > 40


def test_implied_classes_are_present(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    present, _ = drawn
    for child, parent in PARENTS.items():
        assert present[present[:, LABELS.index(child)], LABELS.index(parent)].all()


def test_chronic_findings_stay_longer_than_acute_ones(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    present, patient = drawn
    again = patient[1:] == patient[:-1]

    def returns(name: str) -> float:
        values = present[:, LABELS.index(name)]
        return float(values[1:][again & values[:-1]].mean() / values.mean())

    assert returns("Cardiomegaly") > 2.5
    assert returns("Pleural Thickening") > 20
    assert 1.1 < returns("Atelectasis") < 2.5


def test_quiet_studies_are_as_many_as_no_finding(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    present, _ = drawn
    others = [i for i, name in enumerate(LABELS) if name != "Support Devices"]
    assert abs((~present[:, others].any(axis=1)).mean() - load_model().quiet) < 0.015


def test_reports_state_what_was_asked_and_no_more() -> None:
    plan = plan_release(4000, seed=5)
    present = load_model().draw(np.random.default_rng(5), plan.n_studies.astype(np.int64))
    stream = random.Random(5)
    writer = Writer(load_wording(), stream.random)
    rare = [close(BIT[name]) for name in LABELS for _ in range(10)]
    asked = (present @ (1 << np.arange(39))).tolist() + rare
    for has in asked:
        may = close(BIT[LABELS[int(stream.random() * 39)]]) & ~has
        report = writer.write(has, may, remarks=False, portable=stream.random() < 0.5)
        assert report.present == has
        assert report.uncertain == may
        assert not report.absent & (has | may)


def test_every_class_has_words_and_a_place() -> None:
    wording = load_wording()
    assert sorted(name for names in REGIONS.values() for name in names) == sorted(LABELS)
    for index, name in enumerate(LABELS):
        alone = close(BIT[name])
        assert len(wording.present[index]) >= 4, name
        assert any(phrase.fits(alone, 0) for phrase in wording.present[index]), name
        assert any(phrase.fits(0, close(BIT[name])) for phrase in wording.uncertain[index]), name


def test_wording_has_no_loose_ends() -> None:
    wording = load_wording()
    stream = random.Random(0)
    groups = [*wording.present.values(), *wording.uncertain.values(), *wording.normal.values()]
    for phrase in [phrase for group in groups for phrase in group]:
        for _ in range(5):
            text = say(phrase.tree, stream.random, {})
            assert text
            assert not set(text) & set("{}|@")


def test_one_finding_keeps_its_side_and_size() -> None:
    wording = load_wording()
    stream = random.Random(2)
    writer = Writer(wording, stream.random)
    sides = 0
    for _ in range(300):
        text = writer.write(BIT["Pneumothorax"], 0, remarks=False, portable=True).text
        body = text[text.find("FINDINGS") :]
        assert not ("right pneumothorax" in body and "left pneumothorax is" in body)
        found = set(re.findall(r"(left|right) apical pneumothorax", body, re.IGNORECASE))
        assert len({side.lower() for side in found}) <= 1, text
        sides += bool(found)
    assert sides > 30


def test_chunks_do_not_depend_on_their_order() -> None:
    plan = plan_release(6000, seed=1)
    assert plan.n_chunks >= 3
    last, first = make_chunk(plan, plan.n_chunks - 1), make_chunk(plan, 0)
    assert make_chunk(plan, plan.n_chunks - 1).reports == last.reports
    assert make_chunk(plan, 0).dicom == first.dicom
    assert int(plan.n_studies.sum()) == 6000
    assert plan.first_study[-1] == 6000
