"""Which findings a simulated study has: a latent normal model fitted to Fig. 1 of the paper.

Every class has a latent; a class is present where its latent passes a threshold. The latents are correlated as the
heat map of the figure asks, and a part of each belongs to the patient, so that chronic findings stay. Counts and
cells are in `data/figure1.json`, the fitted latents in `data/model.json` (`scripts/fit_simulation.py`).
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

LABELS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Lesion",
    "Lung Opacity",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "Alveolar Lung Disease",
    "Aortic Aneurysm",
    "Bilateral Hilar Enlargement",
    "Bronchiectasis",
    "Cardiomyopathy",
    "Diaphragmatic Hernia",
    "Embolus",
    "Hemothorax",
    "Hypertension",
    "Left Atrial Enlargement",
    "Massive Cardiomegaly",
    "Mediastinal Shift",
    "Mitral Insufficiency",
    "Mucoid Impaction",
    "Multiple Pulmonary Nodules",
    "Pericardial Effusion",
    "Pleural Calcification",
    "Pleural Thickening",
    "Pneumomediastinum",
    "Pneumopericardium",
    "Pulmonary Arterial Hypertension",
    "Pulmonary Embolism",
    "Pulmonary Hypertension",
    "Segmental Atelectasis",
    "Small Lung Nodules",
    "Unilaterally Elevated Diaphragm",
)
"""The 39 classes in released order. The simulator keeps its own copy: its truth must not follow an edited lexicon."""

PARENTS = {
    "Alveolar Lung Disease": "Consolidation",
    "Massive Cardiomegaly": "Cardiomegaly",
    "Multiple Pulmonary Nodules": "Lung Lesion",
    "Pleural Thickening": "Pleural Other",
    "Pulmonary Arterial Hypertension": "Pulmonary Hypertension",
    "Pulmonary Hypertension": "Hypertension",
    "Segmental Atelectasis": "Atelectasis",
    "Small Lung Nodules": "Lung Lesion",
}
"""Cells of Fig. 1 that equal 1: where the first is present the second is."""

UNSAID = {"Alveolar Lung Disease"}
"""Classes whose parent the report must name too: alveolar disease is a consolidation in the figure, not in words."""

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figure1:
    """What Fig. 1 says, in class order.

    `share` (39,): share of images with the class. `joint` (39, 39): share with both. `quiet`: share of No Finding.
    """

    share: Floats
    joint: Floats
    quiet: float


@lru_cache(maxsize=1)
def load_figure1() -> Figure1:
    """Shares and joint shares of the 39 classes, the joint ones from the row of the rarer class (the sharper cell)."""
    facts = json.loads(_data("figure1.json"))
    rank = {bar["name"]: bar["rank"] for bar in facts["bars"]}
    images = {bar["name"]: bar["images"] for bar in facts["bars"]}
    cells = np.array(facts["conditional"], dtype=np.float64)
    n = len(LABELS)
    share = np.array([images[name] for name in LABELS]) / facts["images"]
    joint = np.diag(share)
    for i in range(n):
        for j in range(i):
            rare, common = (i, j) if share[i] <= share[j] else (j, i)
            joint[i, j] = joint[j, i] = cells[rank[LABELS[rare]], rank[LABELS[common]]] * share[rare]
    return Figure1(share, joint, facts["no_finding_images"] / facts["images"])


def _data(name: str) -> str:
    return (files("ltml_dataset.simulate") / "data" / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class FindingModel:
    """The fitted latents.

    `threshold` (39,), `loading` (39,) of the patient part, `factor` (39, 39): upper Cholesky factor of the
    correlation that patient part and study part have each, `quiet`: share of studies with nothing but devices.
    """

    threshold: Floats
    loading: Floats
    factor: Floats
    quiet: float

    def draw(self, rng: np.random.Generator, n_studies: NDArray[np.int64]) -> Bools:
        """Classes present in each study of some patients, children with their parents.

        Args:
            rng: Source of normals.
            n_studies: (P,) studies of each patient.

        Returns:
            (sum of `n_studies`, 39) bool, patients in order.
        """
        patient = rng.standard_normal((len(n_studies), len(LABELS))) @ self.factor
        latent = rng.standard_normal((int(n_studies.sum()), len(LABELS))) @ self.factor
        latent *= np.sqrt(1 - self.loading**2)
        latent += np.repeat(patient * self.loading, n_studies, axis=0)
        present: Bools = latent > self.threshold
        for child in children_first():
            present[:, LABELS.index(PARENTS[child])] |= present[:, LABELS.index(child)]
        return present


def children_first() -> list[str]:
    """Classes that imply another, each before the class it implies."""

    def depth(name: str) -> int:
        return 1 + depth(PARENTS[name]) if name in PARENTS else 0

    return sorted(PARENTS, key=lambda name: (-depth(name), name))


@lru_cache(maxsize=1)
def load_model() -> FindingModel:
    """The fitted model of the package."""
    model = json.loads(_data("model.json"))
    correlation = np.eye(len(LABELS))
    for i, row in enumerate(model["correlation"]):
        correlation[i, :i] = correlation[:i, i] = row
    values, vectors = np.linalg.eigh(correlation)  # rounding to three decimals can leave it a hair off
    correlation = (vectors * np.clip(values, 1e-6, None)) @ vectors.T
    scale = np.sqrt(np.diag(correlation))
    factor = np.linalg.cholesky(correlation / np.outer(scale, scale)).T
    return FindingModel(np.array(model["threshold"]), np.array(model["patient_loading"]), factor, model["quiet_share"])
