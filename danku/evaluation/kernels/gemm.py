"""Matrix multiplication of the profile exact/1.

Element (i, j) is a function of row i of the left and column j of the right operand alone: k is cut
into blocks of 256; within a block ``sum = fma(a[i, k], b[k, j], sum)`` from +0, k ascending; the
blocks' sums are added to +0 in order. Every step is rounded once, in the operands' type. How rows,
columns and matrices are tiled, packed and shared among threads is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import buffers, tile
from danku.evaluation.kernels.arrays import FLOATS, INTEGERS, Array, contiguous, native
from danku.evaluation.kernels.blocks import (
    BLOCK,
    CHUNK,
    ROWS,
    STRIP_BYTES,
    VECTOR_BYTES,
    VECTORS,
    add_products,
    pack_columns,
    pack_rows,
    panel_lines,
    panel_width,
    rounded_up,
    strip_width,
)
from danku.evaluation.kernels.compiler import (
    BOOLEAN,
    FLOAT32,
    FLOAT64,
    INDEX,
    INT64,
    UINT64,
    device,
    kernel,
    several,
    source,
    target,
)
from danku.evaluation.kernels.epilogue import ADD_TENSOR, Epilogue, apply_each, epilogue
from danku.evaluation.kernels.threads import share, thread_count, worth_sharing

Index = NDArray[np.int64]
Part = tuple[int, int, int, int, int, int]


@device
def _follow(
    sums: Array, codes: Array, values: Array, column: int, other: Array, place: int
) -> None:
    """The epilogue of one row's columns, from number ``column`` on."""
    for n in range(codes.size):
        if codes[n] == ADD_TENSOR:
            added = tile.window(other, place, sums.size)
            for j in range(sums.size):
                sums[j] = sums[j] + added[j]
        else:
            constants = tile.window(values, n * values.shape[1] + column, sums.size)
            apply_each(codes[n], constants, sums)


def _multiply(
    a: Array,
    b: Array,
    panels: Array,
    packed: bool,
    lines: Index,
    pairs: Index,
    part: Part,
    scratch: Array,
    other: Array,
    codes: Array,
    values: Array,
    line: int,
    out: Array,
) -> None:
    """out[t] = the epilogue of a[pairs[t, 0]] @ b[pairs[t, 1]], for a part of t, rows and columns.

    If ``packed``, ``panels`` hold the right operand; else they are scratch for a block of a strip.
    ``other`` and ``out`` are [t, rows, line], flat.
    """
    rows_of_all, depth = a.shape[1], a.shape[2]
    strip, panel = STRIP_BYTES // out.itemsize, VECTORS * VECTOR_BYTES // out.itemsize
    first_pair, last_pair, first_row, last_row, first_column, last_column = part
    for t in range(first_pair, last_pair):
        left, right = a[pairs[t, 0]], b[pairs[t, 1]]
        for i in range(first_row, last_row, CHUNK):
            rows = min(CHUNK, last_row - i)
            pack_rows(left, i, i + rows, scratch, 0)
            for j in range(first_column, last_column, strip):
                columns, place = min(strip, last_column - j), (t * rows_of_all + i) * line + j
                # NOTE: whole panels are summed up where they belong, others in scratch.
                direct = columns % panel == 0
                if direct:
                    sums, first, width = out, place, line
                else:
                    sums, first = scratch, rows * depth
                    width = (columns + panel - 1) // panel * panel
                for k in range(0, depth, BLOCK):
                    stop = min(k + BLOCK, depth)
                    if packed:
                        start, stride = j * depth + k * panel, panel * depth
                    else:
                        start, stride = 0, panel * BLOCK
                        pack_columns(right, (k, stop), (j, j + columns), panels, stride)
                    block = (stop - k, k == 0)
                    add_products(
                        scratch,
                        k * rows,
                        panels,
                        start,
                        stride,
                        lines,
                        block,
                        rows,
                        columns,
                        sums,
                        first,
                        width,
                    )
                for m in range(rows):
                    totals = tile.window(sums, first + m * width, columns)
                    if depth == 0:
                        totals[:] = 0
                    _follow(totals, codes, values, j, other, place + m * line)
                    if not direct:
                        result = tile.window(out, place + m * line, columns)
                        for n in range(columns):
                            result[n] = totals[n]


