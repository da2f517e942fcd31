"""What a simulated release contains, against Fig. 1 and the published counts of MIMIC-CXR, as Markdown.

    ltml-build-labels simulate --studies 227835 --out sim
    python scripts/describe_simulation.py sim

The tables of docs/simulator.md come from here.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ltml_dataset.simulate.findings import LABELS, load_figure1

REAL_IMAGES, REAL_STUDIES, REAL_PATIENTS = 377_110, 227_835, 65_379
REAL_VIEWS = {"AP": 147_169, "PA": 96_155, "LATERAL": 82_852, "LL": 35_129}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", type=Path)
    root = parser.parse_args().release
    truth = pq.read_table(root / "truth" / "studies.parquet")
    n = truth.num_rows
    patients = np.unique(truth["subject_id"].to_numpy(), return_counts=True)[1]
    views = Counter(pa_csv.read_csv(root / "mimic-cxr-2.0.0-metadata.csv.gz")["ViewPosition"].to_pylist())
    images = sum(views.values())
    print("| | simulated | per study | MIMIC-CXR per study |\n| --- | --: | --: | --: |")
    rows = [("patients", len(patients), REAL_PATIENTS), ("images", images, REAL_IMAGES)]
    for name, count, real in rows + [(f"{view} views", views[view], REAL_VIEWS[view]) for view in REAL_VIEWS]:
        print(f"| {name} | {count:,} | {count / n:.3f} | {real / REAL_STUDIES:.3f} |")
    print(f"\n{(patients == 1).mean():.0%} of the patients have one study, the one with most has {patients.max()}.\n")
    figure = load_figure1()
    print("| class | figure, % | present, % | uncertain, % | negated, % |\n| --- | --: | --: | --: | --: |")
    for name, share in sorted(zip(LABELS, figure.share, strict=True), key=lambda row: -row[1]):
        states = truth[name].to_pylist()
        said = Counter(states)
        print(f"| {name} | {share:.3%} | {said[1] / n:.3%} | {said[-1] / n:.3%} | {said[0] / n:.3%} |".replace("%", ""))
    quiet = sum(value == 1 for value in truth["No Finding"].to_pylist()) / n
    print(f"| No Finding | {figure.quiet:.3%} | {quiet:.3%} | | |".replace("%", ""))


if __name__ == "__main__":
    main()
