"""Matrix products: MatMul and Gemm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import (
    FLOATS,
    NUMBERS,
    broadcast,
    refuse,
    require_kind,
    require_rank,
)
from danku.evaluation.kernels import gemm
from danku.evaluation.kernels.blocks import panel_width, rounded_up
from danku.evaluation.kernels.epilogue import Code, Epilogue, Operation, epilogue
from danku.evaluation.kernels.gemm import PackedB, Product
from danku.evaluation.prepared import Prepared, Weights
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, DType, TensorType


def _infer_matmul(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    left, right = inputs
    require_kind(node, NUMBERS, left, right)
    if left.rank == 0 or right.rank == 0:
        raise refuse(node, "input of rank 0")
    if left.shape[-1] != right.shape[-2 if right.rank > 1 else 0]:
        raise refuse(node, "inner dimensions differ")
    stack = broadcast(node, left.shape[:-2], right.shape[:-2])
    rows = left.shape[-2:-1]
    columns = right.shape[-1:] if right.rank > 1 else ()
    return [left.with_shape(*stack, *rows, *columns)]


def _matmul_work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    return outputs[0].elements * inputs[0].shape[-1]


def _run_matmul(node: Node, arrays: Sequence[Array]) -> list[Array]:
    return [gemm.matmul(arrays[0], arrays[1])]


def _infer_gemm(node: Node, inputs: Sequence[TensorType | None]) -> list[TensorType]:
    left, right, added = [*inputs, None][:3]
    assert left is not None and right is not None
    require_kind(node, FLOATS, left, right, added)
    require_rank(node, left, 2)
    require_rank(node, right, 2)
    rows, inner = reversed(left.shape) if node["transA"] else left.shape
    other, columns = reversed(right.shape) if node["transB"] else right.shape
    if inner != other:
        raise refuse(node, "inner dimensions differ")
    shape = (rows, columns)
    if added is not None and broadcast(node, added.shape, shape) != shape:
        raise refuse(node, "C does not broadcast to the product")
    return [left.with_shape(*shape)]


def _gemm_work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    return outputs[0].elements * inputs[0].shape[0 if node["transA"] else 1]


def _run_gemm(node: Node, arrays: Sequence[Any]) -> list[Array]:
    left, right = arrays[:2]
    product = gemm.matmul(left.T if node["transA"] else left, right.T if node["transB"] else right)
    with np.errstate(all="ignore"):
        if node["alpha"] != 1.0:
            product = product * product.dtype.type(node["alpha"])
        if len(arrays) > 2 and arrays[2] is not None:
            added = arrays[2]
            if node["beta"] != 1.0:
                added = added * added.dtype.type(node["beta"])
            product = product + added
    return [product]


@dataclass(frozen=True)
class _Product:
    """A product of matrices, the right one packed if it is a constant, and what follows it."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    packed: PackedB | None
    dtype: DType
    transposed: tuple[bool, bool] = (False, False)
    """Whether the inputs are the operands turned over."""
    operations: tuple[Operation, ...] = ()

    @property
    def axis(self) -> int:
        return max(len(self.left), len(self.right)) - 1

    @cached_property
    def _steps(self) -> Epilogue:
        return epilogue(self.operations, self.right[-1], self.dtype)

    @cached_property
    def _product(self) -> Product:
        return Product(self.left, self.packed or self.right, self.dtype, self._steps)

    def run(self, arrays: Sequence[Any]) -> list[Array]:
        left = arrays[0].T if self.transposed[0] else arrays[0]
        right = None
        if self.packed is None:
            right = arrays[1].T if self.transposed[1] else arrays[1]
        other = arrays[-1] if self._steps.takes_tensor else None
        return [self._product.run(left, right, other)]

    def followed_by(self, operations: Sequence[Operation]) -> Prepared | None:
        together = (*self.operations, *operations)
        if sum(each.code == Code.ADD_TENSOR for each in together) > 1:
            return None
        return replace(self, operations=together)


_LEAST_WASTE = 2**20
"""Bytes that packing may add to any matrix."""
_MOST_WASTE = 4
"""How many times larger packing may make a large one."""


def _packed(memory: Weights, constant: Array, form: str, turned: bool) -> PackedB | None:
    """A constant right operand packed; None if that would take many times its memory.

    NOTE: columns are filled up to whole panels, and what that takes is not metered.
    """
    depth, columns = constant.shape[::-1] if turned else constant.shape
    size = depth * rounded_up(columns, panel_width(constant.dtype)) * constant.dtype.itemsize
    if size > max(_MOST_WASTE * constant.nbytes, _LEAST_WASTE):
        return None
    return memory.form(constant, form, lambda: gemm.pack(constant.T if turned else constant))


def _prepare_matmul(
    node: Node, inputs: Sequence[TensorType | None], memory: Weights
) -> Prepared | None:
    left, right = inputs
    assert left is not None and right is not None
    if left.dtype not in gemm.TYPES or left.rank < 2 or right.rank < 2:
        return None
    packed = None
    if right.value is not None and right.rank == 2:
        packed = _packed(memory, right.value, "product", turned=False)
    return _Product(left.shape, right.shape, packed, left.dtype)


def _prepare_gemm(
    node: Node, inputs: Sequence[TensorType | None], memory: Weights
) -> Prepared | None:
    left, right, added = [*inputs, None][:3]
    assert left is not None and right is not None
    if left.dtype not in gemm.TYPES:
        return None
    operations = []
    if node["alpha"] != 1.0:
        operations.append(Operation(Code.MULTIPLY, node["alpha"]))
    if added is not None:
        if added.value is None or added.elements not in (1, (added.shape or (1,))[-1]):
            return None
        with np.errstate(all="ignore"):
            scaled = added.value * added.dtype.type(node["beta"])
        operations.append(Operation(Code.ADD, scaled.reshape(-1)))
    turned = bool(node["transA"]), bool(node["transB"])
    shapes = [
        each.shape[::-1] if over else each.shape
        for each, over in zip((left, right), turned, strict=True)
    ]
    packed = None
    if right.value is not None:
        form = "turned product" if turned[1] else "product"
        packed = _packed(memory, right.value, form, turned[1])
    return _Product(shapes[0], shapes[1], packed, left.dtype, turned, tuple(operations))


OPERATORS = [
    Operator(
        "MatMul",
        _infer_matmul,
        _run_matmul,
        inputs=(2, 2),
        work=_matmul_work,
        prepare=_prepare_matmul,
    ),
    Operator(
        "Gemm",
        _infer_gemm,
        _run_gemm,
        inputs=(2, 3),
        attributes={
            "alpha": Attribute("float", 1.0),
            "beta": Attribute("float", 1.0),
            "transA": Attribute("int", 0),
            "transB": Attribute("int", 0),
        },
        work=_gemm_work,
        prepare=_prepare_gemm,
    ),
]
