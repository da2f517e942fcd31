"""The `verify` command."""

import json as json_module
from pathlib import Path

from cyclopts import App


def verify(directory: Path, /, *, json: bool = False) -> int:
    """Prove that a folder is what its manifest says.

    Every file is compared by its hash; then rows, label counts and groups are counted again, and no patient may lie in
    two splits where patients were split.

    Args:
        directory: Folder written by `build` or `split`.
        json: Print the findings as JSON.
    """
    from ltml_dataset.export.manifest import read_manifest
    from ltml_dataset.export.proof import crossing_of, problems_of

    problems = problems_of(directory)
    manifest = read_manifest(directory)
    n_files = len(manifest.files)
    crossing = [] if problems else crossing_of(directory, manifest)
    if json:
        summary = {"directory": str(directory), "files": n_files, "problems": problems, "crossing": crossing}
        print(json_module.dumps(summary, indent=2))
    else:
        for problem in problems:
            print(problem)
        for sentence in crossing:
            print(f"{sentence}: the split was given, or made of single images.")
        verdict = f"{len(problems)} problems" if problems else "as its manifest says"
        print(f"{directory}: {n_files} files, {verdict}.")
    return 1 if problems else 0


def register(app: App) -> None:
    """Add the commands of this module."""
    app.command(verify)
