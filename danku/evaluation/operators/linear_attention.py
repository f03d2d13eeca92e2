"""LinearAttention: a state for each head, updated and read step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, refuse, require_kind, require_rank
from danku.evaluation.kernels import functions, gemm
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import TensorType

STEP_WORK = 2**18
"""Multiply-accumulates that a step is charged beyond its arithmetic."""

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_RULES = {
    "linear": (False, False),
    "gated": (True, False),
    "delta": (False, True),
    "gated_delta": (True, True),
}
"""Whether a rule takes decay, and whether it takes beta."""


@dataclass(frozen=True)
class _Shape:
    """Sizes that the inputs agree on."""

    batch: int
    steps: int
    groups: int
    """Heads of the keys and values, each with a state [size, width]."""
    queries: int
    """Heads of the queries for each of these."""
    size: int
    width: int

    @property
    def state(self) -> tuple[int, int, int, int]:
        return (self.batch, self.groups, self.size, self.width)


def _shape(node: Node, inputs: Sequence[Any]) -> _Shape:
    query, key, value = inputs[:3]
    heads, groups = node["q_num_heads"], node["kv_num_heads"]
    if groups < 1 or heads < 1 or heads % groups:
        raise refuse(node, f"{heads} heads of queries and {groups} of keys")
    batch, steps, columns = query.shape
    size, width = columns // heads, value.shape[2] // groups
    expected = [
        (batch, steps, heads * size),
        (batch, steps, groups * size),
        (batch, steps, groups * width),
    ]
    if [query.shape, key.shape, value.shape] != expected or size == 0:
        raise refuse(node, f"queries {query.shape}, keys {key.shape}, values {value.shape}")
    return _Shape(batch, steps, groups, heads // groups, size, width)


def _infer(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    query, key, value, past, decay, beta = [*inputs, None, None, None][:6]
    require_kind(node, FLOATS, query, key, value, decay, beta)
    for tensor in (query, key, value):
        require_rank(node, tensor, 3)
    for tensor in (query, past):
        if tensor is not None and (tensor.kind not in FLOATS or tensor.dtype == _FLOAT64):
            raise ModelRejected("type", f"{node.operator}: unsupported type {tensor.dtype_name}")
    shape = _shape(node, inputs)
    if node["update_rule"] not in _RULES:
        raise refuse(node, f"update_rule is not one of {', '.join(_RULES)}")
    if _RULES[node["update_rule"]] != (decay is not None, beta is not None):
        raise refuse(node, "decay and beta are not those of the update_rule")
    if past is not None and past.shape != shape.state:
        raise refuse(node, f"past_state {past}")
    steps = (shape.batch, shape.steps)
    for tensor, columns in (
        (decay, (shape.groups, shape.groups * shape.size)),
        (beta, (shape.groups, 1)),
    ):
        if tensor is not None and tensor.shape not in [(*steps, each) for each in columns]:
            raise refuse(node, f"decay or beta {tensor}")
    result = query.with_shape(*steps, shape.groups * shape.queries * shape.width)
    return [result, TensorType((past or query).dtype, shape.state)]


def _work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    shape = _shape(node, inputs)
    return shape.steps * (outputs[1].elements * (3 + shape.queries) + STEP_WORK)


def _by_step(tensor: Array, *shape: int) -> Array:
    """[batch, steps, columns] as [steps, batch, *shape]."""
    batch, steps = tensor.shape[:2]
    return tensor.swapaxes(0, 1).reshape(steps, batch, *shape)


def _run(node: Node, arrays: Sequence[Any]) -> list[Array]:
    query, key, value, past, decay, beta = [*arrays, None, None, None][:6]
    shape = _shape(node, arrays)
    queries = _by_step(query, shape.groups, shape.queries, shape.size)
    keys = _by_step(key, shape.groups, 1, shape.size)
    values = _by_step(value, shape.groups, 1, shape.width)
    scale = _FLOAT32.type(node["scale"] or 1.0 / sqrt(shape.size))
    state = np.zeros(shape.state, _FLOAT32) if past is None else past
    read = np.empty((shape.steps, shape.batch, shape.groups, shape.queries, shape.width), _FLOAT32)
    with np.errstate(all="ignore"):
        if decay is not None:
            kept = functions.exp(_by_step(decay, shape.groups, decay.shape[2] // shape.groups, 1))
        if beta is not None:
            rates = _by_step(beta, beta.shape[2], 1, 1)
        for step in range(shape.steps):
            new = values[step]
            if decay is not None:
                state = state * kept[step]
            if beta is not None:
                new = rates[step] * (new - gemm.matmul(keys[step], state))
            state = state + keys[step].swapaxes(2, 3) * new
            read[step] = scale * gemm.matmul(queries[step], state)
    columns = shape.groups * shape.queries * shape.width
    return [read.swapaxes(0, 1).reshape(shape.batch, shape.steps, columns), state]


OPERATORS = [
    Operator(
        "LinearAttention",
        _infer,
        _run,
        inputs=(3, 6),
        outputs=(2, 2),
        opsets=(27, 1_000),
        attributes={
            # NOTE: how the work may be cut, which changes no result here.
            "chunk_size": Attribute("int", 64),
            "kv_num_heads": Attribute("int", required=True),
            "q_num_heads": Attribute("int", required=True),
            "scale": Attribute("float", 0.0),
            "update_rule": Attribute("string", "gated_delta"),
        },
        work=_work,
    )
]
