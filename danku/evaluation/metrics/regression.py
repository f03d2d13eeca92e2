"""Regression metrics in float64: + - * / sqrt and correctly rounded sums only.

A prediction so far off that its error is infinite gets the worst score there is.
"""

from __future__ import annotations

import math

import numpy as np

from danku.evaluation.metrics.definition import SCORE_BOUND, Array, Formula, Metric, total, units
from danku.protocol.types import SCORE_UNIT

SMALLEST_MAGNITUDE = 2.0**-52
"""MAPE divides by at least this much (scikit-learn's rule), so that a zero target is legal."""


def _mean_square(target: Array, prediction: Array) -> float:
    error = target - prediction
    return total(error * error) / target.size


def _mse(target: Array, prediction: Array, classes: int) -> int:
    return units(_mean_square(target, prediction))


def _rmse(target: Array, prediction: Array, classes: int) -> int:
    return units(math.sqrt(_mean_square(target, prediction)))


def _mae(target: Array, prediction: Array, classes: int) -> int:
    return units(total(np.abs(target - prediction)) / target.size)


def _mape(target: Array, prediction: Array, classes: int) -> int:
    magnitude = np.maximum(np.abs(target), SMALLEST_MAGNITUDE)
    return units(total(np.abs(target - prediction) / magnitude) / target.size)


def _r2(target: Array, prediction: Array, classes: int) -> int:
    """1 - residual / spread; for a constant target 1 if every prediction is equal to it, else 0.

    scikit-learn gives NaN for a single row, which is a constant target here, and may find a tiny
    spread in a constant target where the mean is inexact; here constant means: all rows equal.
    """
    if (target == target[0]).all():
        return SCORE_UNIT if (prediction == target).all() else 0
    # NOTE: R2 does not depend on the scale; multiplying by a power of two is exact and keeps the
    # squares of very large and very small targets within float64.
    exponent = max(-1000, min(1000, math.frexp(float(np.abs(target).max()))[1]))
    scale = 2.0**-exponent
    target, prediction = target * scale, prediction * scale
    deviation = target - math.fsum(target.data) / target.size
    error = target - prediction
    return units(1.0 - total(error * error) / total(deviation * deviation))


def _error(name: str, meaning: str, what: str, formula: Formula) -> Metric:
    return Metric(
        name=name,
        needs="value",
        higher_is_better=False,
        meaning=meaning,
        threshold_meaning=f"{what} must be at most the threshold",
        lowest=0,
        highest=SCORE_BOUND,
        formula=formula,
    )


REGRESSION = [
    _error("mse", "The mean squared error.", "the mean squared error", _mse),
    _error(
        "rmse",
        "The square root of the mean squared error, in the target's own unit.",
        "the root of the mean squared error, in the target's unit,",
        _rmse,
    ),
    _error(
        "mae",
        "The mean absolute error, in the target's own unit.",
        "the mean absolute error, in the target's unit,",
        _mae,
    ),
    Metric(
        name="r2",
        needs="value",
        higher_is_better=True,
        meaning="The share of the target's variance that is explained: 1 perfect, 0 no better than "
        "always predicting the mean, below 0 worse.",
        threshold_meaning="the share of variance explained must be at least the threshold",
        lowest=-SCORE_BOUND,
        highest=SCORE_UNIT,
        formula=_r2,
    ),
    _error(
        "mape",
        "The mean absolute error relative to the size of the target; 0.1 means 10 percent.",
        "the mean relative error, as a fraction,",
        _mape,
    ),
]
