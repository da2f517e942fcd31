"""Reports from wherever they lie: `open_source(path)`, then `partitions()`, then `read(partition)`."""

from ltml_dataset.sources.base import Partition, Source, not_utf8
from ltml_dataset.sources.detect import open_source

__all__ = ["Partition", "Source", "not_utf8", "open_source"]
