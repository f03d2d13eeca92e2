"""com.microsoft CDist: what scikit-learn's neighbours become without a loop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, refuse, require_kind, require_rank
from danku.evaluation.kernels import machines
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType

DOMAIN = "com.microsoft"


def _infer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    rows, points = inputs
    require_kind(node, FLOATS, rows, points)
    require_rank(node, rows, 2)
    require_rank(node, points, 2)
    if rows.shape[1] != points.shape[1]:
        raise refuse(node, "rows of different lengths")
    if node["metric"] not in ("euclidean", "sqeuclidean"):
        raise refuse(node, "metric is not one of euclidean, sqeuclidean")
    return [rows.with_shape(rows.shape[0], points.shape[0])]


def _run(node: Node, arrays: Sequence[Array]) -> list[Array]:
    rows, points = arrays
    with np.errstate(all="ignore"):
        distances = machines.squared_distances(rows, points)
        if node["metric"] == "euclidean":
            distances = np.sqrt(distances)
        return [distances.astype(rows.dtype)]


def _work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    return outputs[0].elements * inputs[0].shape[1]


OPERATORS = [
    Operator(
        "CDist",
        _infer,
        _run,
        inputs=(2, 2),
        domain=DOMAIN,
        attributes={"metric": Attribute("string", "sqeuclidean")},
        work=_work,
    ),
]
