"""Comparisons, boolean operations and Where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import ANYTHING, NUMBERS, broadcast, require_kind
from danku.evaluation.registry import Operator
from danku.evaluation.tensor import Array, TensorType

BOOLEAN = "b"
_BOOL = np.dtype(np.bool_)


def _operator(
    name: str, function: Callable[..., Any], kinds: str, inputs: int = 2, since: int = 1
) -> Operator:
    def infer(node: Node, types: Sequence[TensorType]) -> list[TensorType]:
        require_kind(node, kinds, *types)
        return [TensorType(_BOOL, broadcast(node, *(each.shape for each in types)))]

    def run(node: Node, arrays: Sequence[Array]) -> list[Array]:
        with np.errstate(all="ignore"):
            return [np.asarray(function(*arrays), np.bool_)]

    return Operator(name, infer, run, inputs=(inputs, inputs), opsets=(since, 1_000))


def _infer_where(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    condition, chosen, other = inputs
    require_kind(node, BOOLEAN, condition)
    require_kind(node, ANYTHING, chosen, other)
    shape = broadcast(node, condition.shape, chosen.shape, other.shape)
    return [chosen.with_shape(*shape)]


def _run_where(node: Node, arrays: Sequence[Array]) -> list[Array]:
    condition, chosen, other = arrays
    return [np.where(condition, chosen, other)]


OPERATORS = [
    _operator("Equal", np.equal, ANYTHING),
    _operator("Greater", np.greater, NUMBERS),
    _operator("GreaterOrEqual", np.greater_equal, NUMBERS, since=12),
    _operator("Less", np.less, NUMBERS),
    _operator("LessOrEqual", np.less_equal, NUMBERS, since=12),
    _operator("And", np.logical_and, BOOLEAN),
    _operator("Or", np.logical_or, BOOLEAN),
    _operator("Xor", np.logical_xor, BOOLEAN),
    _operator("Not", np.logical_not, BOOLEAN, inputs=1),
    Operator("Where", _infer_where, _run_where, inputs=(3, 3)),
]
