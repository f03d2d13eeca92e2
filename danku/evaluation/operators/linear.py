"""Matrix products: MatMul and Gemm."""

from __future__ import annotations

from collections.abc import Sequence
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
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType


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


OPERATORS = [
    Operator("MatMul", _infer_matmul, _run_matmul, inputs=(2, 2), work=_matmul_work),
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
    ),
]
