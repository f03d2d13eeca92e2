"""RNN, GRU and LSTM against onnxruntime, against their definition, and under hostile input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from onnx import helper

from danku.evaluation.graph import read_graph
from danku.evaluation.kernels import functions
from danku.evaluation.kernels.gemm import matmul
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.planner import Plan, TypedGraph
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.tensor import TensorType
from danku.protocol.manifest import Limits
from tests.evaluation.test_operators import Case, assert_same, build, run_peer

RANDOM = np.random.default_rng(23)
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
OPERATORS = list(GATES)
STEPS, BATCH, SIZE, HIDDEN = 7, 3, 5, 4
LENGTHS = np.array([7, 2, 5], np.int32)
NAMES = ("W", "R", "B", "lengths", "h", "c", "P")


def normal(*shape: int) -> np.ndarray:
    return (RANDOM.normal(size=shape) * 0.7).astype(np.float32)


X = normal(STEPS, BATCH, SIZE)


def layer(
    operator: str,
    *present: str,
    opset: int = 14,
    note: str = "",
    outputs: int = 0,
    dtype: Any = np.float32,
    **attributes: Any,
) -> Case:
    """A layer with these optional inputs."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    columns = GATES[operator] * HIDDEN
    state = directions, BATCH, HIDDEN
    if attributes.get("layout"):
        state = BATCH, directions, HIDDEN
    values = {
        "W": normal(directions, columns, SIZE),
        "R": normal(directions, columns, HIDDEN),
        "B": normal(directions, 2 * columns),
        "lengths": LENGTHS,
        "h": normal(*state),
        "c": normal(*state),
        "P": normal(directions, 3 * HIDDEN),
    }
    kept = [
        values[name] if name in ("W", "R", *present) else None
        for name in (NAMES if operator == "LSTM" else NAMES[:5])
    ]
    while kept[-1] is None:
        kept.pop()
    kept = [
        value if value is None or value.dtype == np.int32 else value.astype(dtype) for value in kept
    ]
    x = X.swapaxes(0, 1).copy() if attributes.get("layout") else X
    return Case(
        operator,
        x.astype(dtype),
        kept,
        {"hidden_size": HIDDEN, **attributes},
        (opset,),
        outputs=[np.dtype(dtype).name] * (outputs or (3 if operator == "LSTM" else 2)),
        note=note or "-".join((*present, *map(str, attributes.values()))),
    )


ALL = ("B", "lengths", "h")
ACTIVATIONS = {
    "RNN": [["Relu"], ["Elu"], ["Softplus"]],
    "GRU": [["HardSigmoid", "Relu"], ["Sigmoid", "Softsign"], ["Sigmoid", "LeakyRelu"]],
    "LSTM": [["HardSigmoid", "Relu", "Tanh"], ["Sigmoid", "LeakyRelu", "Elu"]],
}
CASES = [
    *(layer(each, opset=opset, note="plain") for each in OPERATORS for opset in (9, 14, 22)),
    *(layer(each, *ALL) for each in OPERATORS),
    *(layer(each, "B", direction="reverse") for each in OPERATORS),
    *(
        layer(each, *ALL, direction=way)
        for each in OPERATORS
        for way in ("reverse", "bidirectional")
    ),
    *(
        layer(each, "B", activations=names)
        for each, lists in ACTIVATIONS.items()
        for names in lists
    ),
    layer("RNN", "B", activations=["LeakyRelu"], activation_alpha=[0.3]),
    layer("RNN", "B", activations=["ScaledTanh"], activation_alpha=[0.8], activation_beta=[0.4]),
    layer(
        "RNN",
        "B",
        direction="bidirectional",
        activations=["HardSigmoid", "Affine"],
        activation_alpha=[0.3, 0.8],
        activation_beta=[0.6, 0.1],
    ),
    layer("GRU", "B", activations=["Sigmoid", "ThresholdedRelu"], activation_alpha=[0.2]),
    layer("GRU", "B", "h", linear_before_reset=1),
    layer("GRU", *ALL, linear_before_reset=1, direction="bidirectional"),
    layer("LSTM", *ALL, "c"),
    layer("LSTM", *ALL, "c", "P"),
    layer("LSTM", *ALL, "c", "P", direction="bidirectional"),
    layer("LSTM", "B", input_forget=1),
    layer("RNN", "B", clip=0.5),
    layer("GRU", "B", clip=0.5),
]


@pytest.mark.parametrize(
    "case", [pytest.param(each, id=f"{each.identifier}-{each.opsets[0]}") for each in CASES]
)
def test_layers_agree_with_onnxruntime(case: Case, model: Any, exact: Any) -> None:
    built, x = build(case, case.opsets[0], model, 3)
    ours, theirs = exact(built, x), run_peer(built, x)
    for name in theirs:
        assert_same(ours[name], theirs[name])


