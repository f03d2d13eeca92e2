"""What follows a product element by element, done while its sums are still in the cache.

Each operation rounds once in the type of the product, just as the operator of that name does when
it runs by itself; nothing is contracted or reordered. So it changes no bit, it only saves passes
over memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.compiler import device
from danku.evaluation.kernels.intrinsics import maximum, minimum


class Code(IntEnum):
    """The operations: ``x`` is the product so far, ``v`` a constant."""

    ADD = 0
    """x + v"""
    SUBTRACT = 1
    """x - v"""
    MULTIPLY = 2
    """x * v"""
    DIVIDE = 3
    """x / v"""
    MAXIMUM = 4
    """The larger of x and v; NaN if either is, +0 above -0."""
    MINIMUM = 5
    """The smaller of x and v; NaN if either is, -0 below +0."""
    RELU = 6
    """v where x <= v, else x; v is +0."""
    LEAKY_RELU = 7
    """v * x where x < 0, else x."""
    ADD_TENSOR = 8
    """x + an array of the product's shape that is known only while the model runs."""
    NUMBER = 9
    """v where x is NaN, else x."""


@dataclass(frozen=True)
class Operation:
    """One step; ``values`` is a scalar, or has an element for each column (of a matrix product)
    or channel (of a convolution)."""

    code: Code
    values: Any = 0.0


@dataclass(frozen=True)
class Epilogue:
    """Operations in order, as the kernels take them: codes [n] and values [n, length]."""

    codes: NDArray[np.int64]
    values: Array

    @cached_property
    def takes_tensor(self) -> bool:
        """Whether one of the operations is ``ADD_TENSOR``."""
        return Code.ADD_TENSOR in self.codes.tolist()


def epilogue(operations: Sequence[Operation], length: int, dtype: Any) -> Epilogue:
    """For products of ``length`` columns or channels."""
    codes = np.array([operation.code for operation in operations], np.int64)
    values = np.empty((len(operations), length), dtype)
    for row, operation in zip(values, operations, strict=True):
        row[...] = operation.values
    return Epilogue(codes, values)


# NOTE: the enumeration's members as plain integers, which is what kernels can read.
_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE = map(int, list(Code)[:4])
_MAXIMUM, _MINIMUM, _RELU, _LEAKY_RELU = map(int, list(Code)[4:8])
ADD_TENSOR = int(Code.ADD_TENSOR)
_NUMBER = int(Code.NUMBER)


@device
def apply_one(code: int, v: Any, x: Array) -> None:
    """One operation with the same constant for a whole row."""
    if code == _ADD:
        for j in range(x.size):
            x[j] = x[j] + v
    elif code == _SUBTRACT:
        for j in range(x.size):
            x[j] = x[j] - v
    elif code == _MULTIPLY:
        for j in range(x.size):
            x[j] = x[j] * v
    elif code == _DIVIDE:
        for j in range(x.size):
            x[j] = x[j] / v
    elif code == _MAXIMUM:
        for j in range(x.size):
            x[j] = maximum(x[j], v)
    elif code == _MINIMUM:
        for j in range(x.size):
            x[j] = minimum(x[j], v)
    elif code == _RELU:
        for j in range(x.size):
            x[j] = v if x[j] <= v else x[j]
    elif code == _LEAKY_RELU:
        for j in range(x.size):
            x[j] = v * x[j] if x[j] < 0 else x[j]
    elif code == _NUMBER:
        for j in range(x.size):
            x[j] = x[j] if x[j] == x[j] else v


@device
def apply_each(code: int, v: Array, x: Array) -> None:
    """One operation with a constant for each element of a row."""
    if code == _ADD:
        for j in range(x.size):
            x[j] = x[j] + v[j]
    elif code == _SUBTRACT:
        for j in range(x.size):
            x[j] = x[j] - v[j]
    elif code == _MULTIPLY:
        for j in range(x.size):
            x[j] = x[j] * v[j]
    elif code == _DIVIDE:
        for j in range(x.size):
            x[j] = x[j] / v[j]
    elif code == _MAXIMUM:
        for j in range(x.size):
            x[j] = maximum(x[j], v[j])
    elif code == _MINIMUM:
        for j in range(x.size):
            x[j] = minimum(x[j], v[j])
    elif code == _NUMBER:
        for j in range(x.size):
            x[j] = x[j] if x[j] == x[j] else v[j]
    else:
        apply_one(code, v[0], x)
