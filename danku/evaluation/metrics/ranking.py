"""ROC AUC: how well scores order the rows; an exact rational, ties counted half.

Only the order within a column matters, so any finite or infinite numbers will do; scikit-learn
refuses infinities, and rows that do not add up to 1 when there are more than two classes. It gives
NaN where a class has no rows or all of them: here the binary metric is then 0 (nothing was shown),
and the macro mean leaves that class out (0 if none remains).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from danku.evaluation.metrics.definition import Array, Metric, units
from danku.protocol.types import SCORE_UNIT


def _area(positive: Array, scores: Array) -> Fraction | None:
    """The chance that a positive row scores above a negative one; None without both kinds.

    Args:
        positive: booleans [rows].
        scores: float64 [rows], no NaN.
    """
    positives = int(np.count_nonzero(positive))
    negatives = positive.size - positives
    if positives == 0 or negatives == 0:
        return None
    order = np.argsort(scores, kind="stable")
    scores, positive = scores[order], positive[order].astype(np.int64)
    starts = np.flatnonzero(np.concatenate(([True], scores[1:] != scores[:-1])))
    tied_positives = np.add.reduceat(positive, starts)
    tied_negatives = np.diff(np.append(starts, positive.size)) - tied_positives
    lower_negatives = np.cumsum(tied_negatives) - tied_negatives
    # NOTE: at most 2 * positives * negatives, which int64 holds up to 2^32 rows.
    doubled = int((tied_positives * (2 * lower_negatives + tied_negatives)).sum())
    return Fraction(doubled, 2 * positives * negatives)


def _binary(target: Array, prediction: Array, classes: int) -> int:
    return units(_area(target == 1, prediction[:, 1]) or Fraction(0))


def _one_against_rest(target: Array, prediction: Array, classes: int) -> int:
    areas = [_area(target == index, prediction[:, index]) for index in range(classes)]
    defined = [area for area in areas if area is not None]
    return units(sum(defined, Fraction(0)) / max(1, len(defined)))


RANKING = [
    Metric(
        name="roc-auc",
        needs="probabilities",
        higher_is_better=True,
        meaning="The chance that a row of class 1 gets a higher probability than one of class 0.",
        threshold_meaning="the area under the ROC curve must be at least the threshold",
        lowest=0,
        highest=SCORE_UNIT,
        formula=_binary,
        two_classes=True,
    ),
    Metric(
        name="roc-auc-macro",
        needs="probabilities",
        higher_is_better=True,
        meaning="The mean over the classes of the ROC AUC of that class against the rest.",
        threshold_meaning="the mean area under the ROC curves must be at least the threshold",
        lowest=0,
        highest=SCORE_UNIT,
        formula=_one_against_rest,
    ),
]
