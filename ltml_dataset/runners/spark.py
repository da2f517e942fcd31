"""Spark: one task per item, on this machine or a cluster."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from ltml_dataset.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

WAVE_PER_CORE = 4
"""Items of one Spark job per core; results of one job are held together."""


def run_on_spark(work: Callable[[Item], Result], items: Iterable[Item], workers: int | None) -> Iterator[Result]:
    """Results in the order of the items.

    A running session is used (`spark-submit` sets it up); otherwise Spark starts on this machine with `workers` cores
    and stops at the end. All machines must see the input and the output folder under the same path. Spark needs Java.

    Raises:
        UserError: Spark or Java is not installed.
    """
    try:
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError:
        raise UserError("--runner spark needs Spark: install `ltml-mimic-cxr[spark]`, or use --runner local.") from None

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = SparkSession.getActiveSession()
    started_here = session is None
    if session is None:
        builder = SparkSession.builder.master(f"local[{workers or '*'}]").appName("ltml-build-labels")
        try:
            session = builder.config("spark.ui.enabled", "false").getOrCreate()
        except PySparkRuntimeError as error:
            raise UserError("--runner spark needs Java, and it did not start: set JAVA_HOME to a Java 17.") from error
    try:
        context = session.sparkContext
        shared = context.broadcast(work)
        remaining = iter(items)
        while wave := list(islice(remaining, WAVE_PER_CORE * context.defaultParallelism)):
            outcomes = context.parallelize(wave, len(wave)).map(lambda item: _outcome(shared.value, item))
            for complaint, result in outcomes.collect():
                if complaint is not None:
                    raise UserError(complaint)
                yield result
    finally:
        if started_here:
            session.stop()


def _outcome(work: Callable[[Any], Any], item: Any) -> tuple[str | None, Any]:
    """Message of a user's error, or None; and the result."""
    try:
        return None, work(item)
    except UserError as error:
        return str(error), None
