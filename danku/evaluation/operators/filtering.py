"""Operators whose shape depends on values, which must be constants: Compress, NonZero, Unique."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import ANYTHING, axis_of, refuse, require_kind, require_value
from danku.evaluation.kernels.narrow import widened
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType, constant

_INT64 = np.dtype(np.int64)


def _infer_compress(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, condition = inputs
    require_kind(node, ANYTHING, data)
    require_kind(node, "b", condition)
    if condition.rank != 1:
        raise refuse(node, f"a condition of rank {condition.rank}")
    kept = require_value(node, condition)
    axis = None if node["axis"] is None else axis_of(node, node["axis"], data.rank)
    length = data.elements if axis is None else data.shape[axis]
    if len(kept) > length:
        raise refuse(node, "a condition longer than the axis")
    count = int(np.count_nonzero(kept))
    sizes = (count,) if axis is None else (*data.shape[:axis], count, *data.shape[axis + 1 :])
    return [data.with_shape(*sizes)]


def _run_compress(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, condition = arrays
    places = np.flatnonzero(condition)
    axis = node["axis"]
    return [data.reshape(-1)[places] if axis is None else np.take(data, places, axis)]


def _infer_nonzero(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_kind(node, "fiub", data)
    value = widened(require_value(node, data))
    return [TensorType(_INT64, (data.rank, int(np.count_nonzero(value))))]


def _run_nonzero(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    if data.ndim == 0:
        return [np.zeros((0, int(np.count_nonzero(data))), np.int64)]
    return [np.array(np.nonzero(data), np.int64)]


def _infer_unique(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_kind(node, "fiubO", data)
    if node["axis"] is not None:
        axis_of(node, node["axis"], data.rank)
    value = widened(require_value(node, data))
    if value.dtype.kind == "f" and np.isnan(value).any():
        raise refuse(node, "NaN among the values")
    parts = [constant(part) for part in _unique(node, value)]
    return [
        TensorType(data.dtype, parts[0].shape),
        *(TensorType(_INT64, p.shape) for p in parts[1:]),
    ]


def _unique(node: Node, data: Array) -> list[Array]:
    """Distinct elements, or slices along an axis, in ascending order or that of occurrence.

    NOTE: of -0 and +0, which are equal, the first stands for both.
    """
    axis = node["axis"]
    rows = data.reshape(-1, 1) if axis is None else _as_rows(data, axis)
    order = _ascending(rows)
    ordered = rows[order]
    differs = np.ones(len(rows), np.bool_)
    differs[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    group = np.cumsum(differs) - 1
    first = order[differs]
    inverse = np.empty(len(rows), np.int64)
    inverse[order] = group
    if not node["sorted"]:
        place = np.argsort(first, kind="stable")
        rank = np.empty_like(place)
        rank[place] = np.arange(len(place))
        first, inverse = first[place], rank[inverse]
    counts = np.bincount(inverse, minlength=len(first)).astype(np.int64)
    values = data.reshape(-1)[first] if axis is None else np.take(data, first, axis)
    return [values, first.astype(np.int64), inverse.astype(np.int64), counts]


def _as_rows(data: Array, axis: int) -> Array:
    moved = np.moveaxis(data, axis, 0)
    return moved.reshape(len(moved), int(np.prod(moved.shape[1:], dtype=np.int64)))


def _ascending(rows: Array) -> Array:
    """The order of rows by their first column, then their second, ...; equal ones as they are."""
    if rows.dtype == profile.STRING:
        keys = [row.tolist() for row in rows]
        return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.intp)
    if rows.shape[1] == 0:
        return np.arange(len(rows))
    return np.lexsort(rows.T[::-1])


def _run_unique(node: Node, arrays: Sequence[Any]) -> list[Array]:
    return _unique(node, arrays[0])


OPERATORS = [
    Operator(
        "Compress",
        _infer_compress,
        _run_compress,
        inputs=(2, 2),
        attributes={"axis": Attribute("int")},
    ),
    Operator("NonZero", _infer_nonzero, _run_nonzero, inputs=(1, 1)),
    Operator(
        "Unique",
        _infer_unique,
        _run_unique,
        inputs=(1, 1),
        outputs=(1, 4),
        opsets=(11, 1_000),
        attributes={"axis": Attribute("int"), "sorted": Attribute("int", 1)},
    ),
]
