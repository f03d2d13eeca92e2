"""The loops of convolutions of bytes: exact sums in 32 bits that wrap, and what they become."""

from __future__ import annotations

import numpy as np

from danku.evaluation.kernels import pairs, tile
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.blocks import BLOCK
from danku.evaluation.kernels.compiler import (
    BYTE,
    FLOAT32,
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
from danku.evaluation.kernels.integer_layout import Five, Three
from danku.evaluation.kernels.layout import Index
from danku.evaluation.kernels.pairs import CHUNK, PANEL, STRIP
from danku.evaluation.kernels.requantization import requantized


@device
def _finish(
    sums: Array,
    columns: tuple[int, int],
    extents: Three,
    counts: Three,
    place: int,
    image_size: int,
    out: Array,
) -> None:
    """Copy a row of sums, columns[0] to columns[1], to where the outputs of a channel are."""
    extent_d, extent_h, extent_w = extents
    start, stop = columns
    for line in range(start // extent_w, (stop - 1) // extent_w + 1):
        h, d = line % extent_h, line // extent_h % extent_d
        if h >= counts[1] or d >= counts[0]:
            continue
        low = max(start, line * extent_w)
        high = min(stop, line * extent_w + counts[2])
        there = place + line // extent_h // extent_d * image_size
        there += (d * counts[1] + h) * counts[2] + low - line * extent_w
        mine = tile.window(sums, low - start, high - low)
        theirs = tile.window(out, there, high - low)
        for n in range(high - low):
            theirs[n] = mine[n]


def _convolve(
    weights: Array,
    buffer: Array,
    offsets: Index,
    group: tuple[int, int, int, int],
    columns: int,
    extents: Three,
    counts: Three,
    place: int,
    sizes: tuple[int, int],
    units: tuple[int, int],
    scratch: Array,
    bias: Array,
    multipliers: Array,
    rounding: tuple[int, int, int],
    narrow: Array,
    wide: Array,
) -> None:
    """Compute some units of the outputs: each some rows of a group, and a strip of columns.

    Args:
        weights: rows of numbers, a group after another.
        buffer: the input laid out, with ``offsets`` for each pair.
        group: its rows, its pairs, rows in a unit, and elements of ``buffer`` to the next group.
        place: of row 0 of the first image, in the outputs.
        sizes: outputs of an image, and of a row of it.
        units: the first and the last.
        bias: for each row; added to its sums.
        multipliers: for each row. If there are none, the sums themselves go to ``wide``, else what
            they are rounded to goes to ``narrow``.
    """
    rows, depth, chunk, apart = group
    chunks, strips = (rows + chunk - 1) // chunk, (columns + STRIP - 1) // STRIP
    for unit in range(units[0], units[1]):
        i, j = unit % chunks * chunk, unit // chunks % strips * STRIP
        number = unit // chunks // strips
        height, width = min(chunk, rows - i), min(STRIP, columns - j)
        line = (width + PANEL - 1) // PANEL * PANEL
        first = number * rows + i
        for k in range(0, depth, BLOCK):
            count = min(BLOCK, depth - k)
            pairs.add_products(
                weights, 2 * (first * depth + k), 2 * depth, buffer, number * apart + j, PANEL,
                tile.window(offsets, k, count), (count, k == 0), height, width, scratch, line,
            )  # fmt: skip
        for m in range(height):
            sums = tile.window(scratch, m * line, width)
            added = bias[first + m]
            there = place + (first + m) * sizes[1]
            for n in range(width):
                sums[n] = sums[n] + added
            if multipliers.size == 0:
                _finish(sums, (j, j + width), extents, counts, there, sizes[0], wide)
            else:
                multiplier = multipliers[first + m]
                for n in range(width):
                    sums[n] = requantized(sums[n], multiplier, rounding)
                _finish(sums, (j, j + width), extents, counts, there, sizes[0], narrow)


def _convolve_turned(
    patches: Array,
    panels: Array,
    lines: Index,
    sizes: tuple[int, int, int, int],
    place: int,
    units: tuple[int, int],
    scratch: Array,
    bias: Array,
    multipliers: Array,
    rounding: tuple[int, int, int],
    narrow: Array,
    wide: Array,
) -> None:
    """As `_convolve`, with a row for each output position and a column for each channel.

    Args:
        patches: 16-bit numbers, a row after another.
        panels: weights as `_convolve` takes its right operand.
        sizes: positions, pairs, channels, and positions of an image.
        units: the first and the last panel.
    """
    rows, depth, channels, of_image = sizes
    for j in range(units[0] * PANEL, min(units[1] * PANEL, channels), STRIP):
        width = min(STRIP, min(units[1] * PANEL, channels) - j)
        line = (width + PANEL - 1) // PANEL * PANEL
        added = tile.window(bias, j, width)
        factors = tile.window(multipliers, j, width)
        for i in range(0, rows, CHUNK):
            height = min(CHUNK, rows - i)
            for k in range(0, depth, BLOCK):
                count = min(BLOCK, depth - k)
                pairs.add_products(
                    patches, 2 * (i * depth + k), 2 * depth, panels, j * depth + k * PANEL,
                    PANEL * depth, lines, (count, k == 0), height, width, scratch, line,
                )  # fmt: skip
            for m in range(height):
                sums = tile.window(scratch, m * line, width)
                position = i + m
                there = place + position // of_image * channels * of_image
                there += j * of_image + position % of_image
                for n in range(width):
                    sums[n] = sums[n] + added[n]
                if multipliers.size == 0:
                    for n in range(width):
                        wide[there + n * of_image] = sums[n]
                else:
                    for n in range(width):
                        sums[n] = requantized(sums[n], factors[n], rounding)
                    for n in range(width):
                        narrow[there + n * of_image] = sums[n]


def _convolve_far(
    weights: Array,
    x: Array,
    number: tuple[int, int],
    sizes: Five,
    group: tuple[int, int, int, int],
    steps: Three,
    counts: Three,
    positions: Index,
    units: tuple[int, int],
    patch: Array,
    bias: Array,
    multipliers: Array,
    rounding: tuple[int, int, int],
    narrow: Array,
    wide: Array,
) -> None:
    """As `_convolve`, output by output from the input itself: whatever the padding, it takes no
    memory to speak of.

    Args:
        x: bytes of these sizes, flat; ``number`` is what is flipped and subtracted.
        group: its channels, rows and pairs, and how many groups there are.
        positions: for each element of the kernel, along depth, height and width; flat.
        units: the first and the last of all (image, group, position).
        patch: for the numbers of two for each pair.
    """
    _, channels, depth, height, width = sizes
    members, rows, count, groups = group
    elements = positions.size // 3
    of_plane = counts[0] * counts[1] * counts[2]
    for unit in range(units[0], units[1]):
        o, g = unit % of_plane, unit // of_plane % groups
        image = unit // of_plane // groups
        w, h, d = o % counts[2], o // counts[2] % counts[1], o // counts[2] // counts[1]
        for c in range(members):
            plane = (image * channels + g * members + c) * depth
            there = c // 2 * elements * 2 + c % 2
            for e in range(elements):
                z = d * steps[0] + tile.get(positions, 3 * e)
                y = h * steps[1] + tile.get(positions, 3 * e + 1)
                v = w * steps[2] + tile.get(positions, 3 * e + 2)
                met = np.int64(0)
                if 0 <= z < depth and 0 <= y < height and 0 <= v < width:
                    value = tile.get(x, ((plane + z) * height + y) * width + v)
                    met = np.int64(value ^ np.uint8(number[0])) - number[1]
                tile.put(patch, there + 2 * e, met)
        for i in range(rows):
            row = g * rows + i
            line = tile.window(weights, row * 2 * count, 2 * count)
            total = np.int64(bias[row])
            for k in range(2 * count):
                total += np.int64(patch[k]) * np.int64(line[k])
            place = (image * groups * rows + row) * of_plane + o
            if multipliers.size == 0:
                wide[place] = np.int32(total)
            else:
                narrow[place] = requantized(np.int32(total), multipliers[row], rounding)


_ENDING = (
    *(source(INT32, 1), source(FLOAT32, 1), several(INDEX, 3), target(BYTE, 1), target(INT32, 1)),
)
convolve = kernel(
    *(source(INT16, 1), source(INT32, 1), source(INT64, 1), several(INDEX, 4), INDEX),
    *(several(INDEX, 3), several(INDEX, 3), INDEX, several(INDEX, 2), several(INDEX, 2)),
    *(target(INT32, 1), *_ENDING),
    variant="_pairs",
)(_convolve)
convolve_turned = kernel(
    *(source(INT16, 1), source(INT32, 1), source(INT64, 1), several(INDEX, 4), INDEX),
    *(several(INDEX, 2), target(INT32, 1), *_ENDING),
    variant="_pairs",
)(_convolve_turned)
convolve_far = kernel(
    *(source(INT16, 1), source(BYTE, 1), several(INDEX, 2), several(INDEX, 5), several(INDEX, 4)),
    *(several(INDEX, 3), several(INDEX, 3), source(INT64, 1), several(INDEX, 2), target(INT16, 1)),
    *_ENDING,
    variant="_pairs",
)(_convolve_far)
