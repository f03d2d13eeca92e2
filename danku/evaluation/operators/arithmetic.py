"""Arithmetic element by element, with broadcasting: IEEE-754 for floats, wrapping for integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import FLOATS, NUMBERS, broadcast, refuse, require_kind
from danku.evaluation.kernels import elementwise, functions
from danku.evaluation.registry import ANY_NUMBER, Infer, Operator, Run
from danku.evaluation.tensor import Array, TensorType

Unary = Callable[[Array], Array]
Binary = Callable[[Array, Array], Array]

_POWER_WORK = 16
"""Multiply-accumulates that a power is charged."""


def infer_alike(kinds: str) -> Infer:
    """Inputs of one type among ``kinds``, broadcast; the output has that type too."""

    def infer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
        require_kind(node, kinds, *inputs)
        return [inputs[0].with_shape(*broadcast(node, *(each.shape for each in inputs)))]

    return infer


def run_unary(function: Unary) -> Run:
    """A function of one array."""

    def run(node: Node, arrays: Sequence[Array]) -> list[Array]:
        with np.errstate(all="ignore"):
            return [function(arrays[0])]

    return run


def run_chain(function: Binary) -> Run:
    """A function of two arrays, applied from left to right over any number of them."""

    def run(node: Node, arrays: Sequence[Array]) -> list[Array]:
        with np.errstate(all="ignore"):
            return [reduce(function, arrays)]

    return run


def _run_mean(node: Node, arrays: Sequence[Array]) -> list[Array]:
    with np.errstate(all="ignore"):
        total = reduce(np.add, arrays)
        return [np.divide(total, total.dtype.type(len(arrays)))]


def _reciprocal(x: Array) -> Array:
    return np.asarray(np.divide(x.dtype.type(1), x))


def _infer_pow(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    base, exponent = inputs
    require_kind(node, NUMBERS, base)
    require_kind(node, NUMBERS, exponent)
    if node.version < 12 and base.dtype != exponent.dtype:
        raise refuse(node, "inputs of different types")
    return [base.with_shape(*broadcast(node, base.shape, exponent.shape))]


def _run_pow(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """Integers to integers modulo 2^bits; to floats by way of float64."""
    base, exponent = arrays
    if base.dtype.kind == "f":
        return [functions.power(base, exponent)]
    if exponent.dtype.kind == "f":
        wide = functions.power(elementwise.cast(base, np.float64), exponent)
        return [elementwise.cast(wide, base.dtype)]
    return [elementwise.integer_power(base, exponent)]


def _unary(name: str, function: Unary, kinds: str) -> Operator:
    return Operator(name, infer_alike(kinds), run_unary(function), inputs=(1, 1))


def _binary(name: str, function: Binary) -> Operator:
    return Operator(name, infer_alike(NUMBERS), run_chain(function), inputs=(2, 2))


def _chain_work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    """NOTE: each input after the second may be small and goes over the whole of the output."""
    return outputs[0].elements * max(len(inputs) - 2, 0)


def _variadic(name: str, run: Run, kinds: str) -> Operator:
    return Operator(name, infer_alike(kinds), run, inputs=(1, ANY_NUMBER), work=_chain_work)


def _power_work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    return outputs[0].elements * _POWER_WORK


OPERATORS = [
    _binary("Add", np.add),
    _binary("Sub", np.subtract),
    _binary("Mul", np.multiply),
    _binary("Div", elementwise.divide),
    _variadic("Sum", run_chain(np.add), FLOATS),
    _variadic("Max", run_chain(elementwise.maximum), NUMBERS),
    _variadic("Min", run_chain(elementwise.minimum), NUMBERS),
    _variadic("Mean", _run_mean, FLOATS),
    Operator(
        "Pow",
        _infer_pow,
        _run_pow,
        inputs=(2, 2),
        work=_power_work,
    ),
    _unary("Neg", np.negative, NUMBERS),
    _unary("Abs", np.abs, NUMBERS),
    _unary("Floor", np.floor, FLOATS),
    _unary("Ceil", np.ceil, FLOATS),
    _unary("Reciprocal", _reciprocal, FLOATS),
    _unary("Sqrt", functions.sqrt, FLOATS),
    _unary("Exp", functions.exp, FLOATS),
    _unary("Log", functions.log, FLOATS),
]
