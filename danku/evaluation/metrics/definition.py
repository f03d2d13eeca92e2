"""What a metric is: how a score is checked, rounded to units of 1e-9, bounded and compared.

Every score is a pure function of (target, prediction, classes) with the same bits on every CPU:

- A score is rounded half to even to a whole number of 1e-9 and clamped to -(2^63 - 1) .. 2^63 - 1;
  an infinite score is the end of that range on its side.
- An undefined ratio (nothing in the denominator) is 0.
- No rows: `EmptyEvaluation`. NaN in a prediction: `NotANumber`. Infinities in a prediction are
  legal and count as what they are. NaN or an infinity in a target: `UnusableTarget`.
- A predicted label of -1 stands for every label that is no class of the challenge: always wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from danku.errors import DataError
from danku.protocol.types import SCORE_LIMIT, SCORE_UNIT

Array = npt.NDArray[Any]
Needs = Literal["labels", "probabilities", "value"]
Formula = Callable[[Array, Array, int], int]

UNKNOWN_LABEL = -1
SCORE_BOUND = SCORE_LIMIT - 1
"""The largest size of a score; as `lowest` or `highest` of a metric: no bound of its own."""

_SERVES: dict[str, tuple[str, ...]] = {
    "labels": ("label", "probabilities"),
    "probabilities": ("probabilities",),
    "value": ("value",),
}


class EmptyEvaluation(DataError):
    """There is no row to score."""


class NotANumber(DataError):
    """A prediction holds NaN."""


class UnusableTarget(DataError):
    """A target of the wrong type, shape or range."""


class UnusablePrediction(DataError):
    """A prediction of the wrong type, shape or range."""


class WrongOutput(DataError):
    """The metric cannot be computed from this kind of model output."""


class MetricNeedsTwoClasses(DataError):
    """A binary metric on a challenge that does not have exactly two classes."""


def units(value: Fraction | float) -> int:
    """A score in units of 1e-9: rounded half to even without another rounding, then clamped."""
    if isinstance(value, float) and math.isinf(value):
        return SCORE_BOUND if value > 0 else -SCORE_BOUND
    return max(-SCORE_BOUND, min(SCORE_BOUND, round(Fraction(value) * SCORE_UNIT)))


def total(values: Array) -> float:
    """The correctly rounded sum of float64 values of which none is negative; inf if too large.

    A correctly rounded sum does not depend on the order of its terms.
    """
    try:
        # NOTE: a buffer hands out Python floats one by one, without a list of them all.
        return math.fsum(np.ascontiguousarray(values, dtype=np.float64).data)
    except OverflowError:
        return math.inf


def view(output: str, prediction: Array, needs: Needs = "labels") -> Array:
    """The part of a prediction that a metric needs.

    Args:
        output: the contract's kind of output: `label`, `probabilities` or `value`.
        prediction: labels [rows], probabilities [rows, classes] or values [rows].
        needs: `Metric.needs`. Probabilities become labels by argmax; of equal ones the first wins.

    Raises:
        WrongOutput: this kind of output does not hold what is needed.
        NotANumber, UnusablePrediction: probabilities without a largest column.
    """
    if output not in _SERVES[needs]:
        raise WrongOutput(
            f"a model whose output is {output!r} does not give {needs}",
            fix=f"use a metric that fits, or a model output of {' or '.join(_SERVES[needs])}",
        )
    if output != "probabilities" or needs != "labels":
        return prediction
    if prediction.dtype.kind not in "iuf" or prediction.ndim != 2 or prediction.shape[1] == 0:
        raise UnusablePrediction(
            "probabilities must be numbers of shape [rows, classes], "
            f"found {prediction.dtype} of shape {list(prediction.shape)}"
        )
    refuse_nan(prediction)
    labels: Array = np.argmax(prediction, axis=1).astype(np.int64)
    return labels


def refuse_nan(prediction: Array) -> None:
    """Raises NotANumber, with the first row that holds a NaN."""
    bad = np.isnan(prediction)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise NotANumber(
            f"the prediction for row {row} is NaN",
            why="NaN is neither right nor wrong, so no score can be given",
            fix="make the model return a number for every row",
        )


@dataclass(frozen=True)
class Metric:
    """How good predictions are, as one whole number in units of 1e-9."""

    name: str
    needs: Needs
    higher_is_better: bool
    meaning: str
    """One sentence."""
    threshold_meaning: str
    """What a score must do to pass."""
    lowest: int
    """In units of 1e-9; `SCORE_BOUND` in size where the metric itself has no bound."""
    highest: int
    formula: Formula
    """The score of arrays that `compute` has checked."""
    two_classes: bool = False
    """Whether only challenges with exactly two classes can use it; class 1 is the positive one."""

    def accepts(self, output: str) -> bool:
        """Whether a model with this kind of output (`label`, ...) can be scored."""
        return output in _SERVES[self.needs]

    def passes(self, score: int, threshold: int) -> bool:
        """Whether a score reaches the threshold; an equal one does."""
        return score >= threshold if self.higher_is_better else score <= threshold

    def better(self, first: int, second: int) -> bool:
        """Whether the first score is strictly better than the second."""
        return first > second if self.higher_is_better else first < second

    def compute(self, target: Array, prediction: Array, classes: int) -> int:
        """The score in units of 1e-9.

        Args:
            target: [rows]; class indices (any integer type), or values for regression.
            prediction: labels [rows] (integers, -1 = unknown label), probabilities
                [rows, classes] (floats) or values [rows], as `needs` says.
            classes: number of classes of the challenge; not read by regression metrics.

        Raises:
            EmptyEvaluation: no rows.
            MetricNeedsTwoClasses: a binary metric and `classes` is not 2.
            NotANumber: NaN in the prediction.
            UnusableTarget, UnusablePrediction: wrong type, shape or range.
        """
        target, prediction = np.asarray(target), np.asarray(prediction)
        if self.two_classes and classes != 2:
            raise MetricNeedsTwoClasses(
                f"{self.name} needs exactly two classes, found {classes}",
                fix="use a metric for any number of classes, such as accuracy or f1-macro",
            )
        if target.ndim != 1:
            raise UnusableTarget(f"the target has the shape {list(target.shape)}, expected [rows]")
        if target.size == 0:
            raise EmptyEvaluation(
                "there is no row to score", fix="evaluate at least one non-empty data group"
            )
        target = _finite(target) if self.needs == "value" else _class_indices(target, classes)
        if self.needs == "labels":
            prediction = _labels(prediction, target.size, classes)
        else:
            columns = (classes,) if self.needs == "probabilities" else ()
            prediction = _numbers(prediction, (target.size, *columns))
        with np.errstate(all="ignore"):
            return self.formula(target, prediction, classes)


def _finite(target: Array) -> Array:
    if target.dtype.kind not in "iuf":
        raise UnusableTarget(f"a regression target must be numeric, found {target.dtype}")
    target = target.astype(np.float64)
    if not np.isfinite(target).all():
        raise UnusableTarget("a regression target holds NaN or an infinity")
    return target


def _class_indices(target: Array, classes: int) -> Array:
    if target.dtype.kind not in "iu":
        raise UnusableTarget(f"a class target must hold integers, found {target.dtype}")
    if target.min() < 0 or target.max() >= classes:
        raise UnusableTarget(
            f"class targets must lie in 0..{classes - 1}, found {target.min()}..{target.max()}"
        )
    return target.astype(np.int64)


def _labels(prediction: Array, rows: int, classes: int) -> Array:
    if prediction.dtype.kind not in "iu" or prediction.shape != (rows,):
        raise UnusablePrediction(
            f"labels must be integers of shape [{rows}], "
            f"found {prediction.dtype} of shape {list(prediction.shape)}"
        )
    if prediction.min() < UNKNOWN_LABEL or prediction.max() >= classes:
        raise UnusablePrediction(
            f"labels must lie in 0..{classes - 1} or be {UNKNOWN_LABEL} (unknown), "
            f"found {prediction.min()}..{prediction.max()}"
        )
    return prediction.astype(np.int64)


def _numbers(prediction: Array, shape: tuple[int, ...]) -> Array:
    if prediction.dtype.kind not in "iuf" or prediction.shape != shape:
        raise UnusablePrediction(
            f"predictions must be numbers of shape {list(shape)}, "
            f"found {prediction.dtype} of shape {list(prediction.shape)}"
        )
    prediction = prediction.astype(np.float64)
    refuse_nan(prediction)
    return prediction
