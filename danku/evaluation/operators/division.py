"""Operators that repeat or cut a tensor: Tile, Split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import (
    ANYTHING,
    axis_of,
    integers,
    refuse,
    require_kind,
    require_value,
)
from danku.evaluation.registry import ANY_NUMBER, Attribute, Operator
from danku.evaluation.tensor import Array, TensorType, constant


def _infer_tile(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, repeats = inputs
    require_kind(node, ANYTHING, data)
    times = integers(node, repeats)
    if len(times) != data.rank or any(each < 0 for each in times):
        raise refuse(node, "repeats are not one count for each axis")
    return [data.with_shape(*(size * each for size, each in zip(data.shape, times, strict=True)))]


def _run_tile(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, repeats = arrays
    return [np.tile(data, tuple(int(each) for each in repeats))]


def _parts(node: Node, data: TensorType, listed: TensorType | None, axis: int) -> list[int]:
    """The sizes of the parts along the axis: listed, or equal but for a shorter last one."""
    size, count = data.shape[axis], len(node.outputs)
    sizes: list[int] | None = None
    if listed is not None:
        value = require_value(node, listed)
        if value.dtype != np.int64 or value.ndim != 1 or value.size > ANY_NUMBER:
            raise refuse(node, f"expected a list of integers, found {listed}")
        sizes = value.tolist()
    elif node.attributes.get("split") is not None:
        sizes = list(node["split"])
    if sizes is None:
        uneven = node.attributes.get("num_outputs")
        if uneven is None and size % count:
            raise refuse(node, f"{size} in {count} equal parts")
        if uneven not in (None, count):
            raise refuse(node, f"{uneven} parts for {count} outputs")
        part = -(-size // count)
        sizes = [part] * (count - 1)
        sizes.append(size - sum(sizes))
    elif node.attributes.get("num_outputs") is not None:
        raise refuse(node, "both split and num_outputs")
    if len(sizes) != count or min(sizes) < 0 or sum(sizes) != size:
        raise refuse(node, f"parts that do not make up {size}")
    return sizes


def _infer_split(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data, listed = [*inputs, None][:2]
    require_kind(node, ANYTHING, data)
    axis = axis_of(node, node["axis"], data.rank)
    return [
        data.with_shape(*data.shape[:axis], size, *data.shape[axis + 1 :])
        for size in _parts(node, data, listed, axis)
    ]


def _run_split(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, listed = [*arrays, None][:2]
    axis = node["axis"] % data.ndim
    kind = TensorType(data.dtype, data.shape)
    sizes = _parts(node, kind, None if listed is None else constant(listed), axis)
    return np.split(data, np.cumsum(sizes)[:-1], axis=axis)


_AXIS = {"axis": Attribute("int", 0)}


def _split(inputs: int, opsets: tuple[int, int], **more: Attribute) -> Operator:
    return Operator(
        "Split",
        _infer_split,
        _run_split,
        inputs=(1, inputs),
        outputs=(1, ANY_NUMBER),
        opsets=opsets,
        attributes=_AXIS | more,
    )


OPERATORS = [
    Operator("Tile", _infer_tile, _run_tile, (2, 2), opsets=(6, 1_000)),
    _split(1, (2, 12), split=Attribute("ints")),
    _split(2, (13, 17)),
    _split(2, (18, 1_000), num_outputs=Attribute("int")),
]
