"""Values of a tensor between its places, in float64: docs/exact-1.md, section 10.8."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels.arrays import Array

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_CUBIC = -0.75
# NOTE: so many elements of the result are computed at a time; the bits do not depend on it.
_TOGETHER = 2**18


def _limits(length: int, corners: bool) -> tuple[float, float]:
    """The borders that coordinates are reflected at."""
    return (0.0, length - 1.0) if corners else (-0.5, length - 0.5)


def _reflected(x: Floats, low: float, high: float) -> Floats:
    """Back and forth between the borders; what is infinite or no number becomes 0."""
    span = high - low
    if span <= 0:
        return np.zeros_like(x)
    distance = np.where(x < low, low - x, x - high)
    turns = np.floor(distance / span)
    rest = distance - turns * span
    back = (turns % 2 == 0) == (x > high)
    moved = np.where(back, high - rest, low + rest)
    inside = (x >= low) & (x <= high)
    result = np.where(inside, x, np.clip(moved, low, high))
    return np.where(np.isfinite(result) & np.isfinite(x), result, 0.0)


def _placed(x: Floats, length: int, mode: str, padding: str, corners: bool) -> Floats:
    """Coordinates as they are looked up; everything far outside is near outside."""
    low, high = _limits(length, corners)
    if padding == "reflection":
        return _reflected(x, low, high)
    if padding == "border":
        x = np.where(np.isnan(x), 0.0, x)
        if mode != "cubic":
            x = np.where((x < low) | (x > high), np.clip(x, 0.0, length - 1.0), x)
    return np.where(np.isnan(x), -3.0, np.clip(x, -3.0, length + 2.0))


def _denormalised(x: Floats, length: int, corners: bool) -> Floats:
    if corners:
        return (x + 1.0) / 2.0 * (length - 1)
    return ((x + 1.0) * length - 1.0) / 2.0


def _weights(part: Floats, mode: str) -> list[Floats]:
    if mode == "nearest":
        return [np.ones_like(part)]
    if mode == "linear":
        return [1.0 - part, part]
    return [_cubic(1.0 + part), _cubic(part), _cubic(1.0 - part), _cubic(2.0 - part)]


def _cubic(x: Floats) -> Floats:
    near = ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1
    far = ((_CUBIC * x - 5 * _CUBIC) * x + 8 * _CUBIC) * x - 4 * _CUBIC
    return np.where(x <= 1, near, far)


FIRST = {"nearest": 0, "linear": 0, "cubic": -1}
NEIGHBOURS = {"nearest": 1, "linear": 2, "cubic": 4}


def sample(data: Array, grid: Array, mode: str, padding: str, corners: bool) -> Floats:
    """Values at the coordinates of a grid, from -1 to 1 along each axis, the last axis first.

    Args:
        data: [batch, channels, *sizes]
        grid: [batch, *places, len(sizes)]

    Returns:
        [batch, channels, *places]
    """
    images, channels = data.shape[:2]
    places = grid.shape[1:-1]
    result = np.empty((images, channels, *places))
    some_images = max(1, _TOGETHER // (channels * prod(places)))
    some_channels = max(1, _TOGETHER // prod(places))
    for image in range(0, images, some_images):
        chosen = slice(image, image + some_images)
        for channel in range(0, channels, some_channels):
            part = slice(channel, channel + some_channels)
            result[chosen, part] = _sampled(
                data[chosen, part], grid[chosen], mode, padding, corners
            )
    return result


def _sampled(data: Array, grid: Array, mode: str, padding: str, corners: bool) -> Floats:
    batch, channels, *sizes = data.shape
    places = grid.shape[1:-1]
    points = grid.astype(np.float64).reshape(batch, prod(places), len(sizes))[..., ::-1]
    flat = data.astype(np.float64).reshape(batch, channels, prod(sizes))
    before, weights = [], []
    for axis, length in enumerate(sizes):
        x = _denormalised(points[..., axis], length, corners)
        x = np.rint(x) if mode == "nearest" else x
        x = _placed(x, length, mode, padding, corners)
        below = np.trunc(x) if mode == "nearest" else np.floor(x)
        before.append(below.astype(np.int64) + FIRST[mode])
        weights.append(_weights(x - below, mode))

    def summed(axis: int, place: Indices, outside: NDArray[np.bool_]) -> Floats:
        """The weighted sum over the neighbours along this axis and those that follow."""
        if axis == len(sizes):
            found = np.take_along_axis(flat, place[:, np.newaxis], 2)
            return np.where(outside[:, np.newaxis], 0.0, found)
        total = np.zeros((batch, channels, prod(places)))
        for offset, weight in enumerate(weights[axis]):
            one, beyond = _looked_up(before[axis] + offset, sizes[axis], padding, corners)
            inner = summed(axis + 1, place * sizes[axis] + one, outside | beyond)
            factor = weight[:, np.newaxis]
            total += np.where(factor == 0, 0.0, inner * factor)
        return total

    start = np.zeros((batch, prod(places)), np.int64)
    return summed(0, start, start != 0).reshape(batch, channels, *places)


def _looked_up(
    place: Indices, length: int, padding: str, corners: bool
) -> tuple[Indices, NDArray[np.bool_]]:
    """The element that a neighbour stands for, and whether it counts as 0."""
    outside = (place < 0) | (place >= length)
    if padding == "reflection":
        place = _reflected(place.astype(np.float64), *_limits(length, corners)).astype(np.int64)
    return np.clip(place, 0, length - 1), outside & (padding == "zeros")


def affine_grid(theta: Array, sizes: Sequence[int], corners: bool) -> Floats:
    """Where an affine map takes the places of an image, in coordinates from -1 to 1.

    Args:
        theta: [batch, n, n + 1]

    Returns:
        [batch, *sizes, n], coordinates of the last axis first.
    """
    wide = theta.astype(np.float64)
    count = len(sizes)
    total = np.zeros((len(theta), *sizes, count))
    for number, axis in enumerate(reversed(range(count))):
        length = sizes[axis]
        places = np.arange(length)
        if corners:
            x = 2.0 * places / (length - 1) - 1.0 if length > 1 else np.zeros(1)
        else:
            x = (2.0 * places + 1.0) / length - 1.0
        column = x.reshape(-1, *(1,) * (count - 1 - axis), 1)
        total += wide[:, :, number].reshape(-1, *(1,) * count, count) * column
    return total + wide[:, :, count].reshape(-1, *(1,) * count, count)
