"""Every method of the paper, trained and scored alike, from the folder that `ltml-build-labels` writes."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("ltml-mimic-cxr")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"
