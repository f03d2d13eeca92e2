"""Activations, bits, and other general operators against onnxruntime, and under hostile input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from onnx import helper

from danku.evaluation import profile
from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.operators import padding
from danku.evaluation.refusal import ModelRejected
from tests.evaluation.test_operators import Case, assert_same, build, run_peer

RANDOM = np.random.default_rng(17)
X = (RANDOM.normal(size=(4, 3)) * 3).astype(np.float32)
WIDE = np.linspace(-9, 9, 60, dtype=np.float32).reshape(4, 15)
UNIT = np.linspace(-1, 1, 60, dtype=np.float32).reshape(4, 15)
BYTES = np.array([[1, 200, 7], [255, 0, 16]], np.uint8)
PLACES = np.array([[1, 3, 0], [7, 8, 200]], np.uint8)
WORDS = np.array([[1, -200, 7], [-255, 0, 16]], np.int32)
LATE = (22,)
LINE = np.arange(5, dtype=np.float32)
IMAGE = RANDOM.normal(size=(2, 8, 4, 6)).astype(np.float32)
CHANNELS = RANDOM.normal(size=8).astype(np.float32)
FLOAT = np.float32


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def pads(mode: str, opsets: tuple[int, ...]) -> list[Case]:
    """Every way of adding margins and cutting them."""
    margins = {"plain": (1, 2, 0, 1), "cut": (-1, 0, 0, -1), "both": (-1, 2, 1, -1)}
    return [
        Case("Pad", X, [whole(*four)], {"mode": mode}, opsets, note=f"{mode}-{name}")
        for name, four in margins.items()
        if mode == "constant" or name != "both"
    ]


CASES = [
    *(Case(name, WIDE, opsets=(9, 22)) for name in ("Sin", "Cos", "Tan", "Atan", "Erf")),
    *(Case(name, WIDE, opsets=(9, 22)) for name in ("Sinh", "Cosh", "Asinh")),
    *(Case(name, UNIT, opsets=(9, 22)) for name in ("Asin", "Acos")),
    Case("Atanh", UNIT * np.float32(0.99), opsets=(9, 22)),
    Case("Acosh", np.abs(WIDE) + 1, opsets=(9, 22)),
    *(Case(name, WIDE, opsets=(9, 22)) for name in ("Elu", "Selu", "Softplus", "Softsign")),
    Case("Elu", WIDE, attributes={"alpha": 0.3}, opsets=LATE, note="alpha"),
    Case("Selu", WIDE, attributes={"alpha": 1.2, "gamma": 0.4}, opsets=LATE, note="both"),
    Case("Celu", WIDE, opsets=(12, 22)),
    Case("Celu", WIDE, attributes={"alpha": 2.5}, opsets=LATE, note="alpha"),
    Case("HardSigmoid", WIDE, opsets=(9, 22)),
    Case("HardSigmoid", WIDE, attributes={"alpha": 0.4, "beta": 0.2}, opsets=LATE, note="both"),
    Case("HardSwish", WIDE, opsets=(14, 22)),
    Case("Mish", WIDE, opsets=(18, 22)),
    Case("ThresholdedRelu", WIDE, opsets=(10, 22)),
    Case("ThresholdedRelu", WIDE, attributes={"alpha": -2.0}, opsets=LATE, note="below"),
    Case("Shrink", WIDE, attributes={"lambd": 1.5, "bias": 0.5}, opsets=(9, 22)),
    Case("Gelu", WIDE, opsets=(20, 22)),
    Case("Gelu", WIDE, attributes={"approximate": "tanh"}, opsets=(20, 22), note="tanh"),
    Case("PRelu", X, [np.array([0.1, 0.2, -3], np.float32)], opsets=(9, 16, 22)),
    Case("PRelu", X, [np.array([[0.1]], np.float32)], opsets=LATE, note="one"),
    *(
        Case("BitShift", BYTES, [PLACES], {"direction": way}, (11, 22), outputs=["uint8"], note=way)
        for way in ("LEFT", "RIGHT")
    ),
    *(
        Case(name, WORDS, [WORDS[::-1].copy()], opsets=(18, 22), outputs=["int32"])
        for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")
    ),
    Case("BitwiseNot", WORDS, opsets=(18, 22), outputs=["int32"]),
    Case("Pad", X, attributes={"pads": [1, 0, 0, 2], "value": 1.5}, opsets=(9, 10), note="old"),
    Case("Pad", X, attributes={"pads": [1, 0, 0, 2], "mode": "edge"}, opsets=(9,), note="old-edge"),
    *pads("constant", (11, 13, 18, 22)),
    *pads("edge", (11, 18)),
    *pads("reflect", (13, 22)),
    Case("Pad", X, [whole(2, 1, 3, 2)], {"mode": "wrap"}, (19, 22), note="wrap"),
    Case("Pad", X, [whole(0, 1, 1, 0), FLOAT(-2)], opsets=(11, 22), note="value"),
    Case("Pad", X, [whole(1, 2), FLOAT(-2), whole(-1)], opsets=(18, 22), note="axes"),
    Case("Pad", WORDS, [whole(0, 1, 1, 0)], opsets=(13,), outputs=["int32"], note="int32"),
    Case("CenterCropPad", X, [whole(3, 6)], opsets=(18, 22)),
    Case("CenterCropPad", X, [whole(7)], {"axes": [0]}, LATE, note="axes"),
    Case("DepthToSpace", IMAGE, attributes={"blocksize": 2}, opsets=(9, 13)),
    Case("DepthToSpace", IMAGE, attributes={"blocksize": 2, "mode": "CRD"}, opsets=(11, 13)),
    Case("SpaceToDepth", IMAGE, attributes={"blocksize": 2}, opsets=(9, 13)),
    Case("ReverseSequence", X, [whole(4, 1, 2)], opsets=(10, 22)),
    Case(
        "ReverseSequence",
        IMAGE,
        [whole(8, 3)],
        {"batch_axis": 0, "time_axis": 1},
        LATE,
        note="batch-first",
    ),
    Case("Trilu", IMAGE, opsets=(14, 22)),
    Case("Trilu", IMAGE, [np.int64(-2)], {"upper": 0}, (14, 22), note="lower"),
    Case("Trilu", IMAGE, [np.int64(2**62)], opsets=LATE, note="far"),
    Case(
        "Col2Im",
        RANDOM.normal(size=(1, 12, 16)).astype(FLOAT),
        [whole(5, 7), whole(2, 2)],
        {"strides": [1, 2], "pads": [0, 1, 1, 0], "dilations": [2, 1]},
        (18, 22),
    ),
    Case("GatherND", IMAGE, [whole(1, 0, 0, -1).reshape(2, 2)], opsets=(11, 13)),
    Case(
        "GatherND",
        IMAGE,
        [RANDOM.integers(-4, 4, (2, 8, 3, 1))],
        {"batch_dims": 2},
        (12, 13),
        note="batch",
    ),
    Case("ScatterND", X, [whole(3, -4).reshape(2, 1), X[:2] * 2], opsets=(11, 13)),
    *(
        Case(
            "ScatterND",
            X,
            [whole(1, 2, 1, 2, 0, 0).reshape(3, 2), LINE[2:]],
            {"reduction": reduction},
            (18,),
            note=reduction,
        )
        for reduction in ("add", "mul", "max", "min")
    ),
    Case("EyeLike", X, opsets=(9, 22)),
    Case("EyeLike", X, attributes={"k": -1, "dtype": 7}, opsets=LATE, outputs=["int64"], note="k"),
    Case("Size", IMAGE, opsets=(9, 13), outputs=["int64"]),
    Case("Compress", X, [np.array([True, False, True])], {"axis": 1}, (9, 11)),
    Case("Compress", X, [np.array([False, True, True])], opsets=(9, 11), note="flat"),
    *(
        Case("Hardmax", X.round(), attributes=where, opsets=opsets, note=str(where))
        for where, opsets in (({}, (9, 13, 22)), ({"axis": 0}, (9, 22)), ({"axis": -1}, LATE))
    ),
    Case("LayerNormalization", IMAGE, [IMAGE[0, 0, 0], IMAGE[0, 0, 1]], opsets=(17, 22)),
    Case(
        "LayerNormalization",
        IMAGE,
        [IMAGE[0]],
        {"axis": 1, "epsilon": 0.1},
        LATE,
        outputs=["float32"] * 3,
        note="saved",
    ),
    Case("InstanceNormalization", IMAGE, [CHANNELS, CHANNELS[::-1].copy()], opsets=(9, 22)),
    Case(
        "GroupNormalization",
        IMAGE,
        [CHANNELS, CHANNELS[::-1].copy()],
        {"num_groups": 4, "epsilon": 0.01},
        (21, 22),
    ),
    Case("MeanVarianceNormalization", IMAGE, opsets=(9, 13)),
    *(
        Case("LpNormalization", X, attributes={"p": p, "axis": axis}, opsets=(9, 22), note=str(p))
        for p, axis in ((1, 0), (2, 1))
    ),
    Case("LRN", IMAGE, attributes={"size": 3}, opsets=(9, 13)),
    Case(
        "LRN",
        IMAGE,
        attributes={"size": 5, "alpha": 0.5, "beta": 0.6, "bias": 2.0},
        opsets=LATE,
        note="wide",
    ),
]


@pytest.mark.parametrize(
    ("case", "opset"),
    [
        pytest.param(case, opset, id=f"{case.identifier}-{opset}")
        for case in CASES
        for opset in case.opsets
    ],
)
def test_operators_agree_with_onnxruntime(
    case: Case, opset: int, model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    built, x = build(case, opset, model, 3)
    ours, theirs = exact(built, x), run_peer(built, x)
    for name in theirs:
        assert_same(ours[name], theirs[name])


HOSTILE = [
    (Case("Celu", attributes={"alpha": 0.0}), "alpha is 0"),
    (Case("Gelu", attributes={"approximate": "best"}), "an unknown approximation"),
    (Case("PRelu", X, [np.ones((2, 4, 3), np.float32)]), "a slope that does not broadcast"),
    (Case("PRelu", X, [np.ones(3)]), "inputs of different types"),
    (Case("Sin", WORDS), "unsupported type int32"),
    (Case("BitwiseAnd", X, [X]), "unsupported type float32"),
    (Case("BitwiseAnd", BYTES, [WORDS]), "inputs of different types"),
    (Case("BitShift", BYTES, [PLACES], {"direction": "UP"}), "direction is neither"),
    (Case("BitShift", WORDS, [WORDS], {"direction": "LEFT"}), "unsupported type int32"),
    (Case("Pad", X, [whole(0, -2, 0, -2)]), "more is cut off than there is"),
    (Case("Pad", X, [whole(2**62, 0, 0, 0)]), "a dimension is negative or too large"),
    (Case("Pad", X, [whole(0, 0, 0)]), "3 pads for 2 axes"),
    (Case("Pad", X, [whole(0, 0), None, whole(5)]), "axis 5"),
    (Case("Pad", X[:0], [whole(1, 0, 0, 0)], {"mode": "edge"}), "nothing to fill"),
    (Case("Pad", X, [whole(0, 0, 0, 0)], {"mode": "best"}), "an unknown mode"),
    (Case("Pad", X, [whole(0, 0, 0, 0), X]), "constant_value is not one element"),
    (Case("CenterCropPad", X, [whole(-1, 3)]), "a negative dimension"),
    (Case("CenterCropPad", X, [whole(2**40, 3)]), "a dimension is negative or too large"),
    (Case("DepthToSpace", IMAGE, attributes={"blocksize": 3}), "no multiple of the block"),
    (Case("DepthToSpace", IMAGE, attributes={"blocksize": 0}), "blocks of size 0"),
    (Case("SpaceToDepth", IMAGE, attributes={"blocksize": 2**40}), "blocks of size"),
    (Case("ReverseSequence", X, [whole(1, 1)]), "lengths of type"),
    (Case("Trilu", X[0]), "input of rank 1"),
    (Case("Trilu", X, [whole(1, 1)]), "a diagonal of type"),
    (Case("Col2Im", X[None], [whole(5), whole(0)]), "a size below 1"),
    (Case("Col2Im", X[None], [whole(5), whole(2**40)]), "does not fit the image"),
    (Case("GatherND", X, [whole(0, 0, 0)]), "index vectors of length 3"),
    (Case("GatherND", X, [whole(0)], {"batch_dims": 1}), "batch_dims is 1"),
    (Case("ScatterND", X, [whole(0, 0), X[0]]), "updates of type"),
    (Case("ScatterND", X, [whole(0, 0), X[0, 0]], {"reduction": "avg"}), "an unknown reduction"),
    (Case("EyeLike", X, attributes={"dtype": 8}), "unsupported type string"),
    (Case("EyeLike", X, attributes={"dtype": -3}), "unsupported element type"),
    (Case("Compress", X, [np.ones(13, np.bool_)]), "a condition longer than the axis"),
    (Case("NonZero", X), "dynamic shape: NonZero needs a constant"),
    (Case("Unique", X), "dynamic shape: Unique needs a constant"),
    (Case("LayerNormalization", X, [IMAGE]), "shapes that do not broadcast"),
    (Case("LayerNormalization", X, [X[0]], {"axis": 2}), "axis 2"),
    (Case("LayerNormalization", X[:, :0], [X[0, :0]]), "nothing to normalise"),
    (Case("LayerNormalization", X, [X[0]], {"stash_type": 7}), "unsupported type int64"),
    (
        Case("GroupNormalization", IMAGE, [CHANNELS, CHANNELS], {"num_groups": 3}),
        "3 groups of",
    ),
    (
        Case("GroupNormalization", IMAGE, [CHANNELS, CHANNELS], {"num_groups": 0}),
        "0 groups of",
    ),
    (Case("InstanceNormalization", IMAGE, [CHANNELS[:2], CHANNELS]), "a scale or bias that is not"),
    (Case("LpNormalization", X, attributes={"p": 3}), "p is neither 1 nor 2"),
    (Case("LRN", X, attributes={"size": 0}), "a size of 0"),
    (Case("NegativeLogLikelihoodLoss", X, [whole(1, 1)]), "labels int64"),
    (Case("NegativeLogLikelihoodLoss", X[:, :0], [whole(0, 0, 0, 0)]), "no classes"),
    (
        Case("SoftmaxCrossEntropyLoss", X, [whole(0, 1, 2, 0)], {"reduction": "max"}),
        "an unknown reduction",
    ),
    (Case("HannWindow", np.array(3)), "dynamic shape: HannWindow needs a constant"),
]

UNDEFINED = [
    (Case("ReverseSequence", X, [whole(5, 1, 1)]), "ReverseSequence: length out of range"),
    (Case("GatherND", X, [whole(4)]), "GatherND: index out of range"),
    (Case("GatherND", X, [whole(-(2**63))]), "GatherND: index out of range"),
    (Case("ScatterND", X, [whole(0, 3), X[0, 0]]), "ScatterND: index out of range"),
    (
        Case("NegativeLogLikelihoodLoss", X, [whole(0, 1, 2, 3)]),
        "NegativeLogLikelihoodLoss: label out of range",
    ),
    (
        Case("SoftmaxCrossEntropyLoss", X, [whole(0, 1, -1, 2)], {"ignore_index": -2}),
        "SoftmaxCrossEntropyLoss: label out of range",
    ),
]


@pytest.mark.parametrize(
    ("case", "reason"),
    [pytest.param(*each, id=f"{each[0].operator}-{each[1]}") for each in HOSTILE],
)
def test_hostile_operators_are_refused(
    case: Case, reason: str, model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    built, x = build(case, 22, model, 3)
    with pytest.raises(ModelRejected) as refused:
        exact(built, x)
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    ("case", "reason"), [pytest.param(*each, id=each[0].operator) for each in UNDEFINED]
)
def test_the_undefined_is_refused_at_run_time(
    case: Case, reason: str, model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    built, x = build(case, 22, model, 3)
    with pytest.raises(RuntimeRejection) as refused:
        exact(built, x)
    assert refused.value.reason == reason


BOMBS = [
    (Case("DepthToSpace", attributes={"blocksize": 2**30}), (1, 0, 0, 0)),
    (
        Case("Pad", others=[whole(0, 0, 0, 0), FLOAT(1)], attributes={"mode": "edge"}),
        (0, 2**31 - 1),
    ),
    (Case("Trilu"), (0, 2**20, 2**20)),
    (Case("GatherND", others=[np.zeros((0, 1), np.int64)]), (2**31 - 1, 0)),
    (Case("Compress", others=[np.ones(0, np.bool_)], attributes={"axis": 1}), (2**31 - 1, 0)),
    (Case("LRN", attributes={"size": 2**62}), (0, 2**20, 2**20)),
    (Case("Col2Im", others=[whole(1), whole(2**30)]), (1, 2**30, 0)),
    (Case("Softplus"), (0, 2**31 - 1)),
]


@pytest.mark.parametrize(
    ("case", "shape"), [pytest.param(*each, id=each[0].operator) for each in BOMBS]
)
def test_empty_tensors_of_enormous_shape_cost_nothing(
    case: Case, shape: tuple[int, ...], model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    empty = replace(case, x=np.empty(shape, np.float32))
    built, x = build(empty, 22, model, 3)
    [result] = exact(built, x).values()
    assert result.size <= 1


def test_pads_of_all_modes_are_those_of_numpy() -> None:
    for mode in ("edge", "reflect", "wrap"):
        for size in (1, 2, 5):
            sources = padding._sources(mode, size, 11, 13)
            assert sources.tolist() == np.pad(np.arange(size), (11, 13), mode).tolist()


@pytest.mark.parametrize(
    ("bounds", "kind"),
    [
        ((0, 10, 3), np.int64),
        ((10, 0, -3), np.int32),
        ((5, 5, 1), np.int64),
        ((0, 1, 0.1), np.float32),
        ((3, -2.5, -0.7), np.float64),
        ((0, 3, 0.3), np.float32),
    ],
)
def test_range(bounds: tuple[float, ...], kind: Any, exact: Any, model: Any) -> None:
    constants = {f"c{place}": kind(bound) for place, bound in enumerate(bounds)}
    nodes = [helper.make_node("Range", list(constants), ["y"])]
    built = model(nodes, {"y": np.dtype(kind).name}, shape=(1,), constants=constants)
    x = np.zeros(1, np.float32)
    assert_same(exact(built, x)["y"], run_peer(built, x)["y"])


@pytest.mark.parametrize("bounds", [(0, 1, 0), (0.0, np.inf, 1.0), (0.0, 1.0, 0.0), (0, 2**40, 1)])
def test_ranges_without_end_are_refused(bounds: tuple[float, ...], exact: Any, model: Any) -> None:
    constants = {f"c{place}": np.asarray(bound) for place, bound in enumerate(bounds)}
    constants = {name: value.astype(constants["c1"].dtype) for name, value in constants.items()}
    built = model([helper.make_node("Range", list(constants), ["y"])], ["y"], constants=constants)
    with pytest.raises(ModelRejected):
        exact(built, X)


@pytest.mark.parametrize("attributes", [{}, {"sorted": 0}, {"axis": 0}, {"axis": 1, "sorted": 0}])
@pytest.mark.parametrize("kind", ["float32", "int64", "object"])
def test_unique_constants(attributes: dict[str, int], kind: str, exact: Any, model: Any) -> None:
    if kind == "object" and "axis" in attributes:
        pytest.skip("onnxruntime has no such kernel")
    values = np.array([[3, 1, 3, 1], [0, 1, 0, 2], [3, 1, 3, 1]])
    data = values.astype(str).astype(object) if kind == "object" else values.astype(kind)
    outputs = {"y": kind, "i": "int64", "v": "int64", "n": "int64"}
    nodes = [helper.make_node("Unique", ["c"], list(outputs), **attributes)]
    built = model(nodes, outputs, constants={"c": data})
    ours, theirs = exact(built, X), run_peer(built, X)
    for name in outputs:
        assert_same(ours[name], theirs[name])


def test_nonzero_of_constants(exact: Any, model: Any) -> None:
    nodes = [helper.make_node("NonZero", ["c"], ["y"])]
    built = model(nodes, {"y": "int64"}, constants={"c": X.round()})
    assert_same(exact(built, X)["y"], run_peer(built, X)["y"])


def test_half_types_are_rounded_once(exact: Any, model: Any) -> None:
    """The whole operator is computed in float32."""
    x = (RANDOM.normal(size=(64, 9)) * 2).astype(np.float32)
    for number, dtype in ((10, np.float16), (16, ml_dtypes.bfloat16)):
        nodes = [
            helper.make_node("Cast", ["x"], ["h"], to=number),
            helper.make_node("Sum", ["h", "h", "h"], ["s"]),
            helper.make_node("Cast", ["s"], ["y"], to=1),
        ]
        half = x.astype(dtype).astype(np.float32)
        expected = ((half + half) + half).astype(dtype).astype(np.float32)
        assert exact(model(nodes, ["y"], shape=x.shape), x)["y"].tobytes() == expected.tobytes()


@pytest.mark.parametrize("saturate", [0, 1])
@pytest.mark.parametrize("kind", [1, 10, 16, 17, 19])
def test_casts_to_narrow_types_and_like_them(
    kind: int, saturate: int, exact: Any, model: Any
) -> None:
    """float8 is as onnxruntime rounds it, and CastLike is Cast."""
    x = np.concatenate([X.reshape(-1) * 100, [1e6, -1e6, np.inf, np.nan, 0.0]]).astype(np.float32)
    example = helper.make_tensor("e", kind, [1], [1.0])
    settings = {"saturate": saturate} if kind > 16 else {}
    nodes = [
        helper.make_node("Cast", ["x"], ["narrow"], to=kind, **settings),
        helper.make_node("CastLike", ["x", "e"], ["alike"], **settings),
        helper.make_node("Cast", ["narrow"], ["y"], to=1),
        helper.make_node("Cast", ["alike"], ["z"], to=1),
    ]
    built = model(nodes, ["y", "z"], shape=x.shape, opset=19)
    built.graph.initializer.append(example)
    ours, theirs = exact(built, x), run_peer(built, x)
    assert np.array_equal(ours["y"], theirs["y"], equal_nan=True)
    assert np.array_equal(ours["z"], ours["y"], equal_nan=True)


def test_bits_are_cast_as_they_are(monkeypatch: pytest.MonkeyPatch, exact: Any, model: Any) -> None:
    monkeypatch.setitem(profile.OPSETS, "", (9, 26))
    x = np.array([1.5, -0.0, np.nan, -np.nan, np.inf], np.float32)
    nodes = [helper.make_node("BitCast", ["x"], ["y"], to=6)]
    found = exact(model(nodes, {"y": "int32"}, shape=x.shape, opset=26), x)["y"]
    assert found.tolist() == [0x3FC00000, -(2**31), 0x7FC00000, 0x7FC00000, 0x7F800000]
    wrong = [helper.make_node("BitCast", ["x"], ["y"], to=7)]
    with pytest.raises(ModelRejected, match="float32 to int64"):
        exact(model(wrong, {"y": "int64"}, shape=x.shape, opset=26), x)
