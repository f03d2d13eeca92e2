"""Memory that is used again: what the system gives for a large array it takes back page by page,
and to get it anew takes as long as a pass of arithmetic over it.

A block is free when no array looks at it any more, so nobody has to give one back.
"""

from __future__ import annotations

import sys
from math import prod
from threading import local
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from danku.evaluation.kernels.arrays import Array

LEAST_BYTES = 2**15
"""Smaller arrays are as quickly made anew."""
MOST_BYTES = 2**26
"""A thread keeps no more than this."""


def _references(kept: list[NDArray[np.uint8]], place: int) -> int:
    return sys.getrefcount(kept[place])


_UNUSED = _references([np.empty(0, np.uint8)], 0)
"""References to a block that only its list and a question about it hold; Pythons differ in it."""


class _Blocks(local):
    """The blocks of one thread."""

    def __init__(self) -> None:
        self.kept: list[NDArray[np.uint8]] = []

    def take(self, size: int) -> NDArray[np.uint8]:
        """At least ``size`` bytes, and at most twice as many."""
        best = -1
        for place in range(len(self.kept)):
            held = self.kept[place].nbytes
            if size <= held <= 2 * size and _references(self.kept, place) <= _UNUSED:
                best = place if best < 0 or held < self.kept[best].nbytes else best
        if best >= 0:
            return self.kept[best]
        block = np.empty(size, np.uint8)
        self._make_room(size)
        if size <= MOST_BYTES - sum(each.nbytes for each in self.kept):
            self.kept.append(block)
        return block

    def _make_room(self, size: int) -> None:
        """Let go of unused blocks, the oldest first, until ``size`` more bytes can be kept."""
        over = size + sum(each.nbytes for each in self.kept) - MOST_BYTES
        place = 0
        while over > 0 and place < len(self.kept) and size <= MOST_BYTES:
            if _references(self.kept, place) <= _UNUSED:
                over -= self.kept.pop(place).nbytes
            else:
                place += 1


_BLOCKS = _Blocks()


def empty(shape: int | tuple[int, ...], dtype: DTypeLike) -> Array:
    """As `numpy.empty`, of numbers, perhaps in memory that was used before."""
    kind: np.dtype[Any] = np.dtype(dtype)
    count = prod(shape) if isinstance(shape, tuple) else shape
    size = count * kind.itemsize
    if size < LEAST_BYTES:
        return np.empty(shape, kind)
    return _BLOCKS.take(size)[:size].view(kind).reshape(shape)
