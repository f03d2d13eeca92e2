"""Counting metrics: scikit-learn's numbers, exact rounding, and a stated value for every corner."""

from __future__ import annotations

import warnings
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from danku.evaluation.metrics import METRICS, UnusablePrediction, UnusableTarget

FAMILIES = {
    "precision": peer.precision_score,
    "recall": peer.recall_score,
    "f1": peer.f1_score,
}
COUNTING = [
    "accuracy",
    "balanced-accuracy",
    "matthews-correlation",
    *(
        f"{family}{average}"
        for family in FAMILIES
        for average in ("", "-macro", "-micro", "-weighted")
    ),
]


@st.composite
def labelled(draw: st.DrawFn, smallest: int = 2, largest: int = 5):
    classes = draw(st.integers(smallest, largest))
    rows = draw(st.integers(1, 40))
    target = draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows))
    prediction = draw(st.lists(st.integers(-1, classes - 1), min_size=rows, max_size=rows))
    return np.array(target), np.array(prediction), classes


def score(name: str, target, prediction, classes: int = 2) -> int:
    return METRICS[name].compute(np.asarray(target), np.asarray(prediction), classes)


def peer_score(name: str, target, prediction) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "accuracy":
            return peer.accuracy_score(target, prediction)
        if name == "balanced-accuracy":
            return peer.balanced_accuracy_score(target, prediction)
        if name == "matthews-correlation":
            return peer.matthews_corrcoef(target, prediction)
        family, _, average = name.partition("-")
        if average:
            return FAMILIES[family](target, prediction, average=average, zero_division=0)
        # NOTE: average="binary" refuses a third label; this is the same number without it.
        of_classes = FAMILIES[family](target, prediction, labels=[1], average=None, zero_division=0)
        return of_classes[0]


@settings(deadline=None)
@given(labelled())
def test_agrees_with_scikit_learn_in_any_number_of_classes(case):
    target, prediction, classes = case
    for name in COUNTING:
        if classes != 2 and METRICS[name].two_classes:
            continue
        expected = peer_score(name, target, prediction)
        assert score(name, target, prediction, classes) / 1e9 == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(labelled(largest=2))
def test_agrees_with_scikit_learn_on_two_classes(case):
    target, prediction, _ = case
    for name in COUNTING:
        expected = peer_score(name, target, prediction)
        assert score(name, target, prediction) / 1e9 == pytest.approx(expected, abs=1e-9)


def test_agrees_with_scikit_learn_on_many_rows_and_classes():
    random = np.random.default_rng(3)
    target = random.integers(0, 100, 20_000)
    prediction = np.where(random.random(20_000) < 0.7, target, random.integers(-1, 100, 20_000))
    for name in COUNTING:
        if not METRICS[name].two_classes:
            expected = peer_score(name, target, prediction)
            assert score(name, target, prediction, 100) / 1e9 == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("right", "expected"),
    [(1, 976_562), (3, 2_929_688), (5, 4_882_812), (1023, 999_023_438)],
)
def test_a_share_between_two_units_is_rounded_to_the_even_one(right, expected):
    target = np.zeros(1024, dtype=np.int64)
    prediction = (np.arange(1024) >= right).astype(np.int64)
    assert score("accuracy", target, prediction) == expected


@pytest.mark.parametrize(("second_class", "expected"), [(1, -976_562), (3, -2_929_688)])
def test_a_correlation_between_two_units_is_rounded_to_the_even_one(second_class, expected):
    # Every row of class 1 is missed and as many of class 0 are taken for it: the correlation is
    # -1/1024 and -3/1024, which end in half a unit.
    target = np.zeros(1024 + second_class, dtype=np.int64)
    target[:second_class] = 1
    prediction = np.zeros_like(target)
    prediction[second_class : 2 * second_class] = 1
    assert score("matthews-correlation", target, prediction) == expected


@settings(deadline=None)
@given(labelled(largest=2))
def test_matthews_correlation_is_correctly_rounded(case):
    target, prediction, _ = case
    labels = (-1, 0, 1)
    predicted = [int((prediction == label).sum()) for label in labels]
    actual = [int((target == label).sum()) for label in labels]
    rows = len(target)
    covariance = int((target == prediction).sum()) * rows - int(np.dot(predicted, actual))
    square = (rows**2 - int(np.dot(predicted, predicted))) * (rows**2 - int(np.dot(actual, actual)))
    with localcontext() as context:
        context.prec = 60
        exact = covariance / Decimal(square).sqrt() if square else Decimal(0)
        expected = int((exact * 10**9).to_integral_value(ROUND_HALF_EVEN))
    assert score("matthews-correlation", target, prediction) == expected


@settings(deadline=None)
@given(labelled())
def test_scores_do_not_depend_on_the_order_of_rows(case):
    target, prediction, classes = case
    order = np.random.default_rng(5).permutation(len(target))
    for name in COUNTING:
        if classes == 2 or not METRICS[name].two_classes:
            assert score(name, target, prediction, classes) == score(
                name, target[order], prediction[order], classes
            )


@settings(deadline=None)
@given(labelled())
def test_an_unknown_label_never_beats_a_right_one(case):
    target, prediction, classes = case
    mended = np.where(prediction == -1, target, prediction)
    for name in ("accuracy", "balanced-accuracy", "recall-weighted", "f1-micro"):
        assert score(name, target, mended, classes) >= score(name, target, prediction, classes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 10**9),
        ("balanced-accuracy", 10**9),
        ("precision", 0),
        ("recall", 0),
        ("f1", 0),
        ("precision-macro", 10**9),
        ("recall-macro", 10**9),
        ("f1-macro", 10**9),
        ("f1-weighted", 10**9),
        ("matthews-correlation", 0),
    ],
)
def test_one_class_only_perfectly_predicted(name, expected):
    assert score(name, [0, 0, 0], [0, 0, 0]) == expected


@pytest.mark.parametrize("name", [name for name in COUNTING if name != "matthews-correlation"])
def test_nothing_right_scores_zero(name):
    assert score(name, [1, 1, 0], [0, -1, 1]) == 0


def test_macro_average_by_hand():
    target, prediction = [0, 0, 1, 1], [0, 1, 1, -1]
    # f1 of class 0 and of class 1; unknown labels count as a class with f1 0; class 2 does not
    # occur and is left out.
    expected = (Fraction(2, 3) + Fraction(1, 2) + 0) / 3
    assert score("f1-macro", target, prediction, 3) == round(expected * 10**9)


@pytest.mark.parametrize("prediction", [[0, 2], [0, -2], [0.0, 1.0], [[0], [1]], [0], [0, 1, 1]])
def test_labels_of_the_wrong_kind_are_refused(prediction):
    with pytest.raises(UnusablePrediction):
        score("accuracy", [0, 1], prediction)


@pytest.mark.parametrize("target", [[0, 2], [-1, 0], [0.0, 1.0], [[0, 1]], [True, False]])
def test_class_targets_of_the_wrong_kind_are_refused(target):
    with pytest.raises(UnusableTarget):
        score("accuracy", target, [0, 1])
