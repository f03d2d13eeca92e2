"""The operators of `exact/1`: what each takes, infers, computes and costs.

Every module in `danku.evaluation.operators` lists its own in ``OPERATORS``; a new operator is an
entry in a new file there and nothing else.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

import numpy as np

from danku.evaluation import operators, profile
from danku.evaluation.graph import CONVERT, Node
from danku.evaluation.prepared import Prepared, Weights
from danku.evaluation.refusal import ModelRejected, quoted
from danku.evaluation.tensor import Array, TensorType

Types = Sequence[TensorType | None]
Arrays = Sequence[Array | None]
Infer = Callable[[Node, Sequence[Any]], list[TensorType]]
"""Output types from input types (None: absent). Raises ModelRejected; allocates nothing large."""
Run = Callable[[Node, Sequence[Any]], list[Array]]
"""Output arrays from input arrays (None: absent). Raises RuntimeRejection; changes no input."""
Work = Callable[[Node, Sequence[Any], Sequence[TensorType]], int]
"""Multiply-accumulates, from input and output types."""
Prepare = Callable[[Node, Sequence[Any], Weights], Prepared | None]
"""The node with its constant inputs, which the types hold, made ready; None: ``run`` is as good."""

AttributeKind = Literal["int", "float", "string", "tensor", "ints", "floats", "strings"]
ANY_NUMBER = profile.NODE_NAMES


@dataclass(frozen=True)
class Attribute:
    """An attribute that an operator knows; ``default`` None means absent."""

    kind: AttributeKind
    default: Any = None
    required: bool = False

    def accepts(self, value: object) -> bool:
        match self.kind:
            case "int":
                return type(value) is int
            case "float":
                return type(value) is float
            case "string":
                return type(value) is str
            case "tensor":
                return isinstance(value, np.ndarray)
        element = {"ints": int, "floats": float, "strings": str}[self.kind]
        return type(value) is tuple and all(type(each) is element for each in value)


def no_work(node: Node, inputs: Sequence[Any], outputs: Sequence[TensorType]) -> int:
    """The work of an operator that multiplies and accumulates nothing."""
    return 0


@dataclass(frozen=True)
class Operator:
    """One operator over a range of opset versions."""

    name: str
    infer: Infer
    run: Run
    inputs: tuple[int, int]
    """Fewest and most inputs; the fewest must be present."""
    outputs: tuple[int, int] = (1, 1)
    domain: str = ""
    opsets: tuple[int, int] = (0, 1_000)
    """First and last opset version, within `profile.OPSETS`."""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    work: Work = no_work
    native: bool = False
    """Whether ``run`` takes float16 and bfloat16 as they are; else it gets them as float32, and
    what it gives is rounded to the type that is inferred."""
    prepare: Prepare | None = None
    """For operators that gain by it; the outputs are those of ``run``, bit for bit."""


def _load() -> dict[tuple[str, str], list[Operator]]:
    found: dict[tuple[str, str], list[Operator]] = {}
    for module in sorted(each.name for each in pkgutil.iter_modules(operators.__path__)):
        listed = importlib.import_module(f"{operators.__name__}.{module}").OPERATORS
        for operator in listed:
            found.setdefault((operator.domain, operator.name), []).append(operator)
    return found


@cache
def catalogue() -> Mapping[tuple[str, str], tuple[Operator, ...]]:
    """All operators by (domain, name), each with its versions in ascending order."""
    loaded = _load()
    return {
        key: tuple(sorted(loaded[key], key=lambda operator: operator.opsets))
        for key in sorted(loaded)
    }


def supported() -> list[str]:
    """The names of all operators, those of ai.onnx first."""
    return [f"{domain}.{name}" if domain else name for domain, name in catalogue()]


def resolve(node: Node) -> tuple[Operator, Node]:
    """The operator of a node, and the node with every known attribute present.

    Raises:
        ModelRejected: an unsupported operator or version, or a malformed node.
    """
    what = quoted(f"{node.domain}.{node.operator}" if node.domain else node.operator)
    if node.domain == "" and node.version < 9 and node.operator in profile.NEW_IN_9:
        raise ModelRejected(
            "operator", f"unsupported operator {what} before opset 9", fix=CONVERT.format(9)
        )
    for operator in catalogue().get((node.domain, node.operator), ()):
        if operator.opsets[0] <= node.version <= operator.opsets[1]:
            break
    else:
        raise ModelRejected(
            "operator",
            f"unsupported operator {what}",
            fix=f"use only these operators: {', '.join(supported())}",
        )
    fewest, most = operator.inputs
    if not fewest <= len(node.inputs) <= most or "" in node.inputs[:fewest]:
        raise ModelRejected("node", f"{what} has {len(node.inputs)} inputs or lacks a required one")
    fewest, most = operator.outputs
    if not fewest <= len(node.outputs) <= most or not any(node.outputs):
        raise ModelRejected("node", f"{what} has {len(node.outputs)} outputs")
    return operator, replace(node, attributes=_attributes(what, operator, node))


def _attributes(what: str, operator: Operator, node: Node) -> dict[str, Any]:
    for name, value in node.attributes.items():
        if name not in operator.attributes:
            raise ModelRejected("node", f"{what} has no attribute {quoted(name)}")
        if not operator.attributes[name].accepts(value):
            raise ModelRejected("node", f"attribute {name} of {what} has the wrong type")
    complete = {name: known.default for name, known in operator.attributes.items()}
    complete.update(node.attributes)
    for name, known in operator.attributes.items():
        if known.required and complete[name] is None:
            raise ModelRejected("node", f"{what} lacks attribute {name}")
    return complete
