#!/usr/bin/env python3
"""How even splits by patient come out, and what they cost, beside the usual libraries.

    python scripts/bench_split.py [--write] [--seeds 3] [--no-peers]

Tables: one simulated at the size of the paper's data, and the label tables of the evaluation data where they lie
(environment variable LTML_SHARED, else ../shared beside the repository). A cell is one label, or the size, in one
split; it is out of tolerance when its count is further from the ratio's than 0.1 % of the label's images, or than one
image if that is more. `--write` puts the table into docs/performance.md.
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from performance_page import machine, write_section
from threadpoolctl import threadpool_limits

from ltml_dataset.splits import ALL_ROWS, assign_splits, balance_table

SHARED = Path(os.environ.get("LTML_SHARED", Path(__file__).resolve().parent.parent.parent / "shared"))
TABLES = ("padchest_as_ltml39", "chexpert_train_labels", "padchest_labels")
PEERS_UP_TO = 50
"""Labels of the widest table on which the others run; with more they take minutes."""
SPLITS = np.array(["train", "validation", "test"])

Method = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """One split of one table."""

    seconds: float
    outside: int
    provable: int
    """Cells out of tolerance of labels for which no deal of their patients alone could be in it."""
    empty: int
    """Labels of three patients or more without a positive in some split."""
    cells: int
    size_points: float
    """Largest deviation of a split's size, in percentage points."""
    leak: float
    """Share of test patients that are also in train."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="The least populated class")
    lines = [
        "| table | method | CPU s | times ours | cells out of tolerance | provably so | labels missing in a split "
        "| size off, points | test patients also in train |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    tables = {"simulated": simulated()}
    tables |= {name: found for name in TABLES if (found := read(name)) is not None}
    with threadpool_limits(1):
        for name, (labels, patients) in tables.items():
            shape = f"{name}, {len(labels):,} x {labels.shape[1]}, {len(np.unique(patients)):,} patients"
            ours = [measure(by_patient, labels, patients, seed) for seed in range(options.seeds)]
            middle = sorted(ours, key=lambda outcome: outcome.seconds)[len(ours) // 2]
            worst = max(ours, key=lambda outcome: outcome.outside)
            lines.append(
                line(shape, f"assign_splits, worst of {options.seeds} seeds, median time", worst, middle.seconds, 1.0)
            )
            print(lines[-1], flush=True)
            if options.no_peers or labels.shape[1] > PEERS_UP_TO:
                continue
            for peer, method in PEERS.items():
                outcome = measure(method, labels, patients, 0)
                lines.append(line(shape, peer, outcome, outcome.seconds, outcome.seconds / middle.seconds))
                print(lines[-1], flush=True)
    if options.write:
        write_section(
            "split",
            "Splits",
            f"`python scripts/bench_split.py --write`: 7:1:2, {machine()}. A cell is one label, or the size, in one "
            "split; it is out of tolerance when its count is further from the ratio's than 0.1 % of the label's "
            "images, or than one image if that is more; provably so where no deal of that label's patients alone could "
            "be nearer (`splits/reach.py`). Missing counts labels of three patients or more. "
            "iterative-stratification is called twice with `test_size`, as its `train_size` does not do what it says; "
            "StratifiedGroupKFold takes the combination of labels as class and 10 folds, 7 + 1 + 2.\n\n"
            + "\n".join(lines),
        )


def measure(method: Method, labels: np.ndarray, patients: np.ndarray, seed: int) -> Outcome:
    """Run one method once and judge what it gives."""
    begun = time.process_time()
    splits = method(labels, patients, seed)
    seconds = time.process_time() - begun
    cells = balance_table(labels, splits, [str(label) for label in range(labels.shape[1])], patients)
    rows = [cells[first : first + 3] for first in range(0, len(cells), 3)]
    test = np.unique(patients[splits == "test"])
    return Outcome(
        seconds=seconds,
        outside=sum(not cell.within for cell in cells),
        provable=sum(not cell.within and cell.reason.startswith("too") for cell in cells),
        empty=sum(row[0].groups >= 3 and min(cell.count for cell in row) == 0 for row in rows),
        cells=len(cells),
        size_points=100 * max(abs(cell.deviation or 0) for cell in cells if cell.label == ALL_ROWS),
        leak=float(np.isin(test, patients[splits == "train"]).mean()),
    )


def line(shape: str, method: str, outcome: Outcome, seconds: float, ratio: float) -> str:
    """One row of the table."""
    return (
        f"| {shape} | {method} | {seconds:.2f} | {ratio:.1f} | {outcome.outside} of {outcome.cells} | "
        f"{outcome.provable} | {outcome.empty} | {outcome.size_points:.4f} | {100 * outcome.leak:.0f} % |"
    )


def by_patient(labels: np.ndarray, patients: np.ndarray, seed: int) -> np.ndarray:
    """This project's splits."""
    return assign_splits(labels, patients, seed=seed)


