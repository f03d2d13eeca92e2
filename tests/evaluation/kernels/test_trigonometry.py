"""Accuracy, special values and independence of position: circular and hyperbolic functions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from danku.evaluation.kernels import circular, trigonometry

Array = NDArray[Any]
INF, NAN = math.inf, math.nan
SPECIFICATION = (Path(__file__).parents[3] / "docs" / "exact-1.md").read_text(encoding="utf-8")

# What docs/exact-1.md promises for float64, in units of the last place.
BOUNDS = {
    "sin": 1,
    "cos": 1,
    "tan": 3,
    "asin": 3,
    "acos": 3,
    "atan": 2,
    "sinh": 4,
    "cosh": 4,
    "asinh": 3,
    "acosh": 3,
    "atanh": 3,
}
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    name: getattr(trigonometry, name) for name in BOUNDS
}

# Of all float32 and float64 numbers these come closest to a multiple of pi/2.
HARDEST = {np.float32: 16367173 * 2.0**72, np.float64: 6381956970095103 * 2.0**797}


def arguments(name: str, dtype: Any) -> Array:
    random = np.random.default_rng(21)
    signs = random.choice([-1.0, 1.0], 300)
    near = np.concatenate(
        [random.uniform(-10, 10, 300), signs * np.exp(random.uniform(-30, 1, 300))]
    )
    if name in ("sin", "cos", "tan"):
        highest = 88 if dtype is np.float32 else 709
        multiples = [k * math.pi / 2 for k in (*range(1, 100), *(2**k for k in range(7, 60)))]
        far = signs * np.exp(random.uniform(0, highest, 300))
        around = 2.0**19 + random.uniform(-1e-3, 1e-3, 20)
        found = np.concatenate([near, far, multiples, around, [HARDEST[dtype]]])
    elif name in ("asin", "acos", "atanh"):
        inside = random.uniform(-1, 1, 300)
        edge = signs * (1 - np.exp(random.uniform(-36, -1, 300)))
        found = np.concatenate([inside, edge, signs * np.exp(random.uniform(-36, 0, 300))])
    elif name == "acosh":
        found = 1 + np.exp(random.uniform(-35, 60, 600))
    elif name in ("sinh", "cosh"):
        highest = 89 if dtype is np.float32 else 710
        found = np.concatenate([near, random.uniform(-highest, highest, 300)])
    else:
        found = np.concatenate([near, signs * np.exp(random.uniform(-30, 88, 300))])
    return np.unique(found.astype(dtype))


def error(name: str, dtype: Any) -> float:
    """The largest distance from the exact value, in units of its last place."""
    x = arguments(name, dtype)
    smallest = float(np.finfo(dtype).tiny)
    worst = 0.0
    with mpmath.workprec(1300):
        for argument, result in zip(x.tolist(), FUNCTIONS[name](x).tolist(), strict=True):
            exact = getattr(mpmath, name)(mpmath.mpf(argument))
            if abs(exact) <= np.finfo(dtype).max and isinstance(exact, mpmath.mpf):
                unit = float(np.spacing(dtype(max(abs(float(exact)), smallest))))
                worst = max(worst, float(abs(mpmath.mpf(result) - exact) / unit))
    return worst


@pytest.mark.parametrize("name", BOUNDS)
def test_float32_is_all_but_correctly_rounded(name: str) -> None:
    assert arguments(name, np.float32).size > 400
    assert error(name, np.float32) < 0.5001


@pytest.mark.soak
@pytest.mark.parametrize("name", ["sin", "cos", "atan"])
def test_every_float32_is_all_but_correctly_rounded(name: str) -> None:
    """Against the C library's float64, which errs by far less than one float32 ulp."""
    peer = {"sin": np.sin, "cos": np.cos, "atan": np.arctan}[name]
    for start in range(0, 2**32, 2**22):
        x = np.arange(start, start + 2**22, dtype=np.uint64).astype(np.uint32).view(np.float32)
        x = x[np.isfinite(x)]
        exact = peer(x.astype(np.float64))
        units = np.spacing(np.maximum(np.abs(exact), 2.0**-126).astype(np.float32))
        assert np.max(np.abs(FUNCTIONS[name](x) - exact) / units, initial=0) < 0.5001


@pytest.mark.parametrize("name", BOUNDS)
def test_float64_keeps_its_stated_bound(name: str) -> None:
    assert error(name, np.float64) <= BOUNDS[name]


