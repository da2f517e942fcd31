"""How predictions are scored."""

from ltml_benchmark.metrics.bootstrap import Difference, Intervals, bootstrap, compare
from ltml_benchmark.metrics.calibration import Calibration, calibration
from ltml_benchmark.metrics.evaluate import METRICS, Evaluation, evaluate, group_classes
from ltml_benchmark.metrics.posterior import BaccPosterior, bacc_posterior
from ltml_benchmark.metrics.thresholds import best_thresholds

__all__ = [
    "METRICS",
    "BaccPosterior",
    "Calibration",
    "Difference",
    "Evaluation",
    "Intervals",
    "bacc_posterior",
    "best_thresholds",
    "bootstrap",
    "calibration",
    "compare",
    "evaluate",
    "group_classes",
]
