"""Where a convolution's input lies in memory, so that products can read it without a matrix of
patches.

The input is laid out once with its padding, so that what one element of the kernel meets for
consecutive outputs is consecutive: each residue of the strides has a plane of its own, and lines
follow each other so closely that the padding after one is the padding before the next. Output
(image, d, h, w) is element ((image * depth + d) * height + h) * width + w of a row of sums, where
depth, height and width are the extents of the lines; what lies between the outputs means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]

_CACHE_LINE = 16
"""In elements, of float32."""


@dataclass(frozen=True)
class Axis:
    """One spatial axis: output o meets input o * step + position, for each position of the kernel.

    Outputs are ``count``; in the result they are ``spacing`` apart, from ``first`` on.
    """

    size: int
    """Of the input."""
    step: int
    positions: tuple[int, ...]
    count: int
    first: int = 0
    spacing: int = 1


class Line:
    """One axis laid out: every residue of the step that is needed, in a line of its own.

    A line is ``lead`` zeros, the elements, and zeros up to the next one, ``extent`` after it.
    """

    def __init__(self, axis: Axis) -> None:
        met: dict[int, list[int]] = {}
        for residue, shift, length in (self._split(axis, each) for each in axis.positions):
            if -axis.count < shift < length:
                met.setdefault(residue, []).append(shift)
        self.residues = tuple(sorted(met))
        self.lead = max((-shift for each in met.values() for shift in each), default=0)
        self.lead = max(self.lead, 0)
        ends = [axis.count + max(met[residue]) for residue in self.residues]
        self.lengths = tuple(
            min(self._split(axis, residue)[2], end)
            for residue, end in zip(self.residues, ends, strict=True)
        )
        """Of each residue: the elements that are needed."""
        self.extent = max(axis.count, *ends, *(self.lead + length for length in self.lengths), 0)
        self.places = tuple(self._place(axis, position) for position in axis.positions)
        """Of each position: which residue, and where in its line output 0 meets it; None if all
        outputs meet padding there."""

    @staticmethod
    def _split(axis: Axis, position: int) -> tuple[int, int, int]:
        """A position's residue, its shift in the line of that residue, and the line's length."""
        shift, residue = divmod(position, axis.step)
        return residue, shift, -(-(axis.size - residue) // axis.step)

    def _place(self, axis: Axis, position: int) -> tuple[int, int] | None:
        residue, shift, length = self._split(axis, position)
        if not -axis.count < shift < length:
            return None
        return self.residues.index(residue), shift + self.lead


@dataclass(frozen=True)
class Layout:
    """Some images in memory: [channel, plane of residues, image, depth, height, width]."""

    images: int
    axes: tuple[Axis, Axis, Axis]

    @cached_property
    def lines(self) -> tuple[Line, Line, Line]:
        depth, height, width = self.axes
        return Line(depth), Line(height), Line(width)

    @property
    def extents(self) -> tuple[int, int, int]:
        depth, height, width = self.lines
        return depth.extent, height.extent, width.extent

    @property
    def leads(self) -> tuple[int, int, int]:
        depth, height, width = self.lines
        return depth.lead, height.lead, width.lead

    @cached_property
    def planes(self) -> Index:
        """Of each plane of a channel, along the three axes: residues, then lengths; [planes, 6]."""
        choices = [list(zip(line.residues, line.lengths, strict=True)) for line in self.lines]
        rows = [list(zip(*chosen, strict=True)) for chosen in product(*choices)]
        return np.array(rows, np.int64).reshape(-1, 6)

    def _number(self, places: tuple[int, int, int]) -> int:
        _, height, width = self.extents
        return (places[0] * height + places[1]) * width + places[2]

    @cached_property
    def plane(self) -> int:
        """Elements from one plane to the next, the zeros included that its last line meets.

        An odd number of cache lines, so that planes do not compete for the same places of a cache.
        """
        needed = self._number((self.images * self.extents[0], 0, 0)) + self._number(self.leads)
        return (needed // _CACHE_LINE | 1) * _CACHE_LINE + 2 * _CACHE_LINE

    @cached_property
    def columns(self) -> int:
        """Elements from the first output to the last."""
        depth, height, width = (axis.count - 1 for axis in self.axes)
        return self._number(((self.images - 1) * self.extents[0] + depth, height, width)) + 1

    @cached_property
    def furthest(self) -> int:
        """The most that a product reads beyond the start of a plane, besides its columns."""
        far = [max((place[1] for place in line.places if place), default=0) for line in self.lines]
        return self._number((far[0], far[1], far[2]))

    @cached_property
    def _steps(self) -> tuple[Index, NDArray[np.bool_]]:
        """For each element of the kernel: where output 0 meets a channel, and whether any does."""
        numbers, shifts, met = np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1, np.bool_)
        for line in self.lines:
            places = np.array([place or (0, 0) for place in line.places], np.int64).reshape(-1, 2)
            here = np.array([place is not None for place in line.places], np.bool_)
            numbers = np.add.outer(numbers * len(line.residues), places[:, 0]).reshape(-1)
            shifts = np.add.outer(shifts * line.extent, places[:, 1]).reshape(-1)
            met = np.logical_and.outer(met, here).reshape(-1)
        return numbers * self.plane + shifts, met

    def group(self, channels: int) -> int:
        """Elements from one group of channels to the next; a plane of zeros ends it if needed."""
        return (channels * len(self.planes) + (not self._steps[1].all())) * self.plane

    def offsets(self, channels: int) -> Index:
        """Where output 0 meets its group, for each (channel, element of the kernel)."""
        steps, met = self._steps
        starts = np.arange(channels, dtype=np.int64) * len(self.planes) * self.plane
        zeros = channels * len(self.planes) * self.plane
        return np.where(met, np.add.outer(starts, steps), zeros).reshape(-1)
