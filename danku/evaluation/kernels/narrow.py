"""Element types narrower than float32 and int8: widened exactly, computed with, and rounded to."""

from __future__ import annotations

from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels.arrays import Array

DType = np.dtype[Any]

FLOAT16 = np.dtype(np.float16)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOAT8E8M0 = np.dtype(ml_dtypes.float8_e8m0fnu)
FLOAT4 = np.dtype(ml_dtypes.float4_e2m1fn)

NAN_PATTERNS = {
    np.dtype(ml_dtypes.float8_e4m3fn): 0x7F,
    np.dtype(ml_dtypes.float8_e4m3fnuz): 0x80,
    np.dtype(ml_dtypes.float8_e5m2): 0x7E,
    np.dtype(ml_dtypes.float8_e5m2fnuz): 0x80,
    # NOTE: the type has no NaN; what was one becomes -0.
    FLOAT4: 0x08,
}
"""Floats of a byte or less, and the pattern that NaN becomes."""

INTEGER_BITS = {
    np.dtype(ml_dtypes.int4): 4,
    np.dtype(ml_dtypes.uint4): 4,
    np.dtype(ml_dtypes.int2): 2,
    np.dtype(ml_dtypes.uint2): 2,
}
_UNSIGNED_ZERO = (np.dtype(ml_dtypes.float8_e4m3fnuz), np.dtype(ml_dtypes.float8_e5m2fnuz))
_WITH_INFINITY = np.dtype(ml_dtypes.float8_e5m2)
_INFINITY = 0x7C
_BFLOAT16_NAN = 0x7FC0
_E8M0_NAN = 0xFF
_E8M0_LOWEST, _E8M0_HIGHEST = -127, 127

_WIDE: dict[DType, DType] = {
    **dict.fromkeys((FLOAT16, BFLOAT16, FLOAT8E8M0, *NAN_PATTERNS), np.dtype(np.float32)),
    np.dtype(ml_dtypes.int4): np.dtype(np.int8),
    np.dtype(ml_dtypes.int2): np.dtype(np.int8),
    np.dtype(ml_dtypes.uint4): np.dtype(np.uint8),
    np.dtype(ml_dtypes.uint2): np.dtype(np.uint8),
}


def widened(x: Array) -> Array:
    """A narrow type as float32, int8 or uint8, which is exact; everything else as it is."""
    return x.astype(_WIDE[x.dtype]) if x.dtype in _WIDE else x


def narrowed(x: Array, dtype: DType) -> Array:
    """``x`` rounded to a narrow type, if that is wanted; else as it is."""
    if dtype == x.dtype or dtype not in _WIDE:
        return x
    if dtype == FLOAT16:
        with np.errstate(all="ignore"):
            return x.astype(np.float16)
    if dtype == BFLOAT16:
        return to_bfloat16(x)
    if dtype in INTEGER_BITS:
        return to_small_integer(x, dtype)
    if dtype == FLOAT8E8M0:
        return to_power_of_two(x, "nearest", saturate=False)
    return to_small_float(x, dtype, saturate=False)


def to_bfloat16(x: Array) -> Array:
    """Rounded to float32, then to nearest even."""
    with np.errstate(all="ignore"):
        patterns = np.ascontiguousarray(x, np.float32).view(np.uint32)
    ties_to_even = np.uint32(0x7FFF) + ((patterns >> np.uint32(16)) & np.uint32(1))
    rounded = ((patterns + ties_to_even) >> np.uint32(16)).astype(np.uint16)
    result: Array = np.where(np.isnan(x), np.uint16(_BFLOAT16_NAN), rounded).view(BFLOAT16)
    return result.reshape(x.shape)


def to_small_integer(x: Array, dtype: DType) -> Array:
    """Integers modulo 2^bits."""
    mask = np.int64(2 ** INTEGER_BITS[dtype] - 1)
    result: Array = (x.astype(np.int64) & mask).astype(np.uint8).view(dtype)
    return result


@cache
def _magnitudes(dtype: DType) -> NDArray[np.float64]:
    """The finite values of the patterns 0, 1, 2, ..., which ascend."""
    patterns = np.arange(8 if dtype == FLOAT4 else 128, dtype=np.uint8)
    values = patterns.view(dtype).astype(np.float64)
    return values[np.isfinite(values)]


def to_small_float(x: Array, dtype: DType, *, saturate: bool) -> Array:
    """Floats to nearest even. What rounds beyond the largest number, and an infinity, becomes
    that number, or without ``saturate`` an infinity, or NaN where the type has none."""
    values = _magnitudes(dtype)
    last = len(values) - 1
    with np.errstate(all="ignore"):
        size = np.abs(x.astype(np.float64))
    halfway = np.append(values[:-1] + values[1:], 3 * values[-1] - values[-2]) / 2
    patterns = np.searchsorted(halfway, size, side="left")
    tie = size == halfway[np.minimum(patterns, last)]
    patterns = patterns + (tie & (patterns % 2 == 1))
    sign = 8 if dtype == FLOAT4 else 0x80
    beyond = _INFINITY if dtype == _WITH_INFINITY else NAN_PATTERNS[dtype]
    result = np.where(patterns > last, last if saturate else beyond, patterns)
    unsigned = dtype in _UNSIGNED_ZERO and (result == 0)
    result = np.where(np.signbit(x) & ~np.asarray(unsigned), result | sign, result)
    result = np.where(np.isnan(size), NAN_PATTERNS[dtype], result)
    narrow: Array = result.astype(np.uint8).view(dtype)
    return narrow


def to_power_of_two(x: Array, mode: str, *, saturate: bool) -> Array:
    """Floats to float8e8m0, the powers of two from -127 to 127.

    Args:
        mode: "up", "down" or "nearest", where ties go up.
        saturate: whether what is beyond the range becomes its limit, or else NaN.
    """
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        fraction, exponent = np.frexp(wide)
        # NOTE: fraction is from 1/2 to 1, so that the power of two below has exponent - 1.
        power = exponent.astype(np.int64) - 1
        power += {"up": fraction > 0.5, "down": fraction < 0.5, "nearest": fraction >= 0.75}[mode]
    power = np.where(wide == 0, _E8M0_LOWEST - 1, np.where(np.isinf(wide), 128, power))
    outside = (power < _E8M0_LOWEST) | (power > _E8M0_HIGHEST)
    cut = np.clip(power, _E8M0_LOWEST, _E8M0_HIGHEST) - _E8M0_LOWEST
    wrong = np.isnan(wide) | (wide < 0) | (outside & (not saturate))
    result: Array = np.where(wrong, _E8M0_NAN, cut).astype(np.uint8).view(FLOAT8E8M0)
    return result
