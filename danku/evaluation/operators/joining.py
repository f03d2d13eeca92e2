"""StringConcat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import broadcast, require_kind
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.registry import Operator
from danku.evaluation.tensor import TensorType


def _infer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    left, right = inputs
    require_kind(node, "O", left, right)
    return [left.with_shape(*broadcast(node, left.shape, right.shape))]


def _run(node: Node, arrays: Sequence[Array]) -> list[Array]:
    left, right = np.broadcast_arrays(*arrays)
    joined = np.empty(left.size, profile.STRING)
    room = profile.STRING_BYTES + profile.STRING_COST * left.size
    for place, (start, end) in enumerate(zip(left.flat, right.flat, strict=True)):
        text = start + end
        length = len(text.encode())
        room -= length
        if length > profile.STRING_BYTES:
            raise RuntimeRejection("StringConcat: a string that is too long")
        if room < 0:
            raise RuntimeRejection("StringConcat: strings that are too long together")
        joined[place] = text
    return [joined.reshape(left.shape)]


OPERATORS = [Operator("StringConcat", _infer, _run, inputs=(2, 2), opsets=(20, 1_000))]
