"""Matrix products of bytes: exact, in 32 bits that wrap.

Zero points are subtracted while operands are packed, so a number is from -255 to 255.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import buffers, pairs, tile
from danku.evaluation.kernels.arrays import Array, contiguous
from danku.evaluation.kernels.blocks import BLOCK, rounded_up
from danku.evaluation.kernels.compiler import (
    BOOLEAN,
    BYTE,
    INDEX,
    INT16,
    INT32,
    INT64,
    device,
    kernel,
    several,
    source,
    target,
)
from danku.evaluation.kernels.pairs import CHUNK, PANEL, PANEL_LINES, ROWS, STRIP
from danku.evaluation.kernels.threads import share, thread_count

Part = tuple[int, int, int, int, int, int]


def as_bytes(x: Array) -> tuple[Array, int]:
    """The bytes of int8 or uint8, and the bit to flip that makes int8 uint8, moved by as much."""
    return contiguous(x).view(np.uint8), 128 if x.dtype == np.int8 else 0


def as_zeros(zero_point: Array, flip: int, shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Zero points of such bytes, broadcast to ``shape``."""
    moved = zero_point.astype(np.int16) + np.int16(flip)
    if moved.size == 1:
        return np.full(shape, moved.reshape(()))
    return np.ascontiguousarray(np.broadcast_to(moved, shape))


@device
def _pack_panels(
    b: Array,
    first: int,
    flip: int,
    zeros: Array,
    depth: int,
    columns: int,
    lines: tuple[int, int],
    part: tuple[int, int],
    panels: Array,
    start: int,
    apart: int,
) -> None:
    """Some pairs of lines of a matrix [depth, columns] as panels, with zeros beyond its columns."""
    for k in range(lines[0], lines[1]):
        place = start + (k - lines[0]) * PANEL
        low = first + 2 * k * columns
        # NOTE: the second line of a pair that has none is the first, and then cut off.
        alone = 2 * k + 1 == depth
        high = low if alone else low + columns
        for j in range(part[0], part[1], PANEL):
            count = min(PANEL, part[1] - j)
            out = tile.window(panels, place, count)
            pairs.interleaved(
                tile.window(b, low + j, count),
                tile.window(b, high + j, count),
                flip,
                tile.window(zeros, j, count),
                out,
            )
            if alone:
                for n in range(count):
                    out[n] = out[n] & np.int32(0xFFFF)
            for n in range(count, PANEL):
                tile.put(panels, place + n, 0)
            place += apart


def _multiply(
    a: Array,
    b: Array,
    flips: tuple[int, int],
    a_zeros: Array,
    b_zeros: Array,
    panels: Array,
    packed: bool,
    lines: Array,
    numbers: Array,
    part: Part,
    left: Array,
    scratch: Array,
    out: Array,
) -> None:
    """out[t] = (a[numbers[t, 0]] - zeros) @ (b[numbers[t, 1]] - zeros), for a part of it.

    If ``packed``, ``panels`` hold the right operand; else they are scratch for a block of a strip.
    """
    rows_of_all, depth, columns_of_all = a.shape[1], a.shape[2], out.shape[2]
    first_pair, last_pair, first_row, last_row, first_column, last_column = part
    count = (depth + 1) // 2
    for t in range(first_pair, last_pair):
        x, y = numbers[t, 0] * rows_of_all, numbers[t, 1]
        zeros = tile.window(b_zeros, y * b.shape[2], b.shape[2])
        for i in range(first_row, last_row, CHUNK):
            rows = min(CHUNK, last_row - i)
            for m in range(rows):
                row = x + i + m
                line = tile.window(left, m * 2 * count, depth)
                pairs.widened(tile.window(a, row * depth, depth), flips[0], a_zeros[row], line)
                if depth % 2 == 1:
                    left[m * 2 * count + depth] = 0
            for j in range(first_column, last_column, STRIP):
                columns = min(STRIP, last_column - j)
                width = (columns + PANEL - 1) // PANEL * PANEL
                for k in range(0, count, BLOCK):
                    stop = min(k + BLOCK, count)
                    if packed:
                        start, apart = j * count + k * PANEL, PANEL * count
                    else:
                        start, apart = 0, PANEL * BLOCK
                        _pack_panels(
                            b, y * depth * columns_of_all, flips[1], zeros, depth, columns_of_all,
                            (k, stop), (j, j + columns), panels, start, apart,
                        )  # fmt: skip
                    pairs.add_products(
                        left, 2 * k, 2 * count, panels, start, apart, lines, (stop - k, k == 0),
                        rows, columns, scratch, width,
                    )  # fmt: skip
                for m in range(rows):
                    place = (t * rows_of_all + i + m) * columns_of_all + j
                    result = tile.window(out, place, columns)
                    sums = tile.window(scratch, m * width, columns)
                    if count == 0:
                        for n in range(columns):
                            result[n] = 0
                    else:
                        for n in range(columns):
                            result[n] = sums[n]


def _pack(b: Array, flip: int, zeros: Array, panels: Array) -> None:
    """All of a matrix as panels, one after another."""
    depth, columns = b.shape
    count = (depth + 1) // 2
    everything = (0, count), (0, columns)
    _pack_panels(b, 0, flip, zeros, depth, columns, *everything, panels, 0, count * PANEL)


