"""Which steps can be done on the sums of a product before they leave the cache, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from danku.evaluation import round_trips
from danku.evaluation.graph import Node
from danku.evaluation.kernels.epilogue import Code, Operation
from danku.evaluation.operators.normalization import batch_factor
from danku.evaluation.tensor import TensorType

Types = Sequence[TensorType | None]
Operations = list[Operation]


def _constant(other: TensorType | None, output: TensorType, axis: int) -> Any | None:
    """A constant operand as a scalar or a vector along ``axis``; None if it is neither."""
    if other is None or other.value is None or other.elements == 0:
        return None
    shape = (1,) * (output.rank - other.rank) + other.shape
    if prod(shape) == 1 or (prod(shape) == shape[axis] == output.shape[axis]):
        return other.value.reshape(-1)
    return None


def _binary(code: Code, *, commutes: bool = True) -> Callable[..., Operations | None]:
    def operations(
        node: Node, inputs: Types, place: int, output: TensorType, axis: int
    ) -> Operations | None:
        if len(inputs) != 2 or (place == 1 and not commutes):
            return None
        other = inputs[1 - place]
        constant = _constant(other, output, axis)
        if constant is not None:
            return [Operation(code, constant)]
        if code == Code.ADD and other is not None and other.value is None:
            return [Operation(Code.ADD_TENSOR)] if other.shape == output.shape else None
        return None

    return operations


def _relu(*_: object) -> Operations:
    return [Operation(Code.RELU)]


def _leaky_relu(node: Node, *_: object) -> Operations:
    return [Operation(Code.LEAKY_RELU, node["alpha"])]


def _clip(
    node: Node, inputs: Types, place: int, output: TensorType, axis: int
) -> Operations | None:
    limits: list[Any] = [node.attributes.get("min"), node.attributes.get("max")]
    for i, limit in enumerate(inputs[1:]):
        if limit is not None:
            if limit.value is None:
                return None
            limits[i] = limit.value
    codes = (Code.MAXIMUM, Code.MINIMUM)
    pairs = zip(codes, limits, strict=True)
    return [Operation(code, limit) for code, limit in pairs if limit is not None]


def _batch_normalization(
    node: Node, inputs: Sequence[TensorType], place: int, output: TensorType, axis: int
) -> Operations | None:
    if place != 0 or axis != 1 or any(each.value is None for each in inputs[1:]):
        return None
    scale, bias, mean, variance = (np.asarray(each.value) for each in inputs[1:])
    return [
        Operation(Code.SUBTRACT, mean),
        Operation(Code.MULTIPLY, batch_factor(node, scale, variance)),
        Operation(Code.ADD, bias),
    ]


_STEPS: dict[str, Callable[..., Operations | None]] = {
    "Relu": _relu,
    "LeakyRelu": _leaky_relu,
    "Clip": _clip,
    "BatchNormalization": _batch_normalization,
    "Add": _binary(Code.ADD),
    "Sum": _binary(Code.ADD),
    "Sub": _binary(Code.SUBTRACT, commutes=False),
    "Mul": _binary(Code.MULTIPLY),
    "Div": _binary(Code.DIVIDE, commutes=False),
    "Max": _binary(Code.MAXIMUM),
    "Min": _binary(Code.MINIMUM),
    round_trips.NAME: round_trips.operations,
}


def operations(
    node: Node, inputs: Types, output: TensorType, place: int, axis: int
) -> Operations | None:
    """What a node does to each element of its input number ``place``; None if it is more than that.

    Args:
        axis: of the output, along which constants may vary.
    """
    product = inputs[place]
    known = _STEPS.get(node.operator) if node.domain == "" else None
    if known is None or product is None or product.shape != output.shape:
        return None
    return known(node, inputs, place, output, axis)


def added(node: Node, place: int) -> str:
    """The name of what `Code.ADD_TENSOR` adds to input number ``place``."""
    return node.inputs[1 - place]
