"""Reference numbers for losses, sampler and metrics: the compact set always, the full set where it is at hand."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shared_data import shared_root
from torch import nn

from ltml_benchmark.losses import make_loss

_COMPACT = Path(__file__).resolve().parent / "benchmark" / "fixtures"
# Families that are one batch, its loss and its gradient.
LOSS_FAMILIES = (
    "bce",
    "focal",
    "db",
    "nr",
    "anr_released",
    "anr_llr_released",
    "nr_llr_released",
    "np_llr_released",
    "noise_ce_released",
    "noise_focal_released",
    "float32_collapse",
    "ll_reference",
    "asl",
    "paper_bce",
    "paper_nr",
    "paper_anr",
    "paper_anr_llr",
)


@dataclass(frozen=True)
class Case:
    """One fixture: its name, parameters, tolerance and arrays."""

    family: str
    name: str
    params: dict[str, Any]
    rtol: float
    atol: float
    arrays: dict[str, NDArray[np.float64]]

    def __getitem__(self, key: str) -> NDArray[np.float64]:
        return self.arrays[key]

    def integers(self, key: str) -> NDArray[np.int64]:
        """An array of whole numbers."""
        return self.arrays[key].astype(np.int64)

    def check(self, what: str, actual: Any, key: str) -> None:
        """Compare with the stored array at the case's tolerance."""
        message = f"{self.family}/{self.name}: {what}"
        np.testing.assert_allclose(actual, self.arrays[key], rtol=self.rtol, atol=self.atol, err_msg=message)


def compact_cases(family: str) -> Iterator[Case]:
    """Cases of the set in the repository."""
    with np.load(_COMPACT / "compact.npz") as stored:
        values = stored["values"]
    for entry in json.loads((_COMPACT / "compact.json").read_text()):
        if entry["family"] == family:
            yield _case(entry, {k: _cut(values, *place) for k, place in entry["arrays"].items()})


def full_cases(family: str) -> Iterator[Case]:
    """Cases of the full developer set; none where it is absent."""
    folder = shared_root() / "fixtures" / "losses"
    if not (folder / "manifest.json").exists():
        return
    entries = json.loads((folder / "manifest.json").read_text())["cases"]
    for entry in entries:
        if entry["family"] == family:
            with np.load(folder / entry["file"]) as stored:
                yield _case(entry, {k: np.asarray(stored[f"{entry['case']}/{k}"], float) for k in entry["arrays"]})


def _cut(values: NDArray[np.float64], offset: int, *shape: int) -> NDArray[np.float64]:
    return values[offset : offset + int(np.prod(shape))].reshape(shape)


def _case(entry: dict[str, Any], arrays: dict[str, NDArray[np.float64]]) -> Case:
    tolerance = entry.get("tolerance") or {"rtol": 1e-9, "atol": 1e-12}
    return Case(entry["family"], entry["case"], entry["params"], tolerance["rtol"], tolerance["atol"], arrays)


def loss_of(case: Case) -> nn.Module:
    """The loss a case describes."""
    params = {k: v for k, v in case.params.items() if k not in ("epoch", "defaults", "reduction")}
    counts = case.arrays.get("class_freq", np.ones(case["logits"].shape[1]))
    n_total = float(case.arrays.get("n_total", np.array(100.0)))
    if case.family == "bce":
        return make_loss("bce", counts, n_total)
    if case.family == "focal":
        return make_loss("focal", counts, n_total, gamma=params["gamma"], balance=params["balance_param"])
    if case.family in ("db", "nr"):
        return make_loss(case.family, counts, n_total, "released", **params)
    if case.family == "anr_released":
        return make_loss("anr", counts, n_total, "released", **params)
    if case.family in ("anr_llr_released", "float32_collapse"):
        return make_loss("anr-lla", counts, n_total, "released", **params)
    if case.family == "nr_llr_released":
        return make_loss("nr-lla", counts, n_total, "released", **params)
    if case.family == "np_llr_released":
        return make_loss("anr-lla", counts, n_total, "released", positive_share=0.1, **params)
    if case.family == "noise_ce_released":
        return make_loss("bce-lla", counts, n_total, "released", **params)
    if case.family == "noise_focal_released":
        return make_loss("focal-lla", counts, n_total, "released", **params)
    if case.family == "ll_reference":
        if params["mod_scheme"].endswith("asreleased"):
            del params["mod_scheme"]
        return make_loss("llr-cp", counts, n_total, "released", **params)
    if case.family == "asl":
        return make_loss("asl", counts, n_total, "released", **params)
    if case.family == "paper_bce":
        return make_loss("focal", counts, n_total, gamma=params["gamma"])
    shift_and_focus = {"gamma": params["gamma"], "bias_scale": params["kappa"]}
    if case.family == "paper_nr":
        return make_loss("nr", counts, n_total, scale=params["lam"], **shift_and_focus)
    if case.family == "paper_anr":
        return make_loss("anr", counts, n_total, beta=params["beta"], **shift_and_focus)
    name = f"anr-{params['scheme'].lower()}"
    return make_loss(name, counts, n_total, beta=params["beta"], rate=params["rate"], **shift_and_focus)
