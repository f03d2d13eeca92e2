"""Pooling in the profile exact/1: maxima and sums over windows, in one to three dimensions.

A window covers what it meets of the input; padding has no value and takes no part.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import buffers, tile
from danku.evaluation.kernels.arrays import Array, contiguous
from danku.evaluation.kernels.compiler import (
    FLOAT32,
    FLOAT64,
    INDEX,
    INT64,
    Kernel,
    device,
    kernel,
    several,
    source,
    target,
)
from danku.evaluation.kernels.intrinsics import maximum
from danku.evaluation.kernels.threads import share

Three = tuple[int, int, int]

WORK = 32
"""Multiply-accumulates that an element of a window is worth, when threads are to share them."""
TOGETHER = 2**15
"""The most elements of lines that are pooled as one: what a model makes large costs no memory."""


@dataclass(frozen=True)
class Windows:
    """Along depth, height and width: output o covers inputs o * stride - before + j * dilation."""

    sizes: Three
    kernel: Three
    strides: Three
    dilations: Three
    before: Three
    counts: Three


@device
def _covered(o: int, size: int, kernel: int, stride: int, dilation: int, before: int) -> Any:
    """Of output o: input 0 of the window, and the first and the last j that meet the input."""
    start = o * stride - before
    first = max(0, (-start + dilation - 1) // dilation)
    last = min(kernel, (size - start + dilation - 1) // dilation)
    return start, first, last


@device
def _met(j: int, size: int, count: int, stride: int, dilation: int, before: int) -> Any:
    """Of element j of a window: the first and the last output that meet the input there."""
    start = j * dilation - before
    first = max(0, (-start + stride - 1) // stride)
    last = min(count, (size - start + stride - 1) // stride)
    return start, first, max(first, last)


def _largest(
    x: Array,
    sizes: Three,
    kernel: Three,
    strides: Three,
    dilations: Three,
    before: Three,
    counts: Three,
    planes: tuple[int, int],
    scratch: Array,
    out: Array,
) -> None:
    """The maximum of each window; -inf if it is empty.

    ``scratch`` holds a line of the input and one of the output, or these for each height.
    """
    depth, height, width = sizes
    # NOTE: where each window has its own columns and no column is left over, lines follow each
    # other as if they were one, which is much faster if they are short.
    seamless = width == counts[2] * strides[2] and before[2] == 0
    seamless = seamless and (kernel[2] - 1) * dilations[2] < strides[2]
    seamless = seamless and scratch.size >= counts[1] * (width + counts[2])
    lines = counts[1] if seamless else 1
    high = tile.window(scratch, 0, lines * width)
    line = tile.window(scratch, lines * width, lines * counts[2])
    for plane in range(planes[0], planes[1]):
        for d in range(counts[0]):
            place = (plane * counts[0] + d) * counts[1] * counts[2]
            start_d, first_d, last_d = _covered(
                d, depth, kernel[0], strides[0], dilations[0], before[0]
            )
            for h in range(counts[1]):
                start_h, first_h, last_h = _covered(
                    h, height, kernel[1], strides[1], dilations[1], before[1]
                )
                most = tile.window(high, h * width if seamless else 0, width)
                if first_d >= last_d or first_h >= last_h:
                    for w in range(width):
                        most[w] = -inf
                for i in range(first_d, last_d):
                    there = (plane * depth + start_d + i * dilations[0]) * height
                    for j in range(first_h, last_h):
                        row = tile.window(x, (there + start_h + j * dilations[1]) * width, width)
                        if i == first_d and j == first_h:
                            for w in range(width):
                                most[w] = row[w]
                        else:
                            for w in range(width):
                                most[w] = maximum(most[w], row[w])
                if not seamless:
                    result = tile.window(out, place + h * counts[2], counts[2])
                    for w in range(counts[2]):
                        result[w] = -inf
                    for j in range(kernel[2]):
                        start, first, last = _met(
                            j, width, counts[2], strides[2], dilations[2], before[2]
                        )
                        if first == last:
                            continue
                        begin = start + first * strides[2]
                        met = tile.window(line, 0, last - first)
                        tile.copy_every(tile.window(most, begin, width - begin), strides[2], met)
                        part = tile.window(result, first, last - first)
                        for w in range(last - first):
                            part[w] = maximum(part[w], met[w])
            if seamless:
                result = tile.window(out, place, counts[1] * counts[2])
                tile.copy_every(high, strides[2], result)
                for j in range(1, kernel[2]):
                    begin = j * dilations[2]
                    rest = tile.window(high, begin, high.size - begin)
                    tile.copy_every(rest, strides[2], line)
                    for w in range(result.size):
                        result[w] = maximum(result[w], line[w])


def _where_largest(
    x: Array,
    sizes: Three,
    kernel: Three,
    strides: Three,
    dilations: Three,
    before: Three,
    counts: Three,
    planes: tuple[int, int],
    weights: Three,
    places: NDArray[np.int64],
) -> None:
    """The place of the first of the largest elements of each window, -1 if it is empty.

    NaN is above every number and equal to NaN; zeros of either sign are equal. A place is the sum
    of the coordinates times ``weights``, after as many elements as the planes before have.
    """
    depth, height, width = sizes
    for plane in range(planes[0], planes[1]):
        for output in range(counts[0] * counts[1] * counts[2]):
            w, line = output % counts[2], output // counts[2]
            h, d = line % counts[1], line // counts[1]
            start_d, first_d, last_d = _covered(
                d, depth, kernel[0], strides[0], dilations[0], before[0]
            )
            start_h, first_h, last_h = _covered(
                h, height, kernel[1], strides[1], dilations[1], before[1]
            )
            start_w, first_w, last_w = _covered(
                w, width, kernel[2], strides[2], dilations[2], before[2]
            )
            place, largest = -1, -inf
            for i in range(first_d, last_d):
                z = start_d + i * dilations[0]
                for j in range(first_h, last_h):
                    y = start_h + j * dilations[1]
                    for n in range(first_w, last_w):
                        v = start_w + n * dilations[2]
                        value = x[((plane * depth + z) * height + y) * width + v]
                        if place < 0 or value > largest or (isnan(value) and not isnan(largest)):
                            largest = value
                            place = z * weights[0] + y * weights[1] + v * weights[2]
            if place >= 0:
                place += plane * depth * height * width
            places[plane * counts[0] * counts[1] * counts[2] + output] = place


def _pooled_sums(
    x: Array,
    sizes: Three,
    kernel: Three,
    strides: Three,
    dilations: Three,
    before: Three,
    counts: Three,
    planes: tuple[int, int],
    out: NDArray[np.float64],
) -> None:
    """The float64 sum of each window from +0, in order of the elements."""
    depth, height, width = sizes
    for plane in range(planes[0], planes[1]):
        for d in range(counts[0]):
            start_d, first_d, last_d = _covered(
                d, depth, kernel[0], strides[0], dilations[0], before[0]
            )
            for h in range(counts[1]):
                start_h, first_h, last_h = _covered(
                    h, height, kernel[1], strides[1], dilations[1], before[1]
                )
                place = ((plane * counts[0] + d) * counts[1] + h) * counts[2]
                result = tile.window(out, place, counts[2])
                for w in range(counts[2]):
                    result[w] = 0.0
                for i in range(first_d, last_d):
                    there = (plane * depth + start_d + i * dilations[0]) * height
                    for j in range(first_h, last_h):
                        row = (there + start_h + j * dilations[1]) * width
                        for n in range(kernel[2]):
                            start, first, last = _met(
                                n, width, counts[2], strides[2], dilations[2], before[2]
                            )
                            begin, step = start + first * strides[2], strides[2]
                            values = tile.window(x, row + begin, width - begin)
                            part = tile.window(result, first, last - first)
                            if step == 1:
                                for w in range(last - first):
                                    part[w] += values[w]
                            else:
                                for w in range(last - first):
                                    part[w] += values[w * step]


def _signature(scalar: Any, *rest: Any) -> tuple[Any, ...]:
    three = several(INDEX, 3)
    return (source(scalar, 1), *[three] * 6, several(INDEX, 2), *rest)


def _declare(function: Any, *rest: Any) -> dict[np.dtype[Any], Kernel]:
    """``rest`` are the types of the last arguments; None stands for a line of the input's type."""
    return {
        np.dtype(name): kernel(
            *_signature(scalar, *(target(scalar, 1) if each is None else each for each in rest)),
            variant=f"_{name}",
        )(function)
        for name, scalar in (("float32", FLOAT32), ("float64", FLOAT64))
    }


