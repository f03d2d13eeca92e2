"""Normalisations by the values themselves: by layer, group, instance, root mean square, norm."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import (
    FLOATS,
    axes_of,
    axis_of,
    broadcast,
    refuse,
    require_kind,
)
from danku.evaluation.initializers import element_type
from danku.evaluation.kernels import moments, reductions, rows
from danku.evaluation.kernels.arrays import Array, rounded
from danku.evaluation.kernels.narrow import widened
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import DType, TensorType

# NOTE: ONNX stores attributes as float32, its defaults included.
_EPSILON = Attribute("float", float(np.float32(1e-5)))
_SMALLEST_DEVIATION = 1e-9


def _last_axes(node: Node, data: TensorType) -> tuple[int, ...]:
    return tuple(range(axis_of(node, node["axis"], data.rank), data.rank))


def _require_elements(node: Node, data: TensorType, axes: Sequence[int]) -> None:
    if any(data.shape[axis] == 0 for axis in axes):
        raise refuse(node, "nothing to normalise")


def _require_broadcast(node: Node, data: TensorType, *others: TensorType | None) -> None:
    for other in others:
        if other is not None and broadcast(node, data.shape, other.shape) != data.shape:
            raise refuse(node, "a scale or bias that does not broadcast to the input")


def _stash(node: Node) -> DType:
    dtype = element_type(node["stash_type"])
    require_kind(node, FLOATS, TensorType(dtype, ()))
    return dtype


def _infer_layer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data: TensorType = inputs[0]
    require_kind(node, FLOATS, *inputs)
    axes = _last_axes(node, data)
    _require_elements(node, data, axes)
    _require_broadcast(node, data, *inputs[1:])
    kept = data.shape[: axes[0]] + (1,) * len(axes)
    saved = TensorType(_stash(node), kept)
    return [data.with_shape(*data.shape), saved, saved]


def _by_rows(data: Array, axes: Sequence[int], *parameters: Array | None) -> bool:
    """Whether each parameter has one element for each of a row, or is absent."""
    row = data.shape[axes[0] :]
    return (
        data.size > 0
        and data.dtype in rows.TYPES
        and all(
            each is None or (each.shape, each.dtype) == (row, data.dtype) for each in parameters
        )
    )


def _run_layer_by_rows(
    node: Node, data: Array, axes: Sequence[int], scale: Array, bias: Array | None
) -> list[Array]:
    kept = data.shape[: axes[0]] + (1,) * len(axes)
    result, mean, inverse = rows.layer_norm(
        data.reshape(prod(data.shape[: axes[0]]), -1),
        scale.reshape(-1),
        None if bias is None else bias.reshape(-1),
        node["epsilon"],
    )
    saved = widened(np.empty(0, _stash(node))).dtype
    with np.errstate(all="ignore"):
        return [
            result.reshape(data.shape),
            *(rounded(each, saved).reshape(kept) for each in (mean, inverse)),
        ]


def _run_layer(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, scale, bias = [*arrays, None][:3]
    axes = tuple(range(node["axis"] % data.ndim, data.ndim))
    if _by_rows(data, axes, scale, bias):
        return _run_layer_by_rows(node, data, axes, scale, bias)
    with np.errstate(all="ignore"):
        apart, mean, variance = moments.centred(data, axes)
        inverse = moments.inverse_deviation(variance, node["epsilon"])
        result = (apart * inverse) * scale.astype(np.float64)
        if bias is not None:
            result = result + bias.astype(np.float64)
        saved = widened(np.empty(0, _stash(node))).dtype
        return [rounded(result, data.dtype), rounded(mean, saved), rounded(inverse, saved)]


def _infer_root_mean_square(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, scale = inputs
    require_kind(node, FLOATS, data)
    require_kind(node, FLOATS, scale)
    _require_elements(node, data, _last_axes(node, data))
    _require_broadcast(node, data, scale)
    _stash(node)
    return [TensorType(scale.dtype, data.shape)]


def _run_root_mean_square(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, scale = arrays
    axes = tuple(range(node["axis"] % data.ndim, data.ndim))
    with np.errstate(all="ignore"):
        root = moments.root_mean_square(data, axes, node["epsilon"])
        result = (data.astype(np.float64) / root) * scale.astype(np.float64)
        return [rounded(result, scale.dtype)]


def _groups(node: Node, data: TensorType) -> int:
    groups: int = node.attributes.get("num_groups", data.shape[1] if data.rank > 1 else 1)
    if data.rank < 2 or not 1 <= groups <= data.shape[1] or data.shape[1] % groups:
        raise refuse(node, f"{groups} groups of {data}")
    return groups


def _infer_group(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, *parameters = inputs
    require_kind(node, FLOATS, *inputs)
    groups = _groups(node, data)
    _require_elements(node, data, range(2, data.rank))
    by_group = node.operator == "GroupNormalization" and node.version < 21
    expected = (groups if by_group else data.shape[1],)
    if any(each.shape != expected for each in parameters):
        raise refuse(node, f"a scale or bias that is not {list(expected)}")
    return [data.with_shape(*data.shape)]


def _run_group(node: Node, arrays: Sequence[Array]) -> list[Array]:
    data, scale, bias = arrays
    batch, channels = data.shape[:2]
    groups = node.attributes.get("num_groups", channels)
    length = channels // groups * prod(data.shape[2:])
    factors = (np.repeat(each, channels // each.size) for each in (scale, bias))
    column = (1, channels, *(1,) * (data.ndim - 2))
    wide, added = (each.astype(np.float64).reshape(column) for each in factors)
    with np.errstate(all="ignore"):
        apart, _, variance = moments.centred(data.reshape(batch, groups, length), (2,))
        normal = apart * moments.inverse_deviation(variance, node["epsilon"])
        return [rounded(normal.reshape(data.shape) * wide + added, data.dtype)]


def _infer_mean_variance(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_kind(node, FLOATS, data)
    _require_elements(node, data, axes_of(node, node["axes"], data.rank))
    return [data.with_shape(*data.shape)]


def _run_mean_variance(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    with np.errstate(all="ignore"):
        apart, _, variance = moments.centred(data, node["axes"])
        return [rounded(apart / (np.sqrt(variance) + _SMALLEST_DEVIATION), data.dtype)]


def _infer_norm(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_kind(node, FLOATS, data)
    axis_of(node, node["axis"], data.rank)
    if node["p"] not in (1, 2):
        raise refuse(node, "p is neither 1 nor 2")
    return [data.with_shape(*data.shape)]


def _run_norm(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    norm_of = reductions.l1_norm if node["p"] == 1 else reductions.l2_norm
    with np.errstate(all="ignore"):
        wide = data.astype(np.float64)
        norm = norm_of(wide, (node["axis"],), True)
        return [rounded(np.where(norm == 0, 0.0, wide / norm), data.dtype)]


def _infer_response(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_kind(node, FLOATS, data)
    if data.rank < 2:
        raise refuse(node, f"input of rank {data.rank}")
    if node["size"] < 1:
        raise refuse(node, f"a size of {node['size']}")
    return [data.with_shape(*data.shape)]


def _response_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    size: int = min(node["size"], 2 * outputs[0].shape[1])
    return outputs[0].elements * size


def _run_response(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [data] = arrays
    settings = (node[name] for name in ("size", "alpha", "beta", "bias"))
    with np.errstate(all="ignore"):
        return [rounded(moments.response(data, *settings), data.dtype)]


_LAST_AXIS = {
    "axis": Attribute("int", -1),
    "epsilon": _EPSILON,
    "stash_type": Attribute("int", 1),
}
_GROUPED = {"num_groups": Attribute("int", required=True), "epsilon": _EPSILON}

OPERATORS = [
    Operator(
        "LayerNormalization",
        _infer_layer,
        _run_layer,
        inputs=(2, 3),
        outputs=(1, 3),
        opsets=(17, 1_000),
        attributes=_LAST_AXIS,
    ),
    Operator(
        "RMSNormalization",
        _infer_root_mean_square,
        _run_root_mean_square,
        inputs=(2, 2),
        opsets=(23, 1_000),
        attributes=_LAST_AXIS,
    ),
    Operator(
        "InstanceNormalization",
        _infer_group,
        _run_group,
        inputs=(3, 3),
        attributes={"epsilon": _EPSILON},
    ),
    Operator(
        "GroupNormalization",
        _infer_group,
        _run_group,
        inputs=(3, 3),
        opsets=(18, 20),
        attributes=_GROUPED,
    ),
    Operator(
        "GroupNormalization",
        _infer_group,
        _run_group,
        inputs=(3, 3),
        opsets=(21, 1_000),
        attributes=_GROUPED | {"stash_type": Attribute("int", 1)},
    ),
    Operator(
        "MeanVarianceNormalization",
        _infer_mean_variance,
        _run_mean_variance,
        inputs=(1, 1),
        attributes={"axes": Attribute("ints", (0, 2, 3))},
    ),
    Operator(
        "LpNormalization",
        _infer_norm,
        _run_norm,
        inputs=(1, 1),
        attributes={"axis": Attribute("int", -1), "p": Attribute("int", 2)},
    ),
    Operator(
        "LRN",
        _infer_response,
        _run_response,
        inputs=(1, 1),
        attributes={
            "size": Attribute("int", required=True),
            "alpha": Attribute("float", float(np.float32(1e-4))),
            "beta": Attribute("float", 0.75),
            "bias": Attribute("float", 1.0),
        },
        work=_response_work,
    ),
]
