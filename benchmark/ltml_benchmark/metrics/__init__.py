"""How predictions are scored."""

from ltml_benchmark.metrics.bootstrap import Difference, Intervals, bootstrap, compare
from ltml_benchmark.metrics.evaluate import METRICS, Evaluation, evaluate, group_classes

__all__ = [
    "METRICS",
    "Difference",
    "Evaluation",
    "Intervals",
    "bootstrap",
    "compare",
    "evaluate",
    "group_classes",
]
