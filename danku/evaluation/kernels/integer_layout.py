"""Operands of convolutions of bytes in memory: less their zero points, in pairs of channels.

Padding is 0, since zero points are subtracted first. Two channels of a group that follow each
other, at one element of the kernel, are a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import tile
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.blocks import rounded_up
from danku.evaluation.kernels.compiler import (
    BYTE,
    INDEX,
    INT32,
    INT64,
    device,
    kernel,
    several,
    source,
    target,
)
from danku.evaluation.kernels.layout import Axis, Index, Layout
from danku.evaluation.kernels.pairs import LANES, PANEL, STRIP

GATHERING = 64
"""Channels whose products with a patch take as long as to gather it."""

Three = tuple[int, int, int]
Five = tuple[int, int, int, int, int]
Axes = tuple[Axis, Axis, Axis]


@device
def _pair_line(
    x: Array, low: int, high: int, step: int, number: tuple[int, int], out: Array
) -> None:
    """Every ``step``-th byte of two lines as pairs; ``number`` is what is flipped and subtracted.

    If ``high`` is negative, the second numbers are 0.
    """
    flip, zero = number
    first = tile.window(x, low, (out.size - 1) * step + 1)
    second = tile.window(x, max(high, 0), (out.size - 1) * step + 1)
    if high < 0:
        for i in range(out.size):
            value = np.int32(first[i * step] ^ np.uint8(flip)) - np.int32(zero)
            out[i] = value & np.int32(0xFFFF)
    elif step == 1:
        for i in range(out.size):
            value = np.int32(first[i] ^ np.uint8(flip)) - np.int32(zero)
            other = np.int32(second[i] ^ np.uint8(flip)) - np.int32(zero)
            out[i] = (value & np.int32(0xFFFF)) | (other << np.int32(16))
    else:
        for i in range(out.size):
            value = np.int32(first[i * step] ^ np.uint8(flip)) - np.int32(zero)
            other = np.int32(second[i * step] ^ np.uint8(flip)) - np.int32(zero)
            out[i] = (value & np.int32(0xFFFF)) | (other << np.int32(16))


def _lay_out(
    x: Array,
    number: tuple[int, int],
    sizes: Five,
    steps: Three,
    planes: Index,
    leads: Three,
    extents: Three,
    plane: int,
    group: tuple[int, int, int],
    images: tuple[int, int],
    part: tuple[int, int],
    buffer: Array,
) -> None:
    """Write pairs of channels of some images to ``buffer``, with zeros around them.

    Args:
        x: of sizes (images, channels, depth, height, width), flat.
        group: channels and pairs in a group, and elements from one group to the next.
        images: the first and the last.
        part: the first and the last pair.
    """
    _, channels, depth, height, width = sizes
    lead_d, lead_h, lead_w = leads
    extent_d, extent_h, extent_w = extents
    for n in range(part[0], part[1]):
        number_of_group, pair = n // group[1], n % group[1]
        start = number_of_group * group[2] + pair * planes.shape[0] * plane
        end = start + planes.shape[0] * plane
        if pair == group[1] - 1:
            end = (number_of_group + 1) * group[2]
        zeros = tile.window(buffer, start, end - start)
        for i in range(zeros.size):
            zeros[i] = 0
        channel = number_of_group * group[0] + 2 * pair
        alone = 2 * pair + 1 == group[0]
        for p in range(planes.shape[0]):
            residue_d, residue_h, residue_w = planes[p, 0], planes[p, 1], planes[p, 2]
            length_d, length_h, length_w = planes[p, 3], planes[p, 4], planes[p, 5]
            for image in range(images[0], images[1]):
                for d in range(length_d):
                    line = (image - images[0]) * extent_d + lead_d + d
                    line = (line * extent_h + lead_h) * extent_w + lead_w + start + p * plane
                    row = (image * channels + channel) * depth + d * steps[0] + residue_d
                    row = (row * height + residue_h) * width + residue_w
                    for _ in range(length_h):
                        high = -1 if alone else row + depth * height * width
                        out = tile.window(buffer, line, length_w)
                        if length_w > 0:
                            _pair_line(x, row, high, steps[2], number, out)
                        line += extent_w
                        row += steps[1] * width


def _gather(
    buffer: Array, offsets: Index, columns: Index, part: tuple[int, int], patches: Array
) -> None:
    """What some outputs meet: for each of ``columns`` one of ``offsets`` after another."""
    for row in range(part[0], part[1]):
        patch = tile.window(patches, row * offsets.size, offsets.size)
        column = columns[row]
        for k in range(offsets.size):
            patch[k] = tile.get(buffer, offsets[k] + column)


lay_out = kernel(
    *(source(BYTE, 1), several(INDEX, 2), several(INDEX, 5), several(INDEX, 3), source(INT64, 2)),
    *(several(INDEX, 3), several(INDEX, 3), INDEX, several(INDEX, 3), several(INDEX, 2)),
    *(several(INDEX, 2), target(INT32, 1)),
    variant="_pairs",
)(_lay_out)
gather = kernel(
    *(source(INT32, 1), source(INT64, 1), source(INT64, 1), several(INDEX, 2), target(INT32, 1)),
    variant="_pairs",
)(_gather)


@dataclass(frozen=True)
class PackedBytes:
    """Weights less their zero points: groups of rows of pairs."""

    groups: int
    rows: int
    channels: int
    elements: int
    """Of the kernel."""
    numbers: NDArray[np.int16]

    @cached_property
    def panels(self) -> NDArray[np.int32]:
        """Of one group: [panel, pair, row of the panel], zeros for rows that are not there."""
        outputs, count = rounded_up(self.rows, PANEL), self.pairs
        panels = np.zeros((outputs // PANEL, count, PANEL), np.int32)
        lines = self.numbers.view(np.int32).reshape(self.rows, count)
        for first in range(0, self.rows, PANEL):
            chosen = lines[first : first + PANEL].T
            panels[first // PANEL, :, : chosen.shape[1]] = chosen
        return panels.reshape(-1)

    @property
    def pairs(self) -> int:
        """Of a row, and all elements of the kernel."""
        return (self.channels + 1) // 2 * self.elements


def pack(weights: Array, zero_point: Array) -> PackedBytes:
    """Prepare weights [groups, rows, channels of a group, elements of the kernel] of bytes.

    Args:
        zero_point: of the same type; one, or one for each row [groups, rows].
    """
    groups, rows, channels, elements = weights.shape
    zeros = np.broadcast_to(zero_point, (groups, rows))[:, :, np.newaxis, np.newaxis]
    numbers = np.zeros((groups, rows, (channels + 1) // 2, elements, 2), np.int16)
    for place in range(2):
        chosen = weights[:, :, place::2]
        numbers[:, :, : chosen.shape[2], :, place] = chosen.astype(np.int16) - zeros
    return PackedBytes(groups, rows, channels, elements, numbers.reshape(-1))


class PairLayout:
    """A layout for some images, as the kernels take it."""

    def __init__(self, images: int, axes: Axes, weights: PackedBytes) -> None:
        where = Layout(images, axes)
        pairs_of_group = (weights.channels + 1) // 2
        self.planes, self.plane = where.planes, where.plane
        self.leads, self.extents = where.leads, where.extents
        self.group = weights.channels, pairs_of_group, where.group(pairs_of_group)
        self.columns = where.columns
        # NOTE: whole panels are read, and what is behind the last output must be memory, too.
        self.elements = weights.groups * self.group[2] + where.furthest + STRIP
        self._where = where
        counts = [axis.count for axis in axes]
        dense = images * prod(counts)
        # NOTE: gathering takes as long as products with this many channels do.
        gain = rounded_up(self.columns, LANES) * weights.rows > dense * (weights.rows + GATHERING)
        self.turned = gain and weights.groups == 1 and dense <= weights.rows

    @cached_property
    def positions(self) -> Index:
        """The columns that are outputs."""
        images, (depth, height, width) = self._where.images, self._where.axes
        numbered = np.arange(images, dtype=np.int64)
        for axis, extent in zip((depth, height, width), self.extents, strict=True):
            along = np.arange(axis.count, dtype=np.int64)
            numbered = np.add.outer(numbered * extent, along).reshape(-1)
        return numbered

    @cached_property
    def offsets(self) -> Index:
        """Where output 0 meets its group, for each pair and element of the kernel."""
        return self._where.offsets(self.group[1])
