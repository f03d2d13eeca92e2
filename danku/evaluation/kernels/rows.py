"""What looks at whole rows: softmax, log-softmax, layer normalisation, without float64 copies.

The steps of each element are those of section 5 of docs/exact-1.md, in its order. Sums of several
rows advance side by side, since each alone would wait for its last addition.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import buffers, scalars, tile
from danku.evaluation.kernels.arrays import Array, contiguous
from danku.evaluation.kernels.compiler import (
    BOOLEAN,
    FLOAT32,
    FLOAT64,
    INDEX,
    device,
    kernel,
    several,
    source,
    target,
)
from danku.evaluation.kernels.functions import WORK, Kernels
from danku.evaluation.kernels.intrinsics import square_root
from danku.evaluation.kernels.threads import share

Floats = NDArray[np.float64]

TOGETHER = 8
"""Rows that are worked on side by side."""


@device
def _at(x: Array, place: int) -> float:
    return np.float64(tile.get(x, place))


@device
def _sums(x: Array, length: int, sums: Floats) -> None:
    """sums[m] = x[m * length] + x[m * length + 1] + ... from +0, for ``TOGETHER`` rows."""
    a = b = c = d = e = f = g = h = 0.0
    for j in range(length):
        a += _at(x, j)
        b += _at(x, j + length)
        c += _at(x, j + 2 * length)
        d += _at(x, j + 3 * length)
        e += _at(x, j + 4 * length)
        f += _at(x, j + 5 * length)
        g += _at(x, j + 6 * length)
        h += _at(x, j + 7 * length)
    sums[0], sums[1], sums[2], sums[3] = a, b, c, d
    sums[4], sums[5], sums[6], sums[7] = e, f, g, h


@device
def _square(x: Array, place: int) -> float:
    value = _at(x, place)
    return value * value


@device
def _sums_of_squares(x: Array, length: int, sums: Floats) -> None:
    """As `_sums`, of x[place] * x[place]."""
    a = b = c = d = e = f = g = h = 0.0
    for j in range(length):
        a += _square(x, j)
        b += _square(x, j + length)
        c += _square(x, j + 2 * length)
        d += _square(x, j + 3 * length)
        e += _square(x, j + 4 * length)
        f += _square(x, j + 5 * length)
        g += _square(x, j + 6 * length)
        h += _square(x, j + 7 * length)
    sums[0], sums[1], sums[2], sums[3] = a, b, c, d
    sums[4], sums[5], sums[6], sums[7] = e, f, g, h


@device
def _greater(a: float, b: float) -> float:
    return b if b > a else a


@device
def _largest(x: Array, length: int, found: Floats) -> None:
    """found[m] = the largest of row m, -inf at first; NaN is ignored."""
    a = b = c = d = e = f = g = h = -inf
    for j in range(length):
        a = _greater(a, _at(x, j))
        b = _greater(b, _at(x, j + length))
        c = _greater(c, _at(x, j + 2 * length))
        d = _greater(d, _at(x, j + 3 * length))
        e = _greater(e, _at(x, j + 4 * length))
        f = _greater(f, _at(x, j + 5 * length))
        g = _greater(g, _at(x, j + 6 * length))
        h = _greater(h, _at(x, j + 7 * length))
    found[0], found[1], found[2], found[3] = a, b, c, d
    found[4], found[5], found[6], found[7] = e, f, g, h


def _softmax(
    x: Array, length: int, rows: tuple[int, int], logarithmic: bool, scratch: Floats, out: Array
) -> None:
    """Rows of ``out`` from those of ``x``, both flat; ``scratch`` holds TOGETHER * (length + 2).

    NOTE: rows beyond the last are read from scratch again and not written.
    """
    wide = tile.window(scratch, 0, TOGETHER * length)
    largest = tile.window(scratch, TOGETHER * length, TOGETHER)
    sums = tile.window(scratch, TOGETHER * (length + 1), TOGETHER)
    for first in range(rows[0], rows[1], TOGETHER):
        count = min(TOGETHER, rows[1] - first)
        values = tile.window(x, first * length, count * length)
        results = tile.window(out, first * length, count * length)
        for i in range(count * length, TOGETHER * length):
            wide[i] = 0.0
        for i in range(count * length):
            wide[i] = values[i]
        _largest(wide, length, largest)
        for m in range(count):
            line = tile.window(wide, m * length, length)
            most = largest[m]
            for j in range(length):
                line[j] = scalars.exp(line[j] - most)
        _sums(wide, length, sums)
        for m in range(count):
            line = tile.window(results, m * length, length)
            if logarithmic:
                given, most = tile.window(values, m * length, length), largest[m]
                logarithm = scalars.log(sums[m])
                for j in range(length):
                    line[j] = (np.float64(given[j]) - most) - logarithm
            else:
                powers, total = tile.window(wide, m * length, length), sums[m]
                for j in range(length):
                    line[j] = powers[j] / total


def _normalise(
    x: Array,
    length: int,
    rows: tuple[int, int],
    epsilon: float,
    scale: Array,
    bias: Array,
    scratch: Floats,
    means: Floats,
    inverses: Floats,
    out: Array,
) -> None:
    """``((x - mean) * inverse) * scale + bias`` along rows; scratch holds TOGETHER * (length + 1).

    ``bias`` may have no elements.
    """
    wide = tile.window(scratch, 0, TOGETHER * length)
    sums = tile.window(scratch, TOGETHER * length, TOGETHER)
    count = np.float64(length)
    for first in range(rows[0], rows[1], TOGETHER):
        present = min(TOGETHER, rows[1] - first)
        values = tile.window(x, first * length, present * length)
        for i in range(present * length, TOGETHER * length):
            wide[i] = 0.0
        for i in range(present * length):
            wide[i] = values[i]
        _sums(wide, length, sums)
        for m in range(present):
            line = tile.window(wide, m * length, length)
            mean = sums[m] / count
            means[first + m] = mean
            for j in range(length):
                line[j] = line[j] - mean
        _sums_of_squares(wide, length, sums)
        for m in range(present):
            line = tile.window(wide, m * length, length)
            result = tile.window(out, (first + m) * length, length)
            inverse = 1.0 / square_root(sums[m] / count + epsilon)
            inverses[first + m] = inverse
            if bias.size:
                for j in range(length):
                    normal = (line[j] * inverse) * np.float64(scale[j])
                    result[j] = normal + np.float64(bias[j])
            else:
                for j in range(length):
                    result[j] = (line[j] * inverse) * np.float64(scale[j])


def _declare(function: Any, arguments: Callable[[Any], tuple[Any, ...]]) -> Kernels:
    return {
        np.dtype(name): kernel(*arguments(scalar), variant=f"_{name}")(function)
        for name, scalar in (("float32", FLOAT32), ("float64", FLOAT64))
    }


_ROWS = INDEX, several(INDEX, 2)
_SOFTMAX = _declare(
    _softmax,
    lambda scalar: (source(scalar, 1), *_ROWS, BOOLEAN, target(FLOAT64, 1), target(scalar, 1)),
)
_NORMALISE = _declare(
    _normalise,
    lambda scalar: (
        *(source(scalar, 1), *_ROWS, FLOAT64, source(scalar, 1), source(scalar, 1)),
        *(*(target(FLOAT64, 1),) * 3, target(scalar, 1)),
    ),
)
TYPES = frozenset(_SOFTMAX)
"""That have kernels."""


def _over(rows: int, length: int, part: Callable[[int, int], None]) -> None:
    """Share rows, ``TOGETHER`` at a time."""
    share(
        lambda first, last: part(first * TOGETHER, min(last * TOGETHER, rows)),
        -(-rows // TOGETHER),
        rows * length * WORK,
    )


def softmax(x: Array, *, logarithmic: bool) -> Array:
    """Along the last axis of float32 or float64 [..., length]."""
    if x.size == 0:
        return x.copy()
    flat, length = contiguous(x).reshape(-1), x.shape[-1]
    out, run = buffers.empty(flat.size, x.dtype), _SOFTMAX[x.dtype]

    def part(first: int, last: int) -> None:
        scratch = buffers.empty(TOGETHER * (length + 2), np.float64)
        run(flat, length, (first, last), logarithmic, scratch, out)

    _over(flat.size // length, length, part)
    return out.reshape(x.shape)


def layer_norm(
    x: Array, scale: Array, bias: Array | None, epsilon: float
) -> tuple[Array, Floats, Floats]:
    """The normalised rows, their means and their inverse deviations in float64.

    Args:
        x: float32 or float64 [rows, length], with at least one element.
        scale, bias: [length], of the type of ``x``.
    """
    count, length = x.shape
    flat, out = contiguous(x).reshape(-1), buffers.empty(x.size, x.dtype)
    means, inverses = np.empty(count), np.empty(count)
    factor, added = contiguous(scale), contiguous(scale[:0] if bias is None else bias)
    run = _NORMALISE[x.dtype]

    def part(first: int, last: int) -> None:
        scratch = buffers.empty(TOGETHER * (length + 1), np.float64)
        run(
            *(flat, length, (first, last), epsilon, factor, added, scratch),
            *(means, inverses, out),
        )

    _over(count, length, part)
    return out.reshape(x.shape), means, inverses
