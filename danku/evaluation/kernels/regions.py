"""RoiAlign of exact/1: what lies in regions of an image, in float64: section 10.8."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels.arrays import Array

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


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


def _around(
    start: Floats, size: Floats, bins: int, sample: int, grid: Grid, length: int
) -> tuple[Indices, Indices, Floats, NDArray[np.bool_]]:
    """Of one sample in each bin: the places before and after, the part beyond, and if outside."""
    within = (sample + 0.5) * size / grid.samples
    x = start[:, np.newaxis] + np.arange(bins) * size[:, np.newaxis] + within[:, np.newaxis]
    outside = ~((x >= -1.0) & (x <= length))
    x = np.clip(np.where(outside, 0.0, x), 0.0, length - 1.0)
    below = np.floor(x)
    before = below.astype(np.int64)
    return before, np.minimum(before + 1, length - 1), x - below, outside


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
    shape = (len(regions), grid.height, grid.width)
    total = np.zeros((prod(shape), channels))
    first = batch[:, np.newaxis, np.newaxis] * (height * width)
    for number in range(grid.samples**2):
        above, under, down, outside_y = _around(
            top, row, grid.height, number // grid.samples, grid, height
        )
        before, after, right, outside_x = _around(
            left, column, grid.width, number % grid.samples, grid, width
        )
        parts = []
        for y, by_y in ((above, 1.0 - down), (under, down)):
            for x, by_x in ((before, 1.0 - right), (after, right)):
                place = first + y[:, :, np.newaxis] * width + x[:, np.newaxis]
                weight = by_y[:, :, np.newaxis] * by_x[:, np.newaxis]
                outside = outside_y[:, :, np.newaxis] | outside_x[:, np.newaxis]
                weight = np.where(outside, 0.0, weight).reshape(-1, 1)
                parts.append(pixels[place.reshape(-1)] * weight)
        if grid.maximum:
            largest = np.maximum(np.maximum(parts[0], parts[1]), np.maximum(parts[2], parts[3]))
            total = largest if number == 0 else np.maximum(total, largest)
        else:
            total = total + (((parts[0] + parts[1]) + parts[2]) + parts[3])
    if not grid.maximum:
        total = total / grid.samples**2
    # NOTE: numpy leaves the sign of a zero maximum open; here it is +0.
    return (total + 0.0).reshape(*shape, channels).transpose(0, 3, 1, 2)
