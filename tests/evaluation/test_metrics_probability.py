"""Log-loss and Brier score: scikit-learn's on real probabilities, no reward for false ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import brier_score_loss, log_loss

from danku.evaluation.metrics import METRICS

MARGIN = 1.000001e-9
"""Half a unit of rounding, and a few last bits of scikit-learn's own sum."""


def score(name: str, target, chances) -> int:
    chances = np.asarray(chances)
    return METRICS[name].compute(np.asarray(target), chances, chances.shape[1])


@st.composite
def distributions(draw: st.DrawFn):
    classes = draw(st.integers(2, 5))
    rows = draw(st.integers(1, 30))
    target = draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows))
    weights = draw(arrays.arrays(np.int64, (rows, classes), elements=st.integers(0, 1000)))
    weights[:, draw(st.integers(0, classes - 1))] += 1
    return np.array(target), weights / weights.sum(axis=1, keepdims=True), classes


@settings(deadline=None)
@given(distributions())
def test_agree_with_scikit_learn(case):
    target, chances, classes = case
    labels = range(classes)
    expected = log_loss(target, y_proba=chances, labels=labels)
    assert score("log-loss", target, chances) / 1e9 == pytest.approx(expected, abs=MARGIN)
    expected = brier_score_loss(target, chances, labels=labels)
    assert score("brier-score", target, chances) / 1e9 == pytest.approx(expected, abs=MARGIN)


def test_agree_with_scikit_learn_on_many_rows():
    random = np.random.default_rng(4)
    target = random.integers(0, 10, 20_000)
    chances = random.dirichlet(np.ones(10), 20_000)
    expected = log_loss(target, y_proba=chances, labels=range(10))
    assert score("log-loss", target, chances) / 1e9 == pytest.approx(expected, abs=MARGIN)
    expected = brier_score_loss(target, chances, labels=range(10))
    assert score("brier-score", target, chances) / 1e9 == pytest.approx(expected, abs=MARGIN)


def test_certain_and_wrong_costs_a_finite_loss():
    expected = -math.log(2.0**-52)
    assert score("log-loss", [1], [[1.0, 0.0]]) / 1e9 == pytest.approx(expected, abs=MARGIN)
    assert score("brier-score", [1], [[1.0, 0.0]]) == 10**9
    assert score("brier-score", [2], [[1.0, 0.0, 0.0]]) == 2 * 10**9


def test_certain_and_right_costs_nothing():
    assert score("log-loss", [1, 0], [[0.0, 1.0], [1.0, 0.0]]) == 0
    assert score("brier-score", [1, 0], [[0.0, 1.0], [1.0, 0.0]]) == 0


@pytest.mark.parametrize("claim", [1.0, 1000.0, math.inf, 0.0, -1.0, -math.inf])
def test_the_same_claim_for_every_class_is_worth_a_guess(claim):
    chances = np.full((4, 4), claim)
    expected = math.log(4)
    assert score("log-loss", [0, 1, 2, 3], chances) / 1e9 == pytest.approx(expected, abs=MARGIN)


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1.0), min_size=3, max_size=3), st.integers(0, 2))
def test_log_loss_reads_rows_as_proportions(row, true_class):
    honest = np.array([row]) / sum(row)
    found = score("log-loss", [true_class], [row])
    assert found / 1e9 == pytest.approx(score("log-loss", [true_class], honest) / 1e9, abs=2e-9)


def test_single_precision_probabilities_are_read_without_loss():
    chances = np.array([[0.1, 0.9], [0.6, 0.4]], dtype=np.float32)
    for name in ("log-loss", "brier-score"):
        assert score(name, [1, 0], chances) == score(name, [1, 0], chances.astype(np.float64))
