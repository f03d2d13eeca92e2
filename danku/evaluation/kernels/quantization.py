"""Numbers as integers times a scale: quantized, dequantized, and multiplied as matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from danku.evaluation.kernels import gemm, narrow
from danku.evaluation.kernels.arrays import Array

DType = np.dtype[Any]


def limits(dtype: DType) -> tuple[int, int]:
    """The lowest and the highest number of an integer type, of 2 and 4 bits too."""
    bits = narrow.INTEGER_BITS.get(dtype, 8 * dtype.itemsize)
    if dtype.name.startswith("u"):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def quantize(
    x: Array, scale: Array, zero_point: Array, dtype: DType, *, saturate: bool = True
) -> Array:
    """``x / scale`` in float32, rounded to an integer, half to even; then the zero point is added
    exactly, and the sum saturates. NaN becomes 0.

    Where ``dtype`` is a float of a byte or less the zero point, if it is not 0, is added in
    float32, and the sum is rounded once.

    Args:
        x: float32 or int32; the latter is rounded to float32.
        scale: float32, broadcast to ``x``.
        zero_point: of a type that holds ``dtype`` exactly, broadcast to ``x``.
        saturate: as in `narrow.to_small_float`.
    """
    with np.errstate(all="ignore"):
        quotient = np.asarray(x.astype(np.float32) / scale)
        if dtype in narrow.NAN_PATTERNS:
            moved = np.where(zero_point == 0, quotient, quotient + zero_point.astype(np.float32))
            return narrow.to_small_float(moved, dtype, saturate=saturate)
        offset = zero_point.astype(np.float32)
        lowest, highest = (np.float32(limit) - offset for limit in limits(dtype))
        np.rint(quotient, out=quotient)
        # NOTE: cut before the zero point is added, so that float32 holds every sum exactly.
        np.copyto(quotient, lowest, where=quotient < lowest)
        np.copyto(quotient, highest, where=quotient > highest)
        quotient += offset
        np.copyto(quotient, 0, where=np.isnan(quotient))
        return quotient.astype(np.int32).astype(dtype)


def dequantize(x: Array, scale: Array, zero_point: Array) -> Array:
    """``(x - zero_point) * scale`` in float32; the difference of integers is exact, then rounded.

    Args:
        x: integers of at most 32 bits, or float32.
        scale: float32, broadcast to ``x``.
        zero_point: of the type of ``x``, broadcast to it.
    """
    wide = np.int64 if x.dtype.kind in "iu" else np.float32
    with np.errstate(all="ignore"):
        difference = x.astype(wide) - zero_point.astype(wide)
        product: Array = difference.astype(np.float32) * scale
        return product


def dynamic_parameters(lowest: Array, highest: Array) -> tuple[Array, Array]:
    """Scale and zero point (float32 and uint8, of no dimensions) for uint8 from the extremes.

    The range includes 0; where it is only 0 the scale is 1.
    """
    zero, most = np.float32(0), np.float32(255)
    with np.errstate(all="ignore"):
        low = np.where(lowest < zero, lowest, np.where(np.isnan(lowest), lowest, zero))
        high = np.where(highest > zero, highest, np.where(np.isnan(highest), highest, zero))
        scale = np.where(high == low, np.float32(1), (high - low) / most)
        offset = zero - low / scale
        cut = np.where(offset >= most, most, np.where(offset > zero, offset, zero))
        return np.asarray(scale, np.float32), np.asarray(np.rint(cut), np.uint8)


def integer_product(a: Array, b: Array, a_zero: Array, b_zero: Array) -> Array:
    """``(a - a_zero) @ (b - b_zero)`` modulo 2^32, as int32.

    NOTE: a product is below 2^16, so float64 holds every sum of up to 2^37 of them exactly, and
    its kernel is several times faster than that of integers.

    Args:
        a, b: int8 or uint8, of two or more dimensions.
        a_zero, b_zero: of the same types, broadcast to them.
    """
    left = np.subtract(a, a_zero, dtype=np.float64)
    right = np.subtract(b, b_zero, dtype=np.float64)
    return gemm.matmul(left, right).astype(np.int64).astype(np.int32)


def requantize(accumulated: Array, multiplier: Array, zero_point: Array, dtype: DType) -> Array:
    """int32 times the multiplier in float32, then as `quantize` goes on."""
    with np.errstate(all="ignore"):
        scaled = accumulated.astype(np.float32) * multiplier
    return quantize(scaled, np.asarray(1, np.float32), zero_point, dtype)
