"""What is known of a tensor before a model runs: element type, shape, and its value if constant."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation import profile
from danku.evaluation.refusal import ModelRejected

Array = NDArray[Any]
DType = np.dtype[Any]
Label = str | int


@dataclass(frozen=True)
class TensorType:
    """A bounded type; making one allocates nothing.

    Raises:
        ModelRejected: rank, a dimension or the number of elements is out of bounds.
    """

    dtype: DType
    shape: tuple[int, ...]
    value: Array | None = field(default=None, compare=False, repr=False)
    """Set if the tensor is the same for every input."""
    columns: tuple[Label, ...] = field(default=(), compare=False)
    """What the last axis stands for, where the model says so: the labels of its classes."""
    is_map: bool = False
    """ZipMap's output, which no operator takes."""

    def __post_init__(self) -> None:
        if len(self.shape) > profile.RANK:
            raise ModelRejected("shape", f"a tensor has more than {profile.RANK} dimensions")
        if any(not 0 <= size <= profile.DIMENSION for size in self.shape):
            raise ModelRejected("shape", "a dimension is negative or too large")
        if prod(max(size, 1) for size in self.shape) > profile.ELEMENTS:
            raise ModelRejected("shape", "a tensor has too many elements")

    @property
    def kind(self) -> str:
        """ "f", "i", "u", "b" or "O", or "n" for what is stored only: the sort of the elements."""
        if self.dtype in profile.STORED_ONLY:
            return "n"
        return "f" if self.dtype == profile.BFLOAT16 else self.dtype.kind

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """What the tensor is charged in memory, dimensions of zero counted as one."""
        each = max(self.dtype.itemsize, profile.ELEMENT_COST)
        if self.dtype == profile.STRING:
            each = profile.STRING_COST
        return prod(max(size, 1) for size in self.shape) * each

    @property
    def dtype_name(self) -> str:
        return "string" if self.dtype == profile.STRING else self.dtype.name

    def with_shape(self, *shape: int) -> TensorType:
        """The same element type in another shape; value and columns are dropped."""
        return TensorType(self.dtype, shape)

    def __str__(self) -> str:
        return f"{self.dtype_name} [{', '.join(map(str, self.shape))}]"


def constant(value: Array) -> TensorType:
    """The type of a tensor that never changes."""
    return TensorType(value.dtype, value.shape, value)
