"""Attention: what its inputs and attributes may be."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import numpy as np

from danku.evaluation.attention import Settings, Shape, attended
from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, refuse, require_kind, require_rank
from danku.evaluation.initializers import element_type
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import DType, TensorType

_BOOL, _INT64 = np.dtype(np.bool_), np.dtype(np.int64)
_SCORE_WORK = 16
"""Multiply-accumulates that a score is charged beyond those of the products."""
_LAST_MODE = 3


def _head_shape(node: Node, tensor: Any, attribute: str) -> tuple[int, int, int, int]:
    """(batch, heads, length, size) of a tensor of rank 3 or 4."""
    heads = node[attribute]
    if len(tensor.shape) == 3:
        batch, length, width = tensor.shape
        if heads is None or heads < 1 or width % heads:
            raise refuse(node, f"{attribute} is {heads} for {width} columns")
        return batch, heads, length, width // heads
    if heads is not None and heads != tensor.shape[1]:
        raise refuse(node, f"{attribute} is {heads}, not {tensor.shape[1]}")
    shape: tuple[int, int, int, int] = tensor.shape
    return shape


def _shape(node: Node, inputs: Sequence[Any]) -> Shape:
    """Sizes of the first three inputs and the past, which may be types or arrays."""
    query, key, value = inputs[:3]
    past_key, past_value = inputs[4:6]
    batch, heads, queries, size = _head_shape(node, query, "q_num_heads")
    keys_of, values_of = (_head_shape(node, each, "kv_num_heads") for each in (key, value))
    groups, keys, width = keys_of[1], keys_of[2], values_of[3]
    fits = keys_of == (batch, groups, keys, size) and values_of == (batch, groups, keys, width)
    if not fits or groups == 0 or heads % groups:
        raise refuse(node, f"queries {query.shape}, keys {key.shape}, values {value.shape}")
    past = 0
    if past_key is not None and past_value is not None:
        past = past_key.shape[2] if len(past_key.shape) == 4 else 0
        expected = (batch, groups, past)
        if past_key.shape != (*expected, size) or past_value.shape != (*expected, width):
            raise refuse(node, f"past {past_key.shape} and {past_value.shape}")
    return Shape(batch, heads, groups, queries, past, past + keys, size, width)


def _padded(inputs: Sequence[Any]) -> list[Any]:
    return [*inputs, *[None] * 4][:7]


def _infer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    inputs = _padded(inputs)
    query, key, value, mask, past_key, past_value, lengths = inputs
    require_kind(node, FLOATS, query, key, value, past_key, past_value)
    require_rank(node, query, 3, 4)
    for other in (key, value):
        require_rank(node, other, query.rank)
    if (past_key is None) != (past_value is None):
        raise refuse(node, "past_key and past_value go together")
    shape = _shape(node, inputs)
    if shape.keys == 0 or shape.size == 0:
        raise refuse(node, "nothing to attend to")
    if mask is not None:
        _check_mask(node, mask, query.dtype, shape)
    if lengths is not None:
        if lengths.dtype != _INT64 or lengths.shape != (shape.batch,) or past_key is not None:
            raise refuse(node, f"nonpad_kv_seqlen {lengths}")
    _check_settings(node)
    result: tuple[int, ...] = (shape.batch, shape.heads, shape.queries, shape.width)
    if query.rank == 3:
        result = (shape.batch, shape.queries, shape.heads * shape.width)
    types = [
        query.with_shape(*result),
        query.with_shape(shape.batch, shape.groups, shape.keys, shape.size),
        query.with_shape(shape.batch, shape.groups, shape.keys, shape.width),
    ]
    return [*types, query.with_shape(*shape.scores)] if _shows_scores(node) else types


def _shows_scores(node: Node) -> bool:
    return len(node.outputs) > 3


def _check_mask(node: Node, mask: TensorType, dtype: DType, shape: Shape) -> None:
    if mask.dtype not in (_BOOL, dtype):
        raise refuse(node, f"a mask of type {mask.dtype_name}")
    if not 1 <= mask.rank <= 4:
        raise refuse(node, f"a mask of rank {mask.rank}")
    wanted = shape.scores[-mask.rank :]
    # NOTE: a single column could be meant to be repeated or, from opset 24, to be filled up.
    columns = mask.shape[-1]
    fits = columns == shape.keys or (node.version >= 24 and 1 != columns < shape.keys)
    rows = zip(mask.shape[:-1], wanted[:-1], strict=True)
    if not fits or any(size not in (1, expected) for size, expected in rows):
        raise refuse(node, f"a mask {mask} for scores {list(shape.scores)}")


def _check_settings(node: Node) -> None:
    if not 0 <= node["qk_matmul_output_mode"] <= _LAST_MODE:
        raise refuse(node, f"qk_matmul_output_mode is {node['qk_matmul_output_mode']}")
    if not node["softcap"] >= 0 or not (node["scale"] is None or node["scale"] >= 0):
        raise refuse(node, "softcap or scale is negative")
    if node["softmax_precision"] is not None:
        require_kind(node, FLOATS, TensorType(element_type(node["softmax_precision"]), ()))
    for name in ("left_window_size", "right_window_size"):
        if node.attributes.get(name, -1) < -1:
            raise refuse(node, f"{name} is {node[name]}")


def _work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    shape = _shape(node, _padded(inputs))
    return prod(shape.scores) * (shape.size + shape.width + _SCORE_WORK)


def _by_head(tensor: Array, heads: int) -> Array:
    if tensor.ndim == 4:
        return tensor
    batch, length, width = tensor.shape
    return tensor.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)


def _settings(node: Node, size: int) -> Settings:
    precision, scale = node["softmax_precision"], node["scale"]
    return Settings(
        sqrt(1.0 / sqrt(size) if scale is None else scale),
        bool(node["is_causal"]),
        node.attributes.get("left_window_size", -1),
        node.attributes.get("right_window_size", -1),
        node["softcap"],
        None if precision is None else element_type(precision),
        node["qk_matmul_output_mode"],
    )


def _run(node: Node, arrays: Sequence[Any]) -> list[Array]:
    arrays = _padded(arrays)
    shape, rank = _shape(node, arrays), arrays[0].ndim
    mask, past_key, past_value, lengths = arrays[3:]
    if lengths is not None and ((lengths < 0) | (lengths > shape.keys)).any():
        raise RuntimeRejection("Attention: length out of range")
    query = _by_head(arrays[0], shape.heads)
    key, value = (_by_head(each, shape.groups) for each in arrays[1:3])
    if past_key is not None:
        key, value = np.concatenate([past_key, key], 2), np.concatenate([past_value, value], 2)
    scores = np.empty(shape.scores, query.dtype) if _shows_scores(node) else None
    settings = _settings(node, shape.size)
    result = attended(shape, settings, query, key, value, mask, lengths, scores)
    if rank == 3:
        columns = shape.heads * shape.width
        result = result.transpose(0, 2, 1, 3).reshape(shape.batch, shape.queries, columns)
    return [result, key, value] if scores is None else [result, key, value, scores]


_SETTINGS = {
    "is_causal": Attribute("int", 0),
    "kv_num_heads": Attribute("int"),
    "q_num_heads": Attribute("int"),
    "qk_matmul_output_mode": Attribute("int", 0),
    "scale": Attribute("float"),
    "softcap": Attribute("float", 0.0),
    "softmax_precision": Attribute("int"),
}
_WINDOWS = {
    "left_window_size": Attribute("int", -1),
    "right_window_size": Attribute("int", -1),
}


def _operator(opsets: tuple[int, int], inputs: int, windows: dict[str, Attribute]) -> Operator:
    return Operator(
        "Attention",
        _infer,
        _run,
        inputs=(3, inputs),
        outputs=(1, 4),
        opsets=opsets,
        attributes=_SETTINGS | windows,
        work=_work,
    )


OPERATORS = [
    _operator((23, 23), 6, {}),
    _operator((24, 24), 7, {}),
    _operator((25, 1_000), 7, _WINDOWS),
]
