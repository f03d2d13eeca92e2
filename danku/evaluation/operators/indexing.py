"""Operators that pick elements: Concat, Gather, Slice."""

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
    require_rank,
)
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.registry import ANY_NUMBER, Attribute, Operator
from danku.evaluation.tensor import Array, TensorType, constant

_INDICES = (np.dtype(np.int32), np.dtype(np.int64))


def _infer_concat(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    require_kind(node, ANYTHING, *inputs)
    first = inputs[0]
    axis = axis_of(node, node["axis"], first.rank)
    for other in inputs[1:]:
        require_rank(node, other, first.rank)
        if any(
            size != first.shape[place] for place, size in enumerate(other.shape) if place != axis
        ):
            raise refuse(node, "shapes that differ along another axis")
    sizes = list(first.shape)
    sizes[axis] = sum(each.shape[axis] for each in inputs)
    return [first.with_shape(*sizes)]


def _run_concat(node: Node, arrays: Sequence[Array]) -> list[Array]:
    return [np.concatenate(arrays, axis=node["axis"])]


def _infer_gather(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, indices = inputs
    if indices.dtype not in _INDICES:
        raise refuse(node, f"indices of type {indices.dtype_name}")
    axis = axis_of(node, node["axis"], data.rank)
    return [data.with_shape(*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])]


def _run_gather(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, indices = arrays
    axis = node["axis"]
    size = data.shape[axis]
    if ((indices < -size) | (indices >= size)).any():
        raise RuntimeRejection("Gather: index out of range")
    return [np.take(data, indices, axis=axis)]


def _slices(node: Node, rank: int, lists: Sequence[tuple[int, ...] | None]) -> dict[int, slice]:
    """A slice for each axis that is cut; starts and ends are clamped as ONNX does."""
    starts, ends, axes, steps = lists
    starts, ends = starts or (), ends or ()
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise refuse(node, "starts, ends, axes and steps of different lengths")
    if 0 in steps:
        raise refuse(node, "a step of 0")
    cuts: dict[int, slice] = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        place = axis_of(node, axis, rank)
        if place in cuts:
            raise refuse(node, "an axis is listed twice")
        cuts[place] = slice(start, end, step)
    return cuts


def _listed(node: Node, inputs: Sequence[TensorType | None]) -> list[tuple[int, ...] | None]:
    if "starts" in node.attributes:
        return [node["starts"], node["ends"], node["axes"], None]
    given = [None if each is None else integers(node, each) for each in inputs[1:]]
    return [*given, None, None][:4]


def _infer_slice(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data: TensorType = inputs[0]
    sizes = list(data.shape)
    for axis, cut in _slices(node, data.rank, _listed(node, inputs)).items():
        sizes[axis] = len(range(*cut.indices(sizes[axis])))
    return [data.with_shape(*sizes)]


def _run_slice(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data = arrays[0]
    listed = _listed(node, [None if each is None else constant(each) for each in arrays])
    cuts = _slices(node, data.ndim, listed)
    return [data[tuple(cuts.get(axis, slice(None)) for axis in range(data.ndim))]]


OPERATORS = [
    Operator(
        "Concat",
        _infer_concat,
        _run_concat,
        inputs=(1, ANY_NUMBER),
        attributes={"axis": Attribute("int", required=True)},
    ),
    Operator(
        "Gather",
        _infer_gather,
        _run_gather,
        inputs=(2, 2),
        attributes={"axis": Attribute("int", 0)},
    ),
    Operator(
        "Slice",
        _infer_slice,
        _run_slice,
        inputs=(1, 1),
        opsets=(1, 9),
        attributes={
            "starts": Attribute("ints", required=True),
            "ends": Attribute("ints", required=True),
            "axes": Attribute("ints"),
        },
    ),
    Operator("Slice", _infer_slice, _run_slice, inputs=(3, 5), opsets=(10, 1_000)),
]
