"""Tensors that follow from a few numbers: Range, EyeLike, Size, and windows for signals."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite

import numpy as np

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import INTEGERS, NUMBERS, refuse, require_kind, require_value
from danku.evaluation.initializers import element_type
from danku.evaluation.kernels import elementwise, narrow, trigonometry
from danku.evaluation.kernels.arrays import rounded
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType, constant

_FULL_TURN = float.fromhex("0x1.921fb54442d18p+2")
_WINDOWS = {
    "HannWindow": (0.5, 0.5, 0.0),
    "HammingWindow": (25 / 46, 21 / 46, 0.0),
    "BlackmanWindow": (0.42, 0.5, 0.08),
}
"""Weights of the constant, of the cosine, and of the cosine of twice the angle."""


def one_number(node: Node, tensor: TensorType) -> float | int:
    """The value of a constant that is one number."""
    value = narrow.widened(require_value(node, tensor))
    if value.shape not in ((), (1,)):
        raise refuse(node, f"expected one number, found {tensor}")
    number: float | int = value.reshape(()).item()
    return number


def _infer_range(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    require_kind(node, NUMBERS, *inputs)
    start, limit, delta = (one_number(node, each) for each in inputs)
    if delta == 0:
        raise refuse(node, "delta is 0")
    if inputs[0].kind == "f":
        steps = (limit - start) / delta
        count = ceil(steps) if isfinite(steps) else profile.DIMENSION + 1
    else:
        count = int(-((start - limit) // delta))
    return [TensorType(inputs[0].dtype, (max(count, 0),))]


def _run_range(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """Floats: start + i * delta in float64, rounded once; integers wrap."""
    [kind] = _infer_range(node, [constant(array) for array in arrays])
    start, _, delta = (array.reshape(()) for array in arrays)
    with np.errstate(all="ignore"):
        if kind.kind == "f":
            values = start.astype(np.float64) + np.arange(kind.elements) * delta.astype(np.float64)
            return [rounded(values, kind.dtype)]
        steps = np.arange(kind.elements, dtype=np.int64).astype(kind.dtype)
        return [start + steps * delta]


def _infer_eye(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [example] = inputs
    if example.rank != 2:
        raise refuse(node, f"input of rank {example.rank}")
    dtype = example.dtype if node["dtype"] is None else element_type(node["dtype"])
    result = TensorType(dtype, example.shape)
    require_kind(node, NUMBERS + "b", result)
    return [result]


def _run_eye(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [kind] = _infer_eye(node, [constant(arrays[0])])
    rows, columns = kind.shape
    ones = np.arange(columns) - np.arange(rows)[:, np.newaxis] == node["k"]
    return [ones.astype(narrow.widened(np.empty(0, kind.dtype)).dtype)]


def _infer_size(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    return [constant(np.array(inputs[0].elements, np.int64))]


def _run_size(node: Node, arrays: Sequence[Array]) -> list[Array]:
    raise AssertionError("Size is known before it runs")


def _infer_window(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    require_kind(node, INTEGERS, inputs[0])
    size = int(one_number(node, inputs[0]))
    if size < 0:
        raise refuse(node, "a negative size")
    result = TensorType(element_type(node["output_datatype"]), (size,))
    require_kind(node, NUMBERS, result)
    return [result]


def _run_window(node: Node, arrays: Sequence[Array]) -> list[Array]:
    size = int(arrays[0].reshape(()))
    weights = _WINDOWS[node.operator]
    kind = element_type(node["output_datatype"])
    with np.errstate(all="ignore"):
        angle = (np.arange(size) * _FULL_TURN) / np.float64(size if node["periodic"] else size - 1)
        window = weights[0] - weights[1] * trigonometry.cos(angle)
        if weights[2]:
            window = window + weights[2] * trigonometry.cos(2.0 * angle)
    return [elementwise.cast(window, np.float32 if kind == profile.BFLOAT16 else kind)]


OPERATORS = [
    Operator("Range", _infer_range, _run_range, inputs=(3, 3), opsets=(11, 26)),
    Operator(
        "Range",
        _infer_range,
        _run_range,
        inputs=(3, 3),
        opsets=(27, 1_000),
        # NOTE: float16 and bfloat16 are always computed in more than float32.
        attributes={"stash_type": Attribute("int", 1)},
    ),
    Operator(
        "EyeLike",
        _infer_eye,
        _run_eye,
        inputs=(1, 1),
        attributes={"dtype": Attribute("int"), "k": Attribute("int", 0)},
    ),
    Operator("Size", _infer_size, _run_size, inputs=(1, 1)),
    *(
        Operator(
            name,
            _infer_window,
            _run_window,
            inputs=(1, 1),
            opsets=(17, 1_000),
            attributes={"periodic": Attribute("int", 1), "output_datatype": Attribute("int", 1)},
        )
        for name in _WINDOWS
    ),
]
