"""ConvInteger and QLinearConv in one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse
from danku.evaluation.kernels import integer_layout
from danku.evaluation.kernels.integer_convolution import Convolution
from danku.evaluation.kernels.layout import Axis
from danku.evaluation.kernels.requantization import Rounding
from danku.evaluation.prepared import Prepared, Weights
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.scales import (
    BYTES,
    FLOAT32,
    INT32,
    is_single,
    multiplier,
    require_like,
    require_single,
    require_type,
)
from danku.evaluation.standalone import Standalone
from danku.evaluation.tensor import Array, TensorType
from danku.evaluation.windows import (
    WINDOW,
    convolution_axis,
    require_bias,
    require_channels,
    three,
    weights_kernel,
    windows,
)

_ALONE = Axis(1, 1, (0,), 1)
"""A spatial axis that is not there."""
_NO_FACTORS = np.empty(0, np.float32)


def _result_shape(node: Node, data: TensorType, weights: TensorType) -> tuple[int, ...]:
    kernel = weights_kernel(node, data, weights)
    require_channels(node, data.shape[1], weights.shape[1] * node["group"], weights.shape[0])
    counts = (window.count for window in windows(node, data.shape[2:], kernel))
    return (data.shape[0], weights.shape[0], *counts)


def _require_rows(node: Node, weights: TensorType, parameter: TensorType) -> None:
    if not is_single(parameter.shape) and parameter.shape != weights.shape[:1]:
        raise refuse(node, "a scale or zero point that is neither single nor one for each channel")


def _work(data: TensorType, weights: TensorType, result: TensorType) -> int:
    return result.elements * prod(weights.shape[1:])


def _convolution(
    node: Node,
    data: tuple[int, ...],
    weights: Array,
    weights_zero: Array | None,
    memory: Weights,
    bias: Array | None = None,
    factors: Array = _NO_FACTORS,
    rounding: Rounding | None = None,
) -> Convolution:
    groups, outputs = node["group"], weights.shape[0]
    zero = np.zeros((), weights.dtype) if weights_zero is None else weights_zero
    by_row = zero.reshape(()) if is_single(zero.shape) else zero.reshape(groups, -1)
    packed = memory.form(
        weights,
        f"bytes {groups} {zero.shape} {zero.tobytes().hex()}",
        lambda: integer_layout.pack(
            weights.reshape(groups, outputs // groups, weights.shape[1], -1), by_row
        ),
    )
    seen = windows(node, data[2:], weights.shape[2:])
    axes = three([convolution_axis(window) for window in seen], _ALONE)
    shape = (*data[:2], *three(data[2:], 1))
    return Convolution(packed, axes, shape, bias, factors.reshape(-1), rounding)


def _convolved(convolution: Convolution, data: Array, zero_point: Array | None) -> Array:
    """The result with the spatial axes that the data has."""
    result = convolution.run(data, 0 if zero_point is None else int(zero_point.reshape(())))
    return result.reshape(*result.shape[:2], *result.shape[2 + 5 - data.ndim :])


def _infer_integer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data, weights, zero_point, weights_zero = [*inputs, None, None][:4]
    require_type(node, BYTES, data, weights)
    if zero_point is not None:
        require_type(node, frozenset({data.dtype}), zero_point)
        require_single(node, zero_point)
    result = _result_shape(node, data, weights)
    if weights_zero is not None:
        require_type(node, frozenset({weights.dtype}), weights_zero)
        _require_rows(node, weights, weights_zero)
    return [TensorType(INT32, result)]


def _integer_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    return _work(inputs[0], inputs[1], outputs[0])


def _run_integer(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, weights, zero_point, weights_zero = [*arrays, None, None][:4]
    made = _convolution(node, data.shape, weights, weights_zero, Weights())
    return [_convolved(made, data, zero_point)]


def _prepare_integer(
    node: Node, inputs: Sequence[TensorType | None], memory: Weights
) -> Prepared | None:
    data, weights, _, weights_zero = [*inputs, None, None][:4]
    assert data is not None and weights is not None
    if weights.value is None or not _constant([weights_zero]):
        return None
    made = _convolution(node, data.shape, weights.value, _value(weights_zero), memory)

    def compute(arrays: Sequence[Any]) -> Array:
        return _convolved(made, arrays[0], arrays[2] if len(arrays) > 2 else None)

    return Standalone(compute)


def _constant(inputs: Sequence[TensorType | None]) -> bool:
    return all(each is None or each.value is not None for each in inputs)


def _value(kind: TensorType | None) -> Array | None:
    return None if kind is None else kind.value


def _infer_linear(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data, scale, zero_point, weights, weights_scale, weights_zero, result_scale, result_zero = (
        inputs[:8]
    )
    bias = inputs[8] if len(inputs) > 8 else None
    require_type(node, frozenset({FLOAT32}), scale, weights_scale, result_scale)
    require_type(node, BYTES, result_zero)
    require_single(node, scale, result_scale, result_zero)
    [sums] = _infer_integer(node, (data, weights, zero_point, weights_zero))
    _require_rows(node, weights, weights_scale)
    require_like(node, weights_scale, weights_zero)
    require_type(node, frozenset({INT32}), bias)
    require_bias(node, bias, weights.shape[0])
    return [TensorType(result_zero.dtype, sums.shape)]


def _linear_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    return _work(inputs[0], inputs[3], outputs[0])


def _linear(
    node: Node, data: tuple[int, ...], arrays: Sequence[Any], memory: Weights
) -> Convolution:
    """For all inputs but the data, whose shape is enough, and its zero point."""
    _, scale, _, weights, weights_scale, weights_zero, result_scale, result_zero = arrays[:8]
    bias = arrays[8] if len(arrays) > 8 else None
    factors = multiplier(scale.reshape(()), weights_scale, result_scale)
    rounding = Rounding(int(result_zero.reshape(())), result_zero.dtype)
    return _convolution(node, data, weights, weights_zero, memory, bias, factors, rounding)


def _run_linear(node: Node, arrays: Sequence[Any]) -> list[Array]:
    made = _linear(node, arrays[0].shape, arrays, Weights())
    return [_convolved(made, arrays[0], arrays[2])]


def _prepare_linear(
    node: Node, inputs: Sequence[TensorType | None], memory: Weights
) -> Prepared | None:
    assert inputs[0] is not None
    if not _constant([inputs[1], *inputs[3:]]):
        return None
    made = _linear(node, inputs[0].shape, [_value(each) for each in inputs], memory)
    return Standalone(lambda arrays: _convolved(made, arrays[0], arrays[2]))


_ATTRIBUTES = WINDOW | {"group": Attribute("int", 1)}

OPERATORS = [
    Operator(
        "ConvInteger",
        _infer_integer,
        _run_integer,
        inputs=(2, 4),
        opsets=(10, 1_000),
        attributes=_ATTRIBUTES,
        work=_integer_work,
        prepare=_prepare_integer,
    ),
    Operator(
        "QLinearConv",
        _infer_linear,
        _run_linear,
        inputs=(8, 9),
        opsets=(10, 1_000),
        attributes=_ATTRIBUTES,
        work=_linear_work,
        prepare=_prepare_linear,
    ),
]
