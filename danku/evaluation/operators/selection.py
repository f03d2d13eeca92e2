"""Operators that pick or place single elements: TopK, GatherElements, Scatter, OneHot, CumSum."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import (
    ANYTHING,
    NUMBERS,
    axis_of,
    refuse,
    require_kind,
    require_value,
)
from danku.evaluation.kernels import elementwise, ordering
from danku.evaluation.kernels.narrow import widened
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType

_INT64 = np.dtype(np.int64)
_INDICES = (np.dtype(np.int32), _INT64)
_REDUCTIONS_SINCE = {"none": 0, "add": 16, "mul": 16, "max": 18, "min": 18}


def require_index_type(node: Node, indices: TensorType) -> None:
    """Raises ModelRejected unless these are int32 or int64."""
    if indices.dtype not in _INDICES:
        raise ModelRejected("type", f"{node.operator}: indices of type {indices.dtype_name}")


def _scalar(node: Node, tensor: TensorType, what: str) -> Array:
    value = require_value(node, tensor)
    if value.size != 1 or value.ndim > 1:
        raise refuse(node, f"{what} is not one number")
    return value.reshape(())


def _infer_top(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data = inputs[0]
    require_kind(node, NUMBERS, data)
    if data.rank == 0:
        raise refuse(node, "input of rank 0")
    axis = axis_of(node, node["axis"], data.rank)
    if "k" in node.attributes:
        count = node["k"]
    else:
        if inputs[1].dtype != _INT64:
            raise refuse(node, f"k of type {inputs[1].dtype_name}")
        count = int(_scalar(node, inputs[1], "k"))
    if not 0 <= count <= data.shape[axis]:
        raise refuse(node, f"{count} of {data.shape[axis]} elements")
    shape = list(data.shape)
    shape[axis] = count
    return [data.with_shape(*shape), TensorType(_INT64, tuple(shape))]


def _run_top(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data = arrays[0]
    count = int(node["k"] if "k" in node.attributes else arrays[1].reshape(()))
    moved = np.moveaxis(data, node["axis"], -1)
    rows = moved.reshape(prod(moved.shape[:-1]), moved.shape[-1])
    largest = bool(node.attributes.get("largest", 1))
    places = ordering.best(rows, count, largest)
    values = np.take_along_axis(rows, places, axis=1)
    shape = (*moved.shape[:-1], count)
    return [np.moveaxis(each.reshape(shape), -1, node["axis"]) for each in (values, places)]


def _counted(node: Node, indices: Array, size: int) -> Array:
    """Indices counted from the front.

    Raises:
        RuntimeRejection: one is out of range.
    """
    if ((indices < -size) | (indices >= size)).any():
        raise RuntimeRejection(f"{node.operator}: index out of range")
    return np.where(indices < 0, indices + size, indices).astype(np.int64)


def _infer_gather(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, indices = inputs
    require_kind(node, ANYTHING, data)
    _check_alike(node, data, indices)
    return [data.with_shape(*indices.shape)]


def _check_alike(node: Node, data: TensorType, indices: TensorType) -> None:
    """Raises ModelRejected unless the indices fit into the data along all axes but one."""
    require_index_type(node, indices)
    if data.rank == 0 or indices.rank != data.rank:
        raise refuse(node, f"indices of rank {indices.rank} into {data}")
    axis = axis_of(node, node["axis"], data.rank)
    sizes = enumerate(zip(indices.shape, data.shape, strict=True))
    if any(size > most for place, (size, most) in sizes if place != axis):
        raise refuse(node, "more indices than elements along another axis")


def _run_gather(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, indices = arrays
    return [data.reshape(-1)[_flat_places(node, data, indices)]]


def _flat_places(node: Node, data: Array, indices: Array) -> Array:
    """Where in the flattened data each index points."""
    axis = node["axis"] % data.ndim
    places: list[Array] = list(np.indices(indices.shape, np.int64, sparse=True))
    places[axis] = _counted(node, indices, data.shape[axis])
    flat = np.zeros(indices.shape, np.int64)
    for place, size in zip(places, data.shape, strict=True):
        flat = flat * size + place
    return flat


def _infer_scatter(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, indices, updates = inputs
    reduction = node.attributes.get("reduction", "none")
    require_kind(node, ANYTHING if reduction == "none" else NUMBERS, data, updates)
    _check_alike(node, data, indices)
    if updates.shape != indices.shape:
        raise refuse(node, "updates and indices of different shapes")
    if node.version < _REDUCTIONS_SINCE.get(reduction, node.version + 1):
        raise refuse(node, "an unknown reduction")
    return [data.with_shape(*data.shape)]


def _run_scatter(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """Updates in C order of the indices; each step of a sum or product is rounded."""
    data, indices, updates = arrays
    flat = _flat_places(node, data, indices).reshape(-1)
    return [scattered(data, flat, updates, node.attributes.get("reduction", "none"))]


def scattered(data: Array, flat: Array, updates: Array, reduction: str) -> Array:
    """``data`` with updates at places of its flattened form, in their order."""
    result, values = data.reshape(-1).copy(), updates.reshape(-1)
    with np.errstate(all="ignore"):
        if reduction == "none":
            # NOTE: numpy leaves open which of several values for one place stays; here the last.
            places, first = np.unique(flat[::-1], return_index=True)
            result[places] = values[::-1][first]
        elif reduction in ("add", "mul"):
            (np.add if reduction == "add" else np.multiply).at(result, flat, values)
        elif reduction == "max":
            keys = ordering.order_keys(result, signed_zeros=True).copy()
            np.maximum.at(keys, flat, ordering.order_keys(values, signed_zeros=True))
            result = ordering.from_order_keys(keys, result)
        elif result.dtype.kind == "f":
            # NOTE: negated, NaN still wins.
            result = -scattered(-result, flat, -values, "max")
        else:
            np.minimum.at(result, flat, values)
    return result.reshape(data.shape)


def _infer_one_hot(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    indices, depth, values = inputs
    require_kind(node, NUMBERS, indices)
    require_kind(node, NUMBERS, depth)
    require_kind(node, ANYTHING, values)
    if values.shape != (2,):
        raise refuse(node, "values are not [off, on]")
    count = int(elementwise.cast(widened(_scalar(node, depth, "depth")), np.int64))
    if not 1 <= count <= profile.DIMENSION:
        raise refuse(node, f"a depth of {count}")
    axis = axis_of(node, node["axis"], indices.rank + 1)
    return [values.with_shape(*indices.shape[:axis], count, *indices.shape[axis:])]


def _run_one_hot(node: Node, arrays: Sequence[Array]) -> list[Array]:
    indices, depth, (off, on) = arrays
    count = int(elementwise.cast(depth.reshape(()), np.int64))
    wanted = elementwise.cast(indices, np.int64)
    if node.version >= 11:
        wanted = np.where(wanted < 0, wanted + count, wanted)
    axis = node["axis"] % (indices.ndim + 1)
    steps = np.arange(count).reshape(-1, *(1,) * (indices.ndim - axis))
    hot = np.expand_dims(wanted, axis) == steps
    result = np.full(hot.shape, off, arrays[2].dtype)
    result[hot] = on
    return [result]


def _infer_cumulative(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, axis = inputs
    require_kind(node, NUMBERS, data)
    require_index_type(node, axis)
    axis_of(node, int(_scalar(node, axis, "axis")), data.rank)
    return [data.with_shape(*data.shape)]


def _run_cumulative(node: Node, arrays: Sequence[Any]) -> list[Array]:
    """Prefixes of one float64 accumulator, each rounded once; integers wrap."""
    data, axis = arrays[0], int(arrays[1].reshape(()))
    floats = data.dtype.kind == "f"
    ordered = np.flip(data, axis) if node["reverse"] else data
    with np.errstate(all="ignore"):
        terms = np.moveaxis(ordered.astype(np.float64) if floats else ordered, axis, -1)
        sums = np.zeros_like(terms, shape=(*terms.shape[:-1], terms.shape[-1] + 1))
        # NOTE: numpy adds along an axis of accumulate in order, one term at a time; + 0 makes the
        # first one start from +0.
        start = terms.dtype.type(0)
        sums[..., 1:] = np.add.accumulate(terms + start, axis=-1, dtype=terms.dtype)
        kept = sums[..., :-1] if node["exclusive"] else sums[..., 1:]
        result = np.moveaxis(kept, -1, axis).astype(data.dtype)
    return [np.flip(result, axis) if node["reverse"] else result]


_AXIS = {"axis": Attribute("int", -1)}
_SORTED = {"largest": Attribute("int", 1), "sorted": Attribute("int", 1)}
_PLACE = {"axis": Attribute("int", 0)}

OPERATORS = [
    Operator(
        "TopK",
        _infer_top,
        _run_top,
        inputs=(1, 1),
        outputs=(1, 2),
        opsets=(1, 9),
        attributes=_AXIS | {"k": Attribute("int", required=True)},
    ),
    Operator("TopK", _infer_top, _run_top, (2, 2), (1, 2), opsets=(10, 10), attributes=_AXIS),
    Operator(
        "TopK",
        _infer_top,
        _run_top,
        inputs=(2, 2),
        outputs=(1, 2),
        opsets=(11, 1_000),
        attributes=_AXIS | _SORTED,
    ),
    Operator(
        "GatherElements", _infer_gather, _run_gather, (2, 2), opsets=(11, 1_000), attributes=_PLACE
    ),
    Operator("Scatter", _infer_scatter, _run_scatter, (3, 3), opsets=(9, 10), attributes=_PLACE),
    Operator(
        "ScatterElements",
        _infer_scatter,
        _run_scatter,
        inputs=(3, 3),
        opsets=(11, 15),
        attributes=_PLACE,
    ),
    Operator(
        "ScatterElements",
        _infer_scatter,
        _run_scatter,
        inputs=(3, 3),
        opsets=(16, 1_000),
        attributes=_PLACE | {"reduction": Attribute("string", "none")},
    ),
    Operator("OneHot", _infer_one_hot, _run_one_hot, (3, 3), attributes=_AXIS),
    Operator(
        "CumSum",
        _infer_cumulative,
        _run_cumulative,
        inputs=(2, 2),
        opsets=(11, 1_000),
        attributes={"exclusive": Attribute("int", 0), "reverse": Attribute("int", 0)},
    ),
]