def results(case: Case, model: Any, exact: Any) -> list[np.ndarray]:
    built, x = build(case, case.opsets[0], model, 3)
    return list(exact(built, x).values())


@pytest.mark.parametrize("operator", OPERATORS)
def test_layouts_are_transposes(operator: str, model: Any, exact: Any) -> None:
    case = layer(operator, *ALL, direction="bidirectional")
    others = list(case.others)
    others[4] = others[4].swapaxes(0, 1).copy()
    swapped = replace(
        case,
        x=X.swapaxes(0, 1).copy(),
        others=others,
        attributes={**case.attributes, "layout": 1},
    )
    whole, *ends = results(case, model, exact)
    by_batch, *other_ends = results(swapped, model, exact)
    assert whole.tobytes() == by_batch.transpose(1, 2, 0, 3).tobytes()
    for end, other in zip(ends, other_ends, strict=True):
        assert end.tobytes() == other.swapaxes(0, 1).tobytes()


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_a_short_sequence_is_one_that_ends(
    operator: str, direction: str, model: Any, exact: Any
) -> None:
    """To the bit: what comes after a sequence's end, and the rest of the batch, is not read."""
    case = layer(operator, *ALL, direction=direction)
    padded = replace(case, x=np.where(np.arange(STEPS)[:, None, None] < 2, X, np.float32(np.nan)))
    others = list(case.others)
    others[3], others[4] = None, case.others[4][:, 1:2].copy()
    alone = replace(case, x=X[:2, 1:2].copy(), others=others)
    whole, *ends = results(padded, model, exact)
    short, *short_ends = results(alone, model, exact)
    assert whole[:2, :, 1:2].tobytes() == short.tobytes()
    assert not whole[2:, :, 1].any()
    for end, short_end in zip(ends, short_ends, strict=True):
        assert end[:, 1:2].tobytes() == short_end.tobytes()


def test_an_lstm_is_its_definition_to_the_bit(model: Any, exact: Any) -> None:
    case = layer("LSTM", "B", "h", "c", "P")
    w, r, b, _, h, c, p = (None if each is None else each[0] for each in case.others)
    bias, rows = b[: 4 * HIDDEN] + b[4 * HIDDEN :], []
    for x in X:
        total = (matmul(x, w.T) + matmul(h, r.T)) + bias
        i, o, f, n = np.split(total, 4, axis=1)
        p_i, p_o, p_f = np.split(p, 3)
        i, f = functions.sigmoid(i + p_i * c), functions.sigmoid(f + p_f * c)
        c = f * c + i * functions.tanh(n)
        h = functions.sigmoid(o + p_o * c) * functions.tanh(c)
        rows.append(h)
    whole, last, memory = results(case, model, exact)
    assert whole[:, 0].tobytes() == np.array(rows).tobytes()
    assert (last.tobytes(), memory.tobytes()) == (h.tobytes(), c.tobytes())


def test_what_enters_an_activation_is_clipped(model: Any, exact: Any) -> None:
    """As ONNX says also before h, where onnxruntime does not."""
    case = layer(
        "LSTM",
        activations=["Affine"] * 3,
        activation_alpha=[1.0] * 3,
        activation_beta=[0.0] * 3,
        clip=0.25,
    )
    whole, _, memory = results(case, model, exact)
    assert np.abs(whole).max() <= 0.25**2
    assert memory.any()


@pytest.mark.parametrize("operator", OPERATORS)
def test_float64(operator: str, model: Any, exact: Any) -> None:
    single = layer(operator, "B", "h")
    double = replace(
        single,
        x=X.astype(float),
        others=[None if each is None else each.astype(float) for each in single.others],
        outputs=["float64"] * len(single.outputs),
    )
    for ours, wide in zip(
        results(single, model, exact), results(double, model, exact), strict=True
    ):
        assert wide.dtype == np.float64
        assert 0 < np.abs(ours - wide).max() < 1e-6


def test_half_types_keep_their_states_in_float32(model: Any, exact: Any) -> None:
    case = layer("LSTM", "B", "h", "c")
    half = [None if each is None else each.astype(np.float16) for each in case.others]
    wide = [None if each is None else each.astype(np.float32) for each in half]
    x = X.astype(np.float16)
    expected = results(replace(case, x=x.astype(np.float32), others=wide), model, exact)[0]
    names = ["h", *(f"c{place}" if half[place] is not None else "" for place in range(6))]
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=10),
        helper.make_node("LSTM", names, ["s"], hidden_size=HIDDEN),
        helper.make_node("Cast", ["s"], ["y"], to=1),
    ]
    constants = {f"c{place}": each for place, each in enumerate(half) if each is not None}
    built = model(nodes, ["y"], shape=X.shape, constants=constants, opset=14)
    found = exact(built, x.astype(np.float32))["y"]
    assert found.tolist() == expected.astype(np.float16).astype(np.float32).tolist()


