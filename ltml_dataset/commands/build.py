"""The `build` and `demo` commands."""

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter, validators

from ltml_dataset.config import BuildConfig, SplitConfig, read_recipe

STUDIES_OF_MIMIC = 227_835

MOST_NOTES = 5
"""Notes that are printed; all are in the manifest."""

if TYPE_CHECKING:
    from ltml_dataset.building.job import Job
    from ltml_dataset.pipeline import Built


def build(
    reports: Path | None = None,
    /,
    *,
    options: Annotated[BuildConfig, Parameter(name="*", negative_iterable=())] = BuildConfig(),  # noqa: B008
    recipe: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Build a labelled, split data set folder from reports.

    A killed call leaves nothing half-written, and a repeat call goes on where it stopped.

    Args:
        reports: MIMIC-CXR zip or files/ tree, mimic_cxr_sectioned.csv, Open-I archive or folder, or a table.
        options: The options of the recipe.
        recipe: YAML file of these options; flags win.
        json: Print a machine-readable summary.
    """
    from ltml_dataset.building.job import open_job
    from ltml_dataset.pipeline import build as build_data_set
    from ltml_dataset.pipeline import label_reports

    flags: dict[str, Any] = options.model_dump(exclude_unset=True)
    if reports is not None:
        flags["reports"] = reports
    config = read_recipe(recipe, flags) if recipe is not None else BuildConfig.model_validate(flags)
    if config.dry_run:
        _print_plan(open_job(config), json=json)
    elif config.part is not None:
        job = open_job(config)
        label_reports(job, show_progress=not json)
        _print_part(job, json=json)
    else:
        _print_built(build_data_set(config, show_progress=not json), json=json)


def demo(
    *,
    out: Path,
    studies: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 2000,
    seed: int = 0,
    workers: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Simulate a small MIMIC-CXR release and build the data set from it.

    The release lies in the hidden folder .release of the data set. Its classes are as rare as in MIMIC-CXR, so the
    limits of head and medium classes shrink with the number of studies.

    Args:
        out: Folder of the data set.
        studies: Number of studies to simulate.
        seed: Another seed, another release and another split.
        workers: Processes; 1 is this process alone. By default one per core.
        json: Print a machine-readable summary.
    """
    from ltml_dataset.export.staging import check_out
    from ltml_dataset.pipeline import build as build_data_set
    from ltml_dataset.simulate import simulate_release

    check_out(out, force=False)
    release = simulate_release(out / ".release" / f"{studies}-{seed}", studies, seed=seed)
    share = studies / STUDIES_OF_MIMIC
    config = BuildConfig(
        reports=release.reports,
        metadata=release.metadata,
        official_labels=release.official_labels,
        out=out,
        head=max(1, round(10_000 * share)),
        medium=max(1, round(1_000 * share)),
        split=SplitConfig(seed=seed),
        workers=workers,
    )
    _print_built(build_data_set(config, show_progress=not json), json=json)
    if not json:
        print(f"Reports   {release.reports} (simulated; truth in {release.truth})")


def register(app: App) -> None:
    """Add the commands of this module."""
    app.command(build)
    app.command(demo)


def _print_plan(job: "Job", *, json: bool) -> None:
    """What a build would do."""
    todo = job.todo
    plan = {
        "out": str(job.out),
        "source": job.source.kind,
        "reports": sum(partition.rows for partition in job.partitions),
        "parts": len(job.partitions),
        "parts_to_label": len(todo),
        "reports_to_label": sum(partition.rows for partition in todo),
        "config": job.config.content(),
        "inputs": [file.model_dump() for file in job.inputs],
        "lexicon": job.lexicon.model_dump(),
        "replaces": job.replaces,
    }
    if json:
        print(json_module.dumps(plan, indent=2))
        return
    print(f"{job.config.reports}: {job.source.kind}, {plan['reports']:,} reports in {plan['parts']} parts;")
    print(f"{plan['parts_to_label']} parts ({plan['reports_to_label']:,} reports) have yet to be labelled.")
    for file in job.inputs:
        print(f"  {file.role}: {file.name}, {file.bytes:,} bytes")
    if job.replaces:
        print(f"Would replace the finished data set there: {'; '.join(job.replaces)}.")
    print(f"Would write {job.out} with these options: {json_module.dumps(plan['config'])}")


def _print_part(job: "Job", *, json: bool) -> None:
    """What a call with --shard did."""
    part, n_parts = job.config.part or (0, 1)
    missing = [partition.index for partition in job.partitions if job.shards.done(partition.index) is None]
    if json:
        summary = {"part": part + 1, "of": n_parts, "parts_missing": len(missing), "cache": str(job.shards.folder)}
        print(json_module.dumps(summary, indent=2))
        return
    print(f"Part {part + 1} of {n_parts} is labelled.")
    print("All parts are there: repeat the call without --shard." if not missing else f"{len(missing)} shards to go.")


def _print_built(built: "Built", *, json: bool) -> None:
    """The label table and where everything is."""
    manifest = built.manifest
    if json:
        summary = {
            "out": str(built.out),
            "counts": manifest.counts,
            "splits": {name: counts.model_dump() for name, counts in manifest.splits.items()},
            "label_counts": manifest.label_counts,
            "groups": manifest.groups,
            "skipped": [skip.model_dump() for skip in manifest.skipped],
            "notes": manifest.notes,
            "seconds": {name: round(seconds, 3) for name, seconds in built.seconds.items()},
        }
        print(json_module.dumps(summary, indent=2))
        for note in manifest.notes:
            if note.startswith("Warning: "):
                print(note, file=sys.stderr)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{manifest.counts['images']:,} images of {manifest.counts['studies']:,} studies")
    for column in ("label", "group", "all", "train", "validation", "test"):
        table.add_column(column, justify="left" if column in ("label", "group") else "right")
    group_of = {name: group for group, names in manifest.groups.items() for name in names}
    for name in sorted(manifest.labels, key=lambda name: -manifest.label_counts["all"][name]):
        counts = [f"{manifest.label_counts[split][name]:,}" for split in ("all", "train", "validation", "test")]
        table.add_row(name, group_of[name], *counts)
    rows = [f"{manifest.splits[split].rows:,}" for split in ("train", "validation", "test")]
    table.add_row("[bold]images", "", f"{manifest.counts['images']:,}", *rows)
    console = Console(emoji=False)
    console.print(table)
    if manifest.skipped:
        first = manifest.skipped[0]
        print(f"{len(manifest.skipped)} inputs were skipped, the first {first.input}: {first.reason}.")
        print(f"All are named in {built.out / 'manifest.json'}.")
    for note in manifest.notes[:MOST_NOTES]:
        print(note)
    if len(manifest.notes) > MOST_NOTES:
        print(f"{len(manifest.notes) - MOST_NOTES} more notes stand in the manifest and on the card.")
    print(f"Card      {built.out / 'README.md'}")
    print(f"Manifest  {built.out / 'manifest.json'}")
    print(f"Load      datasets.load_dataset({str(built.out)!r})")
