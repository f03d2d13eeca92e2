"""Regression metrics: scikit-learn's numbers, and one score in any order of rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from danku.evaluation.metrics import METRICS, SCORE_BOUND, UnusablePrediction, UnusableTarget

REGRESSION = ["mse", "rmse", "mae", "r2", "mape"]
PEERS = {
    "mse": peer.mean_squared_error,
    "rmse": peer.root_mean_squared_error,
    "mae": peer.mean_absolute_error,
    "r2": peer.r2_score,
    "mape": peer.mean_absolute_percentage_error,
}
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def score(name: str, target, prediction) -> int:
    return METRICS[name].compute(np.asarray(target), np.asarray(prediction), 0)


def pairs(values, smallest: int = 1):
    return st.lists(st.tuples(values, values), min_size=smallest, max_size=30).map(
        lambda rows: np.array(rows, dtype=np.float64).T
    )


def agrees(name: str, target, prediction) -> bool:
    """To 1e-9, relative to scores above 1, where float64 itself holds no more."""
    expected = PEERS[name](target, prediction)
    if abs(expected) * 1e9 >= SCORE_BOUND:
        return abs(score(name, target, prediction)) == SCORE_BOUND
    found = score(name, target, prediction) / 1e9
    return found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(pairs(st.integers(-40, 40).map(lambda whole: whole / 8), smallest=2))
def test_agree_with_scikit_learn_on_ties_zeros_and_constants(case):
    for name in REGRESSION:
        assert agrees(name, *case)


@settings(deadline=None)
@given(pairs(st.floats(-1e3, 1e3)))
def test_errors_agree_with_scikit_learn(case):
    for name in ("mse", "rmse", "mae", "mape"):
        assert agrees(name, *case)


def test_agree_with_scikit_learn_on_many_rows():
    random = np.random.default_rng(6)
    target = random.normal(100, 30, 100_000)
    prediction = target + random.normal(0, 10, 100_000)
    for name in REGRESSION:
        assert agrees(name, target, prediction)


@settings(deadline=None)
@given(pairs(FINITE), st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_the_order_of_rows(case, random):
    target, prediction = case
    order = list(range(target.size))
    random.shuffle(order)
    for name in REGRESSION:
        assert score(name, target, prediction) == score(name, target[order], prediction[order])


@settings(deadline=None)
@given(pairs(st.integers(-1000, 1000)), st.integers(-900, 900))
def test_r2_does_not_depend_on_the_unit(case, exponent):
    target, prediction = case
    unit = 2.0**exponent
    assert score("r2", target, prediction) == score("r2", target * unit, prediction * unit)


@pytest.mark.parametrize("constant", [0.1, 3.0, 1e300, 5e-324])
def test_r2_of_a_constant_target(constant):
    target = [constant] * 7
    assert score("r2", target, target) == 10**9
    assert score("r2", target, [constant] * 6 + [0.0]) == 0
    assert score("r2", [constant], [constant]) == 10**9


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1.0, 1e200, 1e308])
def test_r2_of_extreme_targets(scale):
    target = np.array([0.0, 0.5, 1.0]) * scale
    assert score("r2", target, target) == 10**9
    assert score("r2", target, np.full(3, target[1])) == 0


def test_mape_of_zero_targets_divides_by_the_smallest_magnitude():
    assert score("mape", [0.0, 1.0], [0.0, 1.0]) == 0
    assert score("mape", [0.0], [2.0**-52]) == 10**9
    assert agrees("mape", [0.0, 2.0], [1e-9, 2.0])


@pytest.mark.parametrize("wild", [math.inf, -math.inf, 1.7e308, -1.7e308])
def test_an_infinite_error_is_the_worst_score_there_is(wild):
    for name in ("mse", "rmse", "mae", "mape"):
        assert score(name, [0.0, 0.0], [wild, -wild]) == SCORE_BOUND
    assert score("mae", [-1.7e308, 1.7e308], [wild, -wild]) in (0, SCORE_BOUND)
    assert score("r2", [-1.0, 1.0], [wild, -wild]) == -SCORE_BOUND


def test_a_score_beyond_the_range_is_clamped():
    assert score("mae", [0.0], [9_223_372_036.0]) == 9_223_372_036 * 10**9
    assert score("mae", [0.0], [9_223_372_037.0]) == SCORE_BOUND == 2**63 - 1


@pytest.mark.parametrize(
    ("error", "expected"),
    # An odd number of 2^-10 lies exactly between two units of 1e-9.
    [(2.0**-10, 976_562), (3 * 2.0**-10, 2_929_688), (0.1, 100_000_000), (1e-10, 0)],
)
def test_scores_are_rounded_half_to_even(error, expected):
    assert score("mae", [0.0], [error]) == expected


def test_whole_number_targets_are_legal():
    assert score("mse", np.array([1, 2, 3]), np.array([1.0, 2.0, 5.0])) == 1_333_333_333


@pytest.mark.parametrize("target", [[math.nan, 1.0], [math.inf, 1.0], ["a", "b"], [[1.0, 2.0]]])
def test_unusable_targets_are_refused(target):
    with pytest.raises(UnusableTarget):
        score("mse", target, [1.0, 2.0])


@pytest.mark.parametrize("prediction", [[1.0], [1.0, 2.0, 3.0], [[1.0], [2.0]], ["1", "2"]])
def test_unusable_predictions_are_refused(prediction):
    with pytest.raises(UnusablePrediction):
        score("mse", [1.0, 2.0], prediction)