def wrong(operator: str, place: int, value: np.ndarray | None) -> Case:
    case = layer(operator, *ALL)
    others = list(case.others)
    others[place] = value
    return replace(case, others=others)


HOSTILE = [
    (layer("RNN", activations=["Tanh", "Tanh"]), "2 activations"),
    (layer("GRU", activations=["Sigmoid", "Best"]), "an unknown activation"),
    (layer("LSTM", activations=["tanh"] * 3), "an unknown activation"),
    (layer("LSTM", activation_alpha=[1.0]), "more parameters"),
    (layer("LSTM", direction="sideways"), "an unknown direction"),
    (layer("LSTM", activations=["Affine"] * 3), "an activation without its parameters"),
    (replace(layer("LSTM"), attributes={"layout": 2}), "layout is neither"),
    (layer("LSTM", clip=-1.0), "a negative clip"),
    (layer("LSTM", clip=float("nan")), "a negative clip"),
    (replace(layer("LSTM"), attributes={"hidden_size": 2**62}), "hidden_size is not 4"),
    (replace(layer("LSTM"), attributes={"hidden_size": -4}), "hidden_size is not 4"),
    (wrong("GRU", 0, normal(1, 11, SIZE)), "W is not"),
    (wrong("GRU", 0, normal(2, 12, SIZE)), "W is not"),
    (wrong("GRU", 1, normal(1, 12, 0)), "hidden_size is not 0"),
    (wrong("GRU", 2, normal(1, 12)), "B is not"),
    (wrong("GRU", 3, np.array([1, 2], np.int32)), "sequence_lens is not [3]"),
    (wrong("GRU", 3, np.array([1, 2, 3])), "sequence_lens of another type"),
    (wrong("GRU", 4, normal(BATCH, 1, HIDDEN)), "initial_h is not"),
    (wrong("GRU", 4, np.zeros((1, BATCH, HIDDEN))), "inputs of different types"),
    (replace(layer("RNN"), x=X[0]), "input of rank 2"),
]


@pytest.mark.parametrize(
    ("case", "reason"),
    [pytest.param(*each, id=f"{each[0].operator}-{each[1]}") for each in HOSTILE],
)
def test_hostile_layers_are_refused(case: Case, reason: str, model: Any, exact: Any) -> None:
    built, x = build(case, 22, model, 3)
    with pytest.raises(ModelRejected) as refused:
        exact(built, x)
    assert reason in refused.value.reason


def test_layout_is_newer_than_opset_13(model: Any, exact: Any) -> None:
    built, x = build(layer("LSTM", layout=1), 13, model, 3)
    with pytest.raises(ModelRejected, match="layout"):
        exact(built, x)


@pytest.mark.parametrize("length", [-1, STEPS + 1, -(2**31)])
def test_lengths_out_of_range_are_rejected(length: int, model: Any, exact: Any) -> None:
    built, x = build(wrong("LSTM", 3, np.array([1, length, 2], np.int32)), 14, model, 3)
    with pytest.raises(RuntimeRejection, match="LSTM: length out of range"):
        exact(built, x)


def test_no_steps_leave_the_states_as_they_are(model: Any, exact: Any) -> None:
    case = replace(layer("LSTM", "h", "c"), x=X[:0])
    whole, last, memory = results(case, model, exact)
    assert whole.shape == (0, 1, BATCH, HIDDEN)
    assert (last == case.others[4]).all()
    assert (memory == case.others[5]).all()
    case = wrong("GRU", 3, np.zeros(BATCH, np.int32))
    whole, last = results(case, model, exact)
    assert not whole.any()
    assert (last == case.others[4]).all()


def planned(case: Case, shape: tuple[int, ...], model: Any) -> Plan:
    built, _ = build(case, 14, model, 3)
    graph = read_graph(built.SerializeToString(), 10)
    kind = TensorType(np.dtype(np.float32), shape)
    return TypedGraph(graph, {graph.input.name: kind}, Limits()).plan("y0")


@pytest.mark.parametrize("operator", OPERATORS)
def test_costs_follow_from_shapes(operator: str, model: Any) -> None:
    """Long and narrow sequences are charged for their steps, what is large for its size."""
    both = layer(operator, direction="bidirectional")
    assert planned(both, X.shape, model).multiply_accumulates == 2 * STEPS * (
        BATCH * GATES[operator] * HIDDEN * (SIZE + HIDDEN + 16) + 2**18
    )
    plain = layer(operator)
    assert planned(plain, (2**31 - 1, 1, SIZE), model).multiply_accumulates > 2**48
    assert planned(plain, (0, 2**31 - 1, SIZE), model).peak_bytes > 2**34
    empty = planned(plain, (2**31 - 1, 0, SIZE), model)
    assert empty.run(np.empty((2**31 - 1, 0, SIZE), np.float32)).size == 0
