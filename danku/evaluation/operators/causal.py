"""CausalConvWithState: each channel convolved with its past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, refuse, require_kind, require_rank
from danku.evaluation.kernels import convolution, nonlinear
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.convolution import Convolution
from danku.evaluation.kernels.epilogue import Code, Operation, epilogue
from danku.evaluation.kernels.layout import Axis
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import TensorType

LONGEST = 2**16
"""Weights of a channel: each is a step that is laid out before anything is computed."""

_ACTIVATIONS = ("none", "silu", "swish")
_FLOAT64 = np.dtype(np.float64)
_ALONE = Axis(1, 1, (0,), 1)
"""A spatial axis that is not there."""


def _infer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data, weights, bias, past = [*inputs, None, None][:4]
    require_kind(node, FLOATS, data, weights, bias, past)
    if data.dtype == _FLOAT64:
        raise ModelRejected("type", f"{node.operator}: unsupported type {data.dtype_name}")
    for tensor in (data, weights):
        require_rank(node, tensor, 3)
    batch, channels, _ = data.shape
    length = weights.shape[2]
    if weights.shape != (channels, 1, length) or 0 in weights.shape:
        raise refuse(node, f"weights {weights}")
    if bias is not None and bias.shape != (channels,):
        raise refuse(node, f"bias {bias}")
    if length > LONGEST:
        raise refuse(node, f"more than {LONGEST} weights of a channel")
    state = data.with_shape(batch, channels, length - 1)
    if past is not None and past.shape != state.shape:
        raise refuse(node, f"past_state {past}")
    if node["activation"] not in _ACTIVATIONS:
        raise refuse(node, f"activation is not one of {', '.join(_ACTIVATIONS)}")
    return [data.with_shape(*data.shape), state]


def _work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    length: int = inputs[1].shape[2]
    return outputs[0].elements * length


def _run(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, weights, bias, past = [*arrays, None, None][:4]
    batch, channels, count = data.shape
    length = weights.shape[2]
    if past is None:
        past = np.zeros((batch, channels, length - 1), data.dtype)
    whole = np.concatenate([past, data], axis=2)
    result = np.empty(data.shape, data.dtype)
    if result.size:
        operations = [] if bias is None else [Operation(Code.ADD, bias)]
        Convolution(
            convolution.pack(weights),
            (_ALONE, _ALONE, Axis(whole.shape[2], 1, tuple(range(length)), count)),
            (batch, channels, 1, 1, whole.shape[2]),
            (batch, channels, 1, 1, count),
            epilogue(operations, channels, data.dtype),
        ).run(whole, result)
    if node["activation"] != "none":
        result = nonlinear.swish(result, 1.0)
    return [result, whole[:, :, count:]]


OPERATORS = [
    Operator(
        "CausalConvWithState",
        _infer,
        _run,
        inputs=(2, 4),
        outputs=(2, 2),
        opsets=(27, 1_000),
        attributes={"activation": Attribute("string", "none")},
        work=_work,
    )
]
