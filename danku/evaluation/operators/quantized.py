"""Quantization: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, MatMulInteger and
QLinearMatMul."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import axis_of, broadcast, refuse
from danku.evaluation.initializers import element_type
from danku.evaluation.kernels import quantization, reductions
from danku.evaluation.kernels.narrow import widened
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, DType, TensorType

_FLOAT32, _INT32, _UINT8 = (np.dtype(kind) for kind in (np.float32, np.int32, np.uint8))
_BYTES = frozenset({_UINT8, np.dtype(np.int8)})
_HALVES = frozenset({_FLOAT32, np.dtype(np.float16), profile.BFLOAT16})
_SINCE: dict[DType, int] = {
    **dict.fromkeys(_BYTES, 10),
    **dict.fromkeys((profile.ELEMENT_TYPES[number] for number in range(17, 21)), 19),
    **dict.fromkeys((profile.ELEMENT_TYPES[number] for number in (4, 5, 21, 22)), 21),
    np.dtype(ml_dtypes.float4_e2m1fn): 23,
    **dict.fromkeys((profile.ELEMENT_TYPES[number] for number in (25, 26)), 25),
}
"""What numbers are quantized to, and the opset version from which on."""
_E8M0 = np.dtype(ml_dtypes.float8_e8m0fnu)


def _require(node: Node, tensor: TensorType, allowed: frozenset[DType]) -> None:
    if tensor.dtype not in allowed:
        raise ModelRejected("type", f"{node.operator}: unsupported type {tensor.dtype_name}")


def _quantized(node: Node) -> frozenset[DType]:
    return frozenset(kind for kind, version in _SINCE.items() if version <= node.version)


def _scales(node: Node) -> frozenset[DType]:
    if node.version < 19:
        return frozenset({_FLOAT32})
    return _HALVES | {_E8M0} if node.version >= 23 else _HALVES


def _is_single(shape: Sequence[int]) -> bool:
    return tuple(shape) in ((), (1,))


def _require_granularity(node: Node, data: TensorType, scale: TensorType) -> None:
    """One scale for the tensor, for each place of an axis, or for each block along it."""
    block = node.attributes.get("block_size", 0)
    if block < 0:
        raise refuse(node, f"blocks of size {block}")
    if block:
        axis = axis_of(node, node["axis"], data.rank)
        blocked = list(data.shape)
        blocked[axis] = -(-data.shape[axis] // block)
        expected: tuple[int, ...] = tuple(blocked)
    elif _is_single(scale.shape):
        return
    elif "axis" not in node.attributes:
        raise refuse(node, "more than one scale")
    else:
        expected = (data.shape[axis_of(node, node["axis"], data.rank)],)
    if scale.shape != expected:
        raise refuse(node, f"a scale that is not {list(expected)}")


def _require_like(node: Node, scale: TensorType, zero_point: TensorType) -> None:
    if scale.shape != zero_point.shape and not (
        _is_single(scale.shape) and _is_single(zero_point.shape)
    ):
        raise refuse(node, "a zero point of another shape than the scale")


def _aligned(node: Node, data: Array, parameter: Array) -> Array:
    """A scale or zero point, widened, that broadcasts to the data."""
    wide = widened(parameter)
    block = node.attributes.get("block_size", 0)
    if block:
        axis = node["axis"] % data.ndim
        spread: Array = np.take(wide, np.arange(data.shape[axis]) // block, axis)
        return spread
    if _is_single(wide.shape):
        return wide.reshape(())
    return wide.reshape(-1, *(1,) * (data.ndim - 1 - node["axis"] % data.ndim))


def _quantized_type(node: Node, zero_point: DType | None) -> DType:
    number: int = node.attributes.get("output_dtype", 0)
    if number == 0:
        return _UINT8 if zero_point is None else zero_point
    return element_type(number)


def _infer_quantize(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data, scale, zero_point = [*inputs, None][:3]
    _require(
        node, data, _HALVES | {_INT32} if node.version >= 19 else frozenset({_FLOAT32, _INT32})
    )
    _require(node, scale, _scales(node))
    _require_granularity(node, data, scale)
    result = TensorType(
        _quantized_type(node, None if zero_point is None else zero_point.dtype), data.shape
    )
    _require(node, result, _quantized(node))
    if node.version < 23 and node.version >= 19 and data.dtype != scale.dtype:
        raise ModelRejected("type", f"{node.operator}: inputs of different types")
    if zero_point is not None:
        _require_like(node, scale, zero_point)
        if zero_point.dtype != result.dtype:
            raise refuse(node, "output_dtype is not the type of the zero point")
    if node.attributes.get("precision", 0) not in (0, 1):
        raise refuse(node, "a precision that is not float32")
    return [result]


def _run_quantize(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, scale, zero_point = [*arrays, None][:3]
    wanted = _quantized_type(node, None if zero_point is None else zero_point.dtype)
    zero = np.int8(0) if zero_point is None else _aligned(node, data, zero_point)
    return [
        quantization.quantize(
            widened(data),
            _aligned(node, data, scale),
            np.asarray(zero),
            wanted,
            saturate=bool(node.attributes.get("saturate", 1)),
        )
    ]


def _infer_dequantize(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data, scale, zero_point = [*inputs, None][:3]
    _require(node, data, _quantized(node) | {_INT32})
    _require(node, scale, _scales(node))
    _require_granularity(node, data, scale)
    if zero_point is not None:
        _require(node, zero_point, frozenset({data.dtype}))
        _require_like(node, scale, zero_point)
    number = node.attributes.get("output_dtype", 0)
    result = TensorType(element_type(number) if number else scale.dtype, data.shape)
    _require(node, result, _HALVES)
    return [result]


def _run_dequantize(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, scale, zero_point = [*arrays, None][:3]
    zero = np.zeros((), data.dtype) if zero_point is None else _aligned(node, data, zero_point)
    return [quantization.dequantize(data, _aligned(node, data, scale), zero)]


def _infer_dynamic(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    _require(node, data, frozenset({_FLOAT32}))
    if data.elements == 0:
        raise refuse(node, "nothing to quantize")
    return [TensorType(_UINT8, data.shape), TensorType(_FLOAT32, ()), TensorType(_UINT8, ())]


def _run_dynamic(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    everywhere = tuple(range(data.ndim))
    lowest = reductions.minimum(data, everywhere, False)
    highest = reductions.maximum(data, everywhere, False)
    scale, zero = quantization.dynamic_parameters(lowest, highest)
    return [quantization.quantize(data, scale, zero, _UINT8), scale, zero]


def _product_shape(node: Node, left: Sequence[int], right: Sequence[int]) -> tuple[int, ...]:
    if not left or not right:
        raise refuse(node, "input of rank 0")
    if left[-1] != right[-2 if len(right) > 1 else 0]:
        raise refuse(node, "inner dimensions differ")
    stack = broadcast(node, left[:-2], right[:-2])
    return (*stack, *left[-2:-1], *(right[-1:] if len(right) > 1 else ()))


def _require_rows(node: Node, data: TensorType, parameter: TensorType) -> None:
    """One number, or one for each row of a left operand."""
    expected = ((data.shape[-2],), (*data.shape[:-1], 1)) if data.rank > 1 else ()
    if not _is_single(parameter.shape) and parameter.shape not in expected:
        raise refuse(node, "a scale or zero point that is neither single nor one for each row")


def _require_columns(node: Node, data: TensorType, parameter: TensorType) -> None:
    """One number, or one for each column of a right operand."""
    columns = data.shape[-1]
    expected = ((columns,), (*data.shape[:-2], 1, columns)) if data.rank > 1 else ()
    if not _is_single(parameter.shape) and parameter.shape not in expected:
        raise refuse(node, "a scale or zero point that is neither single nor one for each column")


def _for_rows(parameter: Array) -> Array:
    return parameter[:, np.newaxis] if parameter.ndim == 1 else parameter


def _matrices(left: Array, right: Array) -> tuple[Array, Array]:
    return (
        left[np.newaxis, :] if left.ndim == 1 else left,
        right[:, np.newaxis] if right.ndim == 1 else right,
    )


def _infer_matmul(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    left, right, left_zero, right_zero = [*inputs, None, None][:4]
    _require(node, left, _BYTES)
    _require(node, right, _BYTES)
    if left_zero is not None:
        _require(node, left_zero, frozenset({left.dtype}))
        _require_rows(node, left, left_zero)
    if right_zero is not None:
        _require(node, right_zero, frozenset({right.dtype}))
        _require_columns(node, right, right_zero)
    return [TensorType(_INT32, _product_shape(node, left.shape, right.shape))]


def _matmul_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    depth: int = inputs[0].shape[-1]
    return outputs[0].elements * depth


def _run_matmul(node: Node, arrays: Sequence[Any]) -> list[Array]:
    left, right, left_zero, right_zero = [*arrays, None, None][:4]
    shape = _product_shape(node, left.shape, right.shape)
    product = quantization.integer_product(
        *_matrices(left, right),
        np.zeros((), left.dtype) if left_zero is None else _for_rows(left_zero),
        np.zeros((), right.dtype) if right_zero is None else right_zero,
    )
    return [product.reshape(shape)]


def _infer_linear_matmul(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    left, left_scale, left_zero, right, right_scale, right_zero, scale, zero = inputs
    allowed = _HALVES if node.version >= 21 else frozenset({_FLOAT32})
    for each in (left_scale, right_scale, scale):
        _require(node, each, allowed)
    if len({left_scale.dtype, right_scale.dtype, scale.dtype}) > 1:
        raise ModelRejected("type", f"{node.operator}: inputs of different types")
    _require(node, zero, _BYTES)
    _require_rows(node, left, left_scale)
    _require_columns(node, right, right_scale)
    if not _is_single(scale.shape) or not _is_single(zero.shape):
        raise refuse(node, "more than one scale of the result")
    _require_like(node, left_scale, left_zero)
    _require_like(node, right_scale, right_zero)
    [product] = _infer_matmul(node, (left, right, left_zero, right_zero))
    return [TensorType(zero.dtype, product.shape)]


def _run_linear_matmul(node: Node, arrays: Sequence[Array]) -> list[Array]:
    left, left_scale, left_zero, right, right_scale, right_zero, scale, zero = arrays
    shape = _product_shape(node, left.shape, right.shape)
    product = quantization.integer_product(
        *_matrices(left, right), _for_rows(left_zero), right_zero
    )
    with np.errstate(all="ignore"):
        multiplier = (_for_rows(left_scale) * right_scale) / scale.reshape(())
    result = quantization.requantize(product, multiplier, zero.reshape(()), zero.dtype)
    return [result.reshape(shape)]


_AXIS = {"axis": Attribute("int", 1)}
_SATURATE = {"saturate": Attribute("int", 1)}
_BLOCK = {"block_size": Attribute("int", 0)}
_OUTPUT_TYPE = {"output_dtype": Attribute("int", 0)}
_PRECISION = {"precision": Attribute("int", 0)}


def _quantize(first: int, last: int, attributes: dict[str, Attribute]) -> Operator:
    return Operator(
        "QuantizeLinear",
        _infer_quantize,
        _run_quantize,
        inputs=(2, 3),
        opsets=(first, last),
        attributes=attributes,
        native=True,
    )


def _dequantize(first: int, last: int, attributes: dict[str, Attribute]) -> Operator:
    return Operator(
        "DequantizeLinear",
        _infer_dequantize,
        _run_dequantize,
        inputs=(2, 3),
        opsets=(first, last),
        attributes=attributes,
    )


OPERATORS = [
    _quantize(10, 12, {}),
    _quantize(13, 18, _AXIS),
    _quantize(19, 20, _AXIS | _SATURATE),
    _quantize(21, 22, _AXIS | _SATURATE | _BLOCK | _OUTPUT_TYPE),
    _quantize(23, 1_000, _AXIS | _SATURATE | _BLOCK | _OUTPUT_TYPE | _PRECISION),
    _dequantize(10, 12, {}),
    _dequantize(13, 20, _AXIS),
    _dequantize(21, 22, _AXIS | _BLOCK),
    _dequantize(23, 1_000, _AXIS | _BLOCK | _OUTPUT_TYPE),
    Operator(
        "DynamicQuantizeLinear",
        _infer_dynamic,
        _run_dynamic,
        inputs=(1, 1),
        outputs=(1, 3),
        opsets=(11, 1_000),
    ),
    Operator(
        "MatMulInteger",
        _infer_matmul,
        _run_matmul,
        inputs=(2, 4),
        opsets=(10, 1_000),
        work=_matmul_work,
    ),
    Operator(
        "QLinearMatMul",
        _infer_linear_matmul,
        _run_linear_matmul,
        inputs=(8, 8),
        opsets=(10, 1_000),
        work=_matmul_work,
    ),
]