def iterative_over_images(labels: np.ndarray, patients: np.ndarray, seed: int) -> np.ndarray:
    """iterative-stratification, rows one by one."""
    return SPLITS[_cut_twice(labels, seed)]


def iterative_over_patients(labels: np.ndarray, patients: np.ndarray, seed: int) -> np.ndarray:
    """iterative-stratification of patients, each with the union of its labels."""
    distinct, codes = np.unique(patients, return_inverse=True)
    union = np.zeros((len(distinct), labels.shape[1]), dtype=np.int8)
    np.maximum.at(union, codes, labels)
    return SPLITS[_cut_twice(union, seed)[codes]]


def grouped_folds(labels: np.ndarray, patients: np.ndarray, seed: int) -> np.ndarray:
    """scikit-learn's StratifiedGroupKFold over combinations of labels, ten folds dealt 7 + 1 + 2."""
    from sklearn.model_selection import StratifiedGroupKFold

    combination = np.unique(np.packbits(labels, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    parts = np.zeros(len(labels), dtype=np.int64)
    folds = StratifiedGroupKFold(n_splits=10, shuffle=True, random_state=seed)
    for fold, (_, rows) in enumerate(folds.split(np.zeros(len(labels)), combination, patients)):
        parts[rows] = 0 if fold < 7 else 1 if fold == 7 else 2
    return SPLITS[parts]


PEERS: dict[str, Method] = {
    "iterative-stratification, images": iterative_over_images,
    "iterative-stratification, patients": iterative_over_patients,
    "StratifiedGroupKFold": grouped_folds,
}


def _cut_twice(labels: np.ndarray, seed: int) -> np.ndarray:
    """Part of each row: 20 % test, then an eighth of the rest validation."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    parts = np.zeros(len(labels), dtype=np.int64)
    rest = np.arange(len(labels))
    for part, share in ((2, 0.2), (1, 0.125)):
        cutter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=share, random_state=seed)
        stays, leaves = next(cutter.split(np.zeros(len(rest)), labels[rest]))
        parts[rest[leaves]] = part
        rest = rest[stays]
    return parts


def read(name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Labels (1 = positive) and patients of an evaluation table; None where it is absent."""
    path = SHARED / "data" / "tables" / f"{name}.parquet"
    if not path.exists():
        return None
    table = pq.read_table(path)
    labels = [
        pc.fill_null(pc.equal(table[column].cast("int8"), 1), False).to_numpy() for column in table.column_names[7:]
    ]
    return np.stack(labels, axis=1).astype(np.int8), table["patient"].to_numpy()


def simulated() -> tuple[np.ndarray, np.ndarray]:
    """206,477 images of 58,903 patients with 39 labels that lean to patients, from 60,000 images down to about 20."""
    rng = np.random.default_rng(0)
    n_patients, n_images = 58_903, 206_477
    weight = rng.pareto(1.6, n_patients) + 0.3
    extra = rng.choice(n_patients, n_images - n_patients, p=weight / weight.sum())
    patients = np.concatenate([np.arange(n_patients), extra])
    leaning = rng.gamma(0.3, 1 / 0.3, (n_patients, 39)).astype(np.float32)
    share = np.geomspace(0.3, 0.0001, 39)
    chance = np.minimum(leaning[patients] * share, 0.9)
    return (rng.random((n_images, 39)) < chance).astype(np.int8), patients


if __name__ == "__main__":
    main()
