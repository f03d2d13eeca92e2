"""BatchNormalization at inference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, refuse, require_kind
from danku.evaluation.kernels import functions
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType

_ATTRIBUTES = {
    # NOTE: ONNX stores attributes as float32, its defaults included.
    "epsilon": Attribute("float", float(np.float32(1e-5))),
    "momentum": Attribute("float", float(np.float32(0.9))),
}


def _infer_batch_normalization(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data = inputs[0]
    require_kind(node, FLOATS, *inputs)
    if node.attributes.get("training_mode", 0):
        raise refuse(node, "training mode")
    if data.rank < 2:
        raise refuse(node, f"input of rank {data.rank}")
    if any(each.shape != data.shape[1:2] for each in inputs[1:]):
        raise refuse(node, "parameters that are not one for each channel")
    return [data.with_shape(*data.shape)]


def batch_factor(node: Node, scale: Array, variance: Array) -> Array:
    """What BatchNormalization multiplies by: scale / sqrt(variance + epsilon)."""
    with np.errstate(all="ignore"):
        factor: Array = scale / functions.sqrt(variance + scale.dtype.type(node["epsilon"]))
    return factor


def _run_batch_normalization(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """(x - mean) * (scale / sqrt(variance + epsilon)) + bias, each step rounded to x's type."""
    data = arrays[0]
    channel = (-1, *(1,) * (data.ndim - 2))
    scale, bias, mean, variance = (each.reshape(channel) for each in arrays[1:])
    factor = batch_factor(node, scale, variance)
    with np.errstate(all="ignore"):
        return [(data - mean) * factor + bias]


OPERATORS = [
    Operator(
        "BatchNormalization",
        _infer_batch_normalization,
        _run_batch_normalization,
        inputs=(5, 5),
        opsets=(9, 13),
        attributes=_ATTRIBUTES,
    ),
    Operator(
        "BatchNormalization",
        _infer_batch_normalization,
        _run_batch_normalization,
        inputs=(5, 5),
        opsets=(14, 1_000),
        attributes=_ATTRIBUTES | {"training_mode": Attribute("int", 0)},
    ),
]
