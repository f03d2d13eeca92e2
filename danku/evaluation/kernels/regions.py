"""RoiAlign of exact/1: what lies in regions of an image, in float64: section 10.8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels.arrays import Array

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# NOTE: so many elements of the result are computed at a time; the bits do not depend on it.
_TOGETHER = 2**18


@dataclass(frozen=True)
class Grid:
    """How each region is cut into bins, and each bin is sampled."""

    height: int
    width: int
    samples: int
    """Along each axis of a bin."""
    scale: float
    """From the regions' coordinates to those of the image."""
    half_pixel: bool
    maximum: bool
    """Whether a bin is the largest of its samples, not their mean."""


def _bounds(regions: Floats, axis: int, grid: Grid) -> tuple[Floats, Floats]:
    """Where each region begins along an axis (0: x, 1: y), and how large a bin is."""
    offset = 0.5 if grid.half_pixel else 0.0
    start = regions[:, axis] * grid.scale - offset
    size = (regions[:, axis + 2] * grid.scale - offset) - start
    if not grid.half_pixel:
        size = np.where(size > 1.0, size, 1.0)
    return start, size / (grid.height if axis else grid.width)


class _Place(NamedTuple):
    """Where samples lie along an axis, [lines, 1] or [lines, bins]."""

    before: Indices
    after: Indices
    beyond: Floats
    """The part of the way from the place before to the one after."""
    outside: NDArray[np.bool_]

    def as_column(self) -> _Place:
        return _Place(
            self.before.reshape(-1, 1),
            self.after.reshape(-1, 1),
            self.beyond.reshape(-1, 1),
            self.outside.reshape(-1, 1),
        )

    def chosen(self, lines: Indices) -> _Place:
        return _Place(
            self.before[lines], self.after[lines], self.beyond[lines], self.outside[lines]
        )


def _around(start: Floats, size: Floats, bins: int, sample: int, grid: Grid, length: int) -> _Place:
    """Of one sample in each bin: [regions, bins]."""
    within = (sample + 0.5) * size / grid.samples
    x = start[:, np.newaxis] + np.arange(bins) * size[:, np.newaxis] + within[:, np.newaxis]
    outside = ~((x >= -1.0) & (x <= length))
    x = np.clip(np.where(outside, 0.0, x), 0.0, length - 1.0)
    below = np.floor(x)
    before = below.astype(np.int64)
    return _Place(before, np.minimum(before + 1, length - 1), x - below, outside)


def align(data: Array, regions: Array, batch: Indices, grid: Grid) -> Floats:
    """Bins of regions, interpolated between the four places around each sample.

    Args:
        data: [images, channels, height, width]
        regions: [n, 4], left, top, right, bottom
        batch: [n], the image of each region

    Returns:
        [n, channels, bins along the height, bins along the width]
    """
    images, channels, height, width = data.shape
    bounds = regions.astype(np.float64)
    left, column = _bounds(bounds, 0, grid)
    top, row = _bounds(bounds, 1, grid)
    pixels = data.transpose(0, 2, 3, 1).reshape(images * height * width, channels)
    lines = len(regions) * grid.height
    total = np.zeros((lines, grid.width, channels))
    first = batch * (height * width)
    together = max(1, _TOGETHER // (grid.width * channels))
    for number in range(grid.samples**2):
        by_height = _around(top, row, grid.height, number // grid.samples, grid, height)
        by_width = _around(left, column, grid.width, number % grid.samples, grid, width)
        for start in range(0, lines, together):
            line = np.arange(start, min(start + together, lines))
            region = line // grid.height
            y, x = by_height.as_column().chosen(line), by_width.chosen(region)
            origin = first[region, np.newaxis]
            found = _interpolated(pixels, origin, y, x, width, maximum=grid.maximum)
            part = total[start : start + together]
            if grid.maximum:
                part[...] = found if number == 0 else np.maximum(part, found)
            else:
                part += found
    if not grid.maximum:
        total /= grid.samples**2
    # NOTE: numpy leaves the sign of a zero maximum open; here it is +0.
    total += 0.0
    shape = (len(regions), grid.height, grid.width, channels)
    return total.reshape(shape).transpose(0, 3, 1, 2)


def _interpolated(
    pixels: Array, origin: Indices, y: _Place, x: _Place, width: int, *, maximum: bool
) -> Floats:
    """The sum of the four weighted pixels around, from left to right, upper row first; or the
    largest of them: [lines, width, channels]."""
    outside = y.outside | x.outside
    result: Floats | None = None
    for row, by_y in ((y.before, 1.0 - y.beyond), (y.after, y.beyond)):
        for column, by_x in ((x.before, 1.0 - x.beyond), (x.after, x.beyond)):
            weight = np.where(outside, 0.0, by_y * by_x)[:, :, np.newaxis]
            found = pixels[origin + row * width + column] * weight
            if result is None:
                result = found
            elif maximum:
                np.maximum(result, found, out=result)
            else:
                result += found
    assert result is not None
    return result
