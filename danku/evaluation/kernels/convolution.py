"""Convolution of the profile exact/1, in one to three dimensions.

An output element is the chain of `gemm` over (channel, kernel depth, row, column) of its group, in
blocks of 256; where the kernel reaches beyond the input it meets +0. The weights are the left
operand of a product for each group, packed once; the right one is read from where `layout` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np

from danku.evaluation.kernels import buffers, tile
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
    strip_width,
)
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
from danku.evaluation.kernels.epilogue import ADD_TENSOR, Epilogue, apply_one, epilogue
from danku.evaluation.kernels.layout import Axis, Index, Layout
from danku.evaluation.kernels.threads import share

CACHED_BYTES = 2**20
"""Of input that is laid out at once, if several images fit."""
MOST_LAID_OUT = 4
"""A layout may be so many times as large as input and output together, and ``ROOM`` elements."""
ROOM = 2**16

_NEAR = (0, 0, 0, 0, 0)

Three = tuple[int, int, int]
Axes = tuple[Axis, Axis, Axis]


def _lay_out(
    x: Array,
    sizes: tuple[int, int, int, int, int],
    steps: Three,
    planes: Index,
    leads: Three,
    extents: Three,
    plane: int,
    group: tuple[int, int],
    images: tuple[int, int],
    part: tuple[int, int],
    buffer: Array,
) -> None:
    """Write channels of some images to ``buffer``, with zeros around them.

    Args:
        x: of sizes (images, channels, depth, height, width), flat.
        group: channels in a group, and elements from one group to the next.
        images: the first and the last.
        part: the first and the last channel.
    """
    _, channels, depth, height, width = sizes
    lead_d, lead_h, lead_w = leads
    extent_d, extent_h, extent_w = extents
    for c in range(part[0], part[1]):
        start = c // group[0] * group[1] + c % group[0] * planes.shape[0] * plane
        end = start + planes.shape[0] * plane
        if c % group[0] == group[0] - 1:
            end = c // group[0] * group[1] + group[1]
        zeros = tile.window(buffer, start, end - start)
        for i in range(zeros.size):
            zeros[i] = 0
        for p in range(planes.shape[0]):
            residue_d, residue_h, residue_w = planes[p, 0], planes[p, 1], planes[p, 2]
            length_d, length_h, length_w = planes[p, 3], planes[p, 4], planes[p, 5]
            room = width - residue_w
            for image in range(images[0], images[1]):
                for d in range(length_d):
                    line = (image - images[0]) * extent_d + lead_d + d
                    line = (line * extent_h + lead_h) * extent_w + lead_w + start + p * plane
                    row = (image * channels + c) * depth + d * steps[0] + residue_d
                    row = (row * height + residue_h) * width + residue_w
                    for _ in range(length_h):
                        out = tile.window(buffer, line, length_w)
                        tile.copy_every(tile.window(x, row, room), steps[2], out)
                        line += extent_w
                        row += steps[1] * width


@device
def _finish(
    sums: Array,
    first: int,
    width: int,
    rows: int,
    columns: tuple[int, int],
    extents: Three,
    counts: Three,
    code: int,
    place: int,
    strides: tuple[int, int, int, int, int],
    other: Array,
) -> None:
    """Go through the outputs of a strip: sums += other if ``code``, else other = sums.

    Args:
        sums: [rows, width] from element ``first`` on, for the columns from columns[0] to [1].
        place: in ``other``, of the first row of image 0.
        strides: in ``other``, of image, row, depth, height and width.
    """
    extent_d, extent_h, extent_w = extents
    start, stop = columns
    for line in range(start // extent_w, (stop - 1) // extent_w + 1):
        h, d = line % extent_h, line // extent_h % extent_d
        if h >= counts[1] or d >= counts[0]:
            continue
        low = max(start, line * extent_w)
        high = min(stop, line * extent_w + counts[2])
        image = line // extent_h // extent_d
        there = place + image * strides[0] + d * strides[2] + h * strides[3]
        there += (low - line * extent_w) * strides[4]
        for m in range(rows):
            mine = tile.window(sums, first + m * width + low - start, high - low)
            theirs = tile.window(other, there + m * strides[1], (high - low - 1) * strides[4] + 1)
            if code:
                for n in range(high - low):
                    mine[n] = mine[n] + theirs[n * strides[4]]
            elif strides[4] == 1:
                for n in range(high - low):
                    theirs[n] = mine[n]
            else:
                for n in range(high - low):
                    theirs[n * strides[4]] = mine[n]


@device
def _gather(
    x: Array,
    sizes: tuple[int, int, int, int, int],
    place: tuple[int, int],
    steps: Three,
    counts: Three,
    positions: Index,
    block: tuple[int, int],
    columns: tuple[int, int],
    panels: Array,
    first: int,
) -> None:
    """What a block of k meets in some outputs of one image, as panels [BLOCK, panel width].

    Args:
        place: the image and the first channel.
        positions: for each element of the kernel along depth, height and width; flat.
    """
    _, channels, depth, height, width = sizes
    panel = VECTORS * VECTOR_BYTES // x.itemsize
    elements = positions.size // 3
    for k in range(block[0], block[1]):
        channel, element = k // elements, k % elements
        start = (place[0] * channels + place[1] + channel) * depth * height * width
        for j in range(columns[0], columns[1]):
            line = j // counts[2]
            w = j % counts[2] * steps[2] + positions[element * 3 + 2]
            h = line % counts[1] * steps[1] + positions[element * 3 + 1]
            d = line // counts[1] * steps[0] + positions[element * 3]
            column = j - columns[0]
            there = first + (column // panel * BLOCK + k - block[0]) * panel + column % panel
            if 0 <= d < depth and 0 <= h < height and 0 <= w < width:
                tile.put(panels, there, tile.get(x, start + (d * height + h) * width + w))
            else:
                tile.put(panels, there, 0)


def _convolve(
    weights: Array,
    buffer: Array,
    offsets: Index,
    group: tuple[int, int, int, int],
    columns: int,
    extents: Three,
    counts: Three,
    place: int,
    strides: tuple[int, int, int, int, int],
    far: tuple[int, int, int, int, int],
    steps: Three,
    image: int,
    lines: Index,
    units: tuple[int, int],
    scratch: Array,
    other: Array,
    codes: Array,
    values: Array,
    out: Array,
) -> None:
    """Compute some units of ``out``: each some rows of a group, and a strip of columns.

    Args:
        weights: packed rows, a group after another.
        buffer: the input laid out, with ``offsets`` for each k.
        group: its rows, its depth, rows in a unit, and the elements of ``buffer`` from one to the
            next.
        place: in ``out``, of row 0 of the first image.
        strides: in ``out``, of image, row, depth, height and width.
        far: if it is not zeros, ``buffer`` is the input itself, of these sizes; ``offsets`` are
            positions, and a group's distance is in channels. Then there is one image, ``image``,
            and no line between its outputs.
        lines: where the rows of a panel start.
        units: the first and the last.
    """
    rows, depth, chunk, apart = group
    strip, panel = STRIP_BYTES // out.itemsize, VECTORS * VECTOR_BYTES // out.itemsize
    chunks, strips = (rows + chunk - 1) // chunk, (columns + strip - 1) // strip
    panels = chunk * min(strip, (columns + panel - 1) // panel * panel)
    for unit in range(units[0], units[1]):
        i, j = unit % chunks * chunk, unit // chunks % strips * strip
        number = unit // chunks // strips
        height, width = min(chunk, rows - i), min(strip, columns - j)
        line = (width + panel - 1) // panel * panel
        for k in range(0, depth, BLOCK):
            count = min(BLOCK, depth - k)
            first = number * rows * depth + k * rows + i * count
            if far[0] > 0:
                _gather(
                    buffer, far, (image, number * apart), steps, counts, offsets,
                    (k, k + count), (j, j + width), scratch, panels,
                )  # fmt: skip
                right, start, stride = tile.window(scratch, panels, scratch.size), 0, panel * BLOCK
                where = tile.window(lines, 0, count)
            else:
                right, start, stride = tile.window(buffer, 0, 0), number * apart + j, panel
                where = tile.window(offsets, k, count)
            add_products(
                weights, first, right, start, stride, where, (count, k == 0), height, width,
                scratch, 0, line,
            )  # fmt: skip
        if depth == 0:
            scratch[: height * line] = 0
        first = place + (number * rows + i) * strides[1]
        n = 0
        while n < codes.size:
            if codes[n] == ADD_TENSOR:
                _finish(
                    scratch, 0, line, height, (j, j + width), extents, counts, 1, first, strides,
                    other,
                )  # fmt: skip
                n += 1
                continue
            end = n
            while end < codes.size and codes[end] != ADD_TENSOR:
                end += 1
            for m in range(height):
                sums = tile.window(scratch, m * line, width)
                for step in range(n, end):
                    apply_one(codes[step], values[step, number * rows + i + m], sums)
            n = end
        _finish(scratch, 0, line, height, (j, j + width), extents, counts, 0, first, strides, out)


def _pack_groups(weights: Array, packed: Array) -> None:
    """The rows of each group as tiles, a group after another."""
    groups, rows, depth = weights.shape
    for g in range(groups):
        pack_rows(weights[g], 0, rows, packed, g * rows * depth)


def _declare(function: Any, arguments: Any) -> dict[np.dtype[Any], Kernel]:
    return {
        np.dtype(name): kernel(*arguments(scalar), variant=f"_{name}")(function)
        for name, scalar in (("float32", FLOAT32), ("float64", FLOAT64))
    }


_LAY_OUT = _declare(
    _lay_out,
    lambda scalar: (
        *(source(scalar, 1), several(INDEX, 5), several(INDEX, 3), source(INT64, 2)),
        *(
            several(INDEX, 3),
            several(INDEX, 3),
            INDEX,
            several(INDEX, 2),
            several(INDEX, 2),
            several(INDEX, 2),
        ),
        target(scalar, 1),
    ),
)
_CONVOLVE = _declare(
    _convolve,
    lambda scalar: (
        *(source(scalar, 1), source(scalar, 1), source(INT64, 1), several(INDEX, 4), INDEX),
        *(
            several(INDEX, 3),
            several(INDEX, 3),
            INDEX,
            several(INDEX, 5),
            several(INDEX, 5),
            several(INDEX, 3),
            INDEX,
        ),
        *(source(INT64, 1), several(INDEX, 2), target(scalar, 1), source(scalar, 1)),
        *(source(INT64, 1), source(scalar, 2), target(scalar, 1)),
    ),
)
_PACK = _declare(_pack_groups, lambda scalar: (source(scalar, 3), target(scalar, 1)))
TYPES = frozenset(_PACK)
"""That have kernels."""
_NOTHING = {dtype: epilogue([], 0, dtype) for dtype in _PACK}


@dataclass(frozen=True)
class PackedKernel:
    """Weights in the order in which products read them: groups of rows of a depth."""

    groups: int
    rows: int
    depth: int
    tiles: Array


def pack(weights: Array) -> PackedKernel:
    """Prepare weights [groups, rows, depth] of float32 or float64.

    A row makes one output channel; its elements are in order of (channel of the group, kernel).
    """
    tiles = np.empty(weights.size, weights.dtype)
    _PACK[weights.dtype](contiguous(weights), tiles)
    groups, rows, depth = weights.shape
    return PackedKernel(groups, rows, depth, tiles)


@lru_cache(64)
def _positions(axes: Axes) -> Index:
    """For each element of the kernel, along the three axes; flat."""
    chosen = np.meshgrid(*(axis.positions for axis in axes), indexing="ij")
    return np.stack(chosen, axis=-1).astype(np.int64).reshape(-1)


class Convolution:
    """The outputs that ``axes`` speak of, for inputs and outputs of given shapes.

    Args:
        shape: of x, [images, channels, depth, height, width].
        result: of the output, [images, rows of all groups, depth, height, width].
        steps: what follows; constants are those of output channels.
    """

    def __init__(
        self,
        weights: PackedKernel,
        axes: Axes,
        shape: tuple[int, ...],
        result: tuple[int, ...],
        steps: Epilogue | None = None,
    ) -> None:
        self._weights = weights
        self._steps = steps or _NOTHING[weights.tiles.dtype]
        self._shape = shape
        self._axes = axes
        self._moves = tuple(axis.step for axis in axes)
        self._counts = tuple(axis.count for axis in axes)
        strides = [prod(result[i + 1 :]) for i in range(5)]
        self._place = sum(
            axis.first * stride for axis, stride in zip(axes, strides[2:], strict=True)
        )
        self._image = strides[0]
        spacings = (1, 1, *(axis.spacing for axis in axes))
        self._strides = tuple(
            stride * spacing for stride, spacing in zip(strides, spacings, strict=True)
        )
        self._empty = 0 in result or 0 in self._counts
        channels = shape[1] // weights.groups
        one = _Layout(1, axes, weights.groups, channels)
        bytes_each = one.elements * weights.tiles.itemsize
        self._at_once = max(1, min(shape[0], CACHED_BYTES // bytes_each))
        everything = prod(shape[1:]) + strides[0]
        self._far = one.elements > MOST_LAID_OUT * everything + ROOM
        self._layouts = {1: one}

    def run(self, x: Array, out: Array, other: Array | None = None) -> None:
        """Write the outputs to ``out``.

        Args:
            other: what `Code.ADD_TENSOR` adds; of the shape of ``out``.
        """
        if self._empty:
            return
        flat = contiguous(x).reshape(-1)
        addend = (out if other is None else contiguous(other)).reshape(-1)
        images = self._shape[0]
        if self._far:
            for image in range(images):
                self._gather(flat, image, addend, out.reshape(-1))
            return
        for first in range(0, images, self._at_once):
            last = min(first + self._at_once, images)
            self._lay_out(flat, (first, last), addend, out.reshape(-1))

    def _layout(self, images: int) -> _Layout:
        if images not in self._layouts:
            channels = self._shape[1] // self._weights.groups
            self._layouts[images] = _Layout(images, self._axes, self._weights.groups, channels)
        return self._layouts[images]

    def _lay_out(self, x: Array, images: tuple[int, int], other: Array, out: Array) -> None:
        """Compute some images by way of a layout."""
        where = self._layout(images[1] - images[0])
        buffer = buffers.empty(where.elements, x.dtype)
        lay_out = _LAY_OUT[x.dtype]

        def part(first: int, last: int) -> None:
            lay_out(
                *(x, self._shape, self._moves, where.planes, where.leads, where.extents),
                *(where.plane, where.group, images, (first, last), buffer),
            )

        share(part, self._shape[1], where.elements)
        group = where.group[1]
        self._compute(
            *(buffer, where.offsets, group, where.columns, where.extents, images[0], _NEAR),
            *(other, out),
        )

    def _gather(self, x: Array, image: int, other: Array, out: Array) -> None:
        """Compute one image; slower, but whatever the padding, it takes no memory to speak of."""
        channels = self._shape[1] // self._weights.groups
        self._compute(
            *(x, _positions(self._axes), channels, prod(self._counts), self._counts, image),
            *(self._shape, other, out),
        )

    def _compute(
        self,
        buffer: Array,
        offsets: Index,
        apart: int,
        columns: int,
        extents: tuple[int, ...],
        image: int,
        far: tuple[int, ...],
        other: Array,
        out: Array,
    ) -> None:
        weights, steps = self._weights, self._steps
        width = panel_width(out.dtype)
        chunk = min(CHUNK, rounded_up(weights.rows, ROWS))
        strip = strip_width(out.dtype)
        units = weights.groups * -(-weights.rows // chunk) * -(-columns // strip)
        strip = min(strip, rounded_up(columns, width))
        scratch = (chunk + BLOCK * self._far) * strip
        place = self._place + image * self._image
        convolve = _CONVOLVE[out.dtype]

        def part(first: int, last: int) -> None:
            convolve(
                *(weights.tiles, buffer, offsets, (weights.rows, weights.depth, chunk, apart)),
                *(columns, extents, self._counts, place, self._strides, far, self._moves, image),
                *(panel_lines(width), (first, last), buffers.empty(scratch, out.dtype)),
                *(other, steps.codes, steps.values, out),
            )

        share(part, units, columns * weights.groups * weights.rows * weights.depth)


class _Layout:
    """A layout for some images, as the kernels take it."""

    def __init__(self, images: int, axes: Axes, groups: int, channels: int) -> None:
        where = Layout(images, axes)
        self.planes, self.plane = where.planes, where.plane
        self.leads, self.extents = where.leads, where.extents
        self.group = channels, where.group(channels)
        self.columns = where.columns
        # NOTE: whole panels are read, and what is behind the last output must be memory, too.
        self.elements = groups * self.group[1] + where.furthest + STRIP_BYTES
        self._channels, self._where = channels, where

    @cached_property
    def offsets(self) -> Index:
        """Where output 0 meets its group, for each k."""
        return self._where.offsets(self._channels)
