"""Activations and the normalisation of scores: Relu, Sigmoid, Tanh, Clip, Softmax, Hardmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import (
    FLOATS,
    NUMBERS,
    axis_of,
    refuse,
    require_kind,
    require_rank,
)
from danku.evaluation.kernels import elementwise, functions, reductions
from danku.evaluation.operators.arithmetic import infer_alike, run_unary
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType

_LARGEST = float(np.finfo(np.float32).max)
"""What Clip cuts to where its attributes say nothing, infinities included."""


def _infer_clip(node: Node, inputs: Sequence[TensorType | None]) -> list[TensorType]:
    values = inputs[0]
    assert values is not None
    require_kind(node, NUMBERS, *inputs)
    for limit in inputs[1:]:
        if limit is not None:
            require_rank(node, limit, 0)
    return [values.with_shape(*values.shape)]


def _run_clip(node: Node, arrays: Sequence[Any]) -> list[Array]:
    values, low, high = [*arrays, None, None][:3]
    return [elementwise.clip(values, low, high)]


def _run_clip_by_attributes(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [values] = arrays
    low, high = (np.asarray(node[name], values.dtype) for name in ("min", "max"))
    return [elementwise.clip(values, low, high)]


def _infer_scores(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [scores] = inputs
    require_kind(node, FLOATS, scores)
    if scores.rank == 0:
        raise refuse(node, "input of rank 0")
    axis = axis_of(node, node["axis"], scores.rank)
    if prod(scores.shape[axis:]) == 0:
        raise refuse(node, "nothing to normalise")
    return [TensorType(scores.dtype, scores.shape, columns=scores.columns)]


def _scores(name: str, function: Callable[[Array, int], Array]) -> list[Operator]:
    def run_flattened(node: Node, arrays: Sequence[Array]) -> list[Array]:
        [scores] = arrays
        axis = node["axis"] % scores.ndim
        flat = scores.reshape(prod(scores.shape[:axis]), prod(scores.shape[axis:]))
        return [function(flat, -1).reshape(scores.shape)]

    def run_along(node: Node, arrays: Sequence[Array]) -> list[Array]:
        return [function(arrays[0], node["axis"])]

    return [
        Operator(
            name,
            _infer_scores,
            run_flattened,
            inputs=(1, 1),
            opsets=(1, 12),
            attributes={"axis": Attribute("int", 1)},
        ),
        Operator(
            name,
            _infer_scores,
            run_along,
            inputs=(1, 1),
            opsets=(13, 1_000),
            attributes={"axis": Attribute("int", -1)},
        ),
    ]


OPERATORS = [
    Operator("Relu", infer_alike(NUMBERS), run_unary(elementwise.relu), inputs=(1, 1)),
    Operator(
        "LeakyRelu",
        infer_alike(FLOATS),
        lambda node, arrays: [elementwise.leaky_relu(arrays[0], node["alpha"])],
        inputs=(1, 1),
        attributes={"alpha": Attribute("float", float(np.float32(0.01)))},
    ),
    Operator("Sigmoid", infer_alike(FLOATS), run_unary(functions.sigmoid), inputs=(1, 1)),
    Operator("Tanh", infer_alike(FLOATS), run_unary(functions.tanh), inputs=(1, 1)),
    Operator(
        "Clip",
        infer_alike(FLOATS),
        _run_clip_by_attributes,
        inputs=(1, 1),
        opsets=(1, 10),
        attributes={
            "min": Attribute("float", -_LARGEST),
            "max": Attribute("float", _LARGEST),
        },
    ),
    Operator("Clip", _infer_clip, _run_clip, inputs=(1, 3), opsets=(11, 1_000)),
    *_scores("Softmax", reductions.softmax),
    *_scores("LogSoftmax", reductions.log_softmax),
    *_scores("Hardmax", reductions.hardmax),
]
