"""Radiology reports to a labelled, split Parquet data set."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltml_dataset.export.loading import attach_images, load
    from ltml_dataset.labeling.labeler import Labeler
    from ltml_dataset.records import Assertion, Mention

__all__ = ["Assertion", "Labeler", "Mention", "__version__", "attach_images", "load"]

try:
    __version__ = version("ltml-mimic-cxr")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+source"

_HOMES = {
    "Assertion": "ltml_dataset.records",
    "Labeler": "ltml_dataset.labeling.labeler",
    "Mention": "ltml_dataset.records",
    "attach_images": "ltml_dataset.export.loading",
    "load": "ltml_dataset.export.loading",
}


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that the command line starts fast."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
