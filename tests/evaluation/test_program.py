"""Plans as they are executed: the bits of the steps one by one, packed and fused once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from danku.evaluation import evaluate as evaluation
from danku.evaluation.admission import admit
from danku.evaluation.evaluate import predict
from danku.evaluation.graph import read_graph
from danku.evaluation.kernels import convolution, gemm
from danku.evaluation.kernels.threads import threads
from danku.evaluation.planner import Plan, TypedGraph
from danku.evaluation.prepared import Weights
from danku.evaluation.tensor import TensorType
from danku.protocol.manifest import Limits
from tests.evaluation.conftest import make_model

FLOAT = np.float32


def spread(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(FLOAT)


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def plan_of(model: onnx.ModelProto, x: np.ndarray, output: str = "y") -> Plan:
    graph = read_graph(model.SerializeToString(), 1_000)
    inputs = {graph.input.name: TensorType(x.dtype, x.shape)}
    return TypedGraph(graph, inputs, Limits()).plan(output)


def one_by_one(plan: Plan, x: np.ndarray) -> np.ndarray:
    """The output with every node run by itself, as its operator says."""
    live = {**plan.constants, plan.inputs[0]: x}
    for step in plan.steps:
        assert step.prepared is None
        results = step.compute([live[name] if name else None for name in step.node.inputs])
        live.update(zip(step.node.outputs, results, strict=False))
    return live[plan.output]


def executed(plan: Plan) -> list[str]:
    return [step.node.operator for step in plan._ready]


CONSTANTS: dict[str, Any] = {
    "w": spread(1, 4, 4, 3, 3),
    "b": spread(2, 4),
    "v": spread(3, 4, 1, 1),
    "s": FLOAT(0.3),
    "mean": spread(4, 4),
    "scale": spread(5, 4),
    "variance": np.abs(spread(6, 4)),
    "low": FLOAT(0),
    "high": FLOAT(6),
    "row": spread(7, 6),
    "m": spread(8, 6, 6),
}
FOLLOWING = {
    "relu": node("Relu", "?", "!"),
    "leaky": node("LeakyRelu", "?", "!", alpha=0.3),
    "clip": node("Clip", "? low high", "!"),
    "clip-above": node("Clip", "?  high", "!"),
    "norm": node("BatchNormalization", "? scale b mean variance", "!", epsilon=1e-3),
    "add": node("Add", "v ?", "!"),
    "subtract": node("Sub", "? v", "!"),
    "subtract-from": node("Sub", "v ?", "!"),
    "multiply": node("Mul", "? s", "!"),
    "divide": node("Div", "? v", "!"),
    "divide-by": node("Div", "s ?", "!"),
    "maximum": node("Max", "? v", "!"),
    "minimum": node("Min", "v ?", "!"),
    "sum": node("Sum", "? v", "!"),
    "sum-of-three": node("Sum", "? v s", "!"),
    "along-rows": node("Add", "? row", "!"),
    "residual": node("Add", "? x", "!"),
    "residual-first": node("Add", "x ?", "!"),
    "twice": node("Add", "? ?", "!"),
    "squash": node("Sigmoid", "?", "!"),
}


def chain(first: onnx.NodeProto, names: Sequence[str]) -> list[onnx.NodeProto]:
    """``first`` gives t0; then each node takes the tensor before and gives the next."""
    nodes = [first]
    for number, name in enumerate(names):
        copy = onnx.NodeProto()
        copy.CopyFrom(FOLLOWING[name])
        for place, value in enumerate(copy.input):
            if value == "?":
                copy.input[place] = f"t{number}"
        copy.output[0] = f"t{number + 1}"
        nodes.append(copy)
    nodes.append(node("Identity", f"t{len(names)}", "y"))
    return nodes


FIRST = {
    "conv": (node("Conv", "x w b", "t0", pads=[1, 1, 1, 1]), (2, 4, 5, 6)),
    "transposed": (node("ConvTranspose", "x w b", "t0", pads=[1, 1, 1, 1]), (2, 4, 5, 6)),
    "product": (node("MatMul", "x m", "t0"), (2, 4, 5, 6)),
    "running-product": (node("MatMul", "x x", "t0"), (2, 4, 6, 6)),
}


@given(st.sampled_from(list(FIRST)), st.lists(st.sampled_from(list(FOLLOWING)), max_size=6))
@settings(max_examples=120, deadline=None)
def test_any_chain_gives_the_bits_of_its_steps(first: str, names: list[str]) -> None:
    start, shape = FIRST[first]
    x = spread(9, *shape)
    used = {name for each in chain(start, names) for name in each.input}
    constants = {name: value for name, value in CONSTANTS.items() if name in used}
    plan = plan_of(make_model(chain(start, names), ["y"], shape=shape, constants=constants), x)
    expected = one_by_one(plan, x)
    result = plan.run(x)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    assert np.array_equal(result, expected, equal_nan=True)
    assert np.array_equal(np.signbit(result), np.signbit(expected)) or np.isnan(result).any()


GROWING = {
    "conv": node("Conv", "? w b", "!", pads=[1, 1, 1, 1]),
    "grouped": node("Conv", "? g", "!", pads=[1, 1, 1, 1], group=2),
    "product": node("MatMul", "? q", "!"),
    "constant-first": node("MatMul", "q ?", "!"),
    "running-product": node("MatMul", "? ??", "!"),
    "sum": node("Add", "? ??", "!"),
    "difference": node("Sub", "? ??", "!"),
    "larger": node("Max", "? ??", "!"),
    "turned": node("Transpose", "?", "!", perm=[0, 1, 3, 2]),
    "there-and-back": node("Reshape", "? shape", "!"),
    "scores": node("Softmax", "?", "!", axis=-1),
    "gelu": node("Gelu", "?", "!"),
    **{name: FOLLOWING[name] for name in FOLLOWING if name not in ("along-rows", "twice")},
}
SQUARE = {
    **CONSTANTS,
    "g": spread(11, 4, 2, 3, 3),
    "q": spread(12, 5, 5),
    "shape": np.array([0, 4, 5, -1]),
}


@given(
    st.lists(
        st.tuples(st.sampled_from(list(GROWING)), st.integers(0, 99), st.integers(0, 99)),
        min_size=1,
        max_size=9,
    ),
    st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e38, 1e-45]), max_size=3),
    st.integers(1, 2),
)
@settings(max_examples=120, deadline=None)
def test_any_graph_gives_the_bits_of_its_steps(
    grown: list[tuple[str, int, int]], special: list[float], workers: int
) -> None:
    """Every tensor is read by any number of nodes, and may be what is asked for."""
    tensors, nodes = ["x"], []
    for number, (name, first, second) in enumerate(grown):
        copy = onnx.NodeProto()
        copy.CopyFrom(GROWING[name])
        chosen = {"?": tensors[first % len(tensors)], "??": tensors[second % len(tensors)]}
        for place, value in enumerate(copy.input):
            copy.input[place] = chosen.get(value, value)
        copy.output[0] = f"t{number}"
        nodes.append(copy)
        tensors.append(f"t{number}")
    used = {name for each in nodes for name in each.input}
    constants = {name: value for name, value in SQUARE.items() if name in used}
    model = make_model(nodes, tensors[1:], shape=(None, 4, 5, 5), constants=constants, opset=20)
    graph = read_graph(model.SerializeToString(), 1_000)
    weights = Weights()
    for rows in (2, 3):
        x = spread(9, rows, 4, 5, 5)
        x.reshape(-1)[: len(special)] = special
        typed = TypedGraph(graph, {"x": TensorType(x.dtype, x.shape)}, Limits(), weights)
        for output in tensors[1:]:
            plan = typed.plan(output)
            expected = one_by_one(plan, x)
            with pytest.MonkeyPatch.context() as patch, threads(workers):
                patch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
                result = plan.run(x)
            numbers = ~np.isnan(expected)
            assert np.array_equal(numbers, ~np.isnan(result))
            assert result[numbers].tobytes() == expected[numbers].tobytes()


def cnn(*names: str, **more: Any) -> onnx.ModelProto:
    nodes = chain(FIRST["conv"][0], names)
    return make_model(nodes, ["y"], shape=(None, 4, 5, 6), constants=CONSTANTS, **more)


def test_what_follows_a_product_is_taken_in() -> None:
    x = spread(9, 2, 4, 5, 6)
    assert executed(plan_of(cnn("norm", "relu", "residual", "clip"), x)) == ["Conv", "Identity"]
    assert executed(plan_of(cnn("norm", "squash", "relu"), x)) == [
        *("Conv", "Sigmoid", "Relu", "Identity"),
    ]
    assert executed(plan_of(cnn("residual", "residual"), x)) == ["Conv", "Add", "Identity"]
    for name in ("subtract-from", "divide-by", "along-rows", "twice", "sum-of-three"):
        assert len(executed(plan_of(cnn(name), x))) == 3


@pytest.mark.parametrize(
    ("nodes", "count"),
    [
        # the product is read by something else as well
        ("Conv x w t0|Relu t0 t1|Add t0 t1 y", 3),
        # what is added comes later than the product
        ("Conv x w t0|Neg x t1|Add t0 t1 y", 3),
        # two products: the later one adds the other
        ("Conv x w t0|Conv x w t1|Add t0 t1 y", 2),
        # what is added is a product's own input
        ("Conv x w t0|Relu t0 t1|Conv t1 w t2|Add t2 t1 y", 2),
    ],
)
def test_branches(nodes: str, count: int) -> None:
    made = []
    for line in nodes.split("|"):
        operator, *names = line.split()
        pads = {"pads": [1, 1, 1, 1]} if operator == "Conv" else {}
        made.append(node(operator, " ".join(names[:-1]), names[-1], **pads))
    x = spread(9, 2, 4, 5, 6)
    plan = plan_of(make_model(made, ["y"], shape=x.shape, constants={"w": CONSTANTS["w"]}), x)
    assert np.array_equal(plan.run(x), one_by_one(plan, x))
    assert len(executed(plan)) == count


def test_an_output_in_the_middle_stays_what_it_is() -> None:
    nodes = [node("Conv", "x w", "y", pads=[1] * 4), node("Relu", "y", "z")]
    x = spread(9, 2, 4, 5, 6)
    model = make_model(nodes, ["y", "z"], shape=x.shape, constants={"w": CONSTANTS["w"]})
    middle, end = plan_of(model, x, "y"), plan_of(model, x, "z")
    assert (middle.run(x) < 0).any()
    assert np.array_equal(end.run(x), np.maximum(middle.run(x), 0))


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names every packing of weights."""
    found: list[str] = []

    def watched(name: str, pack: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def run(weights: Any) -> Any:
            found.append(name)
            return pack(weights)

        return run

    for name, module in (("gemm", gemm), ("convolution", convolution)):
        monkeypatch.setattr(module, "pack", watched(name, module.pack))
    evaluation._admitted.cache_clear()
    return found


def classifier() -> bytes:
    nodes = [
        node("Conv", "x w b", "t0", pads=[1] * 4),
        node("Relu", "t0", "t1"),
        node("Flatten", "t1", "t2"),
        node("Gemm", "t2 f", "t3", transB=1),
        node("MatMul", "t3 g", "y"),
    ]
    constants = {"w": CONSTANTS["w"], "b": CONSTANTS["b"]}
    constants |= {"f": spread(1, 7, 120), "g": spread(2, 7, 3)}
    return make_model(nodes, ["y"], shape=(None, 4, 5, 6), constants=constants).SerializeToString()


def test_weights_are_packed_once_for_all_batches(packed: list[str], manifest: Any) -> None:
    terms = manifest("probabilities", shape=(4, 5, 6), classes=("a", "b", "c"), batch=4)
    model, rows = classifier(), spread(3, 11, 4, 5, 6)
    admit(model, terms)
    assert packed == []
    first = predict(model, rows, terms).values
    assert sorted(packed) == ["convolution", "gemm", "gemm"]
    again = predict(model, rows[::-1].copy(), terms).values
    assert len(packed) == 3
    assert np.array_equal(again[::-1], first)


def test_threads_and_batches_change_no_bit(manifest: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
    model, rows = classifier(), spread(3, 11, 4, 5, 6)
    results = {
        predict(
            model,
            rows,
            manifest("probabilities", shape=(4, 5, 6), classes=("a", "b", "c"), batch=batch),
            threads=threads,
        ).values.tobytes()
        for batch in (1, 3, 11, 64)
        for threads in (1, 2, 3)
    }
    assert len(results) == 1


def test_several_threads_run_one_plan_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
    xs = [spread(seed, 2, 4, 50, 60) for seed in range(4)]
    constants = {name: CONSTANTS[name] for name in ("w", "b")}
    nodes = chain(FIRST["conv"][0], ["residual", "relu", "squash"])
    plan = plan_of(make_model(nodes, ["y"], shape=xs[0].shape, constants=constants), xs[0])
    expected = [one_by_one(plan, x).tobytes() for x in xs]

    def repeated(x: np.ndarray) -> set[bytes]:
        with threads(2):
            return {plan.run(x).tobytes() for _ in range(20)}

    with ThreadPoolExecutor(len(xs)) as pool:
        found = list(pool.map(repeated, xs))
    assert found == [{each} for each in expected]


def test_buffers_are_released_while_it_runs() -> None:
    import tracemalloc

    x = spread(9, 1, 4, 200, 200)
    names = ["squash", "relu"] * 15
    plan = plan_of(
        make_model(
            chain(FIRST["conv"][0], names),
            ["y"],
            shape=x.shape,
            constants={
                "w": CONSTANTS["w"],
                "b": CONSTANTS["b"],
            },
        ),
        x,
    )
    plan.run(x)
    tracemalloc.start()
    plan.run(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * x.nbytes
