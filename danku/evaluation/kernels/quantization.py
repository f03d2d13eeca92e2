"""Numbers as integers times a scale: quantized, dequantized, and requantized after products."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from danku.evaluation.kernels import buffers, narrow, tile
from danku.evaluation.kernels.arrays import Array, contiguous
from danku.evaluation.kernels.compiler import (
    BYTE,
    FLOAT32,
    INDEX,
    INT32,
    UINT16,
    kernel,
    several,
    source,
    target,
)
from danku.evaluation.kernels.integer_products import as_bytes
from danku.evaluation.kernels.requantization import requantized, rounded
from danku.evaluation.kernels.threads import share

DType = np.dtype[Any]

LINE = 4096
"""Elements that are done together where all have one scale."""
LEAST_LINE = 16
"""Elements that have a scale in common, below which each is given its own."""
ELEMENT_WORK = 8
"""What one element counts when threads are shared out, in multiply-accumulates."""


def limits(dtype: DType) -> tuple[int, int]:
    """The lowest and the highest number of an integer type, of 2 and 4 bits too."""
    bits = narrow.INTEGER_BITS.get(dtype, 8 * dtype.itemsize)
    if dtype.name.startswith("u"):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _quantize(
    x: Array,
    scales: Array,
    zeros: Array,
    line: int,
    range_: tuple[int, int],
    part: tuple[int, int],
    out: Array,
) -> None:
    """Some lines, each with a scale and zero point of its own; after the last the first are used
    again. The last line may be shorter. Lines of one element have as many scales."""
    if line == 1:
        first, count = part[0], part[1] - part[0]
        values, results = tile.window(x, first, count), tile.window(out, first, count)
        divisors = tile.window(scales, first, count)
        offsets = tile.window(zeros, first, count)
        for i in range(count):
            results[i] = rounded(values[i] / divisors[i], (range_[0], range_[1], offsets[i]))
        return
    for n in range(part[0], part[1]):
        count = min(line, x.size - n * line)
        values, results = tile.window(x, n * line, count), tile.window(out, n * line, count)
        scale, zero = scales[n % scales.size], zeros[n % scales.size]
        for i in range(count):
            results[i] = rounded(values[i] / scale, (range_[0], range_[1], zero))


def _dequantize(
    x: Array,
    flip: int,
    scales: Array,
    zeros: Array,
    line: int,
    part: tuple[int, int],
    out: Array,
) -> None:
    """As `_quantize`; zero points are those of the flipped bytes."""
    if line == 1:
        first, count = part[0], part[1] - part[0]
        values, results = tile.window(x, first, count), tile.window(out, first, count)
        factors = tile.window(scales, first, count)
        offsets = tile.window(zeros, first, count)
        for i in range(count):
            difference = np.int32(values[i] ^ np.uint8(flip)) - offsets[i]
            results[i] = np.float32(difference) * factors[i]
        return
    for n in range(part[0], part[1]):
        count = min(line, x.size - n * line)
        values, results = tile.window(x, n * line, count), tile.window(out, n * line, count)
        scale, zero = scales[n % scales.size], zeros[n % scales.size]
        for i in range(count):
            difference = np.int32(values[i] ^ np.uint8(flip)) - zero
            results[i] = np.float32(difference) * scale


def _requantize(
    x: Array,
    multipliers: Array,
    line: int,
    rounding: tuple[int, int, int],
    part: tuple[int, int],
    out: Array,
) -> None:
    """As `_quantize`, with one zero point."""
    if line == 1:
        first, count = part[0], part[1] - part[0]
        values, results = tile.window(x, first, count), tile.window(out, first, count)
        factors = tile.window(multipliers, first, count)
        for i in range(count):
            results[i] = requantized(values[i], factors[i], rounding)
        return
    for n in range(part[0], part[1]):
        count = min(line, x.size - n * line)
        values, results = tile.window(x, n * line, count), tile.window(out, n * line, count)
        multiplier = multipliers[n % multipliers.size]
        for i in range(count):
            results[i] = requantized(values[i], multiplier, rounding)


_LINES = (INDEX, several(INDEX, 2), several(INDEX, 2))
_QUANTIZE = {
    size: kernel(
        *(source(FLOAT32, 1), source(FLOAT32, 1), source(INT32, 1), *_LINES, target(scalar, 1)),
        variant=f"_{8 * size}",
    )(_quantize)
    for size, scalar in ((1, BYTE), (2, UINT16))
}
_DEQUANTIZE = kernel(
    *(source(BYTE, 1), INDEX, source(FLOAT32, 1), source(INT32, 1), INDEX, several(INDEX, 2)),
    target(FLOAT32, 1),
)(_dequantize)
_REQUANTIZE = kernel(
    *(source(INT32, 1), source(FLOAT32, 1), INDEX, several(INDEX, 3), several(INDEX, 2)),
    target(BYTE, 1),
)(_requantize)


def _in_lines(
    shape: tuple[int, ...],
    parameters: tuple[Array, ...],
    run: Callable[[tuple[Array, ...], int, tuple[int, int]], None],
) -> None:
    """Call ``run(parameters, line, part)`` over all elements of a tensor, shared among threads.

    Args:
        parameters: broadcast to ``shape``; they are passed on flat, one for each line.
    """
    size = prod(shape)
    line, spread = LINE, tuple(each.reshape(-1) for each in parameters)
    if any(each.size != 1 for each in parameters):
        line, spread = _spread(shape, parameters)
    lines = -(-size // line)
    share(lambda first, last: run(spread, line, (first, last)), lines, ELEMENT_WORK * size)


def _spread(shape: tuple[int, ...], parameters: tuple[Array, ...]) -> tuple[int, tuple[Array, ...]]:
    """The length of the longest lines that have one number of each parameter, and those numbers."""
    together = np.broadcast_shapes(*(each.shape for each in parameters))
    together = (1,) * (len(shape) - len(together)) + together
    varying = [axis for axis, length in enumerate(together) if length != 1]
    line, wanted = 1, shape
    if len(varying) == 1 and prod(shape[varying[0] + 1 :]) >= LEAST_LINE:
        line, wanted = prod(shape[varying[0] + 1 :]), (shape[varying[0]],)
        parameters = tuple(each.reshape(-1) for each in parameters)
    chosen = (np.ascontiguousarray(np.broadcast_to(each, wanted)) for each in parameters)
    return line, tuple(each.reshape(-1) for each in chosen)


def _flat(x: Array, dtype: type[np.generic]) -> Array:
    return contiguous(x.astype(dtype, copy=False)).reshape(-1)


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
    if dtype in narrow.NAN_PATTERNS:
        with np.errstate(all="ignore"):
            quotient = np.asarray(x.astype(np.float32) / scale)
            moved = np.where(zero_point == 0, quotient, quotient + zero_point.astype(np.float32))
            return narrow.to_small_float(moved, dtype, saturate=saturate)
    values, range_ = _flat(x, np.float32), limits(dtype)
    patterns = buffers.empty(values.size, np.uint16 if dtype.itemsize == 2 else np.uint8)
    fill = _QUANTIZE[patterns.itemsize]

    def run(parameters: tuple[Array, ...], line: int, part: tuple[int, int]) -> None:
        fill(values, *parameters, line, range_, part, patterns)

    _in_lines(x.shape, (np.asarray(scale), zero_point.astype(np.int32)), run)
    return _typed(patterns, dtype).reshape(x.shape)


def _typed(patterns: Array, dtype: DType) -> Array:
    """Integers from their bits; those of 2 and 4 bits were cut to their range."""
    if dtype in narrow.INTEGER_BITS:
        wide = patterns if dtype.name.startswith("u") else patterns.view(np.int8)
        return wide.astype(dtype)
    return patterns.view(dtype)


def dequantize(x: Array, scale: Array, zero_point: Array) -> Array:
    """``(x - zero_point) * scale`` in float32; the difference of integers is exact, then rounded.

    Args:
        x: integers of at most 32 bits, or float32.
        scale: float32, broadcast to ``x``.
        zero_point: of the type of ``x``, broadcast to it.
    """
    if x.dtype in (np.int8, np.uint8):
        return _dequantize_bytes(x, scale, zero_point)
    wide = np.int64 if x.dtype.kind in "iu" else np.float32
    with np.errstate(all="ignore"):
        difference = x.astype(wide) - zero_point.astype(wide)
        product: Array = difference.astype(np.float32) * scale
        return product


def _dequantize_bytes(x: Array, scale: Array, zero_point: Array) -> Array:
    data, flip = as_bytes(x)
    values, out = data.reshape(-1), buffers.empty(x.shape, np.float32)
    results = out.reshape(-1)

    def run(parameters: tuple[Array, ...], line: int, part: tuple[int, int]) -> None:
        _DEQUANTIZE(values, flip, *parameters, line, part, results)

    _in_lines(x.shape, (np.asarray(scale), zero_point.astype(np.int32) + np.int32(flip)), run)
    return out


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


def requantize(sums: Array, multiplier: Array, zero_point: Array, dtype: DType) -> Array:
    """int32 times the multiplier in float32, then as `quantize` goes on.

    Args:
        sums: rounded to float32 first.
        multiplier: float32, broadcast to ``sums``.
        zero_point: one number.
        dtype: int8 or uint8.
    """
    values, patterns = _flat(sums, np.int32), buffers.empty(sums.size, np.uint8)
    rounding = (*limits(dtype), int(zero_point.reshape(-1)[0]))

    def run(parameters: tuple[Array, ...], line: int, part: tuple[int, int]) -> None:
        _REQUANTIZE(values, *parameters, line, rounding, part, patterns)

    _in_lines(sums.shape, (np.asarray(multiplier),), run)
    return patterns.view(dtype).reshape(sums.shape)