_MULTIPLY = kernel(
    *(source(BYTE, 3), source(BYTE, 3), several(INDEX, 2), source(INT16, 1), source(INT16, 1)),
    *(target(INT32, 1), BOOLEAN, source(INT64, 1), source(INT64, 2), several(INDEX, 6)),
    *(target(INT16, 1), target(INT32, 1), target(INT32, 3)),
    variant="_bytes",
)(_multiply)
_PACK = kernel(source(BYTE, 2), INDEX, source(INT16, 1), target(INT32, 1), variant="_bytes")(_pack)


@dataclass(frozen=True)
class PackedBytes:
    """A right operand [depth, columns], less its zero points, in the order it is read in."""

    depth: int
    columns: int
    panels: NDArray[np.int32]


def pack(b: Array, zero_point: Array) -> PackedBytes:
    """Prepare a constant [depth, columns] of int8 or uint8 for many products.

    Args:
        zero_point: of the same type; one, or one for each column.
    """
    depth, columns = b.shape
    data, flip = as_bytes(b)
    zeros = as_zeros(zero_point, flip, (1, columns)).reshape(-1)
    panels = np.empty((depth + 1) // 2 * rounded_up(columns, PANEL), np.int32)
    _PACK(data, flip, zeros, panels)
    return PackedBytes(depth, columns, panels)


def _numbers(left: tuple[int, ...], right: tuple[int, ...]) -> NDArray[np.int64]:
    """For each matrix of the result, which ones of the two stacks it is the product of."""
    leading = np.broadcast_shapes(left, right)
    numbered = [
        np.broadcast_to(np.arange(prod(each), dtype=np.int64).reshape(each), leading).reshape(-1)
        for each in (left, right)
    ]
    return np.stack(numbered, axis=1)


_NO_MATRIX = np.empty((1, 0, 0), np.uint8)
_NO_ZEROS = np.empty(0, np.int16)


def product(
    a: Array, a_zero: Array, b: Array | PackedBytes, b_zero: Array | None = None
) -> NDArray[np.int32]:
    """``(a - a_zero) @ (b - b_zero)`` modulo 2^32.

    Args:
        a: int8 or uint8 [..., rows, depth].
        a_zero: broadcast to [..., rows, 1].
        b: int8 or uint8 [..., depth, columns], or one matrix packed with its zero points.
        b_zero: broadcast to [..., 1, columns]; None if ``b`` is packed.
    """
    data, flip = as_bytes(a)
    rows, depth = a.shape[-2:]
    stack = a.shape[:-2]
    left_zeros = as_zeros(a_zero, flip, (*stack, rows, 1)).reshape(-1)
    if isinstance(b, PackedBytes):
        columns, other, panels = b.columns, (), b.panels
        right, other_flip, right_zeros = _NO_MATRIX, 0, _NO_ZEROS
    else:
        assert b_zero is not None
        columns, other = b.shape[-1], b.shape[:-2]
        right, other_flip = as_bytes(b)
        right_zeros = as_zeros(b_zero, other_flip, (*other, 1, columns)).reshape(-1)
        right, panels = right.reshape(prod(other), *b.shape[-2:]), None
    shape = (*np.broadcast_shapes(stack, other), rows, columns)
    if not other:
        stack, rows = (), prod((*stack, rows))
    numbers = _numbers(stack, other)
    out = buffers.empty((len(numbers), rows, columns), np.int32)
    if out.size == 0:
        return out.reshape(shape)
    operands = (
        data.reshape(prod(stack), rows, depth),
        right,
        (flip, other_flip),
        left_zeros,
        right_zeros,
    )
    at_once = min(STRIP, rounded_up(columns, PANEL))

    def compute(part: Part) -> None:
        held = min(CHUNK, part[3] - part[2])
        scratch = buffers.empty(BLOCK * at_once, np.int32) if panels is None else panels
        _MULTIPLY(
            *(*operands, scratch, panels is not None, PANEL_LINES, numbers, part),
            *(
                buffers.empty(held * (depth + depth % 2), np.int16),
                buffers.empty(held * at_once, np.int32),
            ),
            out,
        )

    _shared(compute, out.shape, out.size * depth)
    return out.reshape(shape)


def _shared(compute: Callable[[Part], None], shape: tuple[int, ...], work: int) -> None:
    """Threads share the longest side, so that what each packs for itself is short."""
    count, rows, columns = shape
    if count >= thread_count():
        share(lambda first, last: compute((first, last, 0, rows, 0, columns)), count, work)
    elif rows >= columns:
        units = rounded_up(rows, ROWS) // ROWS
        share(
            lambda first, last: compute(
                (0, count, first * ROWS, min(last * ROWS, rows), 0, columns)
            ),
            units,
            work,
        )
    else:
        units = rounded_up(columns, PANEL) // PANEL
        share(
            lambda first, last: compute(
                (0, count, 0, rows, first * PANEL, min(last * PANEL, columns))
            ),
            units,
            work,
        )
