"""ROC AUC: every pair of rows counted, ties half, in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from danku.evaluation.metrics import METRICS, UnusablePrediction

TIED = st.sampled_from([0.0, -0.0, 0.125, 0.25, 0.5, 0.5000000000000001, 1.0])


def binary(target, scores) -> int:
    scores = np.asarray(scores, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        columns = np.stack([1 - scores, scores], axis=1)
    return METRICS["roc-auc"].compute(np.asarray(target), columns, 2)


def pair_by_pair(positive, scores) -> Fraction:
    above = [
        Fraction(int(high > low) * 2 + int(high == low), 2)
        for high, is_positive in zip(scores, positive, strict=True)
        if is_positive
        for low, is_high in zip(scores, positive, strict=True)
        if not is_high
    ]
    return sum(above, Fraction(0)) / len(above)


@st.composite
def two_classes(draw: st.DrawFn, scores=TIED):
    rows = draw(st.integers(2, 30))
    target = draw(st.lists(st.integers(0, 1), min_size=rows - 2, max_size=rows - 2))
    numbers = draw(st.lists(scores, min_size=rows, max_size=rows))
    return np.array(draw(st.permutations([0, 1, *target]))), np.array(numbers)


@settings(deadline=None)
@given(two_classes())
def test_equals_counting_every_pair_and_scikit_learn(case):
    target, scores = case
    assert binary(target, scores) == round(pair_by_pair(target == 1, scores) * 10**9)
    assert binary(target, scores) / 1e9 == pytest.approx(roc_auc_score(target, scores), abs=1e-9)


@settings(deadline=None)
@given(two_classes(st.floats(allow_nan=False)))
def test_any_scores_even_infinite_ones_equal_counting_every_pair(case):
    target, scores = case
    assert binary(target, scores) == round(pair_by_pair(target == 1, scores) * 10**9)


@settings(deadline=None)
@given(two_classes(st.floats(allow_nan=False)))
def test_only_the_order_of_scores_matters(case):
    target, scores = case
    ranks = np.unique(scores, return_inverse=True)[1]
    assert binary(target, scores) == binary(target, ranks)


def test_many_rows_agree_with_scikit_learn():
    random = np.random.default_rng(8)
    target = random.integers(0, 2, 50_000)
    scores = np.round(random.random(50_000) + target / 4, 3)
    assert binary(target, scores) / 1e9 == pytest.approx(roc_auc_score(target, scores), abs=1e-9)


def test_all_scores_equal_is_chance():
    assert binary([0, 1, 1], [0.3, 0.3, 0.3]) == 500_000_000


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_only_shows_nothing(only):
    assert binary([only, only], [0.1, 0.9]) == 0
    columns = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert METRICS["roc-auc-macro"].compute(np.array([only, only]), columns, 2) == 0


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 6))
def test_macro_agrees_with_scikit_learn_where_every_class_occurs(seed, classes):
    random = np.random.default_rng(seed)
    target = random.permutation(np.r_[np.arange(classes), random.integers(0, classes, 20)])
    chances = random.integers(1, 9, (target.size, classes)).astype(float)
    chances /= chances.sum(axis=1, keepdims=True)
    expected = roc_auc_score(target, chances, multi_class="ovr", average="macro")
    found = METRICS["roc-auc-macro"].compute(target, chances, classes)
    assert found / 1e9 == pytest.approx(expected, abs=1e-9)


def test_macro_leaves_out_a_class_without_rows():
    target = np.array([0, 0, 1, 1])
    chances = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7]])
    # Class 0 is ordered perfectly, class 1 in two pairs and a half... of four: 0.8 beats both,
    # 0.1 ties with one and loses to the other.
    assert METRICS["roc-auc-macro"].compute(target, chances, 3) == round(
        (Fraction(1) + Fraction(5, 8)) / 2 * 10**9
    )


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 3), (1, 2), (2, 2, 1)])
def test_probabilities_of_another_shape_are_refused(shape):
    with pytest.raises(UnusablePrediction):
        METRICS["roc-auc"].compute(np.array([0, 1]), np.zeros(shape), 2)
