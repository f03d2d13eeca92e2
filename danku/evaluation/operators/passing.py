"""Operators that pass values on: Identity, Dropout (inference)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse, require_kind, require_value
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType


def _infer_identity(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    return [TensorType(data.dtype, data.shape, columns=data.columns)]


def _infer_dropout(node: Node, inputs: Sequence[Any]) -> list[TensorType]:
    data: TensorType = inputs[0]
    require_kind(node, "f", data)
    training = inputs[2] if len(inputs) > 2 else None
    if training is not None and require_value(node, training).any():
        raise refuse(node, "training mode")
    mask = data.dtype if node.version < 10 else np.dtype(np.bool_)
    return [data.with_shape(*data.shape), TensorType(mask, data.shape)]


def _run_dropout(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [kept, mask] = _infer_dropout(node, [TensorType(arrays[0].dtype, arrays[0].shape)])
    return [arrays[0], np.ones(kept.shape, mask.dtype)]


OPERATORS = [
    Operator(
        "Identity",
        _infer_identity,
        lambda node, arrays: [arrays[0]],
        inputs=(1, 1),
    ),
    Operator(
        "Dropout",
        _infer_dropout,
        _run_dropout,
        inputs=(1, 1),
        outputs=(1, 2),
        opsets=(1, 11),
        attributes={"ratio": Attribute("float", 0.5)},
    ),
    Operator(
        "Dropout",
        _infer_dropout,
        _run_dropout,
        inputs=(1, 3),
        outputs=(1, 2),
        opsets=(12, 1_000),
        attributes={"seed": Attribute("int", 0)},
    ),
]
