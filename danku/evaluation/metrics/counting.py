"""Metrics that count labels: exact rationals, rounded once, half to even.

They agree with scikit-learn's functions called without ``labels`` and with ``zero_division=0``:

- macro averages over the classes that occur in the target or in the prediction, weighted by how
  often a class occurs in the target; unknown labels (-1) are one more class that no row has.
- micro precision, recall and f1 pool all classes, unknown labels included, so that all three equal
  the accuracy: every row has exactly one label.
- balanced accuracy averages over the classes that occur in the target only.

scikit-learn refuses binary precision, recall and f1 when a label is unknown; here an unknown label
is then simply not positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np

from danku.evaluation.metrics.definition import Array, Formula, Metric, units
from danku.protocol.types import SCORE_UNIT


@dataclass(frozen=True)
class _Tally:
    """Of one class: rows predicted as it and being it, predicted as it, being it."""

    hits: int
    predicted: int
    actual: int


_Ratio = Callable[[_Tally], Fraction]


def _tallies(target: Array, prediction: Array, classes: int) -> list[_Tally]:
    """One tally a class; the last one, of index ``classes``, is the unknown label's."""
    prediction = np.where(prediction < 0, classes, prediction)
    hits = np.bincount(target[target == prediction], minlength=classes + 1)
    predicted = np.bincount(prediction, minlength=classes + 1)
    actual = np.bincount(target, minlength=classes + 1)
    return [
        _Tally(*row) for row in zip(hits.tolist(), predicted.tolist(), actual.tolist(), strict=True)
    ]


def _ratio(numerator: int, denominator: int) -> Fraction:
    return Fraction(numerator, denominator) if denominator else Fraction(0)


def _precision(tally: _Tally) -> Fraction:
    return _ratio(tally.hits, tally.predicted)


def _recall(tally: _Tally) -> Fraction:
    return _ratio(tally.hits, tally.actual)


def _f1(tally: _Tally) -> Fraction:
    return _ratio(2 * tally.hits, tally.predicted + tally.actual)


def _mean(ratios: list[Fraction]) -> Fraction:
    return sum(ratios, Fraction(0)) / len(ratios)


def _pooled(tallies: list[_Tally]) -> _Tally:
    return _Tally(
        sum(tally.hits for tally in tallies),
        sum(tally.predicted for tally in tallies),
        sum(tally.actual for tally in tallies),
    )


def _binary(ratio: _Ratio) -> Formula:
    def formula(target: Array, prediction: Array, classes: int) -> int:
        return units(ratio(_tallies(target, prediction, classes)[1]))

    return formula


def _macro(ratio: _Ratio) -> Formula:
    def formula(target: Array, prediction: Array, classes: int) -> int:
        tallies = _tallies(target, prediction, classes)
        return units(_mean([ratio(tally) for tally in tallies if tally.predicted or tally.actual]))

    return formula


def _micro(ratio: _Ratio) -> Formula:
    def formula(target: Array, prediction: Array, classes: int) -> int:
        return units(ratio(_pooled(_tallies(target, prediction, classes))))

    return formula


def _weighted(ratio: _Ratio) -> Formula:
    def formula(target: Array, prediction: Array, classes: int) -> int:
        weighted = (ratio(tally) * tally.actual for tally in _tallies(target, prediction, classes))
        return units(sum(weighted, Fraction(0)) / target.size)

    return formula


def _balanced_accuracy(target: Array, prediction: Array, classes: int) -> int:
    tallies = _tallies(target, prediction, classes)
    return units(_mean([_recall(tally) for tally in tallies if tally.actual]))


def _matthews(target: Array, prediction: Array, classes: int) -> int:
    """Gorodkin's form for any number of classes; 0 when either side holds one label only."""
    tallies = _tallies(target, prediction, classes)
    rows = target.size
    hits = sum(tally.hits for tally in tallies)
    covariance = hits * rows - sum(tally.predicted * tally.actual for tally in tallies)
    predicted = rows * rows - sum(tally.predicted**2 for tally in tallies)
    actual = rows * rows - sum(tally.actual**2 for tally in tallies)
    return _over_root(covariance, predicted * actual) if predicted and actual else 0


def _over_root(numerator: int, square: int) -> int:
    """numerator / sqrt(square) in units of 1e-9, rounded half to even in integers."""
    scaled = 4 * (numerator * SCORE_UNIT) ** 2
    halves = isqrt(scaled // square)
    whole, half = divmod(halves, 2)
    tie = halves * halves * square == scaled
    if half and (not tie or whole % 2):
        whole += 1
    return whole if numerator >= 0 else -whole


def _share(
    name: str, meaning: str, what: str, formula: Formula, *, two_classes: bool = False
) -> Metric:
    return Metric(
        name=name,
        needs="labels",
        higher_is_better=True,
        meaning=meaning,
        threshold_meaning=f"{what} must be at least the threshold",
        lowest=0,
        highest=SCORE_UNIT,
        formula=formula,
        two_classes=two_classes,
    )


def _family(name: str, ratio: _Ratio, meaning: str) -> list[Metric]:
    """The binary metric of this name and its macro, micro and weighted averages."""
    return [
        _share(
            name,
            f"For class 1 of two: {meaning}.",
            f"the {name} of class 1",
            _binary(ratio),
            two_classes=True,
        ),
        _share(
            f"{name}-macro",
            f"The plain mean over the classes of: {meaning}.",
            f"the mean {name} of the classes",
            _macro(ratio),
        ),
        _share(
            f"{name}-micro",
            f"Over all classes pooled, which equals the accuracy: {meaning}.",
            f"the pooled {name}",
            _micro(ratio),
        ),
        _share(
            f"{name}-weighted",
            f"The mean over the classes, weighted by their rows, of: {meaning}.",
            f"the weighted mean {name} of the classes",
            _weighted(ratio),
        ),
    ]


COUNTING = [
    _share(
        "accuracy",
        "The share of rows whose label is right.",
        "the share of right labels",
        _micro(_recall),
    ),
    _share(
        "balanced-accuracy",
        "The mean over the classes that occur of the share of their rows that are recognised.",
        "the mean share of each class's rows that are recognised",
        _balanced_accuracy,
    ),
    *_family("precision", _precision, "the share of rows predicted as the class that are of it"),
    *_family("recall", _recall, "the share of rows of the class that are predicted as it"),
    *_family("f1", _f1, "the harmonic mean of precision and recall"),
    Metric(
        name="matthews-correlation",
        needs="labels",
        higher_is_better=True,
        meaning="The correlation of predicted and true labels: 1 perfect, 0 no better than chance.",
        threshold_meaning="the correlation must be at least the threshold",
        lowest=-SCORE_UNIT,
        highest=SCORE_UNIT,
        formula=_matthews,
    ),
]
