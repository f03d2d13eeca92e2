"""Metrics of the probabilities themselves: log-loss and Brier score, in float64.

Each is a correctly rounded sum over the rows, divided by their number. Anything goes in, and no
row gains by not adding up to 1:

- log-loss clips every probability to 2^-52 .. 1, then divides by the row's sum (added in class
  order). scikit-learn clips to 2^-52 .. 1 - 2^-52 and leaves the sum alone, with a warning: then a
  model that gives every class probability 1 would have no loss at all. On rows that add up to 1
  the two agree.
- the Brier score clips to 0 .. 1. With two classes it is the squared error of class 1's
  probability, with more the squared errors of all classes added (scikit-learn's "auto" scale).
"""

from __future__ import annotations

import numpy as np

from danku.evaluation.metrics.definition import SCORE_BOUND, Array, Metric, total, units

SMALLEST_PROBABILITY = 2.0**-52


def _log_loss(target: Array, prediction: Array, classes: int) -> int:
    # NOTE: imported here because it compiles with numba, which the other metrics do without.
    from danku.evaluation.kernels.functions import log

    clipped = np.minimum(np.maximum(prediction, SMALLEST_PROBABILITY), 1.0)
    row_sum = np.zeros(target.size)
    for index in range(classes):
        row_sum = row_sum + clipped[:, index]
    likelihood = clipped[np.arange(target.size), target] / row_sum
    return units(total(-log(likelihood)) / target.size)


def _brier_score(target: Array, prediction: Array, classes: int) -> int:
    clipped = np.minimum(np.maximum(prediction, 0.0), 1.0)
    squares = np.zeros(target.size)
    for index in range(classes) if classes != 2 else (1,):
        error = clipped[:, index] - (target == index)
        squares = squares + error * error
    return units(total(squares) / target.size)


PROBABILITY = [
    Metric(
        name="log-loss",
        needs="probabilities",
        higher_is_better=False,
        meaning="The mean negative natural logarithm of the probability given to the true class.",
        threshold_meaning="the mean loss must be at most the threshold",
        lowest=0,
        highest=SCORE_BOUND,
        formula=_log_loss,
    ),
    Metric(
        name="brier-score",
        needs="probabilities",
        higher_is_better=False,
        meaning="The mean squared error of the probabilities: of class 1 if there are two classes, "
        "of all classes added if there are more.",
        threshold_meaning="the mean squared error must be at most the threshold",
        lowest=0,
        highest=SCORE_BOUND,
        formula=_brier_score,
    ),
]
