"""The `split` command."""

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from ltml_dataset.building.table_config import TableConfig

if TYPE_CHECKING:
    from ltml_dataset.building.split_table import SplitFolder
    from ltml_dataset.splits import Cell


def split(
    table: Path,
    /,
    *,
    out: Path,
    options: Annotated[TableConfig, Parameter(name="*", negative_iterable=())] = TableConfig(),  # noqa: B008
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make a data set folder of a labelled table (PadChest, NIH, CheXpert, your own).

    No patient is in two splits, and every label keeps its share as nearly as patients allow.

    Args:
        table: .parquet, .csv, .csv.gz or .jsonl with one row per image; Parquet may carry encoded images.
        out: Folder of the data set.
        options: What is in the table, and how to split it.
        json: Print a machine-readable summary.
    """
    from ltml_dataset.building.split_table import split_table

    done = split_table(table, out, options)
    if json:
        print(json_module.dumps(_summary(done), indent=2))
    else:
        _print(done)


def register(app: App) -> None:
    """Add the commands of this module."""
    app.command(split)


def _summary(done: "SplitFolder") -> dict[str, object]:
    """What happened, for machines."""
    manifest = done.manifest
    return {
        "out": str(done.out),
        "columns": manifest.config["columns"],
        "counts": manifest.counts,
        "splits": {name: counts.model_dump() for name, counts in manifest.splits.items()},
        "label_counts": manifest.label_counts,
        "groups": manifest.groups,
        "balance": [
            {
                "label": cell.label,
                "split": cell.split,
                "count": cell.count,
                "share": cell.share,
                "target": cell.target,
                "within_tolerance": cell.within,
                "reason": cell.reason,
            }
            for cell in done.cells
        ],
        "notes": manifest.notes,
    }


def _print(done: "SplitFolder") -> None:
    """The balance table, and where everything is."""
    from rich.console import Console
    from rich.table import Table

    columns = done.table.columns
    labels = f"`{columns.listed}`" if columns.listed else f"{columns.labels[0]} ... {columns.labels[-1]}"
    print(f"Labels    {len(done.table.label_names)}: {labels}")
    options = done.manifest.config["split"]
    if options["ids"]:
        print(f"Split     as given in {' and '.join(options['ids'])}; groups are not kept together")
    else:
        print(f"Group     {options['group_by']}: {columns.patient or 'from the path'}")
    print(f"Images    {columns.image_id or 'studies or row numbers'}, pixels: {done.table.image_column or 'none'}")
    table = Table(title="Images and their share of the label, by split; * out of tolerance")
    table.add_column("label")
    for name in ("all", "train", "validation", "test"):
        table.add_column(name, justify="right")
    for row in zip(*[iter(done.cells)] * 3, strict=True):
        table.add_row(row[0].label, f"{row[0].total:,}", *map(_cell, row))
    console = Console(emoji=False)
    console.width = max(console.width, 90)  # a file or pipe has no width of its own
    console.print(table)
    manifest = done.manifest
    for note in manifest.notes:
        print(note)
    if not manifest.groups["head"] and not manifest.groups["medium"]:
        medium = manifest.group_thresholds["medium"]
        print(f"No label has {medium:,} images, so all of them are tail; --head and --medium set other limits.")
    print(f"Card      {done.out / 'README.md'}")
    print(f"Load      datasets.load_dataset({str(done.out)!r})")


def _cell(cell: "Cell") -> str:
    share = "" if cell.share is None else f" {100 * cell.share:6.2f} %"
    return f"{cell.count:,}{share}{' ' if cell.within else '*'}"
