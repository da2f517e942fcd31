#!/usr/bin/env python3
"""Choose the small set of loss fixtures that the test suite carries from the full developer set.

    python scripts/compact_loss_fixtures.py FIXTURE_FOLDER tests/benchmark/fixtures

Takes every kind of case (family, scheme, parameters) at its smallest shape, the edge cases, and drops float32 copies.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

# Families whose float32 outputs are the point.
_WITH_FLOAT32 = {"float32_collapse"}
# At most this many cases of the same family and parameters, and no array larger than this.
_EACH = 2
_LARGEST = 320
# Repeated or derived from other arrays.
_LEFT_OUT = {"v", "out_input_shift", "out_memory", "out_bce", "out_reg"}


def main() -> None:
    """Write compact.npz (all numbers in one vector, equal arrays once) and compact.json (where they stand)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    cases = json.loads((options.source / "manifest.json").read_text())["cases"]
    parts: list[np.ndarray] = []
    places: dict[tuple[tuple[int, ...], bytes], int] = {}
    length = 0
    kept: list[dict[str, Any]] = []
    for case in choose(cases):
        arrays: dict[str, list[Any]] = {}
        with np.load(options.source / case["file"]) as source:
            for name in wanted(case):
                value = source[f"{case['case']}/{name}"].astype(np.float64)
                if case["family"] == "fig3":
                    value = value[::4]
                key = (value.shape, value.tobytes())
                if key not in places:
                    places[key] = length
                    parts.append(value.ravel())
                    length += value.size
                arrays[name] = [places[key], *value.shape]
        fields = ("family", "case", "params", "conditioning", "tolerance")
        kept.append({f: case[f] for f in fields if f in case} | {"arrays": arrays})
    options.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out / "compact.npz", values=np.concatenate(parts))
    lines = ",\n".join(json.dumps(case, sort_keys=True, separators=(",", ":")) for case in kept)
    (options.out / "compact.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(kept)} of {len(cases)} cases, {length} numbers")


def wanted(case: dict[str, Any]) -> list[str]:
    """Names of the arrays of a case that are kept."""
    names = [n for n in case["arrays"] if not n.endswith("_f32") or case["family"] in _WITH_FLOAT32]
    return [n for n in names if n not in _LEFT_OUT]


def choose(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Smallest cases first, at most `_EACH` of each family and parameter set, one of each edge case."""
    taken: dict[str, int] = {}
    chosen = []
    for case in sorted(cases, key=lambda c: (entries(c), c["family"], c["case"])):
        if case["family"] in ("sampler", "fig3", "k_schedule", "bacc_posterior"):
            chosen.append(case)
            continue
        edge = case["case"].split("_B")[0] if case["case"].startswith("edge") else ""
        kind = json.dumps([case["family"], case["params"], edge, case["notes"][:8]], sort_keys=True)
        if entries(case) > _LARGEST or taken.get(kind, 0) >= (1 if edge else _EACH):
            continue
        taken[kind] = taken.get(kind, 0) + 1
        chosen.append(case)
    return sorted(chosen, key=lambda c: (c["family"], c["case"]))


def entries(case: dict[str, Any]) -> int:
    """Size of the largest array that is kept."""
    return max(int(np.prod(case["arrays"][name])) for name in wanted(case))


if __name__ == "__main__":
    main()
