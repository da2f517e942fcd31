"""The first paragraph of the report: which methods differ from the reference beyond noise, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ltml_benchmark.errors import UserError
from ltml_benchmark.metrics import holm
from ltml_benchmark.noise import tested
from ltml_benchmark.report.runs import RunResult, by_method

REFERENCE = "bce"
LEVEL = 0.05
PATIENT_REPLICATES = 200
CHECKED = (("bacc", "total", None), ("bacc", "tail", None), ("bacc", "tail", "validation"), ("auc", "total", None),
           ("auc", "tail", None))  # fmt: skip
"""Metric, group and decision rule (None: each run's own) of every comparison."""


@dataclass(frozen=True)
class Summary:
    """What the page says before any table."""

    lead: str
    details: tuple[str, ...] = ()


Outcomes = Mapping[str, tuple[float, float]]
"""Method to its difference in points and the p-value of none, alone."""


def reference_of(methods: Mapping[str, Sequence[RunResult]]) -> str:
    """BCE, or the first method where there is no BCE."""
    return REFERENCE if REFERENCE in methods else next(iter(methods))


def summarised(runs: Sequence[RunResult]) -> Summary:
    """Differences over seeds where methods share two or more with the reference, else over test patients alone."""
    methods = by_method(runs)
    if len(methods) < 2:
        return Summary("One method; there is nothing to compare it with.")
    reference = reference_of(methods)
    base = {run.seed: run for run in methods[reference]}
    pairs = {
        name: [(run, base[run.seed]) for run in members if run.seed in base]
        for name, members in methods.items()
        if name != reference
    }
    enough = {name: each for name, each in pairs.items() if len(each) > 1}
    others = [name for name in pairs if name not in enough]
    if not enough:
        return over_patients(reference, {name: (methods[name][0], methods[reference][0]) for name in pairs})
    counts = sorted({len(each) for each in enough.values()})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    found = {}
    for metric, group, rule in CHECKED:
        if rule is not None and not all(rule in run.rules for each in enough.values() for pair in each for run in pair):
            continue
        outcomes = {}
        for name, each in enough.items():
            changes = [100 * (a.summary(metric, group, rule) - b.summary(metric, group, rule)) for a, b in each]
            mean, _, p = tested(changes)
            outcomes[name] = (mean, p)
        found[said_of(metric, group, rule)] = outcomes
    how = (
        f"Of {methods_in_words(len(enough))} compared against {reference} over {seeds} seeds each (paired t tests, "
        "corrected for the number of methods by Holm)"
    )
    return worded(how, found, others, reference)


def over_patients(reference: str, pairs: Mapping[str, tuple[RunResult, RunResult]]) -> Summary:
    """What another draw of test patients would not change; another seed still may."""
    from ltml_benchmark.scored import compare_runs

    note = f"no method has two seeds in common with {reference}, so what another seed would change is not known"
    found: dict[str, dict[str, tuple[float, float]]] = {}
    try:
        for name, (run, base) in pairs.items():
            difference = compare_runs(
                [(base, run)], replicates=PATIENT_REPLICATES, verified_only=base.verified_only, decide=base.decide
            ).difference
            for metric, group, rule in CHECKED:
                if rule is None and group in difference.groups:
                    change = 100 * difference.of_group_point(metric, group)
                    p = difference.p_value_of_group(metric, group)
                    found.setdefault(said_of(metric, group, rule), {})[name] = (change, p)
    except UserError as error:
        return Summary(
            f"Nothing on this page says which differences are beyond noise: {note}, and what other patients would "
            f"change could not be computed ({error})"
        )
    how = (
        f"Of {methods_in_words(len(pairs))} compared against {reference} over test patients alone (corrected for the "
        f"number of methods by Holm; {note})"
    )
    return worded(how, found, [], reference)


def methods_in_words(count: int) -> str:
    """`1 method`, `2 methods`."""
    return f"{count} method{'' if count == 1 else 's'}"


def said_of(metric: str, group: str, rule: str | None) -> str:
    """A comparison in words."""
    return f"{group} {metric.upper()}{'' if rule is None else f' when all decide at {rule} thresholds'}"


def worded(how: str, found: Mapping[str, Outcomes], untested: Sequence[str], reference: str) -> Summary:
    """The lead with counts, and a line for every comparison with names and points."""
    counts, details = [], []
    for said, outcomes in found.items():
        known = {name: values for name, values in outcomes.items() if not np.isnan(values[0])}
        if not known:
            continue
        corrected = holm(np.array([p for _, p in known.values()]))
        beyond = {name: change for (name, (change, _)), p in zip(known.items(), corrected, strict=True) if p < LEVEL}
        above = sorted((name for name in beyond if beyond[name] > 0), key=lambda name: -beyond[name])
        below = sorted((name for name in beyond if beyond[name] < 0), key=lambda name: beyond[name])
        counts.append(f"{counted(len(above), len(below), len(known))} in {said}")
        parts = [
            f"{word} {', '.join(f'{name} ({beyond[name]:+.1f})' for name in names)}"
            for word, names in (("above:", above), ("below:", below))
            if names
        ]
        details.append(f"{said[0].upper()}{said[1:]}: {'; '.join(parts) or 'no difference is beyond noise'}.")
    lead = f"{how}, these lie beyond noise: {'; '.join(counts)}. All other differences may be chance."
    if untested:
        lead += f" Not tested, with fewer than two seeds in common with {reference}: {', '.join(untested)}."
    return Summary(lead, tuple(details))


def counted(above: int, below: int, of: int) -> str:
    """How many methods lie beyond noise, in words."""
    if not above + below:
        return "none" if of > 1 else "nothing"
    return " and ".join(f"{count} {word}" for count, word in ((above, "above"), (below, "below")) if count)
