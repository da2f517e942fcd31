"""The sentence for a library that was not installed."""

from collections.abc import Iterator
from contextlib import contextmanager

from ltml_benchmark.errors import UserError


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn the ImportError of an optional library into one sentence.

    Args:
        extra: Name of the extra in `pyproject.toml` that brings the library.

    Raises:
        UserError: If an import inside the block fails.
    """
    try:
        yield
    except ImportError as error:
        raise UserError(
            f"{error.name or error} is not installed; `pip install 'ltml-mimic-cxr[{extra}]'` brings it."
        ) from error
