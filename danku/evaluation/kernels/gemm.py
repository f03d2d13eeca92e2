"""Matrix multiplication of the profile exact/1.

Element (i, j) is a function of row i of the left and column j of the right operand alone: k is cut
into blocks of 256; within a block ``sum = fma(a[i, k], b[k, j], sum)`` from +0, k ascending; the
blocks' sums are added to +0 in order. Every step is rounded once, in the operands' type. How rows,
columns and matrices are tiled is free, so that a faster kernel may replace this one bit for bit.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels.arrays import FLOATS, INTEGERS, Array, contiguous, native
from danku.evaluation.kernels.compiler import (
    FLOAT32,
    FLOAT64,
    INDEX,
    UINT64,
    device,
    kernel,
    source,
    target,
)
from danku.evaluation.kernels.intrinsics import fma

Index = NDArray[np.intp]
Four = tuple[float, float, float, float]
Part = tuple[int, int, int, int]

BLOCK = 256
TILE = 256


@device
def _four_steps(a: Four, b: Four, total: float) -> float:
    return fma(a[3], b[3], fma(a[2], b[2], fma(a[1], b[1], fma(a[0], b[0], total))))


@device
def _add_row(row: Array, b: Array, part: Part, sums: Array, out: Array) -> None:
    """out[columns] += row[depth] @ b[depth, columns], for the part (depth, columns) of b."""
    start, stop, first, last = part
    whole = stop - (stop - start) % 4
    for j in range(last - first):
        sums[j] = 0
    for k in range(start, whole, 4):
        x = (row[k], row[k + 1], row[k + 2], row[k + 3])
        y_0, y_1 = b[k, first:last], b[k + 1, first:last]
        y_2, y_3 = b[k + 2, first:last], b[k + 3, first:last]
        for j in range(last - first):
            sums[j] = _four_steps(x, (y_0[j], y_1[j], y_2[j], y_3[j]), sums[j])
    for k in range(whole, stop):
        y_0 = b[k, first:last]
        for j in range(last - first):
            sums[j] = fma(row[k], y_0[j], sums[j])
    total = out[first:last]
    for j in range(last - first):
        total[j] += sums[j]


@device
def _add_four_rows(a: Array, b: Array, i: int, part: Part, sums: Array, out: Array) -> None:
    """``_add_row`` for the rows i to i + 3 at once: each element of b is loaded once."""
    start, stop, first, last = part
    whole = stop - (stop - start) % 4
    row_0, row_1, row_2, row_3 = a[i], a[i + 1], a[i + 2], a[i + 3]
    sums_0, sums_1, sums_2, sums_3 = sums[0], sums[1], sums[2], sums[3]
    for r in range(4):
        for j in range(last - first):
            sums[r, j] = 0
    for k in range(start, whole, 4):
        x_0 = (row_0[k], row_0[k + 1], row_0[k + 2], row_0[k + 3])
        x_1 = (row_1[k], row_1[k + 1], row_1[k + 2], row_1[k + 3])
        x_2 = (row_2[k], row_2[k + 1], row_2[k + 2], row_2[k + 3])
        x_3 = (row_3[k], row_3[k + 1], row_3[k + 2], row_3[k + 3])
        y_0, y_1 = b[k, first:last], b[k + 1, first:last]
        y_2, y_3 = b[k + 2, first:last], b[k + 3, first:last]
        for j in range(last - first):
            y = (y_0[j], y_1[j], y_2[j], y_3[j])
            sums_0[j] = _four_steps(x_0, y, sums_0[j])
            sums_1[j] = _four_steps(x_1, y, sums_1[j])
            sums_2[j] = _four_steps(x_2, y, sums_2[j])
            sums_3[j] = _four_steps(x_3, y, sums_3[j])
    for r in range(4):
        partial, total = sums[r], out[i + r, first:last]
        for k in range(whole, stop):
            x, y_0 = a[i + r, k], b[k, first:last]
            for j in range(last - first):
                partial[j] = fma(x, y_0[j], partial[j])
        for j in range(last - first):
            total[j] += partial[j]


def _multiply(a: Array, b: Array, left: Index, right: Index, sums: Array, out: Array) -> None:
    """out[t] += a[left[t]] @ b[right[t]]; ``sums`` is scratch, out starts as zeros."""
    rows, depth, columns = a.shape[1], a.shape[2], b.shape[2]
    grouped = rows - rows % 4
    for t in range(left.size):
        for start in range(0, depth, BLOCK):
            stop = min(start + BLOCK, depth)
            for first in range(0, columns, TILE):
                part = (start, stop, first, min(first + TILE, columns))
                for i in range(0, grouped, 4):
                    _add_four_rows(a[left[t]], b[right[t]], i, part, sums, out[t])
            for i in range(grouped, rows):
                part = (start, stop, 0, columns)
                _add_row(a[left[t], i], b[right[t]], part, sums[0], out[t, i])


def _types(scalar: Any) -> tuple[Any, ...]:
    stack, index = source(scalar, 3), source(INDEX, 1)
    return stack, stack, index, index, target(scalar, 2), target(scalar, 3)


_MULTIPLY = {
    np.dtype(name): kernel(*_types(scalar), variant=f"_{name}")(_multiply)
    for name, scalar in (("float32", FLOAT32), ("float64", FLOAT64), ("uint64", UINT64))
}


def _stack(operand: Array) -> Array:
    """The operand as one contiguous (matrices, rows, columns)."""
    return contiguous(operand).reshape(prod(operand.shape[:-2]), *operand.shape[-2:])


def _numbered(leading: tuple[int, ...], wanted: tuple[int, ...]) -> Index:
    """For each matrix of the result, which matrix of a stack it is made of."""
    numbers = np.arange(prod(leading), dtype=np.intp).reshape(leading)
    return np.ascontiguousarray(np.broadcast_to(numbers, wanted)).reshape(-1)


def _multiply_stacks(a: Array, b: Array) -> Array:
    """``matmul`` for operands of two or more dimensions, of a type that has a kernel."""
    if b.ndim == 2 and a.ndim > 2:
        rows = a.shape[:-1]
        return _multiply_stacks(a.reshape(prod(rows), a.shape[-1]), b).reshape(*rows, b.shape[1])
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    pairs = _numbered(a.shape[:-2], leading), _numbered(b.shape[:-2], leading)
    rows_and_columns = a.shape[-2], b.shape[-1]
    out = np.zeros((prod(leading), *rows_and_columns), a.dtype)
    sums = np.empty((4, max(TILE, b.shape[-1])), a.dtype)
    _MULTIPLY[a.dtype](_stack(a), _stack(b), *pairs, sums, out)
    return out.reshape(*leading, *rows_and_columns)


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
    if dtype not in _MULTIPLY:
        inner = np.float32 if dtype in FLOATS else np.uint64
        a, b = a.astype(inner), b.astype(inner)
    missing = tuple(axis for axis, operand in ((-2, a), (-1, b)) if operand.ndim == 1)
    left = a[np.newaxis, :] if a.ndim == 1 else a
    right = b[:, np.newaxis] if b.ndim == 1 else b
    product = _multiply_stacks(left, right)
    with np.errstate(all="ignore"):
        return product.astype(dtype, copy=False).squeeze(axis=missing)
