"""Fit the latent model behind `simulate` to Fig. 1 and write `ltml_dataset/simulate/data/model.json`.

    python scripts/fit_simulation.py [--check]

Every class gets a standard normal latent; the class is present where the latent passes its threshold, or where a
class that implies it is present. Correlations start at the tetrachoric value of each heat-map cell and are corrected
against the achieved ones, because the nearest valid correlation matrix and the implications move them a little.
The latent of a study is a patient part plus a study part, so that chronic findings come back at the next visit.

Needs scipy, which comes with scikit-learn. Takes about two minutes.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from ltml_dataset.simulate.findings import LABELS, PARENTS, children_first, load_figure1

MODEL = Path(__file__).resolve().parents[1] / "ltml_dataset/simulate/data/model.json"

CHRONIC = {
    "Aortic Aneurysm", "Bilateral Hilar Enlargement", "Bronchiectasis", "Cardiomegaly", "Cardiomyopathy",
    "Diaphragmatic Hernia", "Fracture", "Hypertension", "Left Atrial Enlargement", "Lung Lesion",
    "Massive Cardiomegaly", "Mitral Insufficiency", "Multiple Pulmonary Nodules", "Pleural Calcification",
    "Pleural Other", "Pleural Thickening", "Pulmonary Arterial Hypertension", "Pulmonary Hypertension",
    "Small Lung Nodules", "Unilaterally Elevated Diaphragm",
}  # fmt: skip
"""Findings that stay: four fifths of their latent variance belong to the patient, of the others a quarter."""

DEVICES = {"Support Devices", "Enlarged Cardiomediastinum"}
"""Half way between."""

DRAWS = 1_000_000
ROUNDS = 12

IMAGES = 206_480


def persistence(name: str) -> float:
    """Loading of the patient part of one class's latent."""
    return 0.9 if name in CHRONIC else 0.7 if name in DEVICES else 0.5


def tetrachoric(p_a: float, p_b: float, p_both: float) -> float:
    """Correlation of two standard normals whose thresholds leave `p_a`, `p_b` and jointly `p_both`."""
    a, b = ndtri(p_a), ndtri(p_b)

    def excess(r: float) -> float:
        return float(multivariate_normal.cdf([a, b], cov=[[1, r], [r, 1]])) - p_both

    low, high = -0.97, 0.97
    if excess(low) >= 0:
        return low
    if excess(high) <= 0:
        return high
    return float(brentq(excess, low, high, xtol=1e-4))


def valid(matrix: np.ndarray) -> np.ndarray:
    """Nearest correlation matrix by clipped eigenvalues, (C, C) float64."""
    for _ in range(30):
        values, vectors = np.linalg.eigh(matrix)
        matrix = (vectors * np.clip(values, 1e-4, None)) @ vectors.T
        scale = np.sqrt(np.diag(matrix))
        matrix = matrix / np.outer(scale, scale)
        if np.linalg.eigvalsh(matrix)[0] > 5e-5:
            break
    return matrix


def draw(covariance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Latents, (DRAWS, C) float32, with the covariance that patient and study part give together."""
    factor = np.linalg.cholesky(covariance).T.astype(np.float32)
    return rng.standard_normal((DRAWS, len(covariance)), dtype=np.float32) @ factor


def main() -> None:
    """Fit, report, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="report the fit of the present file, write nothing")
    check = parser.parse_args().check
    names, figure = LABELS, load_figure1()
    n = len(names)
    p, both = figure.share, figure.joint
    load = np.array([persistence(name) for name in names])
    mix = np.outer(load, load) + np.outer(np.sqrt(1 - load**2), np.sqrt(1 - load**2))

    target = np.eye(n)
    for i in range(n):
        for j in range(i):
            by_chance = p[i] * p[j]
            if both[i, j] > 0 or by_chance * IMAGES > 10:  # else the cell says nothing: a count below one
                joint = max(min(both[i, j], min(p[i], p[j]) * 0.999), 0.3 * by_chance)
                target[i, j] = target[j, i] = tetrachoric(p[i], p[j], joint)
    implied = np.zeros((n, n), bool)
    for child, parent in PARENTS.items():
        implied[names.index(child), names.index(parent)] = implied[names.index(parent), names.index(child)] = True
    target[implied] = 0.9
    parents_last = [*children_first(), *(name for name in names if name not in PARENTS)]
    order = [names.index(name) for name in parents_last]
    rng = np.random.default_rng(20231117)
    wanted = target.copy()
    threshold = -ndtri(p)
    if check:
        model = json.loads(MODEL.read_text())
        fitted = square(model["correlation"], n)
        threshold = np.array(model["threshold"])
    for number in range(1 if check else ROUNDS):
        if not check:
            fitted = valid(np.where(np.eye(n, dtype=bool), 1.0, np.clip(wanted / mix, -0.97, 0.97)))
        latent = draw(fitted * mix, rng)
        present = np.empty(latent.shape, bool)
        for c in order:
            forced = np.zeros(len(latent), bool)
            for child, parent in PARENTS.items():
                if parent == names[c]:
                    forced |= present[:, names.index(child)]
            if not check:  # the threshold that leaves the class its share beside the studies its children force
                free = max(p[c] - forced.mean(), 1e-9) / (1 - forced.mean())
                threshold[c] = np.quantile(latent[~forced, c], 1 - free) if forced.any() else -ndtri(p[c])
            present[:, c] = forced | (latent[:, c] > threshold[c])
        counts = present.astype(np.float32).T @ present.astype(np.float32) / len(present)
        errors, step = [], np.zeros((n, n))
        share = np.diag(counts)
        for i in range(n):
            for j in range(i):
                rare = min(p[i], p[j])
                if implied[i, j] or both[i, j] < 0.02 * rare:
                    continue
                got = counts[i, j] / (share[i] if p[i] < p[j] else share[j])
                if rare > 4e-4:
                    errors.append((abs(got - both[i, j] / rare), names[i], names[j], got, both[i, j] / rare))
                if not check and rare * DRAWS > 300:
                    seen = tetrachoric(p[i], p[j], min(max(got * rare, 1e-9), rare * 0.999))
                    step[i, j] = step[j, i] = target[i, j] - seen
        wanted = np.clip(wanted + 0.6 * step, -0.97, 0.97)
        quiet = ~present[:, [k for k in range(n) if names[k] != "Support Devices"]].any(axis=1)
        devices = present[quiet, names.index("Support Devices")].mean()
        print(f"round {number}: nothing but devices {quiet.mean():.4f}, devices among them {devices:.3f}; worst cells:")
        for error, one, other, got, asked in sorted(errors, reverse=True)[:5]:
            print(f"  {one} and {other}: {got:.3f} of the rarer, figure {asked:.3f} ({error:.3f} off)")
    if check:
        return
    model = {
        "source": "fitted by scripts/fit_simulation.py to figure1.json",
        "quiet_share": round(float(quiet.mean()), 4),
        "names": list(names),
        "threshold": [round(float(t), 4) for t in threshold],
        "patient_loading": load.tolist(),
        "correlation": [[round(float(fitted[i, j]), 3) for j in range(i)] for i in range(n)],
    }
    text = json.dumps(model, indent=1).replace("\n   ", " ").replace("\n  ]", " ]")
    MODEL.write_text(text + "\n", encoding="utf-8")


def square(rows: list[list[float]], n: int) -> np.ndarray:
    """Full matrix from the rows below the diagonal."""
    full = np.eye(n)
    for i, row in enumerate(rows):
        full[i, :i] = full[:i, i] = row
    return full


if __name__ == "__main__":
    main()
