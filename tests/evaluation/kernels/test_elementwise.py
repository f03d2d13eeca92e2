"""Signed zeros, NaN, saturation and wrapping, spelled out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from danku.evaluation.kernels import elementwise
from danku.evaluation.kernels.rejection import RuntimeRejection, ZeroDivisor

Array = NDArray[Any]
INF, NAN = math.inf, math.nan
FLOATS = [np.float16, np.float32, np.float64]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def spelled(x: Array) -> list[str]:
    return [
        repr(float(value)).lstrip("-") if np.isnan(value) else repr(float(value)) for value in x
    ]


@pytest.mark.parametrize("dtype", FLOATS)
def test_relu_and_leaky_relu(dtype: Any) -> None:
    x = np.array([NAN, -NAN, -INF, -2.0, -0.0, 0.0, 2.0, INF], dtype)
    assert spelled(elementwise.relu(x)) == "nan nan 0.0 0.0 0.0 0.0 2.0 inf".split()
    leaky = elementwise.leaky_relu(x, 0.25)
    assert spelled(leaky) == "nan nan -inf -0.5 -0.0 0.0 2.0 inf".split()
    assert leaky.dtype == elementwise.relu(x).dtype == dtype
    assert elementwise.relu(np.array([-3, 4], np.int8)).tolist() == [0, 4]


def test_leaky_relu_rounds_once_after_rounding_alpha() -> None:
    x = np.array([-3.3], np.float32)
    assert elementwise.leaky_relu(x, 0.01) == np.float32(0.01) * x
    half = np.array([-3.3], np.float16)
    expected = np.float16(np.float32(0.01) * np.float32(half[0]))
    assert elementwise.leaky_relu(half, 0.01) == expected


NOTABLE = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0]


def larger(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return NAN
    if a == b == 0:
        return 0.0 if math.copysign(1, a) + math.copysign(1, b) >= 0 else -0.0
    return max(a, b)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("repeat", [1, 40])
def test_extremes_of_notable_floats(dtype: Any, repeat: int) -> None:
    pairs = [(a, b) for a in NOTABLE for b in NOTABLE]
    a, b = (np.array(list(side) * repeat, dtype) for side in zip(*pairs, strict=True))
    high = [repr(larger(x, y)) for x, y in pairs] * repeat
    low = [repr(-larger(-x, -y)).replace("-nan", "nan") for x, y in pairs] * repeat
    assert spelled(elementwise.maximum(a, b)) == high
    assert spelled(elementwise.minimum(a, b)) == low


def test_extremes_broadcast_and_take_integers() -> None:
    a, b = np.array([[1], [5]], np.uint8), np.array([0, 3, 9], np.uint8)
    assert elementwise.maximum(a, b).tolist() == [[1, 3, 9], [5, 5, 9]]
    assert elementwise.minimum(a, b).tolist() == [[0, 1, 1], [0, 3, 5]]
    with pytest.raises(TypeError):
        elementwise.maximum(a, b.astype(np.int8))


def test_clip() -> None:
    x = np.array([NAN, -5.0, -0.0, 0.5, 5.0], np.float32)
    zero, one = np.array(0, np.float32), np.array(1, np.float32)
    assert spelled(elementwise.clip(x, zero, one)) == "nan 0.0 0.0 0.5 1.0".split()
    assert spelled(elementwise.clip(x, None, one)) == "nan -5.0 -0.0 0.5 1.0".split()
    assert spelled(elementwise.clip(x, one, None)) == "nan 1.0 1.0 1.0 5.0".split()
    assert elementwise.clip(x, None, None) is x
    assert elementwise.clip(x[1:], one, zero).tolist() == [0.0] * 4
    assert elementwise.clip(np.array([-9, 9]), np.array(-1), np.array(2)).tolist() == [-1, 2]


def truncated(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_division_truncates_and_wraps(dtype: str) -> None:
    limits = np.iinfo(dtype)
    values = [limits.min, limits.min + 1, limits.max, limits.max - 1, 1, 2, 3, 7]
    values += [-1, -2, -3, -7] if limits.min else []
    a, b = (
        grid.reshape(-1) for grid in np.meshgrid(np.array(values, dtype), np.array(values, dtype))
    )
    a, b = a[b != 0], b[b != 0]
    expected = [
        (truncated(x, y) - limits.min) % 2**limits.bits + limits.min
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    ]
    assert elementwise.divide(a, b).tolist() == expected
    assert elementwise.divide(a, b).dtype == np.dtype(dtype)


def test_integer_division_by_zero_is_a_rejection_with_a_fixed_reason() -> None:
    with pytest.raises(ZeroDivisor) as caught:
        elementwise.divide(np.array([1, 2, 3]), np.array([1, 0, 1]))
    assert isinstance(caught.value, RuntimeRejection)
    assert caught.value.reason == "integer division by zero"
    assert elementwise.divide(np.ones(0, np.int32), np.array([0], np.int32)[:0]).size == 0


@pytest.mark.parametrize("dtype", FLOATS)
def test_float_division_is_ieee(dtype: Any) -> None:
    a, b = np.array([1, -1, 0, INF, 6], dtype), np.array([0, 0, 0, INF, 4], dtype)
    assert spelled(elementwise.divide(a, b)) == "inf -inf nan nan 1.5".split()
    assert elementwise.divide(a, b).dtype == dtype


@pytest.mark.parametrize("dtype", INTEGERS)
@given(x=st.floats(width=32))
@settings(max_examples=80, deadline=None)
def test_floats_become_integers_truncated_and_saturated(dtype: str, x: float) -> None:
    limits = np.iinfo(dtype)
    expected = 0 if math.isnan(x) else limits.max if x == INF else limits.min
    if math.isfinite(x):
        expected = min(max(math.trunc(x), limits.min), limits.max)
    for source in (np.float32, np.float64):
        result = elementwise.cast(np.array([x], source), dtype)
        assert result.tolist() == [expected]
        assert result.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_casts_at_the_limits_of_integers(dtype: str) -> None:
    limits = np.iinfo(dtype)
    edges = [float(edge) for edge in (limits.min, limits.max)]
    near = [f(edge, to) for edge in edges for to in (-INF, INF) for f in (math.nextafter,)]
    for x in [*edges, *near, -0.9, 0.9, 1e300, -1e300]:
        expected = min(max(math.trunc(x), limits.min), limits.max)
        assert elementwise.cast(np.array([x] * 9), dtype).tolist() == [expected] * 9


@pytest.mark.parametrize("source", INTEGERS)
@pytest.mark.parametrize("wanted", INTEGERS)
def test_integers_wrap(source: str, wanted: str) -> None:
    limits, target = np.iinfo(source), np.iinfo(wanted)
    values = np.array([limits.min, limits.max, 1, 100], source)
    expected = [(v - target.min) % 2**target.bits + target.min for v in values.tolist()]
    assert elementwise.cast(values, wanted).tolist() == expected


def test_casts_to_floats_round_to_nearest_even() -> None:
    x = np.array([2**24 + 1, 2**24 + 3, 2**62 + 2**38, 2**62 + 2**38 + 1], np.int64)
    assert elementwise.cast(x, np.float32).tolist() == [2**24, 2**24 + 4, 2**62, 2**62 + 2**39]
    big = np.array([2**64 - 1, 2**63 + 2**39, 2**63 + 2**39 + 1], np.uint64)
    assert elementwise.cast(big, np.float32).tolist() == [2**64, 2**63, 2**63 + 2**40]
    doubles = np.array([1 + 2.0**-24, 1 + 2.0**-24 + 2.0**-50, 3.5e38, -1e-46])
    assert spelled(elementwise.cast(doubles, np.float32)) == [
        "1.0",
        "1.0000001192092896",
        "inf",
        "-0.0",
    ]
    halves = np.array([65519.0, 65520.0, 2.0**-25, 2.0**-25 + 2.0**-40])
    assert elementwise.cast(halves, np.float16).tolist() == [65504.0, INF, 0.0, 2.0**-24]
    integers = np.array([2049, 2051, 70000])
    assert elementwise.cast(integers, np.float16).tolist() == [2048.0, 2052.0, INF]


def test_casts_with_bool() -> None:
    x = np.array([NAN, 0.0, -0.0, 2.0**-149, -1.0], np.float32)
    assert elementwise.cast(x, np.bool_).tolist() == [True, False, False, True, True]
    assert elementwise.cast(np.array([0, 256, -1]), bool).tolist() == [False, True, True]
    flags = np.array([True, False])
    for dtype in ["float16", "float32", "float64", *INTEGERS]:
        assert elementwise.cast(flags, dtype).tolist() == [1, 0]
    with pytest.raises(TypeError):
        elementwise.cast(np.array(["1"]), np.float32)


@pytest.mark.parametrize(
    ("dtype", "quiet"), [("f2", "007e"), ("f4", "0000c07f"), ("f8", "000000000000f87f")]
)
def test_canonical_bytes_of_floats(dtype: str, quiet: str) -> None:
    size = np.dtype(dtype).itemsize
    noisy = np.frombuffer(bytes([1] * (size - 2) + [255, 255]) * 2, "<" + dtype)
    assert np.isnan(noisy).all()
    assert elementwise.canonical(noisy).hex() == quiet * 2
    assert elementwise.canonical(-noisy.astype(">" + dtype)).hex() == quiet * 2
    assert elementwise.canonical(np.array([-0.0, 0.0], dtype)) == bytes(2 * size)
    assert elementwise.canonical(np.array([-INF], dtype)) == np.array([-INF], "<" + dtype).tobytes()
    tiny = np.array([np.finfo(dtype).smallest_subnormal], dtype)
    assert elementwise.canonical(tiny).hex() == "01" + "00" * (size - 1)


def test_canonical_bytes_do_not_depend_on_layout() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4) - 5
    expected = x.astype("<f4").tobytes()
    for other in (x, np.asfortranarray(x), x.astype(">f4"), x[::-1].copy()[::-1]):
        assert elementwise.canonical(other) == expected
    assert elementwise.canonical(np.array([1, -2], ">i2")) == b"\x01\x00\xfe\xff"
    assert elementwise.canonical(np.frombuffer(b"\x00\x02\x01", np.bool_)) == b"\x00\x01\x01"


@pytest.mark.parametrize("value", [-0.0, 0.0, -2.5, NAN])
def test_arrays_without_dimensions(value: float) -> None:
    x = np.array(value, np.float32)
    for result in (
        elementwise.relu(x),
        elementwise.leaky_relu(x, 0.5),
        elementwise.clip(x, x, None),
        elementwise.maximum(x, x),
        elementwise.minimum(x, x),
        elementwise.divide(x, x),
        elementwise.cast(x, np.int8),
    ):
        assert isinstance(result, np.ndarray)
        assert result.shape == ()
    assert len(elementwise.canonical(x)) == 4
