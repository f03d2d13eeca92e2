"""Metrics: what a challenge can be scored by, each the same whole number on every machine."""

from __future__ import annotations

from danku.errors import DataError
from danku.evaluation.metrics.counting import COUNTING
from danku.evaluation.metrics.definition import (
    SCORE_BOUND,
    UNKNOWN_LABEL,
    EmptyEvaluation,
    Metric,
    MetricNeedsTwoClasses,
    NotANumber,
    UnusablePrediction,
    UnusableTarget,
    WrongOutput,
    view,
)
from danku.evaluation.metrics.probability import PROBABILITY
from danku.evaluation.metrics.ranking import RANKING
from danku.evaluation.metrics.regression import REGRESSION

__all__ = [
    "METRICS",
    "SCORE_BOUND",
    "UNKNOWN_LABEL",
    "EmptyEvaluation",
    "Metric",
    "MetricNeedsTwoClasses",
    "NotANumber",
    "UnknownMetric",
    "UnusablePrediction",
    "UnusableTarget",
    "WrongOutput",
    "metric",
    "view",
]


class UnknownMetric(DataError):
    """No metric has this name."""


METRICS: dict[str, Metric] = {
    each.name: each for each in (*COUNTING, *RANKING, *PROBABILITY, *REGRESSION)
}


def metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        UnknownMetric: there is none; the error lists all names.
    """
    if name not in METRICS:
        raise UnknownMetric(f"there is no metric {name!r}", fix=f"use one of {', '.join(METRICS)}")
    return METRICS[name]
