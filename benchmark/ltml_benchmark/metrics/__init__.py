"""How predictions are scored."""

from ltml_benchmark.metrics.bootstrap import Difference, Intervals, bootstrap, compare, compare_seeds
from ltml_benchmark.metrics.calibration import Calibration, calibration
from ltml_benchmark.metrics.evaluate import METRICS, Evaluation, evaluate, group_classes
from ltml_benchmark.metrics.posterior import BaccPosterior, bacc_posterior
from ltml_benchmark.metrics.smallsample import FEW_POSITIVES, holm
from ltml_benchmark.metrics.thresholds import best_thresholds

__all__ = [
    "FEW_POSITIVES",
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
    "compare_seeds",
    "evaluate",
    "group_classes",
    "holm",
]
