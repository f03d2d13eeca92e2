"""Narrow element types against ml_dtypes, over every pattern, and at their limits."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from danku.evaluation.kernels import narrow

Array = NDArray[Any]
SMALL_FLOATS = list(narrow.NAN_PATTERNS)
FINITE = [dtype for dtype in SMALL_FLOATS if dtype != narrow.FLOAT4]


def samples() -> Array:
    """Every float16 and, near each of them, float32 numbers that round across a tie."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    with np.errstate(all="ignore"):
        near = [np.nextafter(halves, np.float32(end)) for end in (-np.inf, np.inf)]
    wide = np.random.default_rng(5).integers(0, 2**32, 20000, np.uint64).astype(np.uint32)
    return np.concatenate([halves, *near, wide.view(np.float32)])


def same(ours: Array, theirs: Array) -> bool:
    """Equal, NaN for NaN, signs of zeros included."""
    a, b = ours.astype(np.float32), theirs.astype(np.float32)
    signs = np.signbit(a[~np.isnan(a)]) == np.signbit(b[~np.isnan(b)])
    return np.array_equal(a, b, equal_nan=True) and bool(signs.all())


def test_bfloat16_rounds_to_nearest_even() -> None:
    x = samples()
    with np.errstate(all="ignore"):
        assert same(narrow.to_bfloat16(x), x.astype(ml_dtypes.bfloat16))
    assert narrow.to_bfloat16(x.reshape(-1, 4)[::2]).shape == (x.size // 8, 4)


@pytest.mark.parametrize("dtype", SMALL_FLOATS, ids=str)
def test_small_floats_round_to_nearest_even(dtype: Any) -> None:
    x = samples()
    # NOTE: what float4 makes of NaN depends on its sign there.
    x = x[~np.isnan(x)] if dtype == narrow.FLOAT4 else x
    with np.errstate(all="ignore"):
        theirs = x.astype(dtype)
    assert same(narrow.to_small_float(x, dtype, saturate=dtype == narrow.FLOAT4), theirs)


@pytest.mark.parametrize("dtype", FINITE, ids=str)
def test_small_floats_saturate(dtype: Any) -> None:
    largest = float(ml_dtypes.finfo(dtype).max)
    x = samples()
    with np.errstate(all="ignore"):
        theirs = np.clip(x, -largest, largest).astype(dtype)
    assert same(narrow.to_small_float(x, dtype, saturate=True), theirs)


def test_float64_is_rounded_once() -> None:
    above_the_tie = np.array([1.0625 + 2.0**-40])
    dtype = np.dtype(ml_dtypes.float8_e4m3fn)
    assert narrow.to_small_float(above_the_tie, dtype, saturate=True).astype(float) == 1.125


@pytest.mark.parametrize("dtype", narrow.INTEGER_BITS, ids=str)
def test_small_integers_wrap(dtype: Any) -> None:
    x = np.arange(-300, 300)
    ours = narrow.to_small_integer(x, dtype)
    assert ours.astype(np.int64).tolist() == x.astype(np.int32).astype(dtype).astype(int).tolist()


@pytest.mark.parametrize(
    ("mode", "saturate", "expected"),
    [
        ("up", True, [-127, -127, -2, 0, 1, 1, 127, 127, None, None]),
        ("down", True, [-127, -127, -3, 0, 0, 0, 127, 127, None, None]),
        ("nearest", True, [-127, -127, -3, 0, 0, 1, 127, 127, None, None]),
        ("nearest", False, [None, None, -3, 0, 0, 1, None, None, None, None]),
    ],
)
def test_powers_of_two(mode: str, saturate: bool, expected: list[int | None]) -> None:
    x = np.array([0.0, 2.0**-140, 0.15, 1.0, 1.25, 1.5, 2.0**128, np.inf, -1.0, np.nan])
    ours = narrow.to_power_of_two(x, mode, saturate=saturate).astype(np.float64)
    wanted = [np.nan if power is None else 2.0**power for power in expected]
    assert np.array_equal(ours, wanted, equal_nan=True)


def test_what_is_widened_comes_back() -> None:
    for dtype in (narrow.FLOAT16, narrow.BFLOAT16, narrow.FLOAT8E8M0, *SMALL_FLOATS):
        count = 2 ** (4 if dtype == narrow.FLOAT4 else 8 * dtype.itemsize)
        patterns = np.arange(count, dtype=f"u{dtype.itemsize}").view(dtype)
        wide = narrow.widened(patterns)
        assert wide.dtype == np.float32
        assert same(narrow.narrowed(wide, dtype), patterns)
    for dtype, bits in narrow.INTEGER_BITS.items():
        patterns = np.arange(2**bits, dtype=np.uint8).view(dtype)
        wide = narrow.widened(patterns)
        assert wide.dtype == (np.uint8 if dtype.name.startswith("u") else np.int8)
        assert (narrow.narrowed(wide, dtype).view(np.uint8) == patterns.view(np.uint8)).all()


def test_other_types_are_left_alone() -> None:
    for x in (np.array([1.5]), np.array([3]), np.array(["a"], object), np.array([True])):
        assert narrow.widened(x) is x
        assert narrow.narrowed(x, x.dtype) is x
