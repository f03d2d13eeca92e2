"""Operators that only rearrange: Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Expand, Shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import (
    axes_of,
    broadcast,
    integers,
    refuse,
)
from danku.evaluation.initializers import strings
from danku.evaluation.kernels.epilogue import Operation
from danku.evaluation.prepared import Prepared, Weights
from danku.evaluation.registry import Attribute, Infer, Operator
from danku.evaluation.tensor import Array, TensorType, constant


def _infer_reshape(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, wanted = inputs
    sizes = list(integers(node, wanted))
    keeps_zero = node.attributes.get("allowzero", 0)
    if sizes.count(-1) > 1 or (keeps_zero and -1 in sizes and 0 in sizes):
        raise refuse(node, "an ambiguous shape")
    for place, size in enumerate(sizes):
        if size == 0 and not keeps_zero:
            if place >= data.rank:
                raise refuse(node, "a zero with no dimension to copy")
            sizes[place] = data.shape[place]
    if -1 in sizes:
        others = prod(size for size in sizes if size != -1)
        if others <= 0 or data.elements % others:
            raise refuse(node, f"{data} does not fit the shape")
        sizes[sizes.index(-1)] = data.elements // others
    reshaped = data.with_shape(*sizes)
    if reshaped.elements != data.elements:
        raise refuse(node, f"{data} does not fit the shape")
    return [reshaped]


def _infer_flatten(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    axis = node["axis"]
    if not -data.rank <= axis <= data.rank:
        raise refuse(node, f"axis {axis} of a tensor of rank {data.rank}")
    axis += data.rank if axis < 0 else 0
    return [data.with_shape(prod(data.shape[:axis]), prod(data.shape[axis:]))]


def _listed_axes(node: Node, inputs: Sequence[TensorType | None]) -> tuple[int, ...] | None:
    """Axes from the attribute (up to opset 12) or from the second input."""
    if "axes" in node.attributes:
        return None if node["axes"] is None else tuple(node["axes"])
    axes = inputs[1] if len(inputs) > 1 else None
    return None if axes is None else integers(node, axes)


def _infer_squeeze(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data: TensorType = inputs[0]
    listed = _listed_axes(node, inputs)
    if not listed:
        return [data.with_shape(*(size for size in data.shape if size != 1))]
    axes = axes_of(node, listed, data.rank)
    if any(data.shape[axis] != 1 for axis in axes):
        raise refuse(node, "an axis whose size is not 1")
    return [data.with_shape(*(size for axis, size in enumerate(data.shape) if axis not in axes))]


def _infer_unsqueeze(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data: TensorType = inputs[0]
    listed = _listed_axes(node, inputs) or ()
    sizes = list(data.shape)
    for axis in axes_of(node, listed, data.rank + len(listed)):
        sizes.insert(axis, 1)
    return [data.with_shape(*sizes)]


def _permutation(node: Node, rank: int) -> tuple[int, ...]:
    return tuple(range(rank))[::-1] if node["perm"] is None else tuple(node["perm"])


def _infer_transpose(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    order = _permutation(node, data.rank)
    if sorted(order) != list(range(data.rank)):
        raise refuse(node, "perm is no permutation of the axes")
    return [data.with_shape(*(data.shape[axis] for axis in order))]


def _run_transpose(node: Node, arrays: Sequence[Array]) -> list[Array]:
    return [arrays[0].transpose(_permutation(node, arrays[0].ndim))]


def _infer_expand(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, wanted = inputs
    sizes = integers(node, wanted)
    if any(size < 0 for size in sizes):
        raise refuse(node, "a negative dimension")
    return [data.with_shape(*broadcast(node, data.shape, sizes))]


def _infer_filled(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    sizes = integers(node, inputs[0])
    value = _filling(node)
    if value.size != 1:
        raise refuse(node, "value is not one element")
    return [TensorType(value.dtype, sizes)]


def _filling(node: Node) -> Array:
    value: Array | None = node["value"]
    return np.zeros(1, np.float32) if value is None else value


def _run_filled(node: Node, arrays: Sequence[Array]) -> list[Array]:
    value = _filling(node)
    filled = np.empty([int(size) for size in arrays[0].reshape(-1)], value.dtype)
    filled[...] = value.reshape(())[()]
    return [filled]


def _infer_shape(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    start, end = node.attributes.get("start", 0), node.attributes.get("end")
    return [constant(np.array(inputs[0].shape[start:end], np.int64))]


def _infer_constant(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    given = [(name, value) for name, value in node.attributes.items() if value is not None]
    if len(given) != 1:
        raise refuse(node, f"{len(given)} values")
    [(name, value)] = given
    if name == "value":
        return [constant(value)]
    if name in ("value_string", "value_strings"):
        listed = strings((value,) if name == "value_string" else value)
        return [constant(listed.reshape(()) if name == "value_string" else listed)]
    floats = name in ("value_float", "value_floats")
    return [constant(np.array(value, np.float32 if floats else np.int64))]


def _run_known(node: Node, arrays: Sequence[Array]) -> list[Array]:
    raise AssertionError(f"{node.operator} is known before it runs")


@dataclass(frozen=True)
class _Rearranged:
    """The same elements in a shape that was inferred once."""

    shape: tuple[int, ...]
    axis: int = 0

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        return [arrays[0].reshape(self.shape)]

    def followed_by(self, operations: Sequence[Operation]) -> Prepared | None:
        return None


def _rearranging(name: str, infer: Infer, inputs: tuple[int, int], **more: Any) -> Operator:
    """An operator that gives the same elements in the shape that is inferred."""

    def prepare(node: Node, types: Sequence[TensorType], weights: Weights) -> Prepared:
        [kind] = infer(node, types)
        return _Rearranged(kind.shape)

    def run(node: Node, arrays: Sequence[Array]) -> list[Array]:
        return prepare(node, [constant(array) for array in arrays], Weights()).run(arrays)

    return Operator(name, infer, run, inputs, prepare=prepare, **more)


def _run_expand(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [kind] = _infer_expand(node, [constant(array) for array in arrays])
    return [np.broadcast_to(arrays[0], kind.shape)]


def _axes_versions(name: str, infer: Infer, *, required: bool) -> list[Operator]:
    """Axes as an attribute up to opset 12, as an input from 13 on."""
    attributes = {"axes": Attribute("ints", required=required)}
    return [
        _rearranging(name, infer, (1, 1), opsets=(1, 12), attributes=attributes),
        _rearranging(name, infer, (2 if required else 1, 2), opsets=(13, 1_000)),
    ]


OPERATORS = [
    _rearranging("Reshape", _infer_reshape, (2, 2), opsets=(5, 13)),
    _rearranging(
        "Reshape",
        _infer_reshape,
        (2, 2),
        opsets=(14, 1_000),
        attributes={"allowzero": Attribute("int", 0)},
    ),
    _rearranging("Flatten", _infer_flatten, (1, 1), attributes={"axis": Attribute("int", 1)}),
    *_axes_versions("Squeeze", _infer_squeeze, required=False),
    *_axes_versions("Unsqueeze", _infer_unsqueeze, required=True),
    Operator(
        "Transpose",
        _infer_transpose,
        _run_transpose,
        (1, 1),
        attributes={"perm": Attribute("ints")},
    ),
    Operator("Expand", _infer_expand, _run_expand, (2, 2)),
    Operator(
        "ConstantOfShape",
        _infer_filled,
        _run_filled,
        (1, 1),
        attributes={"value": Attribute("tensor")},
    ),
    Operator("Shape", _infer_shape, _run_known, (1, 1), opsets=(1, 14)),
    Operator(
        "Shape",
        _infer_shape,
        _run_known,
        (1, 1),
        opsets=(15, 1_000),
        attributes={"start": Attribute("int", 0), "end": Attribute("int")},
    ),
    Operator(
        "Constant",
        _infer_constant,
        _run_known,
        (0, 0),
        opsets=(1, 11),
        attributes={"value": Attribute("tensor", required=True)},
    ),
    Operator(
        "Constant",
        _infer_constant,
        _run_known,
        (0, 0),
        opsets=(12, 1_000),
        attributes={
            "value": Attribute("tensor"),
            "value_float": Attribute("float"),
            "value_floats": Attribute("floats"),
            "value_int": Attribute("int"),
            "value_ints": Attribute("ints"),
            "value_string": Attribute("string"),
            "value_strings": Attribute("strings"),
        },
    ),
]
