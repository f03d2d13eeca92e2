"""Operands of products in the order in which they are read, and a block of a product's sums.

Rows of the left operand are packed in tiles [k][row], columns of the right one in panels
[k][column]. A result is computed strip by strip, a strip block of k by block of k.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import tile
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.compiler import device

BLOCK = 256
"""Of k: a chain of this length starts from +0, and its sum is added to the others' before it."""

ROWS, VECTORS, VECTOR_BYTES = tile.ROWS, tile.VECTORS, tile.VECTOR_BYTES
CHUNK = 256 // ROWS * ROWS
"""Rows that go through all columns together."""
STRIP_BYTES = 1024
"""Of the columns of a row that are summed up together."""
FEW = 2
"""Panels that stay in the nearest cache together."""

_HALF = VECTORS // 2


def panel_width(dtype: np.dtype[Any]) -> int:
    """Columns in a panel."""
    return VECTORS * VECTOR_BYTES // dtype.itemsize


def strip_width(dtype: np.dtype[Any]) -> int:
    """Columns in a strip, which is whole panels."""
    return STRIP_BYTES // dtype.itemsize


@lru_cache
def panel_lines(width: int) -> NDArray[np.int64]:
    """Where the rows of a panel of ``BLOCK`` start."""
    return np.arange(BLOCK, dtype=np.int64) * width


def rounded_up(value: int, step: int) -> int:
    """The least multiple of ``step`` that is not below ``value``."""
    return -(-value // step) * step


@device
def _pack_tile(
    a: Array, i: int, height: int, columns: tuple[int, int], packed: Array, place: int
) -> None:
    """Some columns of the rows i to i + height - 1 of ``a`` as [column, height]."""
    depth = a.shape[1]
    for m in range(height):
        for k in range(columns[0], columns[1]):
            value = tile.get(a, (i + m) * depth + k)
            tile.put(packed, place + (k - columns[0]) * height + m, value)


@device
def pack_rows(a: Array, start: int, stop: int, packed: Array, first: int) -> None:
    """Some rows of ``a``, from element ``first`` of ``packed`` on.

    For each block of k there are tiles [k, height]: full ones, and for the rows that are left
    tiles of 4, 2 and 1, each at most once.
    """
    depth = a.shape[1]
    whole = stop - (stop - start) % ROWS
    for k in range(0, depth, BLOCK):
        end = min(k + BLOCK, depth)
        squares = end - (end - k) % tile.SQUARE
        place = first + k * (stop - start)
        for i in range(start, whole, ROWS):
            for column in range(k, squares, tile.SQUARE):
                square = tile.pointer(a, i * depth + column)
                there = tile.pointer(packed, place + (column - k) * ROWS)
                tile.transpose(ROWS, square, depth, there)
            _pack_tile(a, i, ROWS, (squares, end), packed, place + (squares - k) * ROWS)
            place += (end - k) * ROWS
        i = whole
        for height in (4, 2, 1):
            if (stop - whole) & height:
                _pack_tile(a, i, height, (k, end), packed, place)
                place += (end - k) * height
                i += height


@device
def pack_columns(
    b: Array, lines: tuple[int, int], columns: tuple[int, int], panels: Array, stride: int
) -> None:
    """A part of ``b`` as panels ``stride`` elements apart, with zeros beyond the last column."""
    width = VECTORS * VECTOR_BYTES // b.itemsize
    start, stop = columns
    whole = stop - (stop - start) % width
    for k in range(lines[0], lines[1]):
        place, line = (k - lines[0]) * width, k * b.shape[1]
        for j in range(start, whole, width):
            tile.copy_panel(tile.pointer(b, line + j), tile.pointer(panels, place))
            place += stride
        if whole < stop:
            panel, part = tile.window(panels, place, width), tile.window(b, line + whole, width)
            for n in range(stop - whole):
                panel[n] = part[n]
            for n in range(stop - whole, width):
                panel[n] = 0


@device
def add_products(
    a: Array,
    a_first: int,
    b: Array,
    b_first: int,
    stride: int,
    offsets: Array,
    block: tuple[int, bool],
    rows: int,
    columns: int,
    sums: Array,
    first: int,
    width: int,
) -> None:
    """sums[i, j] += the chain over one block of k; in the first block, = +0 + that chain.

    Args:
        a: the rows' tiles for this block, from element ``a_first`` on.
        b: row k of panel p starts at element b_first + p * stride + offsets[k].
        block: how long it is, and whether it is the first.
        sums: [rows, width] from element ``first`` on, with room for whole panels.
    """
    count, fresh = block
    lanes = VECTOR_BYTES // sums.itemsize
    panel = VECTORS * lanes
    steps = tile.pointer(offsets, 0)
    whole, rest = rows - rows % ROWS, rows % ROWS
    tiles, panels = whole // ROWS, (columns + panel - 1) // panel
    # NOTE: a panel serves all rows while it is in the nearest cache; few panels stay there anyway,
    # and then each tile of rows is best read once.
    few = panels <= FEW
    for number in range(tiles * panels):
        i, p = (number // panels, number % panels) if few else (number % tiles, number // tiles)
        left = tile.pointer(a, a_first + i * ROWS * count)
        right = tile.pointer(b, b_first + p * stride)
        out = tile.pointer(sums, first + i * ROWS * width + p * panel)
        if columns - p * panel <= _HALF * lanes:
            tile.multiply(ROWS, 1, _HALF, count, left, right, 0, steps, out, width, fresh)
        else:
            tile.multiply(ROWS, 1, VECTORS, count, left, right, 0, steps, out, width, fresh)
    # NOTE: with few rows, several panels at once keep the arithmetic units busy.
    if rest & 4:
        left = tile.pointer(a, a_first + whole * count)
        for p in range(panels):
            right = tile.pointer(b, b_first + p * stride)
            out = tile.pointer(sums, first + whole * width + p * panel)
            tile.multiply(4, 1, VECTORS, count, left, right, 0, steps, out, width, fresh)
    if rest & 2:
        i = whole + (rest & 4)
        left = tile.pointer(a, a_first + i * count)
        for p in range(0, panels, 2):
            right = tile.pointer(b, b_first + p * stride)
            out = tile.pointer(sums, first + i * width + p * panel)
            if p + 2 <= panels:
                tile.multiply(2, 2, VECTORS, count, left, right, stride, steps, out, width, fresh)
            else:
                tile.multiply(2, 1, VECTORS, count, left, right, 0, steps, out, width, fresh)
    if rest & 1:
        i = rows - 1
        left = tile.pointer(a, a_first + i * count)
        grouped = panels - panels % 4
        for p in range(0, grouped, 4):
            right = tile.pointer(b, b_first + p * stride)
            out = tile.pointer(sums, first + i * width + p * panel)
            tile.multiply(1, 4, VECTORS, count, left, right, stride, steps, out, width, fresh)
        for p in range(grouped, panels):
            right = tile.pointer(b, b_first + p * stride)
            out = tile.pointer(sums, first + i * width + p * panel)
            tile.multiply(1, 1, VECTORS, count, left, right, 0, steps, out, width, fresh)
