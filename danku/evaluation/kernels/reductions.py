"""Sums, means, extremes, norms and softmax of the profile exact/1.

A reduction over several axes visits the elements in C order of the reduced coordinates. Sums of
floats are one float64 accumulator from +0, rounded once to the type of the operand (float16 by way
of float32); sums of integers wrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple
from numpy.typing import NDArray

from danku.evaluation.kernels import rows
from danku.evaluation.kernels.arrays import (
    BOOL,
    FLOATS,
    INTEGERS,
    Array,
    contiguous,
    floats,
    native,
    rounded,
)
from danku.evaluation.kernels.compiler import FLOAT64, Kernel, kernel, source, target
from danku.evaluation.kernels.elementwise import divide
from danku.evaluation.kernels.functions import exp, log
from danku.evaluation.kernels.rejection import RuntimeRejection

Floats = NDArray[np.float64]


@kernel(source(FLOAT64, 3), target(FLOAT64, 2))
def _sums(values: Floats, sums: Floats) -> None:
    """sums[o, i] = values[o, 0, i] + values[o, 1, i] + ... from +0."""
    for o in range(values.shape[0]):
        accumulators = sums[o]
        for i in range(values.shape[2]):
            accumulators[i] = 0.0
        for r in range(values.shape[1]):
            terms = values[o, r]
            for i in range(values.shape[2]):
                accumulators[i] += terms[i]


@kernel(source(FLOAT64, 3), target(FLOAT64, 2))
def _products(values: Floats, products: Floats) -> None:
    """products[o, i] = values[o, 0, i] * values[o, 1, i] * ... from 1."""
    for o in range(values.shape[0]):
        accumulators = products[o]
        for i in range(values.shape[2]):
            accumulators[i] = 1.0
        for r in range(values.shape[1]):
            factors = values[o, r]
            for i in range(values.shape[2]):
                accumulators[i] *= factors[i]


def _grouped(x: Array, axes: Sequence[int]) -> Array:
    """``x`` as (outer, reduced, inner); a view where the axes are neighbours."""
    reduced = sorted(normalize_axis_tuple(axes, x.ndim))
    if reduced and reduced != list(range(reduced[0], reduced[-1] + 1)):
        kept = [axis for axis in range(x.ndim) if axis not in reduced]
        x = x.transpose(kept + reduced)
        reduced = list(range(len(kept), x.ndim))
    first, after = (reduced[0], reduced[-1] + 1) if reduced else (x.ndim, x.ndim)
    shape = x.shape
    return contiguous(x).reshape(prod(shape[:first]), prod(shape[first:after]), prod(shape[after:]))


def _result_shape(x: Array, axes: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    reduced = normalize_axis_tuple(axes, x.ndim)
    lengths = ((axis in reduced, length) for axis, length in enumerate(x.shape))
    return tuple(1 if gone else length for gone, length in lengths if keepdims or not gone)


def _accumulated(function: Kernel, x: Array, axes: Sequence[int], keepdims: bool) -> Floats:
    groups = _grouped(x, axes)
    if groups.shape[2] == 1:
        # NOTE: side by side, the sums of many rows advance together, each in its own order.
        groups = groups.transpose(2, 1, 0)
    values = groups.astype(np.float64, order="C")
    results = np.empty((values.shape[0], values.shape[2]))
    function(values, results)
    return results.reshape(_result_shape(x, axes, keepdims))


def _float_sums(x: Array, axes: Sequence[int], keepdims: bool) -> Floats:
    return _accumulated(_sums, x, axes, keepdims)


def _integer_sums(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """Sums modulo 2^64, as int64, or uint64 for unsigned integers."""
    values = _grouped(x, axes).astype(np.uint64)
    sums: Array = np.add.reduce(values, axis=1, dtype=np.uint64)
    wide = np.uint64 if x.dtype.kind == "u" else np.int64
    return sums.astype(wide).reshape(_result_shape(x, axes, keepdims))


def _numbers(x: Array, purpose: str) -> Array:
    x = native(x)
    if x.dtype not in FLOATS | INTEGERS:
        raise TypeError(f"{purpose} of {x.dtype}: it takes numbers")
    return x


def total(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """The sum over ``axes``; +0 over nothing. Integers wrap modulo 2^bits of their type."""
    x = _numbers(x, "total")
    with np.errstate(all="ignore"):
        if x.dtype in INTEGERS:
            return _integer_sums(x, axes, keepdims).astype(x.dtype)
        return rounded(_float_sums(x, axes, keepdims), x.dtype)


def product(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """One float64 accumulator from 1, rounded once. Integers wrap modulo 2^bits of their type."""
    x = _numbers(x, "product")
    with np.errstate(all="ignore"):
        if x.dtype in INTEGERS:
            values = _grouped(x, axes)
            products = np.multiply.reduce(values, axis=1, dtype=x.dtype)
            return np.asarray(products.reshape(_result_shape(x, axes, keepdims)))
        return rounded(_accumulated(_products, x, axes, keepdims), x.dtype)


def squares(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """The sum of float64 squares, rounded once. Integers wrap."""
    x = _numbers(x, "squares")
    with np.errstate(all="ignore"):
        if x.dtype in INTEGERS:
            return total(x * x, axes, keepdims)
        wide = np.square(x.astype(np.float64))
        return rounded(_float_sums(wide, axes, keepdims), x.dtype)


def log_total(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """The logarithm of the float64 sum, rounded once."""
    x = floats(x, "log_total")
    with np.errstate(all="ignore"):
        return rounded(log(_float_sums(x, axes, keepdims)), x.dtype)


def log_total_exp(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """largest + log(sum of e^(x - largest)) in float64, rounded once; an infinite largest as it is.

    -inf over nothing.
    """
    x = floats(x, "log_total_exp")
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        largest = maximum(wide, axes, True)
        sums = _float_sums(exp(wide - largest), axes, True)
        result = np.where(np.isinf(largest), largest, largest + log(sums))
        return rounded(result.reshape(_result_shape(x, axes, keepdims)), x.dtype)


def mean(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """The float64 sum divided by the count in float64, rounded once; NaN over nothing.

    The mean of integers is their sum modulo 2^64 divided by the count, truncated toward zero.

    Raises:
        ZeroDivisor: integers over nothing.
    """
    x = _numbers(x, "mean")
    count = prod(x.shape[axis] for axis in normalize_axis_tuple(axes, x.ndim))
    with np.errstate(all="ignore"):
        if x.dtype in INTEGERS:
            sums = _integer_sums(x, axes, keepdims)
            return divide(sums, np.asarray(count, sums.dtype)).astype(x.dtype)
        return rounded(_float_sums(x, axes, keepdims) / np.float64(count), x.dtype)


def _largest_float(groups: Array, result: Array) -> None:
    """NOTE: numpy leaves the sign of a zero maximum open; here +0 is above -0."""
    positive = ((groups == 0) & ~np.signbit(groups)).any(axis=1)
    np.copyto(result, 0.0, where=(result == 0) & positive)
    np.copyto(result, -0.0, where=(result == 0) & ~positive)


def maximum(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """The largest element; NaN if any is NaN, +0 above -0; the type's lowest over nothing."""
    x = native(x)
    groups = _grouped(x, axes)
    with np.errstate(all="ignore"):
        if x.dtype in FLOATS:
            result = np.maximum.reduce(groups, axis=1, initial=-inf)
            if not result.all():
                _largest_float(groups, result)
        else:
            lowest = False if x.dtype == BOOL else np.iinfo(x.dtype).min
            result = np.maximum.reduce(groups, axis=1, initial=lowest)
    return np.asarray(result.reshape(_result_shape(x, axes, keepdims)))


