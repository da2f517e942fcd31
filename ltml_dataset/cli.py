"""`ltml-build-labels`: parse, call one function, print one table."""

import sys
from collections.abc import Sequence
from importlib import import_module

from cyclopts import App, CycloptsError
from pydantic import ValidationError
from rich.console import Console

from ltml_dataset import __version__
from ltml_dataset.errors import UserError
from ltml_lexicons.errors import LexiconError

GROUPS = ("build", "label", "score", "lexicon", "sections", "simulate", "split", "verify", "doctor", "review")
"""Modules of `ltml_dataset.commands`, in the order of the help page; each has `register(app)`."""


def make_app() -> App:
    """All commands on one application."""
    app = App(
        name="ltml-build-labels",
        help="Radiology reports to an evidence-backed, split, 39-label Parquet data set.",
        version=__version__,
    )
    for group in GROUPS:
        import_module(f"ltml_dataset.commands.{group}").register(app)
    return app


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command line.

    Returns:
        0 done, 1 the user's error in one sentence, 2 usage.
    """
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    app = make_app()
    try:
        result = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        errors.print(f"Usage: {_one_sentence(error)}")
        return 2
    except (UserError, LexiconError) as error:
        errors.print(f"Error: {error}")
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        errors.print("Stopped. A repeat call goes on where this one stopped.")
        return 130
    return result if isinstance(result, int) else 0


def _one_sentence(error: CycloptsError) -> str:
    """What is wrong with the command line; of a value that a model refused, the flag and the reason alone."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        first = cause.errors()[0]
        flag = ".".join(str(part) for part in first["loc"]).replace("_", "-")
        return f"--{flag}: {first['msg'].removeprefix('Value error, ')}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
