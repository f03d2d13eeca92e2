"""Reductions over axes: ReduceSum, ReduceMean, ReduceMax, ReduceMin, ArgMax, ArgMin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import NUMBERS, axes_of, axis_of, integers, refuse, require_kind
from danku.evaluation.kernels import reductions
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType, constant

_INDEX = np.dtype(np.int64)


def _axes(node: Node, inputs: Sequence[TensorType | None], rank: int) -> tuple[int, ...]:
    """The axes to reduce: all of them if none is listed, unless ``noop_with_empty_axes``."""
    if "axes" in node.attributes:
        listed = node["axes"] or ()
    else:
        given = inputs[1] if len(inputs) > 1 else None
        listed = () if given is None else integers(node, given)
        if not listed and node["noop_with_empty_axes"]:
            return ()
    return axes_of(node, listed, rank) if listed else tuple(range(rank))


def _reduced(data: TensorType, axes: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    return tuple(
        1 if axis in axes else size
        for axis, size in enumerate(data.shape)
        if keepdims or axis not in axes
    )


def _infer_reduction(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data: TensorType = inputs[0]
    require_kind(node, NUMBERS, data)
    axes = _axes(node, inputs, data.rank)
    if any(data.shape[axis] == 0 for axis in axes):
        raise refuse(node, "nothing to reduce")
    return [data.with_shape(*_reduced(data, axes, bool(node["keepdims"])))]


def _reductions(
    name: str, function: Callable[[Array, Sequence[int], bool], Array], axes_input_since: int
) -> list[Operator]:
    def run(node: Node, arrays: Sequence[Any]) -> list[Array]:
        inputs = [None if each is None else constant(each) for each in arrays]
        axes = _axes(node, inputs, arrays[0].ndim)
        return [function(arrays[0], axes, bool(node["keepdims"])) if axes else arrays[0]]

    keepdims = Attribute("int", 1)
    return [
        Operator(
            name,
            _infer_reduction,
            run,
            inputs=(1, 1),
            opsets=(1, axes_input_since - 1),
            attributes={"axes": Attribute("ints"), "keepdims": keepdims},
        ),
        Operator(
            name,
            _infer_reduction,
            run,
            inputs=(1, 2),
            opsets=(axes_input_since, 1_000),
            attributes={"keepdims": keepdims, "noop_with_empty_axes": Attribute("int", 0)},
        ),
    ]


def _infer_extreme(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_kind(node, NUMBERS, data)
    axis = axis_of(node, node["axis"], data.rank)
    if data.shape[axis] == 0:
        raise refuse(node, "nothing to reduce")
    return [TensorType(_INDEX, _reduced(data, [axis], bool(node["keepdims"])))]


def _extreme(name: str, function: Callable[[Array, int, bool], Array]) -> list[Operator]:
    def run(node: Node, arrays: Sequence[Array]) -> list[Array]:
        [data] = arrays
        axis = node["axis"] % data.ndim
        place = function(data, axis, bool(node.attributes.get("select_last_index", 0)))
        return [np.expand_dims(place, axis) if node["keepdims"] else place]

    known = {"axis": Attribute("int", 0), "keepdims": Attribute("int", 1)}
    last = {"select_last_index": Attribute("int", 0)}
    return [
        Operator(name, _infer_extreme, run, (1, 1), opsets=(1, 11), attributes=known),
        Operator(name, _infer_extreme, run, (1, 1), opsets=(12, 1_000), attributes=known | last),
    ]


def _argmin(data: Array, axis: int, select_last: bool) -> Array:
    """The index of the smallest element, or of a NaN if there is one."""
    # NOTE: negation reverses the order of floats and leaves NaN; ~x reverses that of integers.
    reversed_order = -data if data.dtype.kind == "f" else ~data
    return reductions.argmax(reversed_order, axis, select_last)


OPERATORS = [
    *_reductions("ReduceSum", reductions.total, axes_input_since=13),
    *_reductions("ReduceMean", reductions.mean, axes_input_since=18),
    *_reductions("ReduceMax", reductions.maximum, axes_input_since=18),
    *_reductions("ReduceMin", reductions.minimum, axes_input_since=18),
    *_extreme("ArgMax", reductions.argmax),
    *_extreme("ArgMin", _argmin),
]
