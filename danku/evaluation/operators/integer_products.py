"""Matrix products of bytes: MatMulInteger, QLinearMatMul and com.microsoft's QGemm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import broadcast, refuse, require_rank
from danku.evaluation.kernels import integer_products, quantization
from danku.evaluation.kernels.integer_products import PackedBytes
from danku.evaluation.prepared import Prepared, Weights
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.scales import (
    BYTES,
    FLOAT32,
    HALVES,
    INT32,
    MICROSOFT,
    for_rows,
    is_single,
    multiplier,
    require_columns,
    require_like,
    require_rows,
    require_single,
    require_type,
)
from danku.evaluation.standalone import Standalone
from danku.evaluation.tensor import Array, TensorType


def _product_shape(node: Node, left: Sequence[int], right: Sequence[int]) -> tuple[int, ...]:
    if not left or not right:
        raise refuse(node, "input of rank 0")
    if left[-1] != right[-2 if len(right) > 1 else 0]:
        raise refuse(node, "inner dimensions differ")
    stack = broadcast(node, left[:-2], right[:-2])
    return (*stack, *left[-2:-1], *(right[-1:] if len(right) > 1 else ()))


def _product(
    left: Array, right: Array | PackedBytes, left_zero: Array | None, right_zero: Array | None
) -> Array:
    """The sums, with the axes of a one-dimensional operand still there."""
    rows = left[np.newaxis, :] if left.ndim == 1 else left
    zero = np.zeros((), left.dtype) if left_zero is None else for_rows(left_zero)
    if isinstance(right, PackedBytes):
        return integer_products.product(rows, zero, right)
    columns = right[:, np.newaxis] if right.ndim == 1 else right
    other = np.zeros((), right.dtype) if right_zero is None else right_zero
    return integer_products.product(rows, zero, columns, other)


def _packed(
    right: TensorType, zero: TensorType | None, memory: Weights, turned: bool = False
) -> PackedBytes | None:
    """A constant right operand, made ready; None if it is not one matrix that never changes."""
    value = right.value
    if value is None or right.rank != 2 or (zero is not None and zero.value is None):
        return None
    point = np.zeros((), right.dtype) if zero is None or zero.value is None else zero.value
    return memory.form(
        value,
        f"bytes {turned} {point.shape} {point.tobytes().hex()}",
        lambda: integer_products.pack(value.T if turned else value, point),
    )


def _infer_matmul(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    left, right, left_zero, right_zero = [*inputs, None, None][:4]
    require_type(node, BYTES, left, right)
    if left_zero is not None:
        require_type(node, frozenset({left.dtype}), left_zero)
        require_rows(node, left, left_zero)
    if right_zero is not None:
        require_type(node, frozenset({right.dtype}), right_zero)
        require_columns(node, right, right_zero)
    return [TensorType(INT32, _product_shape(node, left.shape, right.shape))]


def _matmul_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    depth: int = inputs[0].shape[-1]
    return outputs[0].elements * depth


def _run_matmul(node: Node, arrays: Sequence[Any]) -> list[Array]:
    left, right, left_zero, right_zero = [*arrays, None, None][:4]
    shape = _product_shape(node, left.shape, right.shape)
    return [_product(left, right, left_zero, right_zero).reshape(shape)]


def _prepare_matmul(
    node: Node, inputs: Sequence[TensorType | None], memory: Weights
) -> Prepared | None:
    left, right, _, right_zero = [*inputs, None, None][:4]
    assert left is not None and right is not None
    packed = _packed(right, right_zero, memory)
    if packed is None:
        return None
    shape = _product_shape(node, left.shape, right.shape)

    def compute(arrays: Sequence[Any]) -> Array:
        zero = arrays[2] if len(arrays) > 2 else None
        return _product(arrays[0], packed, zero, None).reshape(shape)

    return Standalone(compute)


def _infer_linear_matmul(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    left, left_scale, left_zero, right, right_scale, right_zero, scale, zero = inputs
    allowed = HALVES if node.version >= 21 else frozenset({FLOAT32})
    require_type(node, allowed, left_scale, right_scale, scale)
    if len({left_scale.dtype, right_scale.dtype, scale.dtype}) > 1:
        raise ModelRejected("type", f"{node.operator}: inputs of different types")
    require_type(node, BYTES, zero)
    require_rows(node, left, left_scale)
    require_columns(node, right, right_scale)
    if not is_single(scale.shape) or not is_single(zero.shape):
        raise refuse(node, "more than one scale of the result")
    require_like(node, left_scale, left_zero)
    require_like(node, right_scale, right_zero)
    [product] = _infer_matmul(node, (left, right, left_zero, right_zero))
    return [TensorType(zero.dtype, product.shape)]


def _linear_matmul(node: Node, arrays: Sequence[Array], packed: PackedBytes | None) -> Array:
    left, left_scale, left_zero, right, right_scale, right_zero, scale, zero = arrays
    shape = _product_shape(node, left.shape, right.shape)
    sums = _product(left, right if packed is None else packed, left_zero, right_zero)
    factor = multiplier(for_rows(left_scale), right_scale, scale)
    return quantization.requantize(sums, factor, zero, zero.dtype).reshape(shape)


def _run_linear_matmul(node: Node, arrays: Sequence[Array]) -> list[Array]:
    return [_linear_matmul(node, arrays, None)]


def _prepare_linear_matmul(
    node: Node, inputs: Sequence[TensorType | None], memory: Weights
) -> Prepared | None:
    right, zero, scales = inputs[3], inputs[5], (inputs[1], inputs[4], inputs[6])
    assert right is not None
    packed = _packed(right, zero, memory)
    # NOTE: scales of half a width are widened by the operator's step, which this one replaces.
    if packed is None or any(each is None or each.dtype != FLOAT32 for each in scales):
        return None
    return Standalone(lambda arrays: _linear_matmul(node, arrays, packed))


def _infer_gemm(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    left, left_scale, left_zero, right, right_scale, right_zero, *rest = inputs
    added, scale, zero = [*rest, None, None, None][:3]
    require_type(node, BYTES, left, right, zero)
    require_type(node, frozenset({FLOAT32}), left_scale, right_scale, scale)
    require_type(node, frozenset({left.dtype}), left_zero)
    require_type(node, frozenset({right.dtype}), right_zero)
    require_type(node, frozenset({INT32}), added)
    require_rank(node, left, 2)
    require_rank(node, right, 2)
    rows, inner = left.shape[::-1] if node["transA"] else left.shape
    other, columns = right.shape[::-1] if node["transB"] else right.shape
    if inner != other:
        raise refuse(node, "inner dimensions differ")
    require_single(node, left_scale, left_zero, scale, zero)
    for each in (right_scale, right_zero):
        if not is_single(each.shape) and each.shape != (columns,):
            raise refuse(node, "a scale or zero point that is neither single nor one each column")
    require_like(node, right_scale, right_zero)
    if added is not None and broadcast(node, added.shape, (rows, columns)) != (rows, columns):
        raise refuse(node, "C does not broadcast to the product")
    if (scale is None) != (zero is None):
        raise refuse(node, "a scale of the result without a zero point, or the other way round")
    return [TensorType(FLOAT32 if zero is None else zero.dtype, (rows, columns))]


def _gemm_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    depth: int = inputs[0].shape[0 if node["transA"] else 1]
    return outputs[0].elements * depth


def _gemm(node: Node, arrays: Sequence[Any], packed: PackedBytes | None) -> Array:
    left, left_scale, left_zero, right, right_scale, right_zero, *rest = arrays
    added, scale, zero = [*rest, None, None, None][:3]
    operand = packed
    if operand is None:
        turned = right.T if node["transB"] else right
        operand = integer_products.pack(turned, right_zero)
    sums = _product(left.T if node["transA"] else left, operand, left_zero.reshape(()), None)
    with np.errstate(all="ignore"):
        if added is not None:
            sums = sums + added
        factor = (np.float32(node["alpha"]) * left_scale.reshape(())) * right_scale
        if zero is None:
            return np.asarray(sums.astype(np.float32) * factor)
        return quantization.requantize(sums, factor / scale.reshape(()), zero, zero.dtype)


def _run_gemm(node: Node, arrays: Sequence[Any]) -> list[Array]:
    return [_gemm(node, arrays, None)]


def _prepare_gemm(
    node: Node, inputs: Sequence[TensorType | None], memory: Weights
) -> Prepared | None:
    right, zero = inputs[3], inputs[5]
    assert right is not None
    packed = _packed(right, zero, memory, bool(node["transB"]))
    return None if packed is None else Standalone(lambda arrays: _gemm(node, arrays, packed))


OPERATORS = [
    Operator(
        "MatMulInteger",
        _infer_matmul,
        _run_matmul,
        inputs=(2, 4),
        opsets=(10, 1_000),
        work=_matmul_work,
        prepare=_prepare_matmul,
    ),
    Operator(
        "QLinearMatMul",
        _infer_linear_matmul,
        _run_linear_matmul,
        inputs=(8, 8),
        opsets=(10, 1_000),
        work=_matmul_work,
        prepare=_prepare_linear_matmul,
    ),
    Operator(
        "QGemm",
        _infer_gemm,
        _run_gemm,
        inputs=(6, 9),
        domain=MICROSOFT,
        attributes={
            "alpha": Attribute("float", 1.0),
            "transA": Attribute("int", 0),
            "transB": Attribute("int", 0),
        },
        work=_gemm_work,
        prepare=_prepare_gemm,
    ),
]
