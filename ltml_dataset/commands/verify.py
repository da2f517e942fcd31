"""The `verify` command."""

from cyclopts import App


def register(app: App) -> None:
    """Add the commands of this module."""
