"""Accuracy, special values and independence of position for the mathematical functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from danku.evaluation.kernels import functions

Array = NDArray[Any]
INF, NAN = math.inf, math.nan

UNARY: dict[str, Callable[[Array], Array]] = {
    name: getattr(functions, name)
    for name in ("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus", "erf", "sqrt")
}


def sigmoid(x: float) -> float:
    small = math.exp(-abs(x))
    return (1.0 if x >= 0 else small) / (1.0 + small)


# The C library in float64 errs by far less than one float32 ulp.
REFERENCE: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "tanh": math.tanh,
    "sigmoid": sigmoid,
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    "erf": math.erf,
    "sqrt": math.sqrt,
}
LOWEST = {"log": 0.0, "log1p": -1.0, "sqrt": 0.0}
HIGHEST = {"exp": 88.72, "expm1": 88.72}


def error(results: Array, exact: Array) -> float:
    """The largest distance in units of the last place of the exact values."""
    smallest = np.finfo(results.dtype).tiny
    units = np.spacing(np.maximum(np.abs(exact), smallest).astype(results.dtype))
    return float(np.max(np.abs(results - exact) / units))


def float32_samples(name: str) -> Array:
    """Every 65,537th float32, and dense stretches where the functions bend."""
    patterns = np.arange(0, 2**32, 65537, dtype=np.uint64).astype(np.uint32).view(np.float32)
    random = np.random.default_rng(11)
    near_one = 1 + random.uniform(-0.01, 0.01, 4000)
    bends = random.uniform(-10, 10, 12000)
    tails = random.uniform(-104, 89, 8000)
    patterns = patterns[np.isfinite(patterns)]
    x = np.concatenate([patterns, near_one, bends, tails]).astype(np.float32)
    x = x[(x > LOWEST.get(name, -INF)) & (x < HIGHEST.get(name, INF))]
    return x[x < 3e38]


@pytest.mark.parametrize("name", UNARY)
def test_float32_is_all_but_correctly_rounded(name: str) -> None:
    x = float32_samples(name)
    exact = np.array([REFERENCE[name](float(v)) for v in x])
    assert x.size > 30000
    assert error(UNARY[name](x), exact) < 0.5001


def test_float32_power_is_all_but_correctly_rounded() -> None:
    random = np.random.default_rng(12)
    x = np.exp(random.uniform(-80, 80, 60000)).astype(np.float32)
    y = (random.uniform(-87, 88.7, x.size) / np.log(x.astype(np.float64))).astype(np.float32)
    x = np.concatenate([x, np.abs(random.integers(-30, 30, 5000)).astype(np.float32)])
    y = np.concatenate([y, random.integers(0, 8, 5000).astype(np.float32)])
    exact = np.array([math.pow(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])
    keep = exact < 3.4e38
    assert error(functions.power(x, y)[keep], exact[keep]) < 0.5001


def exact_erf(x: Decimal) -> Decimal:
    term = total = 2 * x / Decimal("3.14159265358979323846264338327950288419716939937511").sqrt()
    step = 0
    while abs(term) > abs(total) * Decimal("1e-40"):
        step += 1
        term *= 2 * x * x / (2 * step + 1)
        total += term
    return total * (-x * x).exp()


EXACT: dict[str, Callable[[Decimal], Decimal]] = {
    "exp": lambda x: x.exp(),
    "expm1": lambda x: x.exp() - 1,
    "log": lambda x: x.ln(),
    "log1p": lambda x: (1 + x).ln(),
    "tanh": lambda x: ((2 * x).exp() - 1) / ((2 * x).exp() + 1),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "softplus": lambda x: (1 + x.exp()).ln(),
    "erf": exact_erf,
    "sqrt": lambda x: x.sqrt(),
}

# What docs/exact-1.md promises for float64.
BOUNDS = {
    "exp": 1.0,
    "expm1": 2.0,
    "log": 1.0,
    "log1p": 1.0,
    "tanh": 3.0,
    "sigmoid": 2.5,
    "softplus": 2.0,
    "erf": 8.0,
    "sqrt": 0.5,
}


def distance(result: float, exact: Decimal) -> Decimal:
    return abs(Decimal(result) - exact) / Decimal(math.ulp(max(abs(float(exact)), 2.0**-1022)))


@pytest.mark.parametrize("name", UNARY)
def test_float64_keeps_its_stated_bound(name: str) -> None:
    random = np.random.default_rng(13)
    x = np.concatenate(
        [
            random.uniform(-3, 3, 250),
            random.uniform(-700, 700, 100),
            random.choice([-1, 1], 250) * np.exp(random.uniform(-30, 2, 250)),
        ]
    )
    x = x[(x > LOWEST.get(name, -INF)) & (np.abs(x) < (6 if name == "erf" else INF))]
    results = UNARY[name](x)
    with localcontext() as context:
        # NOTE: log(1 + e^-700) needs 300 digits before the first one that counts.
        context.prec = 350 if name == "softplus" else 60
        errors = [
            distance(r, EXACT[name](Decimal(v)))
            for v, r in zip(x.tolist(), results.tolist(), strict=True)
        ]
    assert max(errors) <= BOUNDS[name]


def test_float64_power_keeps_its_stated_bound() -> None:
    random = np.random.default_rng(14)
    x = np.exp(random.uniform(-20, 20, 600))
    y = np.concatenate([random.uniform(-30, 30, 300), random.uniform(-700, 700, 300)]) / np.log(x)
    results = functions.power(x, y).tolist()
    with localcontext() as context:
        context.prec = 60
        errors = [
            distance(r, (Decimal(b) * Decimal(a).ln()).exp())
            for a, b, r in zip(x.tolist(), y.tolist(), results, strict=True)
        ]
    assert max(errors[:300]) <= 2
    assert max(errors) <= 24


# At -inf, -1, -0, +0, +inf
SPECIAL: dict[str, list[float | None]] = {
    "exp": [0.0, None, 1.0, 1.0, INF],
    "expm1": [-1.0, None, -0.0, 0.0, INF],
    "log": [NAN, NAN, -INF, -INF, INF],
    "log1p": [NAN, -INF, -0.0, 0.0, INF],
    "tanh": [-1.0, None, -0.0, 0.0, 1.0],
    "sigmoid": [0.0, None, 0.5, 0.5, 1.0],
    "softplus": [0.0, None, None, None, INF],
    "erf": [-1.0, None, -0.0, 0.0, 1.0],
    "sqrt": [NAN, NAN, -0.0, 0.0, INF],
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", UNARY)
def test_special_values(name: str, dtype: Any) -> None:
    results = UNARY[name](np.array([-INF, -1.0, -0.0, 0.0, INF], dtype))
    for result, expected in zip(results.tolist(), SPECIAL[name], strict=True):
        if expected is not None:
            assert repr(float(result)) == repr(expected)
    assert np.isnan(UNARY[name](np.array([NAN, -NAN], dtype))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh"])
def test_subnormals_pass_through_where_the_slope_is_one(name: str, dtype: Any) -> None:
    info = np.finfo(dtype)
    x = np.array([info.smallest_subnormal * 3, -info.tiny / 4, info.tiny], dtype)
    assert np.array_equal(UNARY[name](x), x)


def test_results_reach_subnormals_and_overflow() -> None:
    x = np.array([-103.9, -104.1, 88.8], np.float32)
    assert functions.exp(x).tolist() == [2.0**-149, 0.0, INF]
    assert functions.exp(np.array([-745.1, -745.2, 709.8])).tolist() == [2.0**-1074, 0.0, INF]
    subnormal = np.array([2.0**-1074, 2.0**-1030])
    assert functions.log(subnormal).tolist() == [math.log(2.0**-1074), math.log(2.0**-1030)]


def test_float64_sums_of_exponents_reach_their_limits() -> None:
    assert functions.sigmoid(np.array([-740.0, 740.0, -746.0])).tolist() == [
        pytest.approx(math.exp(-740), rel=0, abs=5e-324),
        1.0,
        0.0,
    ]
    assert functions.softplus(np.array([1000.0, -1000.0])).tolist() == [1000.0, 0.0]


NOTABLE = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 2.5, INF, -INF, NAN]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_power_of_notable_values_is_ieee(dtype: Any) -> None:
    more = [*NOTABLE, 2.0**53, 2.0**53 - 1 if dtype is np.float64 else 2.0**24 - 1, 1e30, 1e-30]
    x, y = (grid.astype(dtype) for grid in np.meshgrid(np.array(more), np.array(more)))
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    result = functions.power(x, y)
    assert np.array_equal(np.isnan(result), np.isnan(expected))
    numbers = ~np.isnan(expected)
    assert np.array_equal(np.signbit(result[numbers]), np.signbit(expected[numbers]))
    assert np.allclose(
        result[numbers], expected[numbers], rtol=1e-6 if dtype is np.float32 else 1e-14
    )
    exact = numbers & ((expected == 0) | np.isinf(expected) | (np.abs(expected) == 1))
    assert np.array_equal(result[exact], expected[exact])


def test_power_squares_exactly_and_takes_any_exponent_type() -> None:
    x = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    two = np.array(2, np.int64)
    assert functions.power(x, two).tobytes() == (x * x).tobytes()
    assert functions.power(x, np.full(1000, 2.0)).tobytes() == (x * x).tobytes()
    assert functions.power(x.reshape(10, 100), np.array([[2]])).shape == (10, 100)
    assert functions.power(np.array([-2.0]), np.array([3, 4])).tolist() == [-8.0, 16.0]
    assert functions.power(x[:2, None], np.ones(3, np.float32)).shape == (2, 3)


@pytest.mark.parametrize("name", UNARY)
def test_bits_do_not_depend_on_position_or_layout(name: str) -> None:
    """Vector bodies, scalar remainders and chunks must agree."""
    x = np.random.default_rng(2).standard_normal(20000).astype(np.float32) * np.float32(8)
    function = UNARY[name]
    whole = function(x)
    order = np.random.default_rng(3).permutation(x.size)
    assert function(x[order]).tobytes() == whole[order].tobytes()
    assert function(x[::-3]).tobytes() == whole[::-3].tobytes()
    for length in range(20):
        assert function(x[7 : 7 + length]).tobytes() == whole[7 : 7 + length].tobytes()
    grid = x[:600].reshape(20, 30)
    assert function(grid.T).tobytes() == np.ascontiguousarray(function(grid).T).tobytes()
    assert function(x.astype(">f4")).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", UNARY)
def test_shapes_types_and_operands_are_kept(name: str) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        for shape in ((), (0,), (2, 0, 3), (2, 3)):
            x = np.full(shape, 0.5, dtype)
            result = UNARY[name](x)
            assert result.shape == shape
            assert result.dtype == dtype
            assert (x == 0.5).all()


def test_float16_goes_through_float32() -> None:
    x = np.arange(0, 2**16, dtype=np.uint16).view(np.float16)
    with np.errstate(all="ignore"):
        expected = functions.tanh(x.astype(np.float32)).astype(np.float16)
    assert np.array_equal(functions.tanh(x), expected, equal_nan=True)


@pytest.mark.parametrize("name", UNARY)
def test_other_types_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match=name):
        UNARY[name](np.array([1, 2]))