def _multiply_integers(a: Array, b: Array, pairs: Index, out: Array) -> None:
    """out[t] += a[pairs[t, 0]] @ b[pairs[t, 1]] modulo 2^64."""
    rows, depth, columns = a.shape[1], a.shape[2], b.shape[2]
    for t in range(pairs.shape[0]):
        for i in range(rows):
            sums = tile.window(out, (t * rows + i) * columns, columns)
            for k in range(depth):
                x = a[pairs[t, 0], i, k]
                line = tile.window(b, (pairs[t, 1] * depth + k) * columns, columns)
                for j in range(columns):
                    sums[j] += x * line[j]


def _pack_matrix(b: Array, panels: Array) -> None:
    """All of ``b`` as panels [depth, panel width], one after another."""
    depth, columns = b.shape
    stride = VECTORS * VECTOR_BYTES // b.itemsize * depth
    pack_columns(b, (0, depth), (0, columns), panels, stride)


def _types(scalar: Any) -> tuple[Any, ...]:
    stack, line, flat = source(scalar, 3), target(scalar, 1), source(scalar, 1)
    return (
        *(stack, stack, line, BOOLEAN, source(INT64, 1), source(INT64, 2), several(INDEX, 6)),
        *(line, flat, source(INT64, 1), source(scalar, 2), INDEX, line),
    )


_SCALARS = {np.dtype(np.float32): FLOAT32, np.dtype(np.float64): FLOAT64}
_MULTIPLY = {
    dtype: kernel(*_types(scalar), variant=f"_{dtype}")(_multiply)
    for dtype, scalar in _SCALARS.items()
}
_PACK = {
    dtype: kernel(source(scalar, 2), target(scalar, 1), variant=f"_{dtype}")(_pack_matrix)
    for dtype, scalar in _SCALARS.items()
}
_INTEGERS = kernel(source(UINT64, 3), source(UINT64, 3), source(INT64, 2), target(UINT64, 3))(
    _multiply_integers
)
TYPES = frozenset(_SCALARS)
"""That products are computed in."""

_NO_MATRIX = {dtype: np.empty((1, 0, 0), dtype) for dtype in TYPES}
_NOTHING = {dtype: epilogue([], 0, dtype) for dtype in TYPES}


@dataclass(frozen=True)
class PackedB:
    """A right operand [depth, columns] in the order in which products read it."""

    depth: int
    columns: int
    panels: Array


def pack(b: Array) -> PackedB:
    """Prepare a constant [depth, columns] of float32 or float64 for many products."""
    b = contiguous(b)
    depth, columns = b.shape
    panels = np.empty(depth * rounded_up(columns, panel_width(b.dtype)), b.dtype)
    _PACK[b.dtype](b, panels)
    return PackedB(depth, columns, panels)


def _pairs(left: tuple[int, ...], right: tuple[int, ...]) -> Index:
    """For each matrix of a product of stacks, which matrices of the two stacks it is made of."""
    leading = np.broadcast_shapes(left, right)
    numbered = [
        np.broadcast_to(np.arange(prod(each), dtype=np.int64).reshape(each), leading).reshape(-1)
        for each in (left, right)
    ]
    return np.stack(numbered, axis=1)


