"""Signs, rounding, remainders, and what is no number: Sign, Round, Mod, IsNaN, IsInf."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, NUMBERS, broadcast, refuse, require_kind
from danku.evaluation.kernels.rejection import ZeroDivisor
from danku.evaluation.operators.arithmetic import infer_alike, run_unary
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType

_BOOL = np.dtype(np.bool_)


def _sign(x: Array) -> Array:
    """-1, 0 or 1; NaN stays and zeros of either sign give +0."""
    sign = (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)
    return np.where(np.isnan(x), x, sign) if x.dtype.kind == "f" else sign


def _infer_mod(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    require_kind(node, NUMBERS, *inputs)
    if inputs[0].kind == "f" and not node["fmod"] and node.version < 28:
        raise refuse(node, "floats without fmod")
    return [inputs[0].with_shape(*broadcast(node, *(each.shape for each in inputs)))]


def _run_mod(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """The sign of the divisor, or with fmod that of the dividend; exact for floats too."""
    dividend, divisor = arrays
    if dividend.dtype.kind != "f" and not divisor.all():
        raise ZeroDivisor
    with np.errstate(all="ignore"):
        return [(np.fmod if node["fmod"] else np.remainder)(dividend, divisor)]


def _infer_test(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [x] = inputs
    require_kind(node, FLOATS, x)
    return [TensorType(_BOOL, x.shape)]


def _run_is_infinite(node: Node, arrays: Sequence[Array]) -> list[Array]:
    [x] = arrays
    positive = (x == np.inf) & bool(node["detect_positive"])
    return [positive | ((x == -np.inf) & bool(node["detect_negative"]))]


OPERATORS = [
    Operator("Sign", infer_alike(NUMBERS), run_unary(_sign), (1, 1), opsets=(9, 1_000)),
    Operator("Round", infer_alike(FLOATS), run_unary(np.rint), (1, 1), opsets=(11, 1_000)),
    Operator(
        "Mod",
        _infer_mod,
        _run_mod,
        inputs=(2, 2),
        opsets=(10, 1_000),
        attributes={"fmod": Attribute("int", 0)},
    ),
    Operator(
        "IsNaN", _infer_test, lambda node, arrays: [np.isnan(arrays[0])], (1, 1), opsets=(9, 1_000)
    ),
    Operator(
        "IsInf",
        _infer_test,
        _run_is_infinite,
        inputs=(1, 1),
        opsets=(10, 1_000),
        attributes={"detect_negative": Attribute("int", 1), "detect_positive": Attribute("int", 1)},
    ),
]
