"""Products in order: CumProd, and Det by elimination."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, NUMBERS, axis_of, refuse, require_kind, require_value
from danku.evaluation.kernels.arrays import Array, rounded
from danku.evaluation.operators.selection import require_index_type
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import TensorType


def _infer_cumulative(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    data, axis = inputs
    require_kind(node, NUMBERS, data)
    require_index_type(node, axis)
    if axis.elements != 1:
        raise refuse(node, f"axis is {axis}")
    axis_of(node, int(require_value(node, axis).reshape(())), data.rank)
    return [data.with_shape(*data.shape)]


def _run_cumulative(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """Prefixes of one float64 product, each rounded once; integers wrap."""
    data, axis = arrays[0], int(arrays[1].reshape(()))
    floats = data.dtype.kind == "f"
    ordered = np.flip(data, axis) if node["reverse"] else data
    with np.errstate(all="ignore"):
        factors = np.moveaxis(ordered.astype(np.float64) if floats else ordered, axis, -1)
        products = np.ones((*factors.shape[:-1], factors.shape[-1] + 1), factors.dtype)
        # NOTE: numpy multiplies along an axis of accumulate in order, one factor at a time.
        products[..., 1:] = np.multiply.accumulate(factors, axis=-1, dtype=factors.dtype)
        kept = products[..., :-1] if node["exclusive"] else products[..., 1:]
        result = np.moveaxis(rounded(kept, data.dtype) if floats else kept, -1, axis)
    return [np.flip(result, axis) if node["reverse"] else result]


def _infer_determinant(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [data] = inputs
    require_kind(node, FLOATS, data)
    if data.rank < 2 or data.shape[-1] != data.shape[-2]:
        raise refuse(node, f"matrices {data}")
    return [data.with_shape(*data.shape[:-2])]


def _determinant_work(
    node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]
) -> int:
    size = inputs[0].shape[-1]
    return outputs[0].elements * size**3


def _run_determinant(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """Elimination in float64, the largest of each column as pivot; then the pivots' product."""
    [data] = arrays
    size = data.shape[-1]
    matrices = data.astype(np.float64).reshape(prod(data.shape[:-2]), size, size)
    every = np.arange(len(matrices))
    result = np.ones(len(matrices))
    with np.errstate(all="ignore"):
        for place in range(size):
            chosen = place + np.argmax(np.abs(matrices[:, place:, place]), axis=1)
            rows = matrices[every, chosen]
            matrices[every, chosen] = matrices[:, place]
            matrices[:, place] = rows
            result = np.where(chosen == place, result, -result) * rows[:, place]
            # NOTE: below a pivot of 0 there are only zeros.
            divisor = np.where(rows[:, place] == 0, 1.0, rows[:, place])
            factors = matrices[:, place + 1 :, place] / divisor[:, np.newaxis]
            below = matrices[:, place + 1 :, place + 1 :]
            below -= factors[:, :, np.newaxis] * rows[:, np.newaxis, place + 1 :]
        return [rounded(result, data.dtype).reshape(data.shape[:-2])]


OPERATORS = [
    Operator(
        "CumProd",
        _infer_cumulative,
        _run_cumulative,
        inputs=(2, 2),
        opsets=(26, 1_000),
        attributes={"exclusive": Attribute("int", 0), "reverse": Attribute("int", 0)},
    ),
    Operator(
        "Det",
        _infer_determinant,
        _run_determinant,
        inputs=(1, 1),
        opsets=(11, 1_000),
        work=_determinant_work,
    ),
]
