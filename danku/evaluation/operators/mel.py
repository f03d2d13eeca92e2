"""MelWeightMatrix."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, INTEGERS, NUMBERS, refuse, require_kind
from danku.evaluation.initializers import element_type
from danku.evaluation.kernels import elementwise, functions
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.operators.generators import one_number
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import TensorType, constant

Floats = NDArray[np.float64]

_LN10 = float.fromhex("0x1.26bb1bbb55516p+1")
_BREAK = 700.0
_SCALE = 2595.0
_MOST = 65_536
"""Bands, and the length of the transform."""


def _points(node: Node, inputs: Sequence[TensorType]) -> tuple[int, Floats]:
    """The number of frequencies, and the frequency at which each band begins, peaks and ends."""
    require_kind(node, INTEGERS, *inputs[:3])
    require_kind(node, FLOATS, *inputs[3:])
    bands, length, rate = (int(one_number(node, each)) for each in inputs[:3])
    lower, upper = (float(one_number(node, each)) for each in inputs[3:])
    if not 1 <= bands <= _MOST or not 1 <= length <= _MOST or rate < 1:
        raise refuse(node, "a number below 1 or too large")
    if not (isfinite(lower) and isfinite(upper) and 0 <= lower <= upper):
        raise refuse(node, f"edges {lower} and {upper}")
    low, high = (_SCALE * functions.log1p(np.array([lower, upper]) / _BREAK)) / _LN10
    step = (high - low) / (bands + 2)
    mel = np.arange(bands + 2) * step + low
    hertz = _BREAK * functions.expm1((mel / _SCALE) * _LN10)
    return length // 2 + 1, np.floor(((length + 1) * hertz) / rate)


def _infer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    rows, points = _points(node, inputs)
    if points[-1] > rows:
        raise refuse(node, "a band beyond the frequencies")
    result = TensorType(element_type(node["output_datatype"]), (rows, len(points) - 2))
    require_kind(node, NUMBERS, result)
    return [result]


def _run(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """Triangles that rise from 0 to 1 and fall to 0 again."""
    rows, points = _points(node, [constant(array) for array in arrays])
    left, centre, right = points[:-2], points[1:-1], points[2:]
    places = np.arange(rows, dtype=np.float64)[:, np.newaxis]
    with np.errstate(all="ignore"):
        rising = np.where(centre == left, 1.0, (places - left) / (centre - left))
        falling = (right - places) / (right - centre)
    weights = np.where((places >= left) & (places <= centre), rising, 0.0)
    weights = np.where((places >= centre) & (places < right), falling, weights)
    kind = element_type(node["output_datatype"])
    return [elementwise.cast(weights, np.float32 if kind == profile.BFLOAT16 else kind)]


OPERATORS = [
    Operator(
        "MelWeightMatrix",
        _infer,
        _run,
        inputs=(5, 5),
        opsets=(17, 1_000),
        attributes={"output_datatype": Attribute("int", 1)},
    )
]
