"""The innermost loop of integer products: numbers of 16 bits in pairs, sums of 32 bits.

A pair is two neighbours along k. The loop is LLVM IR that says "multiply, widen, add neighbours",
for which processors have an instruction; it saturates nowhere, since no number is above 255. Sums
wrap modulo 2^32, so neither their order nor the tile matters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from danku.evaluation.kernels import tile
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.blocks import BLOCK, FEW
from danku.evaluation.kernels.compiler import device
from danku.evaluation.kernels.intrinsics import intrinsic

ROWS, VECTORS = tile.ROWS, tile.VECTORS
LANES = tile.VECTOR_BYTES // 4
PANEL = VECTORS * LANES
"""Columns of a panel of the right operand."""
STRIP = 256
"""Columns that are summed up together; whole panels."""
CHUNK = 256 // ROWS * ROWS
"""Rows that go through a strip together."""
HALF = VECTORS // 2

PANEL_LINES = np.arange(BLOCK, dtype=np.int64) * PANEL
"""Where the pairs of a panel start."""

_INDEX, _NUMBER, _SUM = (ir.IntType(width) for width in (64, 16, 32))
_SUMS = ir.VectorType(_SUM, LANES)
_PRODUCTS = ir.VectorType(_SUM, 2 * LANES)
_NUMBERS = ir.VectorType(_NUMBER, 2 * LANES)


def _mask(lanes: list[int]) -> Any:
    return ir.Constant(ir.VectorType(_SUM, len(lanes)), lanes)


def _dot(builder: Any, left: Any, right: Any) -> Any:
    """The products of 16-bit lanes, each added to its neighbour's."""
    wide = [builder.sext(builder.bitcast(each, _NUMBERS), _PRODUCTS) for each in (left, right)]
    products = builder.mul(*wide)
    undefined = ir.Constant(_PRODUCTS, ir.Undefined)
    halves = [
        builder.shuffle_vector(products, undefined, _mask(list(range(first, 2 * LANES, 2))))
        for first in (0, 1)
    ]
    return builder.add(*halves)


def _spread(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(_SUMS, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_SUM, 0))
    return builder.shuffle_vector(first, undefined, _mask([0] * LANES))


def _vector(builder: Any, pointer: Any, offset: int) -> Any:
    place = builder.gep(pointer, [ir.Constant(_INDEX, offset)])
    return builder.bitcast(place, _SUMS.as_pointer())


def _multiply(
    context: Any,
    height: Any,
    panels: Any,
    vectors: Any,
    depth: Any,
    a: Any,
    length: Any,
    b: Any,
    apart: Any,
    offsets: Any,
    sums: Any,
    stride: Any,
    fresh: Any,
) -> Any:
    """sums[i, j] = (0 if fresh else sums[i, j]) + the products of ``depth`` pairs, at least one.

    ``a`` is ``height`` rows of 16-bit numbers, ``length`` of them from one to the next. Columns
    are ``vectors`` full vectors in each of ``panels``; pair k of panel p of ``b`` starts at its
    element p * apart + offsets[k], and row i of ``sums`` at element i * stride.
    """
    rows, groups, each = height.literal_value, panels.literal_value, vectors.literal_value
    across = groups * each

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, _, depth, a, length, b, apart, offsets, sums, stride, fresh = arguments

        def times(value: Any, count: int) -> Any:
            return builder.mul(value, ir.Constant(_INDEX, count))

        lines = [
            builder.bitcast(builder.gep(a, [times(length, m)]), _SUM.as_pointer())
            for m in range(rows)
        ]
        before = builder.block
        body, done = (builder.function.append_basic_block(name) for name in ("body", "done"))
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(_INDEX)
        k.add_incoming(ir.Constant(_INDEX, 0), before)
        chains = [builder.phi(_SUMS) for _ in range(rows * across)]
        start = builder.load(builder.gep(offsets, [k]))
        right = []
        for p in range(groups):
            line = builder.gep(b, [builder.add(start, times(apart, p))])
            right += [builder.load(_vector(builder, line, n * LANES), align=4) for n in range(each)]
        following = []
        for m in range(rows):
            left = _spread(builder, builder.load(builder.gep(lines[m], [k]), align=2))
            for n in range(across):
                product = _dot(builder, left, right[n])
                following.append(builder.add(chains[m * across + n], product))
        advanced = builder.add(k, ir.Constant(_INDEX, 1))
        k.add_incoming(advanced, body)
        for chain, later in zip(chains, following, strict=True):
            chain.add_incoming(ir.Constant(_SUMS, [0] * LANES), before)
            chain.add_incoming(later, body)
        builder.cbranch(builder.icmp_signed("<", advanced, depth), body, done)
        builder.position_at_end(done)
        results = [builder.gep(sums, [times(stride, m)]) for m in range(rows)]
        places = [_vector(builder, line, n * LANES) for line in results for n in range(across)]
        with builder.if_else(fresh) as (first, later):
            with first:
                for chain, place in zip(following, places, strict=True):
                    builder.store(chain, place, align=4)
            with later:
                for chain, place in zip(following, places, strict=True):
                    total = builder.add(builder.load(place, align=4), chain)
                    builder.store(total, place, align=4)
        return context.get_dummy_value()

    lengths = (height, panels, vectors, types.intp)
    operands = (a, types.intp, b, types.intp, offsets, sums, types.intp, fresh)
    return types.void(*lengths, *operands), generate