def minimum(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """The smallest element; NaN if any is NaN, -0 below +0; the type's highest over nothing."""
    x = native(x)
    if x.dtype in FLOATS:
        return -maximum(-x, axes, keepdims)
    highest = True if x.dtype == BOOL else np.iinfo(x.dtype).max
    result = np.minimum.reduce(_grouped(x, axes), axis=1, initial=highest)
    return np.asarray(result.reshape(_result_shape(x, axes, keepdims)))


def argmax(x: Array, axis: int, select_last: bool = False) -> Array:
    """The int64 index of the largest element along ``axis``, which is dropped from the shape.

    The first of equal elements wins, or the last with ``select_last``. Zeros of either sign are
    equal, and NaN is above every number and equal to NaN.

    Raises:
        RuntimeRejection: the axis has no elements.
    """
    x = native(x)
    axis = normalize_axis_index(axis, x.ndim)
    length = x.shape[axis]
    if length == 0:
        raise RuntimeRejection("arg-max over an axis of length 0")
    if select_last:
        indices = length - 1 - np.argmax(np.flip(x, axis), axis=axis)
    else:
        indices = np.argmax(x, axis=axis)
    return np.asarray(indices, np.int64)


def _along(x: Array, axis: int, *, logarithmic: bool) -> Array:
    x = floats(x, "softmax")
    if x.dtype == np.float16:
        with np.errstate(all="ignore"):
            wide = _along(x.astype(np.float32), axis, logarithmic=logarithmic)
            return wide.astype(np.float16)
    if axis in (-1, x.ndim - 1):
        return rows.softmax(x, logarithmic=logarithmic)
    result = rows.softmax(np.moveaxis(x, axis, -1), logarithmic=logarithmic)
    return np.ascontiguousarray(np.moveaxis(result, -1, axis))


def hardmax(x: Array, axis: int) -> Array:
    """1 at the ``argmax`` along ``axis``, and 0 everywhere else."""
    x = floats(x, "hardmax")
    places = np.expand_dims(argmax(x, axis), axis)
    result = np.zeros_like(x, order="C", subok=False)
    np.put_along_axis(result, places, x.dtype.type(1), axis)
    return result


def softmax(x: Array, axis: int) -> Array:
    """e^(x - largest) over the sum of these along ``axis``: float64 throughout, rounded once.

    NaN anywhere along the axis, +inf, or nothing but -inf makes all of it NaN.
    """
    return _along(x, axis, logarithmic=False)


def log_softmax(x: Array, axis: int) -> Array:
    """The logarithm of ``softmax``: (x - largest) - log(sum), float64 throughout, rounded once."""
    return _along(x, axis, logarithmic=True)


def l1_norm(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """The sum of absolute values. Integers wrap."""
    x = _numbers(x, "l1_norm")
    with np.errstate(all="ignore"):
        if x.dtype in INTEGERS:
            return total(np.abs(x), axes, keepdims)
        return rounded(_float_sums(np.abs(x), axes, keepdims), x.dtype)


def l2_norm(x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """The square root, in float64, of the sum of float64 squares."""
    x = floats(x, "l2_norm")
    with np.errstate(all="ignore"):
        squares = np.square(x.astype(np.float64))
        return rounded(np.sqrt(_float_sums(squares, axes, keepdims)), x.dtype)
