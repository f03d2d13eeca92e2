"""Convolution of bytes in one to three dimensions: exact, in 32 bits that wrap."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from danku.evaluation.kernels import buffers
from danku.evaluation.kernels.arrays import Array, contiguous
from danku.evaluation.kernels.blocks import rounded_up
from danku.evaluation.kernels.convolution import CACHED_BYTES, MOST_LAID_OUT, ROOM
from danku.evaluation.kernels.integer_layout import Axes, PackedBytes, PairLayout, gather, lay_out
from danku.evaluation.kernels.integer_products import as_bytes
from danku.evaluation.kernels.integer_sums import convolve, convolve_far, convolve_turned
from danku.evaluation.kernels.layout import Index
from danku.evaluation.kernels.pairs import CHUNK, PANEL, PANEL_LINES, ROWS, STRIP
from danku.evaluation.kernels.requantization import Rounding
from danku.evaluation.kernels.threads import share

_NARROW, _WIDE = np.empty(0, np.uint8), np.empty(0, np.int32)
_NO_MULTIPLIERS = np.empty(0, np.float32)


class Convolution:
    """A convolution for inputs and outputs of given shapes.

    Args:
        shape: of x, [images, channels, depth, height, width].
        bias: for each output channel; added to the sums, modulo 2^32.
        multipliers: what the sums are multiplied with before they are rounded; one, or one for
            each output channel.
        rounding: how they become bytes; None leaves them int32.
    """

    def __init__(
        self,
        weights: PackedBytes,
        axes: Axes,
        shape: tuple[int, ...],
        bias: Array | None = None,
        multipliers: Array = _NO_MULTIPLIERS,
        rounding: Rounding | None = None,
    ) -> None:
        self._weights, self._axes, self._shape = weights, axes, shape
        outputs = weights.groups * weights.rows
        self._moves = tuple(axis.step for axis in axes)
        self._counts = tuple(axis.count for axis in axes)
        self.shape = (shape[0], outputs, *self._counts)
        """Of the result."""
        self._bias = np.zeros(outputs, np.int32) if bias is None else contiguous(bias)
        self._rounding = rounding
        if rounding is not None:
            multipliers = np.broadcast_to(multipliers, outputs)
        self._multipliers = contiguous(multipliers)
        self._layouts: dict[int, PairLayout] = {}

    def run(self, x: Array, zero_point: int) -> Array:
        """The result: int32, or what the sums are rounded to.

        Args:
            x: int8 or uint8, of the shape but for missing axes of one.
            zero_point: of x.
        """
        dtype = np.dtype(np.int32) if self._rounding is None else self._rounding.dtype
        out = buffers.empty(self.shape, dtype)
        if out.size == 0:
            return out
        data, flip = as_bytes(x)
        data, number = data.reshape(-1), (flip, zero_point + flip)
        flat = out.reshape(-1)
        ending = (
            self._bias,
            self._multipliers,
            (0, 0, 0) if self._rounding is None else self._rounding.limits,
            _NARROW if self._rounding is None else flat.view(np.uint8),
            flat if self._rounding is None else _WIDE,
        )
        one = self._layout(1)
        if one.elements > MOST_LAID_OUT * (prod(self._shape[1:]) + prod(self.shape[1:])) + ROOM:
            self._run_far(data, number, ending)
            return out
        at_once = max(1, min(self._shape[0], CACHED_BYTES // (one.elements * 4)))
        for first in range(0, self._shape[0], at_once):
            self._run_near(data, number, (first, min(first + at_once, self._shape[0])), ending)
        return out

    def _layout(self, images: int) -> PairLayout:
        if images not in self._layouts:
            self._layouts[images] = PairLayout(images, self._axes, self._weights)
        return self._layouts[images]

    def _run_near(
        self, x: Array, number: tuple[int, int], images: tuple[int, int], ending: tuple[Any, ...]
    ) -> None:
        """Some images by way of a layout."""
        weights, where = self._weights, self._layout(images[1] - images[0])
        buffer = buffers.empty(where.elements, np.int32)

        def arrange(first: int, last: int) -> None:
            lay_out(
                *(x, number, self._shape, self._moves, where.planes, where.leads, where.extents),
                *(where.plane, where.group, images, (first, last), buffer),
            )

        share(arrange, weights.groups * where.group[1], where.elements)
        sizes = prod(self.shape[1:]), prod(self.shape[2:])
        place, work = images[0] * sizes[0], where.columns * weights.numbers.size
        if where.turned:
            self._turn(buffer, where, place, ending)
            return
        chunk = min(CHUNK, rounded_up(weights.rows, ROWS))
        units = weights.groups * -(-weights.rows // chunk) * -(-where.columns // STRIP)
        group = weights.rows, weights.pairs, chunk, where.group[2]
        scratch = chunk * min(STRIP, rounded_up(where.columns, PANEL))

        def compute(first: int, last: int) -> None:
            convolve(
                *(weights.numbers, buffer, where.offsets, group, where.columns, where.extents),
                *(self._counts, place, sizes, (first, last)),
                *(buffers.empty(scratch, np.int32), *ending),
            )

        share(compute, units, work)

    def _turn(self, buffer: Array, where: PairLayout, place: int, ending: tuple[Any, ...]) -> None:
        """With channels as columns: where outputs are few or far apart, and channels many."""
        weights, positions = self._weights, where.positions
        patches = buffers.empty((positions.size, weights.pairs), np.int32)

        def collect(first: int, last: int) -> None:
            gather(buffer, where.offsets, positions, (first, last), patches.reshape(-1))

        share(collect, positions.size, patches.size)
        sizes = positions.size, weights.pairs, weights.rows, prod(self._counts)
        scratch = min(CHUNK, positions.size) * min(STRIP, rounded_up(weights.rows, PANEL))
        numbers = patches.reshape(-1).view(np.int16)

        def compute(first: int, last: int) -> None:
            convolve_turned(
                *(numbers, weights.panels, PANEL_LINES, sizes, place, (first, last)),
                *(buffers.empty(scratch, np.int32), *ending),
            )

        work = patches.size * weights.rows
        share(compute, rounded_up(weights.rows, PANEL) // PANEL, work)

    def _run_far(self, x: Array, number: tuple[int, int], ending: tuple[Any, ...]) -> None:
        weights = self._weights
        group = weights.channels, weights.rows, weights.pairs, weights.groups

        def compute(first: int, last: int) -> None:
            convolve_far(
                *(weights.numbers, x, number, self._shape, group, self._moves, self._counts),
                *(self._positions, (first, last), np.zeros(2 * weights.pairs, np.int16), *ending),
            )

        units = self._shape[0] * weights.groups * prod(self._counts)
        share(compute, units, prod(self.shape) * weights.pairs)

    @cached_property
    def _positions(self) -> Index:
        chosen = np.meshgrid(*(axis.positions for axis in self._axes), indexing="ij")
        return np.stack(chosen, axis=-1).astype(np.int64).reshape(-1)
