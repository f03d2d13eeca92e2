"""Resizing along one axis after the other, in float64: docs/exact-1.md, section 10.6."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels.arrays import Array

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

WIDEST = 1_024
"""Neighbours that an element of the result may have along one axis."""
_SMALLEST_STRETCH = 2.0**-64
# NOTE: so many places of the result are computed at a time; the bits do not depend on it.
TOGETHER = 2**14


@dataclass(frozen=True)
class Axis:
    """How one axis is resized."""

    place: int
    length: int
    wanted: int
    scale: float
    width: float
    """The wanted length before it was rounded to an integer."""
    start: float = 0.0
    end: float = 1.0
    """What is cropped, as parts of the axis."""


@dataclass(frozen=True)
class Interpolation:
    """How coordinates are mapped and neighbours weighed."""

    mode: str
    coordinates: str
    nearest: str = "floor"
    cubic: float = -0.75
    exclude_outside: bool = False
    extrapolation: float = 0.0
    antialias: bool = False

    def neighbours(self, scale: float) -> tuple[int, int]:
        """Offsets of the first neighbour and of the one after the last, from the one before."""
        reach = {"nearest": 0, "linear": 1, "cubic": 2}[self.mode]
        if not reach:
            return 0, 1
        # NOTE: whatever a scale is, the number of neighbours is one; too many are refused.
        stretched = max(min(scale, 1.0), _SMALLEST_STRETCH) if self.antialias else 1.0
        first = floor(-reach / stretched) + 1
        return first, 2 - first


def _within(x: Floats, axis: Axis) -> Floats:
    """NOTE: what lies outside is replaced, however far; integers could not hold it, nor NaN, which
    comes of bounds so large that their products are infinite, and lies outside too."""
    return np.where(np.isnan(x), -1.0, np.clip(x, -1.0, axis.length))


def coordinates(axis: Axis, mode: str) -> Floats:
    """Where each place of the result lies among those of the operand."""
    y = np.arange(axis.wanted, dtype=np.float64)
    if mode == "align_corners":
        if axis.width == 1:
            return np.zeros(axis.wanted)
        return y * (axis.length - 1) / (axis.width - 1.0)
    if mode == "asymmetric":
        return y / axis.scale
    if mode == "tf_half_pixel_for_nn":
        return (y + 0.5) / axis.scale
    if mode == "tf_crop_and_resize":
        if axis.wanted == 1:
            centre = 0.5 * (axis.start + axis.end) * (axis.length - 1)
            return _within(np.full(1, centre), axis)
        inner = y * (axis.end - axis.start) * (axis.length - 1) / (axis.wanted - 1)
        return _within(axis.start * (axis.length - 1) + inner, axis)
    if mode == "pytorch_half_pixel" and axis.wanted == 1:
        return np.zeros(1)
    x = (y + 0.5) / axis.scale - 0.5
    if mode == "half_pixel_symmetric":
        return axis.length / 2 * (1.0 - axis.wanted / axis.width) + x
    return x


def _nearest(x: Floats, mode: str) -> Indices:
    below = np.floor(x)
    part = x - below
    above = {
        "floor": np.zeros_like(part, np.bool_),
        "ceil": part > 0,
        "round_prefer_floor": part > 0.5,
        "round_prefer_ceil": part >= 0.5,
    }[mode]
    places: Indices = (below + above).astype(np.int64)
    return places


def _cubic(distance: Floats, a: float) -> Floats:
    """The weight of a neighbour at this distance."""
    x = np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _weights(axis: Axis, method: Interpolation, part: Floats) -> Floats:
    """One row for each neighbour; ``part`` is the distance from the one before, above 0 up to 1."""
    first, after = method.neighbours(axis.scale)
    stretched = min(axis.scale, 1.0) if method.antialias else 1.0
    distances = (np.arange(first, after)[:, np.newaxis] - part) * stretched
    if method.mode == "linear":
        weights = np.clip(1.0 - np.abs(distances), 0.0, 1.0)
    else:
        weights = _cubic(distances, method.cubic)
    return _normalised(weights) if method.antialias else weights


def _normalised(weights: Floats) -> Floats:
    """Divided by their sum, in order; what adds up to 0 is left as it is."""
    total = np.zeros(weights.shape[1])
    for row in weights:
        total = total + row
    return weights / np.where(total == 0, 1.0, total)


def _along(data: Array, axis: Axis, method: Interpolation) -> Array:
    x = coordinates(axis, method.coordinates)
    if method.mode == "nearest":
        places = np.clip(_nearest(x, method.nearest), 0, axis.length - 1)
        return np.take(data, places, axis.place)
    shape = list(data.shape)
    shape[axis.place] = axis.wanted
    result = np.zeros(shape)
    along = np.moveaxis(result, axis.place, -1)
    source = np.moveaxis(data, axis.place, -1)
    for start in range(0, axis.wanted, TOGETHER):
        part = slice(start, start + TOGETHER)
        _add_neighbours(source, x[part], axis, method, along[..., part])
    return result


def _add_neighbours(
    source: Array, x: Floats, axis: Axis, method: Interpolation, target: Array
) -> None:
    """Adds to the last axis of the target what the source has around the coordinates."""
    before = np.ceil(x) - 1.0
    weights = _weights(axis, method, x - before)
    first, after = method.neighbours(axis.scale)
    places = before.astype(np.int64) + np.arange(first, after)[:, np.newaxis]
    if method.exclude_outside:
        weights = _normalised(np.where((places < 0) | (places >= axis.length), 0.0, weights))
    places = np.clip(places, 0, axis.length - 1)
    for place, weight in zip(places, weights, strict=True):
        # NOTE: what has no weight does not count, not even if it is infinite.
        target += np.where(weight == 0, 0.0, np.take(source, place, -1) * weight)


def ordered(axes: Sequence[Axis]) -> list[Axis]:
    """Axes that shrink first, so that nothing in between is larger than both ends."""
    return sorted(axes, key=lambda axis: (axis.wanted > axis.length, axis.place))


def resample(data: Array, axes: Sequence[Axis], method: Interpolation) -> Array:
    """The resized tensor: in float64, or for nearest neighbours in its own type."""
    with np.errstate(all="ignore"):
        result = data if method.mode == "nearest" else data.astype(np.float64)
        for axis in ordered(axes):
            result = _along(result, axis, method)
        if method.coordinates == "tf_crop_and_resize":
            result = _extrapolated(result, axes, method)
    return result


def _extrapolated(result: Array, axes: Sequence[Axis], method: Interpolation) -> Array:
    outside = np.zeros((1,) * result.ndim, np.bool_)
    for axis in axes:
        x = coordinates(axis, method.coordinates)
        column = (-1, *(1,) * (result.ndim - 1 - axis.place))
        outside = outside | ((x < 0) | (x > axis.length - 1)).reshape(column)
    return np.where(outside, method.extrapolation, result).astype(result.dtype)
