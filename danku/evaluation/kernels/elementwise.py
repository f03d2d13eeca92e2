"""Element by element: rectifiers, limits, casts, division, and the bytes that are hashed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from danku.evaluation.kernels.arrays import BOOL, FLOATS, INTEGERS, Array, floats, native
from danku.evaluation.kernels.rejection import ZeroDivisor


def _pair(a: Array, b: Array, purpose: str) -> tuple[Array, Array]:
    a, b = native(a), native(b)
    if a.dtype != b.dtype or a.dtype not in FLOATS | INTEGERS:
        raise TypeError(f"{purpose} of {a.dtype} and {b.dtype}: it takes one type of number")
    return a, b


def maximum(a: Array, b: Array) -> Array:
    """The larger element, with broadcasting; NaN if either is NaN, +0 above -0."""
    a, b = _pair(a, b, "maximum")
    with np.errstate(all="ignore"):
        larger = np.asarray(np.maximum(a, b))
        if a.dtype in FLOATS and not larger.all():
            # NOTE: numpy leaves the sign of a zero maximum open; two zeros add up to the right one.
            np.copyto(larger, a + b, where=(a == b) & (larger == 0))
    return larger


def minimum(a: Array, b: Array) -> Array:
    """The smaller element, with broadcasting; NaN if either is NaN, -0 below +0."""
    a, b = _pair(a, b, "minimum")
    return np.asarray(-maximum(-a, -b) if a.dtype in FLOATS else np.minimum(a, b))


def relu(x: Array) -> Array:
    """``x`` where it is above 0 or NaN, else +0."""
    x = native(x)
    zero = x.dtype.type(0)
    with np.errstate(all="ignore"):
        # NOTE: numpy leaves the sign of a zero maximum open; the sum makes it +0.
        return np.asarray(np.maximum(x, zero) + zero)


def leaky_relu(x: Array, alpha: float) -> Array:
    """``alpha * x`` below 0, else ``x`` (so -0 stays); one product in the type of ``x``.

    ``alpha`` is rounded to that type first; float16 is multiplied in float32 and then rounded.
    """
    x = floats(x, "leaky_relu")
    wide = x.astype(np.float32 if x.dtype == np.float16 else x.dtype, copy=False)
    with np.errstate(all="ignore"):
        return np.where(wide < 0, wide * wide.dtype.type(alpha), wide).astype(x.dtype, copy=False)


def clip(x: Array, low: Array | None, high: Array | None) -> Array:
    """``minimum(maximum(x, low), high)``: where low is above high, high wins."""
    x = native(x)
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)


def _magnitude(x: Array) -> Array:
    """The absolute value as uint64, of the lowest integer too."""
    return (x if x.dtype.kind == "u" else np.abs(x.astype(np.int64))).astype(np.uint64)


def divide(a: Array, b: Array) -> Array:
    """The quotient, with broadcasting: IEEE 754's for floats, truncated toward zero for integers.

    The lowest integer divided by -1 wraps to itself. float16 is divided in float32 and rounded.

    Raises:
        ZeroDivisor: an integer is divided by zero.
    """
    a, b = _pair(a, b, "divide")
    with np.errstate(all="ignore"):
        if a.dtype in FLOATS:
            return np.asarray(np.divide(a, b))
        if not b.all():
            raise ZeroDivisor
        quotients = _magnitude(a) // _magnitude(b)
        negative = (a < 0) != (b < 0)
        return np.where(negative, np.negative(quotients), quotients).astype(a.dtype)


def integer_power(base: Array, exponent: Array) -> Array:
    """base^exponent modulo 2^bits of the base's type, with broadcasting.

    Negative exponents: the quotient 1 / base^-exponent truncated toward zero, so 0 but for the
    bases 1 and -1.

    Raises:
        ZeroDivisor: 0 to a negative power.
    """
    base, exponent = np.broadcast_arrays(native(base), native(exponent))
    negative = exponent < 0
    if (negative & (base == 0)).any():
        raise ZeroDivisor
    with np.errstate(all="ignore"):
        left, factor = _magnitude(exponent), base.astype(np.uint64)
        result = np.ones(base.shape, np.uint64)
        while left.any():
            result = np.where(left & np.uint64(1), result * factor, result)
            factor = factor * factor
            left = left >> np.uint64(1)
        powers = result.astype(base.dtype)
        unit = (base == 1) | (base.astype(np.int64) == -1) if base.dtype.kind == "i" else base == 1
        return np.where(negative & ~unit, base.dtype.type(0), powers)


def _saturated(x: Array, dtype: np.dtype[Any]) -> Array:
    limits = np.iinfo(dtype)
    wide = x.astype(np.float64)
    # NOTE: the limits of an integer type need not be floats, but one above the highest is.
    above, below = wide >= float(limits.max) + 1.0, wide < float(limits.min)
    outside = above | below | np.isnan(wide)
    np.copyto(wide, 0.0, where=outside)
    integers = wide.astype(dtype)
    np.copyto(integers, limits.max, where=above)
    np.copyto(integers, limits.min, where=below)
    return integers


def cast(x: Array, dtype: DTypeLike) -> Array:
    """The nearest value of another type; ONNX Cast with nothing left open.

    Floats to integers truncate toward zero and saturate, NaN becomes 0. Integers to narrower ones
    wrap. To bool: everything but zeros is true, NaN too. To floats: to nearest even, and to
    float16 from anything but floats by way of float32.

    Raises:
        TypeError: one of the types is not a float, an integer or bool.
    """
    x, wanted = native(x), np.dtype(dtype).newbyteorder("=")
    known = FLOATS | INTEGERS | {BOOL}
    if x.dtype not in known or wanted not in known:
        raise TypeError(f"cast of {x.dtype} to {wanted}: it takes numbers and bool")
    with np.errstate(all="ignore"):
        if wanted == BOOL:
            return np.not_equal(x, 0)
        if x.dtype in FLOATS and wanted in INTEGERS:
            return _saturated(x, wanted)
        if x.dtype not in FLOATS and wanted == np.float16:
            x = x.astype(np.float32)
        return x.astype(wanted)


def canonical(x: Array) -> bytes:
    """The bytes that are hashed: little-endian, C order, one quiet NaN, no -0; bool as 0 or 1."""
    x = native(x)
    if x.dtype == BOOL:
        x = np.not_equal(x, False).astype(np.uint8)
    if x.dtype in FLOATS:
        with np.errstate(all="ignore"):
            x = np.where(np.isnan(x), x.dtype.type(np.nan), x + x.dtype.type(0))
    return x.astype(x.dtype.newbyteorder("<"), copy=False).tobytes(order="C")
