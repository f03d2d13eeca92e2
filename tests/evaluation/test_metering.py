"""Bombs: small models that would compute or allocate enormously are refused from shapes alone."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from danku.evaluation.admission import admit
from danku.evaluation.metering import Cost
from danku.evaluation.refusal import ModelRejected
from danku.protocol.manifest import Limits

Build = Callable[..., onnx.ModelProto]


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def doubling(times: int) -> list[onnx.NodeProto]:
    """Each node gives twice as many elements as it takes."""
    return [node("Concat", f"t{i} t{i}", f"t{i + 1}", axis=1) for i in range(times)]


BOMBS = {
    "filled": [node("ConstantOfShape", "huge", "t0")],
    "expanded": [node("Expand", "one huge", "t0")],
    "folded-broadcast": [node("Add", "column row", "t0")],
    "broadcast": [node("Add", "column row", "t0"), node("Mul", "t0 x", "y")],
    "gathered": [node("Gather", "row many", "t0"), node("Neg", "t0", "t1")],
    "folded-concat": [node("Concat", "row row", "t0", axis=1), *doubling(40)],
    "running-concat": [node("Concat", "x x", "t0", axis=1), *doubling(40)],
    "product": [node("Transpose", "row", "t0"), node("MatMul", "t0 row", "t1")],
    "outer": [node("MatMul", "column row", "t1")],
}
CONSTANTS = {
    "huge": np.array([100_000, 50_000], np.int64),
    "one": np.ones((1, 1), np.float32),
    "column": np.ones((100_000, 1), np.float32),
    "row": np.ones((1, 100_000), np.float32),
    "many": np.zeros((1_000, 1_000), np.int64),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_anything_is_allocated(
    name: str, model: Build, manifest: Any
) -> None:
    nodes = list(BOMBS[name])
    last = nodes[-1].output[0]
    if last != "y":
        nodes += [node("ReduceSum", f"{last} axes", "s"), node("Add", "s x", "y")]
    constants = CONSTANTS | {"axes": np.array([0, 1], np.int64)}
    built = model(nodes, ["y"], constants=constants).SerializeToString()
    terms = manifest("probabilities", limits=Limits(peak_bytes=2**26))
    admit_once(built, terms)  # warm, so that imports are not counted
    tracemalloc.start()
    started = time.perf_counter()
    refusal = admit_once(built, terms)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refusal is not None and refusal.code in ("limit", "shape")
    assert peak < 2**27
    assert time.perf_counter() - started < 5


def admit_once(data: bytes, terms: Any) -> ModelRejected | None:
    try:
        admit(data, terms)
    except ModelRejected as refusal:
        return refusal
    return None


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(multiply_accumulates=47), "48 multiply-accumulates, the limit is 47"),
        (Limits(elements=8_231), "8232 elements, the limit is 8231"),
        (Limits(peak_bytes=159), "160 peak bytes, the limit is 159"),
    ],
)
def test_limits_are_exact(limits: Limits, expected: str, model: Build, manifest: Any) -> None:
    weights = {"w": np.ones((3, 4), np.float32)}
    built = model([node("MatMul", "x w", "y")], ["y"], constants=weights).SerializeToString()
    classes = ("a", "b", "c", "d")
    # (4 x 3) @ (3 x 4): 48 products; 12 + 12 + 16 elements, and the overhead of two inputs
    cost = admit(built, manifest("probabilities", classes=classes)).cost
    assert cost == Cost(48, 12 + 12 + 16 + 2 * 4_096, (12 + 12 + 16) * 4, 1)
    refusal = admit_once(built, manifest("probabilities", classes=classes, limits=limits))
    assert refusal is not None and (refusal.code, refusal.reason) == ("limit", expected)


def test_too_many_nodes(model: Build, manifest: Any) -> None:
    nodes = [node("Identity", f"t{i}" if i else "x", f"t{i + 1}") for i in range(11)]
    built = model(nodes, ["t11"]).SerializeToString()
    terms = manifest("probabilities", classes=("a", "b", "c"), limits=Limits(nodes=10))
    with pytest.raises(ModelRejected, match="11 nodes, the limit is 10"):
        admit(built, terms)


def test_a_fixed_batch_of_one_costs_as_much_as_a_batch(model: Build, manifest: Any) -> None:
    def cost(first: int | None) -> Any:
        built = model(
            [node("MatMul", "x w", "y")],
            ["y"],
            shape=[first, 3],
            constants={"w": np.ones(3, np.float32)},
        )
        return admit(built.SerializeToString(), manifest("value")).cost

    assert cost(1).multiply_accumulates == cost(4).multiply_accumulates == 12
    assert cost(None) == cost(4)
    assert cost(1).elements > cost(4).elements
    assert cost(1).peak_bytes < cost(4).peak_bytes


def test_nodes_that_the_output_does_not_need_cost_nothing(model: Build, manifest: Any) -> None:
    nodes = [node("MatMul", "x w", "unused"), node("Identity", "x", "y")]
    built = model(nodes, ["y"], constants={"w": np.ones((3, 9), np.float32)})
    terms = manifest("probabilities", classes=("a", "b", "c"))
    assert admit(built.SerializeToString(), terms).cost.multiply_accumulates == 0


def test_buffers_are_released_after_their_last_use(model: Build, manifest: Any) -> None:
    terms = manifest("probabilities", classes=("a", "b", "c"))

    def peak(length: int) -> int:
        nodes = [node("Neg", f"t{i}" if i else "x", f"t{i + 1}") for i in range(length)]
        built = model(nodes, [f"t{length}"]).SerializeToString()
        return admit(built, terms).cost.peak_bytes

    assert peak(100) == peak(2) == 2 * 4 * 3 * 4
