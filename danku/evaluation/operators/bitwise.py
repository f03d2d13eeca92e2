"""Integers as rows of bits: BitShift, BitwiseAnd, BitwiseOr, BitwiseXor, BitwiseNot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import INTEGERS, refuse
from danku.evaluation.operators.arithmetic import infer_alike, run_chain, run_unary
from danku.evaluation.registry import Attribute, Infer, Operator
from danku.evaluation.tensor import Array, TensorType

_UNSIGNED = "u"


def _infer_shift(kinds: str) -> Infer:
    alike = infer_alike(kinds)

    def infer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
        if node["direction"] not in ("LEFT", "RIGHT"):
            raise refuse(node, "direction is neither LEFT nor RIGHT")
        return alike(node, inputs)

    return infer


def _run_shift(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """By less than 0, or by the width or more, only the sign is left: -1 or 0, to the left 0."""
    values, places = arrays
    width = 8 * values.dtype.itemsize
    within = (places >= 0) & (places < width)
    bounded = np.where(within, places, places.dtype.type(0))
    if node["direction"] == "LEFT":
        return [np.where(within, values << bounded, values.dtype.type(0))]
    signs = np.where(values < 0, ~values.dtype.type(0), values.dtype.type(0))
    return [np.where(within, values >> bounded, signs)]


def _shift(kinds: str, opsets: tuple[int, int]) -> Operator:
    return Operator(
        "BitShift",
        _infer_shift(kinds),
        _run_shift,
        inputs=(2, 2),
        opsets=opsets,
        attributes={"direction": Attribute("string", required=True)},
    )


OPERATORS = [
    _shift(_UNSIGNED, (11, 27)),
    _shift(INTEGERS, (28, 1_000)),
    *(
        Operator(name, infer_alike(INTEGERS), run_chain(function), (2, 2), opsets=(18, 1_000))
        for name, function in (
            ("BitwiseAnd", np.bitwise_and),
            ("BitwiseOr", np.bitwise_or),
            ("BitwiseXor", np.bitwise_xor),
        )
    ),
    Operator(
        "BitwiseNot",
        infer_alike(INTEGERS),
        run_unary(np.bitwise_not),
        inputs=(1, 1),
        opsets=(18, 1_000),
    ),
]
