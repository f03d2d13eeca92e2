"""The table that every source file becomes, and its bounded-memory access."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from danku.errors import DataError

Array: TypeAlias = NDArray[Any]

BLOCK_BYTES = 16 * 2**20
"""How much of a memory-mapped array is looked at before its pages are let go of."""


class SourceBroken(DataError):
    """The data file is missing, damaged, or not laid out as it has to be."""


class ColumnMissing(SourceBroken):
    """The file has no column or array of this name."""


class FeatureBroken(SourceBroken):
    """A feature is not a number, or not one of the model's data type."""


class TargetBroken(SourceBroken):
    """A target is empty, no number, or no class of the challenge; or a class never occurs."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A data set in memory or memory-mapped; its rows are in the order of the file."""

    features: Array
    """[rows, *shape], perhaps memory-mapped and then of the file's own number type."""
    target: Array
    """[rows]: int64 class indices, or finite float64 values."""
    columns: tuple[str, ...]
    """Names of the features in order; empty for unnamed arrays."""
    group_keys: NDArray[np.int64] | None
    """[rows]: rows with equal keys belong into one group."""
    dtype: str
    """The number type in which the features go into groups."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.target)


def blocks(array: Array) -> Iterator[tuple[int, Array]]:
    """The array's rows in pieces of about `BLOCK_BYTES`, each with the number of its first row."""
    step = max(1, BLOCK_BYTES // row_bytes(array))
    for start in range(0, len(array), step):
        yield start, array[start : start + step]
        release(array)


def row_bytes(array: Array) -> int:
    """The size of one row, at least 1."""
    return max(1, array.dtype.itemsize * int(np.prod(array.shape[1:], dtype=np.int64)))


def release(array: Array) -> None:
    """Let go of a memory-mapped array's pages; they come back from the file when needed.

    NOTE: pages of a mapping count as the process's memory for as long as they stay mapped, so
    that reading a file through one would in the end take as much memory as the file has bytes.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap) and owner.mode != "r":
            return
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(owner, "madvise"):
        owner.madvise(mmap.MADV_DONTNEED)
