"""Elements and slices by index vectors: GatherND, ScatterND, TensorScatter."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import ANYTHING, NUMBERS, axis_of, refuse, require_kind
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.operators.selection import scattered
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType

_INT64 = np.dtype(np.int64)
_REDUCTIONS_SINCE = {"none": 0, "add": 16, "mul": 16, "max": 18, "min": 18}


def _require_indices(node: Node, indices: TensorType) -> None:
    if indices.dtype != _INT64:
        raise ModelRejected("type", f"{node.operator}: indices of type {indices.dtype_name}")


def _depth(node: Node, data: TensorType, indices: TensorType, shared: int) -> int:
    """How many axes of the data an index vector names, after those that are shared."""
    require_kind(node, ANYTHING, data)
    _require_indices(node, indices)
    if not 0 <= shared < min(data.rank, indices.rank):
        raise refuse(node, f"batch_dims is {shared}")
    if data.shape[:shared] != indices.shape[:shared]:
        raise refuse(node, "batch dimensions that differ")
    depth = indices.shape[-1]
    if not 1 <= depth <= data.rank - shared:
        raise refuse(node, f"index vectors of length {depth}")
    return depth


def _flat(node: Node, indices: Array, sizes: Sequence[int]) -> Array:
    """Where in C order of these sizes each index vector points.

    Raises:
        RuntimeRejection: out of range.
    """
    flat = np.zeros(indices.shape[:-1], np.int64)
    for place, size in enumerate(sizes):
        one = indices[..., place]
        if ((one < -size) | (one >= size)).any():
            raise RuntimeRejection(f"{node.operator}: index out of range")
        flat = flat * size + np.where(one < 0, one + size, one)
    return flat


def _infer_gather(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, indices = inputs
    shared = node.attributes.get("batch_dims", 0)
    depth = _depth(node, data, indices, shared)
    return [data.with_shape(*indices.shape[:-1], *data.shape[shared + depth :])]


def _run_gather(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, indices = arrays
    shared, depth = node.attributes.get("batch_dims", 0), indices.shape[-1]
    rest = data.shape[shared + depth :]
    batches, slices = prod(data.shape[:shared]), prod(data.shape[shared : shared + depth])
    flat = _flat(node, indices, data.shape[shared : shared + depth]).reshape(
        batches, prod(indices.shape[shared:-1])
    )
    flat = flat + slices * np.arange(batches)[:, np.newaxis]
    parts = data.reshape(batches * slices, *rest)[flat.reshape(-1)]
    return [parts.reshape((*indices.shape[:-1], *rest))]


def _infer_scatter(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, indices, updates = inputs
    reduction = node.attributes.get("reduction", "none")
    require_kind(node, ANYTHING if reduction == "none" else NUMBERS, data, updates)
    if indices.rank == 0:
        raise refuse(node, "indices of rank 0")
    depth = _depth(node, data, indices, 0)
    if updates.shape != indices.shape[:-1] + data.shape[depth:]:
        raise refuse(node, f"updates of type {updates}")
    if node.version < _REDUCTIONS_SINCE.get(reduction, node.version + 1):
        raise refuse(node, "an unknown reduction")
    return [data.with_shape(*data.shape)]


def _run_scatter(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """Updates in C order of the indices; each step of a sum or product is rounded."""
    data, indices, updates = arrays
    depth = indices.shape[-1]
    length = prod(data.shape[depth:])
    starts = _flat(node, indices, data.shape[:depth]).reshape(-1, 1) * length
    flat = (starts + np.arange(length)).reshape(-1)
    return [scattered(data, flat, updates, node.attributes.get("reduction", "none"))]


def _infer_cache(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    cache: TensorType = inputs[0]
    update: TensorType = inputs[1]
    starts: TensorType | None = inputs[2] if len(inputs) > 2 else None
    require_kind(node, ANYTHING, cache, update)
    if node["mode"] not in ("linear", "circular"):
        raise refuse(node, "mode is neither linear nor circular")
    axis = axis_of(node, node["axis"], cache.rank)
    if axis == 0:
        raise refuse(node, "axis 0 is that of the batch")
    if update.rank != cache.rank or update.shape[axis] > cache.shape[axis]:
        raise refuse(node, f"an update of type {update}")
    if cache.with_shape(*update.shape).shape != _replaced(cache.shape, axis, update.shape[axis]):
        raise refuse(node, f"an update of type {update}")
    if starts is not None and (starts.dtype != _INT64 or starts.shape != cache.shape[:1]):
        raise refuse(node, f"write_indices of type {starts}")
    return [cache.with_shape(*cache.shape)]


def _replaced(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _run_cache(node: Node, arrays: Sequence[Any]) -> list[Array]:
    cache, update, starts = [*arrays, None][:3]
    axis = node["axis"] % cache.ndim
    result = np.moveaxis(cache, axis, 1).copy()
    size, length = result.shape[1], update.shape[axis]
    starts = np.zeros(len(result), np.int64) if starts is None else starts
    if node["mode"] == "linear" and ((starts < 0) | (starts > size - length)).any():
        raise RuntimeRejection("TensorScatter: index out of range")
    places = starts[:, np.newaxis] % max(size, 1) + np.arange(length)
    result[np.arange(len(result))[:, np.newaxis], places % max(size, 1)] = np.moveaxis(
        update, axis, 1
    )
    return [np.moveaxis(result, 1, axis)]


_REDUCTION = {"reduction": Attribute("string", "none")}

OPERATORS = [
    Operator("GatherND", _infer_gather, _run_gather, inputs=(2, 2), opsets=(11, 11)),
    Operator(
        "GatherND",
        _infer_gather,
        _run_gather,
        inputs=(2, 2),
        opsets=(12, 1_000),
        attributes={"batch_dims": Attribute("int", 0)},
    ),
    Operator("ScatterND", _infer_scatter, _run_scatter, inputs=(3, 3), opsets=(11, 15)),
    Operator(
        "ScatterND",
        _infer_scatter,
        _run_scatter,
        inputs=(3, 3),
        opsets=(16, 1_000),
        attributes=_REDUCTION,
    ),
    Operator(
        "TensorScatter",
        _infer_cache,
        _run_cache,
        inputs=(2, 3),
        opsets=(24, 1_000),
        attributes={"axis": Attribute("int", -2), "mode": Attribute("string", "linear")},
    ),
]
