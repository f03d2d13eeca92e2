"""Every kind of hostile model that we know of: one verdict, alike twice and in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from danku.evaluation.evaluate import evaluate
from danku.evaluation.worker import Worker
from danku.protocol.manifest import Limits
from tests.evaluation.conftest import make_manifest, make_model

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
TARGET = np.arange(4) % 3
LIMITS = Limits(nodes=10_000)


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def model(*nodes: onnx.NodeProto, **constants: Any) -> onnx.ModelProto:
    """A model whose output is ``y`` [rows, 3]."""
    return make_model(list(nodes), ["y"], constants=constants)


def bytes_of(proto: Any) -> bytes:
    return bytes(proto.SerializeToString())


def with_tensor(change: Callable[[onnx.TensorProto], None]) -> bytes:
    """A sum of the input and a stored tensor, which is changed."""
    made = model(node("Add", "x w", "y"), w=np.ones(3, np.float32))
    change(made.graph.initializer[0])
    return bytes_of(made)


def set_dims(*dims: int) -> Callable[[onnx.TensorProto], None]:
    return lambda tensor: tensor.dims.__setitem__(slice(None), dims)


def absent(*dims: int) -> Callable[[onnx.TensorProto], None]:
    def change(tensor: onnx.TensorProto) -> None:
        tensor.dims[:] = dims
        tensor.ClearField("raw_data")

    return change


def raw(data: bytes) -> Callable[[onnx.TensorProto], None]:
    return lambda tensor: setattr(tensor, "raw_data", data)


def constant(value: Any, operator: str = "Add") -> bytes:
    return bytes_of(model(node(operator, "x w", "y"), w=np.asarray(value)))


def varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def delimited(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def nested_types() -> bytes:
    """Sequences of sequences of ..., as the type of an input."""
    inner = b""
    for _ in range(5_000):
        inner = delimited(4, delimited(1, inner))
    return delimited(7, delimited(11, delimited(1, b"x") + delimited(2, inner)))


def many_nodes(count: int) -> bytes:
    one = delimited(1, bytes_of(node("Neg", "x", "y")))
    return delimited(7, one * count)


def cyclic() -> bytes:
    return bytes_of(model(node("Add", "x b", "a"), node("Neg", "a", "b"), node("Neg", "b", "y")))


def integers(operator: str, left: int, right: int, **attributes: Any) -> bytes:
    """The sign of an integer result, in the first column."""
    return bytes_of(
        model(
            node("Cast", "x", "whole", to=TensorProto.INT64),
            node("Mul", "whole none", "zero"),
            node("Add", "zero left", "a"),
            node(operator, "a right", "r", **attributes),
            node("Sign", "r", "s"),
            node("Cast", "s", "y", to=TensorProto.FLOAT),
            none=np.array([0]),
            left=np.array([left, 0, 0]),
            right=np.array([right]),
        )
    )


def not_utf8() -> bytes:
    whole = bytes_of(model(node("Neg", "x", "abcdefgh"), node("Neg", "abcdefgh", "y")))
    return whole.replace(b"abcdefgh", b"abcd\xff\xfegh")


def payloads() -> bytes:
    """NaN of many patterns, which every comparison takes for the same."""
    patterns = np.array([0x7FC00000, 0xFFC00001, 0x7F800001], np.uint32).view(np.float32)
    return bytes_of(
        model(
            node("Add", "x w", "n"),
            node("IsNaN", "n", "b"),
            node("Cast", "b", "y", to=TensorProto.FLOAT),
            w=patterns,
        )
    )


SCORED = ""
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "not an ONNX model"),
    "ten to the sixth nodes": (lambda: many_nodes(10**6), "too many protobuf fields"),
    "more nodes than allowed": (lambda: many_nodes(10_001), "IR version 0 is not"),
    "deep nesting": (nested_types, "messages are nested too deeply"),
    "a negative dimension": (
        lambda: with_tensor(set_dims(-3)),
        "a dimension is negative or too large",
    ),
    "an enormous dimension": (
        lambda: with_tensor(set_dims(2**62)),
        "a dimension is negative or too large",
    ),
    "dimensions whose product overflows": (
        lambda: with_tensor(set_dims(*[2**31 - 1] * 4)),
        "a tensor has too many elements",
    ),
    "dimensions whose product wraps to the length": (
        lambda: with_tensor(set_dims(2**31 - 1, 2**31 - 1, 3, 1)),
        "a tensor has too many elements",
    ),
    "a huge tensor that is not there": (
        lambda: with_tensor(absent(2**20, 2**19)),
        "tensor w has data of the wrong length",
    ),
    "a huge tensor of nothing": (
        lambda: with_tensor(absent(0, 2**31 - 1)),
        "Add: shapes that do not broadcast",
    ),
    "data too short": (lambda: with_tensor(raw(b"123")), "tensor w has data of the wrong length"),
    "data too long": (lambda: with_tensor(raw(bytes(16))), "tensor w has data of the wrong length"),
    "a cycle": (cyclic, "tensor b is used before it is defined"),
    "a node that feeds itself": (
        lambda: bytes_of(model(node("Add", "x y", "y"))),
        "tensor y is used before it is defined",
    ),
    "a name twice": (
        lambda: bytes_of(model(node("Neg", "x", "y"), node("Abs", "x", "y"))),
        "tensor y is defined twice",
    ),
    "an initializer named as the input": (
        lambda: bytes_of(model(node("Neg", "x", "y"), x=np.ones(3, np.float32))),
        "0 inputs, the contract has one",
    ),
    "text that is not UTF-8": (not_utf8, "text is not UTF-8"),
    "a name of a megabyte": (
        lambda: bytes_of(model(node("Neg", "x", "a" * 2**20), node("Neg", "a" * 2**20, "y"))),
        "a name is longer than 1024 bytes",
    ),
    "NaN with payloads": (payloads, SCORED),
    "NaN in the output": (
        lambda: constant(np.array([np.nan, 1, 1], np.float32), "Mul"),
        "output has NaN",
    ),
    "a flood of subnormals": (
        lambda: constant(np.full(3, 1e-45, np.float32), "Mul"),
        SCORED,
    ),
    "integers that overflow": (lambda: integers("Add", 2**63 - 1, 1), SCORED),
    "the lowest integer divided by -1": (lambda: integers("Div", -(2**63), -1), SCORED),
    "its remainder": (lambda: integers("Mod", -(2**63), -1), SCORED),
    "its remainder as in C": (lambda: integers("Mod", -(2**63), -1, fmod=1), SCORED),
    "division by zero": (lambda: integers("Div", 1, 0), "integer division by zero"),
    "remainder by zero": (lambda: integers("Mod", 1, 0), "integer division by zero"),
    "zero to a negative power": (lambda: integers("Pow", 0, -1), "integer division by zero"),
    "gathering out of bounds": (
        lambda: bytes_of(model(node("Gather", "x i", "y", axis=1), i=np.array([0, 1, 3]))),
        "Gather: index out of range",
    ),
    "gathering far out of bounds": (
        lambda: bytes_of(
            model(
                node("GatherElements", "x i", "g", axis=1),
                node("Add", "x g", "y"),
                i=np.full((1, 3), -(2**63)),
            )
        ),
        "GatherElements: index out of range",
    ),
    "scattering out of bounds": (
        lambda: bytes_of(
            model(
                node("ScatterND", "x i u", "y"),
                i=np.array([[2**40]]),
                u=np.ones((1, 3), np.float32),
            )
        ),
        "ScatterND: index out of range",
    ),
    "tensors of no elements": (
        lambda: bytes_of(
            model(
                node("Slice", "x zero zero one", "nothing"),
                node("MatMul", "nothing empty", "sums"),
                node("Expand", "sums shape", "spread"),
                node("Add", "x spread", "y"),
                zero=np.array([0]),
                one=np.array([1]),
                empty=np.zeros((0, 1), np.float32),
                shape=np.array([1, 3]),
            )
        ),
        SCORED,
    ),
    "an axis far out of range": (
        lambda: bytes_of(model(node("Softmax", "x", "y", axis=-(2**63)))),
        "axis -9223372036854775808 of a tensor of rank 2",
    ),
}


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(seconds=60) as started:
        yield started


@pytest.mark.parametrize("name", HOSTILE)
def test_one_verdict_wherever_it_is_asked_for(name: str, worker: Worker) -> None:
    make, reason = HOSTILE[name]
    data = make()
    terms = make_manifest("probabilities", classes=("a", "b", "c"), limits=LIMITS)
    verdict = evaluate(data, ROWS, TARGET, terms)
    assert evaluate(data, ROWS, TARGET, terms) == verdict
    assert worker.evaluate(data, ROWS, TARGET, terms) == verdict
    assert verdict.status == ("rejected" if reason else "scored"), verdict.reason
    assert reason in verdict.reason


def test_the_process_that_met_all_of_them_still_serves(worker: Worker) -> None:
    terms = make_manifest("probabilities", classes=("a", "b", "c"))
    good = bytes_of(model(node("Identity", "x", "y")))
    expected = evaluate(good, ROWS, TARGET, terms)
    assert worker.evaluate(good, ROWS, TARGET, terms) == expected
    assert expected.status == "scored"
