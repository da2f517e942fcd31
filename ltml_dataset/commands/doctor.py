"""The `doctor` command."""

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

_MARKS = {"ok": "[green]ok", "missing": "[yellow]missing", "problem": "[red]problem"}


def doctor(*paths: Path, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Check the installation and inputs, and say what is missing and where it comes from.

    Exits with 1 if something is wrong; what is merely missing is said.

    Args:
        paths: Files and folders to build from.
        json: Print the checks as JSON.
    """
    from ltml_dataset.doctor import check_installation, check_path

    checks = list(check_installation())
    for path in paths:
        checks += check_path(path)
    n_problems = sum(check.state == "problem" for check in checks)
    if json:
        print(json_module.dumps({"problems": n_problems, "checks": [asdict(check) for check in checks]}, indent=2))
        return 1 if n_problems else 0
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(emoji=False)
    for group in dict.fromkeys(check.group for check in checks):
        table = Table("", "", "", title=escape(group), title_justify="left", box=None, show_header=False)
        for check in checks:
            if check.group == group:
                table.add_row(_MARKS[check.state], escape(check.what), escape(check.detail))
        console.print(table)
    print(f"{n_problems} problems." if n_problems != 1 else "1 problem.")
    return 1 if n_problems else 0


def register(app: App) -> None:
    """Add the commands of this module."""
    app.command(doctor)
