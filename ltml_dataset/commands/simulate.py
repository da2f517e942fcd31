"""The `simulate` command."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter


def register(app: App) -> None:
    """Add the commands of this module."""
    app.command(simulate)


def simulate(
    *,
    studies: Annotated[int, Parameter(name="--studies")],
    out: Annotated[Path, Parameter(name="--out")],
    images: Annotated[int | None, Parameter(name="--images")] = None,
    reports: Annotated[Literal["zip", "tree"], Parameter(name="--reports")] = "zip",
    seed: Annotated[int, Parameter(name="--seed")] = 0,
    force: Annotated[bool, Parameter(name="--force", negative="")] = False,
) -> None:
    """Write a MIMIC-CXR-shaped release with known truth: everything in it is simulated.

    Parameters
    ----------
    studies
        Number of studies; MIMIC-CXR has 227,835.
    out
        Folder to write to.
    images
        Also draw grey phantoms of this many pixels a side.
    reports
        One zip, or a tree of text files.
    seed
        The same seed gives the same bytes.
    force
        Write into a folder that holds other files.
    """
    from rich.console import Console
    from rich.table import Table

    from ltml_dataset.progress import progress_bar
    from ltml_dataset.simulate import simulate_release

    with progress_bar("Simulating", studies, unit="studies") as advance:
        release = simulate_release(
            out, studies, seed=seed, images=images, reports=reports, progress=advance, force=force
        )
    table = Table(
        "what",
        "where",
        title=f"{release.n_patients:,} patients, {release.n_studies:,} studies, {release.n_images:,} images",
    )
    for what, path in (
        ("reports", release.reports),
        ("metadata", release.metadata),
        ("official labels", release.official_labels),
        ("official split", release.official_split),
        ("gold", release.gold),
        ("truth", release.truth),
        ("images", release.images),
    ):
        if path is not None:
            table.add_row(what, str(path))
    Console(emoji=False).print(table)
