"""Mutated valid models: never an exception, and the same verdict twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from danku.evaluation.evaluate import evaluate
from danku.protocol.manifest import Limits

ROWS = np.linspace(-2, 2, 33, dtype=np.float32).reshape(11, 3)
TARGET = np.arange(11) % 3
LIMITS = Limits(peak_bytes=2**24, elements=10**6, multiply_accumulates=10**6)


def sample(model: Any) -> list[bytes]:
    """Models that use many operators, attributes and stored tensors."""
    weights = np.linspace(-1, 1, 9, dtype=np.float32).reshape(3, 3)
    perceptron = [
        helper.make_node("Gemm", ["x", "w", "b"], ["g"], alpha=0.5, transB=1),
        helper.make_node("Relu", ["g"], ["r"]),
        helper.make_node("Reshape", ["r", "s"], ["f"]),
        helper.make_node("Softmax", ["f"], ["p"], axis=-1),
        helper.make_node("ZipMap", ["p"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[2, 0, 1]),
        helper.make_node("ArgMax", ["f"], ["l"], axis=1, keepdims=0),
    ]
    classifier = [
        helper.make_node(
            "Scaler", ["x"], ["t"], domain="ai.onnx.ml", offset=[0.5], scale=[1.0, 2, 3][:1]
        ),
        helper.make_node(
            "LinearClassifier",
            ["t"],
            ["l", "p"],
            domain="ai.onnx.ml",
            coefficients=weights.ravel().tolist(),
            intercepts=[0.1, 0.2, 0.3],
            classlabels_strings=["a", "b", "c"],
            post_transform="SOFTMAX",
        ),
        helper.make_node("Normalizer", ["p"], ["z"], domain="ai.onnx.ml", norm="L1"),
    ]
    shapes = [
        helper.make_node("Shape", ["x"], ["n"]),
        helper.make_node("Gather", ["n", "zero"], ["k"], axis=0),
        helper.make_node("Concat", ["k", "three"], ["e"], axis=0),
        helper.make_node("Expand", ["one", "e"], ["o"]),
        helper.make_node("Slice", ["o", "zero", "three", "zero"], ["c"]),
        helper.make_node("Where", ["q", "x", "o"], ["v"]),
        helper.make_node("Clip", ["v", "", "m"], ["y"]),
        helper.make_node("ReduceSum", ["y", "three_axes"], ["z"], keepdims=1),
        helper.make_node("Add", ["z", "x"], ["u"]),
    ]
    whole = {"zero": [0], "three": [3], "three_axes": [-1], "s": [0, -1]}
    constants = {name: np.array(value, np.int64) for name, value in whole.items()}
    constants |= {"w": weights, "b": weights[0], "one": np.float32([[1]]), "m": np.float32(1)}
    constants |= {"q": np.array([True, False, True])}
    outputs = {"l": "int64", "z": "float32"}
    return [
        model(perceptron, outputs, constants=constants).SerializeToString(),
        model(classifier, {"l": "object", "z": "float32"}).SerializeToString(),
        model(shapes, {"u": "float32"}, constants=constants).SerializeToString(),
    ]


def check(data: bytes, manifest: Any) -> None:
    for output in ("label", "probabilities"):
        terms = manifest(output, classes=("a", "b", "c"), limits=LIMITS)
        first = evaluate(data, ROWS, TARGET, terms)
        assert evaluate(data, ROWS, TARGET, terms) == first
        assert first.status == "scored" or first.reason


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, removed, added or copied from elsewhere."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(changed)))
        match rng.integers(5):
            case 0:
                changed[place] ^= 1 << int(rng.integers(8))
            case 1:
                changed[place] = int(rng.integers(256))
            case 2:
                changed[place] = int(rng.choice([0, 1, 2, 7, 9, 127, 128, 255]))
            case 3:
                length = int(rng.integers(1, 9))
                source = int(rng.integers(len(changed)))
                changed[place : place + length] = changed[source : source + length]
            case _:
                del changed[place : place + int(rng.integers(1, 4))]
                changed = changed or bytearray(1)
    return bytes(changed)


def test_the_models_themselves_are_scored(model: Any, manifest: Any) -> None:
    statuses = [
        evaluate(data, ROWS, TARGET, manifest("probabilities", classes=("a", "b", "c"))).status
        for data in sample(model)
    ]
    assert statuses == ["scored"] * 3


def test_mutated_bytes(model: Any, manifest: Any) -> None:
    samples = sample(model)
    for seed in range(900):
        rng = np.random.default_rng(seed)
        check(mutate(samples[seed % 3], rng), manifest)


@pytest.mark.soak
def test_many_mutated_bytes(model: Any, manifest: Any) -> None:
    samples = sample(model)
    for seed in range(100_000):
        rng = np.random.default_rng([1, seed])
        check(mutate(samples[seed % 3], rng), manifest)


def reword(message: Any, draw: Any) -> None:
    """Change one attribute, dimension, number or name somewhere in a parsed model."""
    graph = message.graph
    match draw(st.integers(0, 6)):
        case 0:
            chosen = draw(st.sampled_from(list(graph.node)))
            chosen.op_type = draw(st.sampled_from([n.op_type for n in graph.node]))
        case 1:
            chosen = draw(st.sampled_from(list(graph.node)))
            for attribute in chosen.attribute:
                attribute.i = draw(
                    st.sampled_from([-(2**63), -2, -1, 0, 1, 2, 3, 2**31, 2**63 - 1])
                )
        case 2:
            chosen = draw(st.sampled_from(list(graph.node)))
            names = [n for node in graph.node for n in (*node.input, *node.output)]
            place = draw(st.integers(0, len(chosen.input) - 1))
            chosen.input[place] = draw(st.sampled_from(names))
        case 3 if graph.initializer:
            tensor = draw(st.sampled_from(list(graph.initializer)))
            huge = st.sampled_from([0, 1, 2, 3, 9, -1, 2**31 - 1, 2**40, 2**63 - 1])
            tensor.dims[:] = draw(st.lists(huge, max_size=4))
        case 4 if graph.initializer:
            tensor = draw(st.sampled_from(list(graph.initializer)))
            if tensor.data_type == onnx.TensorProto.INT64:
                count = len(tensor.raw_data) // 8
                extremes = st.sampled_from([-(2**63), -5, -1, 0, 1, 2, 7, 2**31, 2**62])
                tensor.raw_data = np.array(
                    [draw(extremes) for _ in range(count)], np.int64
                ).tobytes()
            else:
                count = len(tensor.raw_data) // 4
                tensor.raw_data = (
                    np.full(
                        count,
                        draw(st.sampled_from([np.nan, np.inf, 1e-45, -0.0, 3e38])),
                        np.float32,
                    ).tobytes()
                    + tensor.raw_data[4 * count :]
                )
        case 5:
            message.opset_import[0].version = draw(st.integers(7, 29))
        case _:
            graph.node.pop(draw(st.integers(0, len(graph.node) - 1)))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_reworded_models(data: Any, model: Any, manifest: Any) -> None:
    message = onnx.ModelProto.FromString(data.draw(st.sampled_from(sample(model))))
    for _ in range(data.draw(st.integers(1, 3))):
        if message.graph.node:
            reword(message, data.draw)
    check(message.SerializeToString(), manifest)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=400))
def test_random_bytes(data: bytes, manifest: Any) -> None:
    check(data, manifest)