def test_the_specification_states_the_bounds_and_pieces() -> None:
    names = "| " + " | ".join(BOUNDS) + " |"
    row = SPECIFICATION.split(names)[1].splitlines()[3]
    assert row == "| " + " | ".join(str(bound) for bound in BOUNDS.values()) + " |"
    for name in ("TWO_OVER_PI", "HALF_PI_HIGH", "HALF_PI_LOW"):
        [digits] = re.findall(rf"^\| `{name}` \| `(\S+)` \|$", SPECIFICATION, re.MULTILINE)
        assert float.fromhex(digits) == getattr(circular, name)
    pieces = [getattr(circular, f"HALF_PI_{place}") for place in (1, 2, 3, 4)]
    [stated] = re.findall(r"^\| `HALF_PI_1`.* \| (`.*`): pi/2 in", SPECIFICATION, re.MULTILINE)
    assert [float.fromhex(digits.strip(" `")) for digits in stated.split(",")] == pieces


def test_the_table_is_two_over_pi() -> None:
    with mpmath.workprec(1400):
        digits = int(mpmath.floor(mpmath.ldexp(2 / mpmath.pi, 64 * 19)))
    words = [(digits >> (64 * (18 - place))) & (2**64 - 1) for place in range(19)]
    assert circular.TWO_OVER_PI_BITS.tolist() == [0, *words]


# At -inf, -2, -1, -0, +0, 1, +inf
SPECIAL: dict[str, list[float | None]] = {
    "sin": [NAN, None, None, -0.0, 0.0, None, NAN],
    "cos": [NAN, None, None, 1.0, 1.0, None, NAN],
    "tan": [NAN, None, None, -0.0, 0.0, None, NAN],
    "asin": [NAN, NAN, -math.pi / 2, -0.0, 0.0, math.pi / 2, NAN],
    "acos": [NAN, NAN, math.pi, math.pi / 2, math.pi / 2, 0.0, NAN],
    "atan": [-math.pi / 2, None, -math.pi / 4, -0.0, 0.0, math.pi / 4, math.pi / 2],
    "sinh": [-INF, None, None, -0.0, 0.0, None, INF],
    "cosh": [INF, None, None, 1.0, 1.0, None, INF],
    "asinh": [-INF, None, None, -0.0, 0.0, None, INF],
    "acosh": [NAN, NAN, NAN, NAN, NAN, 0.0, INF],
    "atanh": [NAN, NAN, -INF, -0.0, 0.0, INF, NAN],
}


@pytest.mark.parametrize("name", BOUNDS)
def test_special_values(name: str) -> None:
    results = FUNCTIONS[name](np.array([-INF, -2.0, -1.0, -0.0, 0.0, 1.0, INF]))
    for result, expected in zip(results.tolist(), SPECIAL[name], strict=True):
        if expected is not None:
            assert repr(result) == repr(expected)
    assert np.isnan(FUNCTIONS[name](np.array([NAN, -NAN], np.float32))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sin", "tan", "asin", "atan", "sinh", "asinh", "atanh"])
def test_subnormals_pass_through(name: str, dtype: Any) -> None:
    info = np.finfo(dtype)
    x = np.array([info.smallest_subnormal * 3, -info.tiny / 4, info.tiny], dtype)
    assert np.array_equal(FUNCTIONS[name](x), x)


def test_sines_grow_to_infinity_where_they_overflow() -> None:
    x = np.array([710.4, 710.5, -710.5, 5000.0])
    assert trigonometry.sinh(x).tolist() == [pytest.approx(math.sinh(710.4)), INF, -INF, INF]
    assert trigonometry.cosh(x).tolist() == [pytest.approx(math.cosh(710.4)), INF, INF, INF]


@pytest.mark.parametrize("name", BOUNDS)
def test_bits_do_not_depend_on_position_or_layout(name: str) -> None:
    """Vector bodies, scalar remainders and chunks must agree."""
    random = np.random.default_rng(2)
    x = (random.standard_normal(20000) * np.exp(random.uniform(-9, 30, 20000))).astype(np.float32)
    function = FUNCTIONS[name]
    whole = function(x)
    order = random.permutation(x.size)
    assert function(x[order]).tobytes() == whole[order].tobytes()
    assert function(x[::-3]).tobytes() == whole[::-3].tobytes()
    for length in range(20):
        assert function(x[7 : 7 + length]).tobytes() == whole[7 : 7 + length].tobytes()
    assert function(x.astype(">f4")).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", BOUNDS)
def test_shapes_types_and_operands_are_kept(name: str) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        for shape in ((), (0,), (2, 0, 3), (2, 3)):
            x = np.full(shape, 0.5, dtype)
            result = FUNCTIONS[name](x)
            assert result.shape == shape
            assert result.dtype == dtype
            assert (x == 0.5).all()
    with pytest.raises(TypeError):
        FUNCTIONS[name](np.array([1, 2]))