_literal: Any = intrinsic(prefer_literal=True)
multiply: Callable[..., None] = _literal(_multiply)


@device
def add_products(
    a: Array,
    a_first: int,
    length: int,
    b: Array,
    b_first: int,
    apart: int,
    offsets: Array,
    block: tuple[int, bool],
    rows: int,
    columns: int,
    sums: Array,
    width: int,
) -> None:
    """sums[i, j] += the products of some pairs; in the first block, = those products.

    Args:
        a: rows of 16-bit numbers from element ``a_first`` on, ``length`` from one to the next.
        b: pair k of panel p starts at element b_first + p * apart + offsets[k].
        block: how many pairs, at least one, and whether they are the first.
        sums: [rows, width], with room for whole panels.
    """
    count, fresh = block
    steps = tile.pointer(offsets, 0)
    whole, rest = rows - rows % ROWS, rows % ROWS
    tiles, panels = whole // ROWS, (columns + PANEL - 1) // PANEL
    # NOTE: a panel serves all rows while it is in the nearest cache; few panels stay there anyway,
    # and then each tile of rows is best read once.
    few = panels <= FEW
    for number in range(tiles * panels):
        i, p = (number // panels, number % panels) if few else (number % tiles, number // tiles)
        left = tile.pointer(a, a_first + i * ROWS * length)
        right = tile.pointer(b, b_first + p * apart)
        out = tile.pointer(sums, i * ROWS * width + p * PANEL)
        if columns - p * PANEL <= HALF * LANES:
            multiply(ROWS, 1, HALF, count, left, length, right, 0, steps, out, width, fresh)
        else:
            multiply(ROWS, 1, VECTORS, count, left, length, right, 0, steps, out, width, fresh)
    # NOTE: with few rows, several panels at once keep the arithmetic units busy.
    if rest & 4:
        left = tile.pointer(a, a_first + whole * length)
        for p in range(panels):
            right = tile.pointer(b, b_first + p * apart)
            out = tile.pointer(sums, whole * width + p * PANEL)
            multiply(4, 1, VECTORS, count, left, length, right, 0, steps, out, width, fresh)
    for i in range(whole + (rest & 4), rows):
        left = tile.pointer(a, a_first + i * length)
        grouped = panels - panels % 4
        for p in range(0, grouped, 4):
            right = tile.pointer(b, b_first + p * apart)
            out = tile.pointer(sums, i * width + p * PANEL)
            multiply(1, 4, VECTORS, count, left, length, right, apart, steps, out, width, fresh)
        for p in range(grouped, panels):
            right = tile.pointer(b, b_first + p * apart)
            out = tile.pointer(sums, i * width + p * PANEL)
            multiply(1, 1, VECTORS, count, left, length, right, 0, steps, out, width, fresh)


@device
def widened(x: Array, flip: int, zero: int, out: Array) -> None:
    """out = x - zero in 16 bits, where x are bytes and ``flip`` is 128 for signed ones, else 0."""
    for i in range(x.size):
        out[i] = np.int16(x[i] ^ np.uint8(flip)) - np.int16(zero)


@device
def interleaved(low: Array, high: Array, flip: int, zeros: Array, out: Array) -> None:
    """The pairs of two lines of bytes; ``zeros`` has one for each column, or ends with one."""
    for j in range(out.size):
        first = np.int32(low[j] ^ np.uint8(flip)) - np.int32(zeros[j])
        second = np.int32(high[j] ^ np.uint8(flip)) - np.int32(zeros[j])
        out[j] = (first & np.int32(0xFFFF)) | (second << np.int32(16))