_LARGEST = _declare(_largest, None, None)
TYPES = frozenset(_LARGEST)
"""That have kernels."""
_WHERE_LARGEST = _declare(_where_largest, several(INDEX, 3), target(INT64, 1))
_SUMS = _declare(_pooled_sums, target(FLOAT64, 1))


def _over_planes(
    kernels: dict[np.dtype[Any], Kernel], x: Array, windows: Windows, out: Array, rest: Any
) -> Array:
    """Run a kernel over x [images, channels, depth, height, width]; ``rest`` makes its last
    arguments anew for each thread."""
    x = contiguous(x)

    def part(first: int, last: int) -> None:
        kernels[x.dtype](
            *(x.reshape(-1), windows.sizes, windows.kernel, windows.strides, windows.dilations),
            *(windows.before, windows.counts, (first, last), *rest(), out.reshape(-1)),
        )

    if out.size:
        share(part, x.shape[0] * x.shape[1], out.size * prod(windows.kernel) * WORK)
    return out


def largest(x: Array, windows: Windows) -> Array:
    """The maximum of each window: NaN if any element is, +0 above -0; -inf over nothing.

    Args:
        x: float32 or float64 [images, channels, depth, height, width].
    """
    one = windows.sizes[2] + windows.counts[2]
    lines = one * windows.counts[1] if one * windows.counts[1] <= TOGETHER else one
    out = buffers.empty((*x.shape[:2], *windows.counts), x.dtype)
    return _over_planes(_LARGEST, x, windows, out, lambda: (np.empty(lines, x.dtype),))


def where_largest(x: Array, windows: Windows, *, column_major: bool) -> NDArray[np.int64]:
    """The place in ``x`` of the first of the largest elements of each window, as `argmax` counts.

    Args:
        column_major: whether depth runs fastest within a plane, and width slowest.
    """
    depth, height, width = windows.sizes
    weights = (1, depth, depth * height) if column_major else (height * width, width, 1)
    places = np.empty((*x.shape[:2], *windows.counts), np.int64)
    return _over_planes(_WHERE_LARGEST, x, windows, places, lambda: (weights,))


def sums(x: Array, windows: Windows) -> NDArray[np.float64]:
    """The sum of each window: a float64 accumulator from +0, in order of the elements."""
    out = np.empty((*x.shape[:2], *windows.counts))
    return _over_planes(_SUMS, x, windows, out, lambda: ())