class Product:
    """A product of float32 or float64 operands of given shapes, and what follows it.

    Args:
        left: [..., rows, depth].
        right: [..., depth, columns], or one matrix packed.
        steps: done to each element; constants are those of columns.
    """

    def __init__(
        self,
        left: tuple[int, ...],
        right: tuple[int, ...] | PackedB,
        dtype: np.dtype[Any],
        steps: Epilogue | None = None,
    ) -> None:
        self._dtype = dtype
        self._steps = steps or _NOTHING[dtype]
        self._packed = right if isinstance(right, PackedB) else None
        shape = right if isinstance(right, tuple) else (right.depth, right.columns)
        leading = np.broadcast_shapes(left[:-2], shape[:-2])
        self.shape = (*leading, left[-2], shape[-1])
        """Of the result."""
        stack = left[:-2]
        if len(shape) == 2:
            left, stack = (prod(left[:-1]), left[-1]), ()
        self._left = (prod(stack), *left[-2:])
        self._right = (prod(shape[:-2]), *shape[-2:])
        self._pairs = _pairs(stack, shape[:-2])
        self._flat = (len(self._pairs), left[-2], shape[-1])
        self._work = prod(self._flat) * self._left[2]
        width = panel_width(dtype)
        self._at_once = min(rounded_up(shape[-1], width), strip_width(dtype))
        self._lines, self._run = panel_lines(width), _MULTIPLY[dtype]

    def run(self, a: Array, b: Array | None, other: Array | None = None) -> Array:
        """The result.

        Args:
            b: None if it is packed.
            other: what `Code.ADD_TENSOR` adds; of the shape of the result.
        """
        out = buffers.empty(self.shape, self._dtype)
        if out.size == 0:
            return out
        addend = out if other is None else other
        operands = self._operands(a, b, addend, out)
        count, rows, columns = self._flat
        if not worth_sharing(self._work):
            self._compute(operands, (0, count, 0, rows, 0, columns))
            return out

        def compute(*part: int) -> None:
            self._compute(operands, part)

        # NOTE: threads share the longest side, so that what each packs for itself is short.
        if count >= thread_count():
            share(lambda first, last: compute(first, last, 0, rows, 0, columns), count, self._work)
        elif rows >= columns:
            share(
                lambda first, last: compute(
                    0, count, first * ROWS, min(last * ROWS, rows), 0, columns
                ),
                rounded_up(rows, ROWS) // ROWS,
                self._work,
            )
        else:
            width = panel_width(self._dtype)
            share(
                lambda first, last: compute(
                    0, count, 0, rows, first * width, min(last * width, columns)
                ),
                rounded_up(columns, width) // width,
                self._work,
            )
        return out

    def _operands(self, a: Array, b: Array | None, other: Array, out: Array) -> tuple[Array, ...]:
        """As the kernel takes them: left, right, what is added, and the result."""
        return (
            contiguous(a).reshape(self._left),
            _NO_MATRIX[self._dtype] if b is None else contiguous(b).reshape(self._right),
            contiguous(other).reshape(-1),
            out.reshape(-1),
        )

    def _compute(self, operands: tuple[Array, ...], part: Sequence[int]) -> None:
        """What a thread does: some matrices, rows and columns."""
        left, right, other, out = operands
        dtype, packed, depth = self._dtype, self._packed, self._left[2]
        rows = min(CHUNK, part[3] - part[2])
        scratch = buffers.empty(rows * (depth + self._at_once), dtype)
        panels = buffers.empty(BLOCK * self._at_once, dtype) if packed is None else packed.panels
        self._run(
            *(left, right, panels, packed is not None, self._lines, self._pairs, part, scratch),
            *(other, self._steps.codes, self._steps.values, self._flat[2], out),
        )


def matmul_packed(a: Array, b: PackedB) -> Array:
    """``matmul`` of [..., depth] with a packed matrix of the same type."""
    left = a[np.newaxis, :] if a.ndim == 1 else a
    return Product(left.shape, b, a.dtype).run(left, None).reshape(*a.shape[:-1], b.columns)


def _multiply_whole(a: Array, b: Array) -> Array:
    """Stacks of matrices of uint64."""
    left, right = (contiguous(x).reshape(prod(x.shape[:-2]), *x.shape[-2:]) for x in (a, b))
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = np.zeros((prod(leading), a.shape[-2], b.shape[-1]), np.uint64)
    _INTEGERS(left, right, _pairs(a.shape[:-2], b.shape[:-2]), out)
    return out.reshape(*leading, *out.shape[1:])


def matmul(a: Array, b: Array) -> Array:
    """The matrix product with the shapes of ``numpy.matmul``, one-dimensional operands included.

    float32 and float64 in their own type, float16 in float32 and then rounded, integers modulo
    2^bits of their type.

    Raises:
        TypeError: the operands differ in type, or are not numbers.
        ValueError: the shapes do not fit.
    """
    a, b = native(a), native(b)
    if a.dtype != b.dtype or a.dtype not in FLOATS | INTEGERS:
        raise TypeError(f"matmul of {a.dtype} and {b.dtype}: it takes one type of number")
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        raise ValueError(f"matmul of shapes {a.shape} and {b.shape}: the inner lengths differ")
    dtype = a.dtype
    if dtype not in TYPES:
        inner = np.float32 if dtype in FLOATS else np.uint64
        a, b = a.astype(inner), b.astype(inner)
    missing = tuple(axis for axis, operand in ((-2, a), (-1, b)) if operand.ndim == 1)
    left = a[np.newaxis, :] if a.ndim == 1 else a
    right = b[:, np.newaxis] if b.ndim == 1 else b
    if a.dtype in TYPES:
        product = Product(left.shape, right.shape, a.dtype).run(left, right)
    else:
        product = _multiply_whole(left, right)
    with np.errstate(all="ignore"):
        return product.astype(dtype, copy=False).squeeze(axis=missing)
