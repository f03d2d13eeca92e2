"""Einsum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from danku.evaluation.graph import Node
from danku.evaluation.inference import NUMBERS, refuse, require_kind
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.contraction import Labels, contract, steps
from danku.evaluation.registry import ANY_NUMBER, Attribute, Operator
from danku.evaluation.tensor import TensorType

_ELLIPSIS = "..."
_LONGEST = 1_000


@dataclass(frozen=True)
class _Equation:
    operands: list[Labels]
    """As written, with a label for each axis of an ellipsis."""
    output: Labels


def _term(node: Node, text: str, rank: int) -> Labels:
    """The labels of an operand; the axes of an ellipsis are numbered from the last, 0."""
    hidden = rank - len(_letters(node, text))
    if hidden < 0 or (hidden and _ELLIPSIS not in text):
        raise refuse(node, "an equation that does not fit its operands")
    return _spelled(text, hidden)


def _letters(node: Node, text: str) -> str:
    letters = text.replace(_ELLIPSIS, "", 1)
    if letters and not (letters.isascii() and letters.isalpha()):
        raise refuse(node, "a malformed equation")
    return letters


def _spelled(text: str, hidden: int) -> Labels:
    before, dots, after = text.partition(_ELLIPSIS)
    middle = tuple(str(number) for number in reversed(range(hidden))) if dots else ()
    return (*before, *middle, *after)


def _equation(node: Node, ranks: Sequence[int]) -> _Equation:
    equation: str = node["equation"]
    if len(equation) > _LONGEST:
        raise refuse(node, "an equation that is too long")
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise refuse(node, f"{len(terms)} terms for {len(ranks)} operands")
    operands = list(map(lambda term, rank: _term(node, term, rank), terms, ranks))
    hidden = max(sum(label.isdigit() for label in labels) for labels in operands)
    count = Counter(label for labels in operands for label in labels)
    if not arrow:
        once = sorted(label for label in count if label.isalpha() and count[label] == 1)
        right = _ELLIPSIS + "".join(once) if hidden else "".join(once)
    # NOTE: a digit is no letter; it would name an axis of the ellipsis.
    _letters(node, right)
    output = _spelled(right, hidden)
    known = {*count, *map(str, range(hidden))}
    if len(set(output)) != len(output) or not known.issuperset(output):
        raise refuse(node, "a malformed equation")
    return _Equation(operands, output)


def _sizes(node: Node, equation: _Equation, shapes: Sequence[Sequence[int]]) -> dict[str, int]:
    """The size of each label; axes of an ellipsis are broadcast."""
    sizes: dict[str, int] = {}
    for labels, shape in zip(equation.operands, shapes, strict=True):
        for label, size in zip(labels, shape, strict=True):
            known = sizes.setdefault(label, size)
            if label.isdigit() and 1 in (known, size):
                sizes[label] = size if known == 1 else known
            elif known != size:
                raise refuse(node, "a label with two sizes")
    return sizes


def _infer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    require_kind(node, NUMBERS, *inputs)
    equation = _equation(node, [each.rank for each in inputs])
    sizes = _sizes(node, equation, [each.shape for each in inputs])
    result = inputs[0].with_shape(*(sizes[label] for label in equation.output))
    room = result.elements + sum(
        prod(sizes[label] for label in set(labels)) for labels in equation.operands
    )
    for product in steps(_without_repeats(equation.operands), equation.output):
        if prod(sizes[label] for label in product.result) > room:
            raise refuse(node, "a product in between that is larger than its ends")
    return [result]


def _without_repeats(operands: Sequence[Labels]) -> list[Labels]:
    return [tuple(dict.fromkeys(labels)) for labels in operands]


def _work(node: Node, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
    equation = _equation(node, [each.rank for each in inputs])
    sizes = _sizes(node, equation, [each.shape for each in inputs])
    products = steps(_without_repeats(equation.operands), equation.output)
    return sum(product.cost(sizes) for product in products)


def _run(node: Node, arrays: Sequence[Array]) -> list[Array]:
    equation = _equation(node, [each.ndim for each in arrays])
    sizes = _sizes(node, equation, [each.shape for each in arrays])
    operands = _without_repeats(equation.operands)
    prepared = [
        _diagonal(array, labels, kept, sizes)
        for array, labels, kept in zip(arrays, equation.operands, operands, strict=True)
    ]
    with np.errstate(all="ignore"):
        return [contract(prepared, operands, equation.output)]


def _diagonal(array: Array, labels: Labels, kept: Labels, sizes: dict[str, int]) -> Array:
    """One axis for each label, those of an ellipsis broadcast."""
    strides = dict.fromkeys(kept, 0)
    for label, size, stride in zip(labels, array.shape, array.strides, strict=True):
        strides[label] += 0 if size == 1 else stride
    shape = [sizes[label] for label in kept]
    return np.lib.stride_tricks.as_strided(array, shape, list(strides.values()), writeable=False)


OPERATORS = [
    Operator(
        "Einsum",
        _infer,
        _run,
        inputs=(1, ANY_NUMBER),
        opsets=(12, 1_000),
        attributes={"equation": Attribute("string", required=True)},
        work=_work,
    ),
]
