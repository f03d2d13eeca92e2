"""The LSTM as most models have it, without peepholes or clipping: whole sequences in one kernel.

Each row of the batch goes its own way through time, so threads share rows and meet once. The steps
are those of `recurrence.memory_step`, rounded one by one.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import buffers, scalars, tile
from danku.evaluation.kernels.arrays import Array, contiguous
from danku.evaluation.kernels.blocks import (
    BLOCK,
    CHUNK,
    ROWS,
    STRIP_BYTES,
    VECTOR_BYTES,
    VECTORS,
    add_products,
    pack_rows,
    panel_lines,
    panel_width,
    rounded_up,
)
from danku.evaluation.kernels.compiler import (
    BOOLEAN,
    FLOAT32,
    FLOAT64,
    INDEX,
    INT64,
    device,
    kernel,
    several,
    source,
    target,
)
from danku.evaluation.kernels.gemm import PackedB
from danku.evaluation.kernels.recurrence import States, products
from danku.evaluation.kernels.threads import share

Index = NDArray[np.int64]

_ELEMENT_WORK = 64
"""Multiply-accumulates that an element of a gate is worth, when threads are to share rows."""


@device
def _times_recurrent(
    hidden: Array, first: int, last: int, panels: Array, columns: int, lines: Index, scratch: Array
) -> None:
    """Rows of hidden @ the packed weights, in ``scratch`` as [rows, whole panels], from its start;
    the rows are packed behind."""
    depth, rows = hidden.shape[1], last - first
    strip = STRIP_BYTES // hidden.itemsize
    panel = VECTORS * VECTOR_BYTES // hidden.itemsize
    width = (columns + panel - 1) // panel * panel
    behind = rows * width
    pack_rows(hidden, first, last, scratch, behind)
    for j in range(0, columns, strip):
        across = min(strip, columns - j)
        for k in range(0, depth, BLOCK):
            block = (min(BLOCK, depth - k), k == 0)
            add_products(
                scratch, behind + k * rows, panels, j * depth + k * panel, panel * depth, lines,
                block, rows, across, scratch, j, width,
            )  # fmt: skip


def _walk(
    wide: Array,
    panels: Array,
    lines: Index,
    bias: Array,
    lengths: Index,
    times: tuple[int, int],
    backwards: bool,
    rows: tuple[int, int],
    hidden: Array,
    memory: Array,
    outputs: Array,
    apart: int,
    scratch: Array,
) -> None:
    """Some steps of some rows.

    Args:
        wide: [times, batch, 4 * hidden], flat: the products with the weights.
        panels: the recurrent weights.
        lengths: of the sequences, [batch].
        times: the first and the last.
        hidden, memory: the states [batch, hidden], before and after.
        outputs: flat, from time 0 on; ``apart`` elements from one time to the next.
    """
    batch, size = hidden.shape
    columns = 4 * size
    panel = VECTORS * VECTOR_BYTES // hidden.itemsize
    width = (columns + panel - 1) // panel * panel
    for first in range(rows[0], rows[1], CHUNK):
        last = min(first + CHUNK, rows[1])
        for number in range(times[1] - times[0]):
            time = times[1] - 1 - number if backwards else times[0] + number
            _times_recurrent(hidden, first, last, panels, columns, lines, scratch)
            for row in range(first, last):
                output = tile.window(outputs, time * apart + row * size, size)
                if time >= lengths[row]:
                    for j in range(size):
                        output[j] = 0
                    continue
                total = tile.window(scratch, (row - first) * width, columns)
                given = tile.window(wide, ((time - times[0]) * batch + row) * columns, columns)
                kept = tile.window(memory, row * size, size)
                state = tile.window(hidden, row * size, size)
                for j in range(columns):
                    total[j] = (given[j] + total[j]) + bias[j]
                for j in range(3 * size):
                    total[j] = scalars.sigmoid(np.float64(total[j]))
                taken, gate = tile.window(total, 0, size), tile.window(total, size, size)
                forget, new = tile.window(total, 2 * size, size), tile.window(total, 3 * size, size)
                for j in range(size):
                    new[j] = scalars.tanh(np.float64(new[j]))
                for j in range(size):
                    kept[j] = forget[j] * kept[j] + taken[j] * new[j]
                for j in range(size):
                    new[j] = scalars.tanh(np.float64(kept[j]))
                for j in range(size):
                    state[j] = gate[j] * new[j]
                    output[j] = state[j]


def _types(scalar: Any) -> tuple[Any, ...]:
    line, states = target(scalar, 1), target(scalar, 2)
    return (
        *(source(scalar, 1), source(scalar, 1), source(INT64, 1), source(scalar, 1)),
        *(source(INT64, 1), several(INDEX, 2), BOOLEAN, several(INDEX, 2), states, states),
        *(line, INDEX, line),
    )


_WALK = {
    np.dtype(name): kernel(*_types(scalar), variant=f"_{name}")(_walk)
    for name, scalar in (("float32", FLOAT32), ("float64", FLOAT64))
}
TYPES = frozenset(_WALK)
"""That have kernels."""


def walk(
    x: Array,
    weights: PackedB | Array,
    recurrent: PackedB,
    bias: Array,
    states: States,
    lengths: Array | None,
    outputs: Array,
    *,
    backwards: bool,
) -> States:
    """The two states after a whole sequence, as `recurrence.walk` with a `memory_step`.

    Args:
        bias: [4 * hidden].
        outputs: [time, batch, hidden], of which the last two axes are contiguous.
    """
    steps, batch, size = outputs.shape
    dtype, columns = outputs.dtype, recurrent.columns
    hidden, memory = (np.array(each, order="C") for each in states)
    ends = np.full(batch, steps) if lengths is None else lengths.astype(np.int64)
    apart = outputs.strides[0] // outputs.itemsize
    # NOTE: a kernel takes contiguous arrays; from the first output on this one is, up to its gaps.
    flat = np.lib.stride_tricks.as_strided(
        outputs, (max(0, (steps - 1) * apart + batch * size),), (outputs.itemsize,)
    )
    lines = panel_lines(panel_width(dtype))

    def steps_of(given: Array, times: tuple[int, int], first: int, last: int) -> None:
        first, last = first * ROWS, min(last * ROWS, batch)
        at_once = min(CHUNK, last - first)
        room = at_once * (rounded_up(columns, panel_width(dtype)) + size)
        scratch = buffers.empty(room, dtype)
        _WALK[dtype](
            *(given, recurrent.panels, lines, bias, ends, times, backwards, (first, last)),
            *(hidden, memory, flat, apart, scratch),
        )

    for part, wide in products(x, weights, backwards=backwards):
        given = contiguous(wide).reshape(-1)
        rows = partial(steps_of, given, (part.start, part.stop))
        share(rows, -(-batch // ROWS), given.size * (size + _ELEMENT_WORK))
    return hidden, memory
