"""Reductions over axes: sums, means, products, norms, logarithms of sums, extremes, ArgMax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import (
    FLOATS,
    NUMBERS,
    axes_of,
    axis_of,
    integers,
    refuse,
    require_kind,
)
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


def _reductions(
    name: str,
    function: Callable[[Array, Sequence[int], bool], Array],
    axes_input_since: int = 18,
    *,
    kinds: str = NUMBERS,
    of_nothing: bool = True,
    maps: bool = False,
) -> list[Operator]:
    """All versions of a reduction.

    Args:
        axes_input_since: the opset from which axes are an input.
        of_nothing: whether an axis of length 0 may be reduced.
        maps: whether a single element does not stay as it is; then it is also changed if no axis
            is reduced.
    """

    def infer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
        data: TensorType = inputs[0]
        require_kind(node, kinds, data)
        axes = _axes(node, inputs, data.rank)
        if not of_nothing and any(data.shape[axis] == 0 for axis in axes):
            raise refuse(node, "nothing to reduce")
        return [data.with_shape(*_reduced(data, axes, bool(node["keepdims"])))]

    def run(node: Node, arrays: Sequence[Any]) -> list[Array]:
        inputs = [None if each is None else constant(each) for each in arrays]
        axes = _axes(node, inputs, arrays[0].ndim)
        if not axes and not maps:
            return [arrays[0]]
        return [function(arrays[0], axes, bool(node["keepdims"]))]

    keepdims = Attribute("int", 1)
    return [
        Operator(
            name,
            infer,
            run,
            inputs=(1, 1),
            opsets=(1, axes_input_since - 1),
            attributes={"axes": Attribute("ints"), "keepdims": keepdims},
        ),
        Operator(
            name,
            infer,
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


_EXTREME = NUMBERS + "b"

OPERATORS = [
    *_reductions("ReduceSum", reductions.total, axes_input_since=13),
    *_reductions("ReduceMean", reductions.mean, of_nothing=False),
    *_reductions("ReduceMax", reductions.maximum, kinds=_EXTREME),
    *_reductions("ReduceMin", reductions.minimum, kinds=_EXTREME),
    *_reductions("ReduceProd", reductions.product),
    *_reductions("ReduceSumSquare", reductions.squares, maps=True),
    *_reductions("ReduceL1", reductions.l1_norm, maps=True),
    *_reductions("ReduceL2", reductions.l2_norm, kinds=FLOATS, maps=True),
    *_reductions("ReduceLogSum", reductions.log_total, kinds=FLOATS, maps=True),
    *_reductions("ReduceLogSumExp", reductions.log_total_exp, kinds=FLOATS, maps=True),
    *_extreme("ArgMax", reductions.argmax),
    *_extreme("ArgMin", _argmin),
]
