"""RotaryEmbedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, refuse, require_kind, require_rank
from danku.evaluation.kernels.arrays import Array, rounded
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import TensorType

_INT64 = np.dtype(np.int64)


def _heads(node: Node, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Batch, length of the sequence, heads, and size of a head."""
    if len(shape) == 4:
        return shape[0], shape[2], shape[1], shape[3]
    heads = node["num_heads"]
    if not heads or heads < 0 or shape[2] % heads:
        raise refuse(node, f"{heads} heads")
    return shape[0], shape[1], heads, shape[2] // heads


def _infer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data, cosines, sines, positions = [*inputs, None][:4]
    require_kind(node, FLOATS, data, cosines, sines)
    require_rank(node, data, 3, 4)
    batch, length, _, size = _heads(node, data.shape)
    turned = node["rotary_embedding_dim"] or size
    if not 0 <= turned <= size or turned % 2:
        raise refuse(node, f"rotary_embedding_dim is {turned}")
    if cosines.shape != sines.shape or cosines.shape[-1:] != (turned // 2,):
        raise refuse(node, f"caches {cosines} and {sines}")
    if positions is None:
        if cosines.shape[:-1] != (batch, length):
            raise refuse(node, f"caches {cosines} and {sines}")
    elif positions.dtype != _INT64 or positions.shape != (batch, length) or cosines.rank != 2:
        raise refuse(node, f"positions {positions}")
    return [data.with_shape(*data.shape)]


def _run(node: Node, arrays: Sequence[Any]) -> list[Array]:
    data, cosines, sines, positions = [*arrays, None][:4]
    batch, length, heads, size = _heads(node, data.shape)
    if positions is not None:
        if ((positions < 0) | (positions >= len(cosines))).any():
            raise RuntimeRejection("RotaryEmbedding: position out of range")
        cosines, sines = cosines[positions], sines[positions]
    cosine, sine = (each.astype(np.float64)[:, :, np.newaxis] for each in (cosines, sines))
    by_head = data.transpose(0, 2, 1, 3) if data.ndim == 4 else data
    result = by_head.reshape(batch, length, heads, size).copy()
    turned = node["rotary_embedding_dim"] or size
    if node["interleaved"]:
        first, second = result[..., 0:turned:2], result[..., 1:turned:2]
    else:
        first, second = result[..., : turned // 2], result[..., turned // 2 : turned]
    real, imaginary = first.astype(np.float64), second.astype(np.float64)
    with np.errstate(all="ignore"):
        first[...] = rounded(cosine * real - sine * imaginary, data.dtype)
        second[...] = rounded(sine * real + cosine * imaginary, data.dtype)
    return [result.transpose(0, 2, 1, 3) if data.ndim == 4 else result.reshape(data.shape)]


OPERATORS = [
    Operator(
        "RotaryEmbedding",
        _infer,
        _run,
        inputs=(3, 4),
        opsets=(23, 1_000),
        attributes={
            "interleaved": Attribute("int", 0),
            "num_heads": Attribute("int"),
            "rotary_embedding_dim": Attribute("int", 0),
        },
    ),
]
