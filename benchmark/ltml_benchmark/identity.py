"""What a run answers: recipe, data, pixels, starting weights, the code's way of computing."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltml_benchmark.config import Recipe

FORMULATION = 3
"""Raised whenever a change of the code alters what a run computes; runs of another number are never taken for ours."""
BOOKKEEPING = frozenset(
    {"workers", "log_every", "checkpoint_every", "loggers", "description", "paper_row", "eval_batch_size"}
)
"""Settings that change no number."""
SCORING = frozenset({"verified_only", "bootstrap", "decide"})
"""Settings that change how a trained run is scored, not what it learned."""
LENGTH = frozenset({"epochs", "max_steps"})
"""Settings that say how far a run goes."""


@dataclass(frozen=True)
class Question:
    """Everything that a run's numbers depend on."""

    recipe: Recipe
    data: str
    """Hash of the data set's manifest."""
    pixels: Mapping[str, Any]
    """Where images came from, see `pixels_facts`."""
    weights: str
    """Hash of the file of starting weights; empty where there is none."""

    def content(self) -> dict[str, Any]:
        """Plain values, as they stand in `manifest.json` and `state.pt`."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "data": self.data,
            "pixels": dict(self.pixels),
            "weights": self.weights,
            "formulation": FORMULATION,
        }


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], free: frozenset[str]) -> list[str]:
    """What two questions differ in, in words, most telling first; `free` recipe settings may differ.

    Args:
        ours: `Question.content()` of the command at hand.
        theirs: The same of the run that is there; empty for a run of an early version.
        free: Top-level settings that may differ.
    """
    if not theirs:
        return ["the version of this program (it does not say what it answers)"]
    found = []
    if theirs.get("formulation") != ours["formulation"]:
        found.append(f"way of computing (formulation {theirs.get('formulation')}, now {ours['formulation']})")
    if theirs.get("data") != ours["data"]:
        found.append(f"data set (manifest {str(theirs.get('data'))[:12]}, now {ours['data'][:12]})")
    mine, other = (without_paths(flat(each.get("recipe", {})), each) for each in (ours, theirs))
    for key in sorted(mine.keys() | other.keys()):
        may_differ = key.split(".")[0] in BOOKKEEPING | free
        if not may_differ and mine.get(key) != other.get(key):
            found.append(f"`{key}` ({short(other.get(key))}, now {short(mine.get(key))})")
    for key, meaning in (
        ("source", "image source"),
        ("size", "size of decoded images"),
        ("fingerprint", "images"),
        ("images", "number of images found"),
    ):
        if theirs.get("pixels", {}).get(key) != ours["pixels"][key]:
            shown = (short(theirs.get("pixels", {}).get(key)), short(ours["pixels"][key]))
            found.append(f"{meaning} ({shown[0]}, now {shown[1]})")
    if theirs.get("weights", "") != ours["weights"]:
        found.append("file of starting weights")
    return found


def same_but_for_the_seed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A question without seed, bookkeeping and paths: what runs that are averaged as seeds have in common."""
    recipe = without_paths(flat(content.get("recipe", {})), content)
    kept = {key: value for key, value in recipe.items() if key.split(".")[0] not in BOOKKEEPING | {"seed"}}
    pixels = {k: v for k, v in content.get("pixels", {}).items() if k != "path"}
    return {
        **kept,
        **{f"pixels.{key}": value for key, value in flat(pixels).items()},
        "weights": content.get("weights", ""),
        "formulation": content.get("formulation"),
    }


def without_paths(settings: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """Flat settings without names of places: what is at the place is compared, by hash."""
    named = {"data.images", "model.weights"} if content.get("weights") else {"data.images"}
    return {key: value for key, value in settings.items() if key not in named}


def flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings by dotted key; an empty mapping stays a value."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[before + str(key)] = list(value) if isinstance(value, tuple) else value
    return found


def short(value: object) -> str:
    """A value for a sentence."""
    text = "unset" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
