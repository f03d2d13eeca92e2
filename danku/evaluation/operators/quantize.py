"""QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse
from danku.evaluation.initializers import element_type
from danku.evaluation.kernels import quantization, reductions
from danku.evaluation.kernels.narrow import widened
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.scales import (
    BYTES,
    E8M0,
    FLOAT32,
    HALVES,
    INT32,
    MICROSOFT,
    UINT8,
    aligned,
    require_granularity,
    require_like,
    require_type,
)
from danku.evaluation.tensor import Array, DType, TensorType

_SINCE: dict[DType, int] = {
    **dict.fromkeys(BYTES, 10),
    **dict.fromkeys((profile.ELEMENT_TYPES[number] for number in range(17, 21)), 19),
    **dict.fromkeys((profile.ELEMENT_TYPES[number] for number in (4, 5, 21, 22)), 21),
    np.dtype(ml_dtypes.float4_e2m1fn): 23,
    **dict.fromkeys((profile.ELEMENT_TYPES[number] for number in (25, 26)), 25),
}
"""What numbers are quantized to, and the opset version from which on."""
_LIKE = 21
"""The opset version whose types the operators of com.microsoft have."""


def _version(node: Node) -> int:
    return _LIKE if node.domain == MICROSOFT else node.version


def _quantized(node: Node) -> frozenset[DType]:
    return frozenset(kind for kind, version in _SINCE.items() if version <= _version(node))


def _scales(node: Node) -> frozenset[DType]:
    if _version(node) < 19:
        return frozenset({FLOAT32})
    return HALVES | {E8M0} if _version(node) >= 23 else HALVES


def _quantized_type(node: Node, zero_point: DType | None) -> DType:
    number: int = node.attributes.get("output_dtype", 0)
    if number == 0:
        return UINT8 if zero_point is None else zero_point
    return element_type(number)


def _infer_quantize(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data, scale, zero_point = [*inputs, None][:3]
    version = _version(node)
    require_type(node, HALVES | {INT32} if version >= 19 else frozenset({FLOAT32, INT32}), data)
    require_type(node, _scales(node), scale)
    require_granularity(node, data, scale)
    result = TensorType(
        _quantized_type(node, None if zero_point is None else zero_point.dtype), data.shape
    )
    require_type(node, _quantized(node), result)
    if 19 <= version < 23 and data.dtype != scale.dtype:
        raise ModelRejected("type", f"{node.operator}: inputs of different types")
    require_like(node, scale, zero_point)
    if zero_point is not None and zero_point.dtype != result.dtype:
        raise refuse(node, "output_dtype is not the type of the zero point")
    if node.attributes.get("precision", 0) not in (0, 1):
        raise refuse(node, "a precision that is not float32")
    return [result]


def _run_quantize(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, scale, zero_point = [*arrays, None][:3]
    wanted = _quantized_type(node, None if zero_point is None else zero_point.dtype)
    zero = np.int8(0) if zero_point is None else aligned(node, data, zero_point)
    return [
        quantization.quantize(
            widened(data),
            aligned(node, data, scale),
            np.asarray(zero),
            wanted,
            saturate=bool(node.attributes.get("saturate", 1)),
        )
    ]


def _infer_dequantize(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data, scale, zero_point = [*inputs, None][:3]
    require_type(node, _quantized(node) | {INT32}, data)
    require_type(node, _scales(node), scale)
    require_granularity(node, data, scale)
    if zero_point is not None:
        require_type(node, frozenset({data.dtype}), zero_point)
        require_like(node, scale, zero_point)
    number = node.attributes.get("output_dtype", 0)
    result = TensorType(element_type(number) if number else scale.dtype, data.shape)
    require_type(node, HALVES, result)
    return [result]


def _run_dequantize(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, scale, zero_point = [*arrays, None][:3]
    zero = np.zeros((), data.dtype) if zero_point is None else aligned(node, data, zero_point)
    return [quantization.dequantize(data, aligned(node, data, scale), zero)]


def _infer_dynamic(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_type(node, frozenset({FLOAT32}), data)
    if data.elements == 0:
        raise refuse(node, "nothing to quantize")
    return [TensorType(UINT8, data.shape), TensorType(FLOAT32, ()), TensorType(UINT8, ())]


def _run_dynamic(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    everywhere = tuple(range(data.ndim))
    lowest = reductions.minimum(data, everywhere, False)
    highest = reductions.maximum(data, everywhere, False)
    scale, zero = quantization.dynamic_parameters(lowest, highest)
    return [quantization.quantize(data, scale, zero, UINT8), scale, zero]


_AXIS = {"axis": Attribute("int", 1)}
_SATURATE = {"saturate": Attribute("int", 1)}
_BLOCK = {"block_size": Attribute("int", 0)}
_OUTPUT_TYPE = {"output_dtype": Attribute("int", 0)}
_PRECISION = {"precision": Attribute("int", 0)}


def _quantize(
    first: int, last: int, attributes: dict[str, Attribute], domain: str = ""
) -> Operator:
    return Operator(
        "QuantizeLinear",
        _infer_quantize,
        _run_quantize,
        inputs=(2, 3),
        domain=domain,
        opsets=(first, last),
        attributes=attributes,
        native=True,
    )


def _dequantize(
    first: int, last: int, attributes: dict[str, Attribute], domain: str = ""
) -> Operator:
    return Operator(
        "DequantizeLinear",
        _infer_dequantize,
        _run_dequantize,
        inputs=(2, 3),
        domain=domain,
        opsets=(first, last),
        attributes=attributes,
    )


OPERATORS = [
    _quantize(10, 12, {}),
    _quantize(13, 18, _AXIS),
    _quantize(19, 20, _AXIS | _SATURATE),
    _quantize(21, 22, _AXIS | _SATURATE | _BLOCK | _OUTPUT_TYPE),
    _quantize(23, 1_000, _AXIS | _SATURATE | _BLOCK | _OUTPUT_TYPE | _PRECISION),
    _quantize(1, 1_000, _AXIS, MICROSOFT),
    _dequantize(10, 12, {}),
    _dequantize(13, 20, _AXIS),
    _dequantize(21, 22, _AXIS | _BLOCK),
    _dequantize(23, 1_000, _AXIS | _BLOCK | _OUTPUT_TYPE),
    _dequantize(1, 1_000, _AXIS, MICROSOFT),
    Operator(
        "DynamicQuantizeLinear",
        _infer_dynamic,
        _run_dynamic,
        inputs=(1, 1),
        outputs=(1, 3),
        opsets=(11, 1_000),
    ),
]
