"""Every operator against onnxruntime, over the opsets in which its meaning or spelling changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from danku.evaluation import profile
from danku.evaluation.registry import catalogue

ML = "ai.onnx.ml"
RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(4, 3)).astype(np.float32)
X4 = RANDOM.normal(size=(2, 3, 4, 5)).astype(np.float32)
WHOLE = np.array([[7, -7, 3], [-8, 8, 2]], np.int64)
DIVISOR = np.array([[2, 2, -2]], np.int64)
TRUTH = np.array([[True, False], [False, True]])
MODERN = (9, 11, 12, 13, 15, 18, 21, 22)


@dataclass(frozen=True)
class Case:
    operator: str
    x: Any = field(default_factory=lambda: X)
    others: Sequence[Any] = ()
    """Further inputs, as constants; None leaves one out."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    opsets: Sequence[int] = MODERN
    domain: str = ""
    outputs: Sequence[str] = ("float32",)
    note: str = ""

    @property
    def identifier(self) -> str:
        return f"{self.operator}-{self.note}" if self.note else self.operator


def axes(*places: int) -> np.ndarray:
    return np.array(places, np.int64)


def reductions(operator: str, changed: int) -> list[Case]:
    """Axes as an attribute before the opset ``changed``, as an input from it on."""
    old = [opset for opset in MODERN if opset < changed]
    new = [opset for opset in MODERN if opset >= changed]
    return [
        Case(operator, X4, note="all"),
        Case(operator, X4, attributes={"axes": [1, 3], "keepdims": 0}, opsets=old, note="old"),
        Case(operator, X4, [axes(1, 3)], {"keepdims": 0}, new, note="new"),
        Case(operator, X4, [axes(0)], opsets=new, note="kept"),
        Case(operator, X4, attributes={"noop_with_empty_axes": 1}, opsets=new, note="noop"),
        Case(operator, WHOLE, outputs=["int64"], note="int64"),
    ]


FLOAT = np.float32
CASES = [
    Case("MatMul", others=[RANDOM.normal(size=(3, 5)).astype(FLOAT)]),
    Case("MatMul", X4, [RANDOM.normal(size=(3, 5, 2)).astype(FLOAT)], note="stacks"),
    Case("MatMul", others=[RANDOM.normal(size=3).astype(FLOAT)], note="vector"),
    Case("MatMul", X.astype(float), [X.T.astype(float)], outputs=["float64"], note="float64"),
    Case("Gemm", others=[X.T, np.ones(4, FLOAT)]),
    Case("Gemm", others=[X.T], opsets=(11, 13), note="no-C"),
    Case(
        "Gemm",
        others=[X, np.full((3, 1), 0.3, FLOAT)],
        attributes={"alpha": 0.7, "beta": 1.3, "transA": 1},
        note="scaled",
    ),
    Case("Gemm", others=[X[:2], FLOAT(0.5)], attributes={"transB": 1}, note="transB"),
    Case("Add", others=[X[0]]),
    Case("Add", WHOLE, [DIVISOR], outputs=["int64"], note="int64"),
    Case("Sub", others=[X[:, :1]]),
    Case("Mul", others=[X[1]]),
    Case("Div", others=[X[0]]),
    Case("Div", WHOLE, [DIVISOR], outputs=["int64"], note="int64"),
    Case("Pow", np.abs(X), [FLOAT(1.7)]),
    Case("Pow", others=[FLOAT(2)], note="square"),
    Case("Pow", others=[np.array([2, 3, -1])], opsets=(12, 15), note="int-exponent"),
    Case("Sum", others=[X[0], X[:, :1]]),
    Case("Max", others=[X[0], FLOAT(0.1)]),
    Case("Min", others=[X[0], FLOAT(0.1)]),
    Case("Mean", others=[X[0], X[:1]]),
    Case("Neg"),
    Case("Abs"),
    Case("Floor"),
    Case("Ceil"),
    Case("Reciprocal"),
    Case("Sqrt", np.abs(X)),
    Case("Exp"),
    Case("Log", np.abs(X)),
    Case("Relu"),
    Case("LeakyRelu"),
    Case("LeakyRelu", attributes={"alpha": 0.3}, note="alpha"),
    Case("Sigmoid"),
    Case("Tanh"),
    Case("Clip", attributes={"min": -0.5, "max": 0.5}, opsets=(9, 10), note="attributes"),
    Case("Clip", attributes={"max": 0.5}, opsets=(9, 10), note="max-attribute"),
    Case("Clip", others=[FLOAT(-0.5), FLOAT(0.5)], opsets=(11, 13, 22)),
    Case("Clip", others=[None, FLOAT(0.5)], opsets=(11, 13), note="no-min"),
    Case("Clip", others=[FLOAT(0)], opsets=(11, 13), note="no-max"),
    Case("Clip", WHOLE, [np.int64(-3), np.int64(3)], opsets=(12, 13), outputs=["int64"], note="i"),
    Case("Softmax"),
    Case("Softmax", X4, note="rank4"),
    Case("Softmax", X4, attributes={"axis": 2}, note="axis"),
    Case("Softmax", X4, attributes={"axis": -2}, opsets=(11, 13), note="negative-axis"),
    Case("LogSoftmax", X4, note="rank4"),
    Case("LogSoftmax", X4, attributes={"axis": 1}, note="axis"),
    Case("Equal", WHOLE, [DIVISOR], outputs=["bool"]),
    Case("Greater", others=[X[0]], outputs=["bool"]),
    Case("GreaterOrEqual", others=[X[0]], opsets=(12, 16), outputs=["bool"]),
    Case("Less", others=[X[0]], outputs=["bool"]),
    Case("LessOrEqual", others=[X[0]], opsets=(12, 16), outputs=["bool"]),
    Case("And", TRUTH, [TRUTH[0]], outputs=["bool"]),
    Case("Or", TRUTH, [TRUTH[0]], outputs=["bool"]),
    Case("Xor", TRUTH, [TRUTH[0]], outputs=["bool"]),
    Case("Not", TRUTH, outputs=["bool"]),
    Case("Where", TRUTH, [X[:2, :2], X[2:, 1:]]),
    Case("Reshape", X4, [axes(0, -1, 10)]),
    Case("Reshape", X4, [axes(3, 2, 4, 5)], note="plain"),
    Case("Reshape", X4, [axes(2, 60)], attributes={"allowzero": 1}, opsets=(14, 19), note="zero"),
    Case("Flatten", X4),
    Case("Flatten", X4, attributes={"axis": 0}, note="0"),
    Case("Flatten", X4, attributes={"axis": -1}, opsets=(11, 13), note="negative"),
    Case("Squeeze", X[:1, None], attributes={"axes": [0]}, opsets=(9, 11, 12), note="attribute"),
    Case("Squeeze", X[:1, None]),
    Case("Squeeze", X[:1, None], [axes(-2)], opsets=(13, 21), note="input"),
    Case("Unsqueeze", attributes={"axes": [0, 3]}, opsets=(9, 11, 12), note="attribute"),
    Case("Unsqueeze", others=[axes(-1, 1)], opsets=(13, 21), note="input"),
    Case("Transpose"),
    Case("Transpose", X4, attributes={"perm": [0, 3, 1, 2]}, note="perm"),
    Case("Expand", X[:, None], [axes(2, 1)]),
    Case("Identity"),
    Case("Dropout", opsets=(9, 10, 12, 13, 22)),
    Case("Dropout", opsets=(12, 13), outputs=["float32", "bool"], note="mask"),
    Case("Dropout", others=[FLOAT(0.3), np.array(False)], opsets=(12, 13), note="inputs"),
    Case("Cast", X * 3, attributes={"to": 7}, outputs=["int64"], opsets=(9, 13, 19, 21)),
    Case("Cast", WHOLE, attributes={"to": 1}, note="to-float"),
    Case("Cast", WHOLE, attributes={"to": 2}, outputs=["uint8"], note="to-uint8"),
    Case("Cast", X, attributes={"to": 9}, outputs=["bool"], note="to-bool"),
    Case("Cast", TRUTH, attributes={"to": 11}, outputs=["float64"], note="from-bool"),
    Case("Concat", others=[X, X[:, :1]], attributes={"axis": 1}),
    Case("Concat", others=[X], attributes={"axis": -2}, opsets=(11, 13), note="negative"),
    Case("Gather", others=[axes(2, 0, -1)], attributes={"axis": 1}, opsets=(11, 13)),
    Case("Gather", X4, [np.array([[0, 1]], np.int32)], note="rank2"),
    Case(
        "Slice",
        attributes={"starts": [0, -2], "ends": [3, 9], "axes": [0, 1]},
        opsets=(9,),
        note="attributes",
    ),
    Case("Slice", others=[axes(1, -2), axes(3, 99)], opsets=(10, 11, 13)),
    Case("Slice", others=[axes(-1), axes(-99), axes(1), axes(-1)], opsets=(10, 13), note="reverse"),
    Case("Slice", others=[axes(5), axes(2), axes(0), axes(-2)], opsets=(10, 13), note="clamped"),
    Case("ArgMax", outputs=["int64"]),
    Case("ArgMax", attributes={"axis": 1, "keepdims": 0}, outputs=["int64"], note="axis"),
    Case(
        "ArgMax",
        np.ones((2, 3), FLOAT),
        attributes={"axis": -1, "select_last_index": 1},
        opsets=(12, 13),
        outputs=["int64"],
        note="last",
    ),
    *(
        case
        for name, changed in (("Sum", 13), ("Mean", 18), ("Max", 18), ("Min", 18))
        for case in reductions(f"Reduce{name}", changed)
    ),
    Case("ArgMin", attributes={"axis": 1}, outputs=["int64"]),
    Case(
        "BatchNormalization",
        X4,
        [*(RANDOM.normal(size=3).astype(FLOAT) for _ in range(3)), np.array([1, 2, 0.5], FLOAT)],
        {"epsilon": 1e-3},
    ),
    Case("Scaler", attributes={"offset": [1.0, 2, 3], "scale": [0.5, 2, -1]}, domain=ML),
    Case("Scaler", WHOLE, attributes={"offset": [1.5], "scale": [0.5]}, domain=ML, note="int64"),
    *(
        Case("Normalizer", attributes={"norm": norm}, domain=ML, note=norm)
        for norm in ("MAX", "L1", "L2")
    ),
    Case("Normalizer", np.zeros((2, 3), FLOAT), attributes={"norm": "L2"}, domain=ML, note="0"),
    Case("ArrayFeatureExtractor", others=[axes(2, 0, 2)], domain=ML),
    Case("ArrayFeatureExtractor", X[0], [axes(1)], domain=ML, note="vector"),
    Case(
        "LinearRegressor",
        attributes={"coefficients": [0.1, 0.2, 0.3], "intercepts": [0.5]},
        domain=ML,
    ),
    Case(
        "LinearRegressor",
        attributes={
            "coefficients": [0.1, 0.2, 0.3, 1, 2, 3],
            "targets": 2,
            "post_transform": "SOFTMAX",
        },
        domain=ML,
        note="softmax",
    ),
    *(
        Case(
            "LinearClassifier",
            attributes={
                "coefficients": list(np.linspace(-1, 1, 3 * classes, dtype=float)),
                "intercepts": list(np.linspace(0, 0.5, classes, dtype=float)),
                "classlabels_ints": list(range(3, 3 + max(classes, 2))),
                "post_transform": transform,
            },
            domain=ML,
            outputs=["int64", "float32"],
            note=f"{classes}-{transform}",
        )
        for classes in (1, 2, 4)
        for transform in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")
    ),
    Case(
        "LinearClassifier",
        attributes={
            "coefficients": [1.0, 0, 0, 0, 1, 0],
            "intercepts": [0.0, 0],
            "classlabels_strings": ["a", "b"],
        },
        domain=ML,
        outputs=["object", "float32"],
        note="strings",
    ),
]


ELSEWHERE = {
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"),  # test_convolution_operators
    *("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"),  # there too
    *("BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor"),  # test_general_operators
    *("CastLike", "Celu", "Compress", "DepthToSpace", "Range", "ReverseSequence"),  # there too
    *("Size", "SpaceToDepth", "Unique"),  # there too
    "Einsum",  # test_sampling_operators
    *("Shape", "Constant", "ConstantOfShape"),  # below
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),  # test_quantized
    *("MatMulInteger", "QLinearMatMul"),  # test_quantized
    *("ConvInteger", "QLinearConv"),  # test_quantized_convolution
    *("QGemm", "QLinearAdd", "QLinearAveragePool", "QLinearConcat", "QLinearGlobalAveragePool"),
    *("QLinearLeakyRelu", "QLinearMul", "QLinearSigmoid", "QLinearSoftmax", "QLinearWhere"),
    # the two lines above: test_quantized_functions
    *("RNN", "GRU", "LSTM"),  # test_recurrent
    *("ZipMap", "LabelEncoder"),  # test_labels
    *("TreeEnsembleClassifier", "TreeEnsembleRegressor"),  # test_trees
    *("SVMClassifier", "SVMRegressor", "CDist", "OneHotEncoder", "CategoryMapper", "Imputer"),
    *("Binarizer", "FeatureVectorizer", "StringNormalizer", "TopK", "GatherElements", "Scatter"),
    *("ScatterElements", "OneHot", "CumSum", "Tile", "Split", "Sign", "Round", "Mod", "IsNaN"),
    *("IsInf", "ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceLogSum"),
    "ReduceLogSumExp",  # and the four lines above: test_tabular_operators
}


def conforming() -> set[str]:
    """Operators that pass the ONNX project's own tests."""
    page = Path(__file__).parents[2] / "docs" / "conformance.md"
    return set(re.findall(r"^\| (\w+) \| \d", page.read_text(encoding="utf-8"), re.MULTILINE))


def admitted() -> set[str]:
    """Operators that some opset of the profile has."""
    return {
        name
        for (domain, name), versions in catalogue().items()
        if versions[0].opsets[0] <= profile.OPSETS[domain][1]
    }


def test_every_operator_is_compared() -> None:
    compared = {case.operator for case in CASES} | ELSEWHERE
    assert compared <= {name for _, name in catalogue()}
    assert admitted() - compared - conforming() == set()


def variants() -> list[Any]:
    return [
        pytest.param(case, opset, id=f"{case.identifier}-{opset}")
        for case in CASES
        for opset in ((17,) if case.domain == ML else case.opsets)
    ]


def run_peer(model: onnx.ModelProto, x: np.ndarray) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": x}), strict=True))


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    if ours.dtype.kind == "f":
        largest = np.abs(theirs[np.isfinite(theirs)]).max(initial=0)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * max(largest, 1e-30))
    else:
        assert ours.tolist() == theirs.tolist()


def build(case: Case, opset: int, model: Callable[..., onnx.ModelProto], ml: int) -> Any:
    constants = {f"c{i}": value for i, value in enumerate(case.others) if value is not None}
    names = [f"c{i}" if value is not None else "" for i, value in enumerate(case.others)]
    outputs = {f"y{i}": kind for i, kind in enumerate(case.outputs)}
    node = helper.make_node(
        case.operator, ["x", *names], list(outputs), domain=case.domain, **case.attributes
    )
    x = np.asarray(case.x)
    return model(
        [node],
        outputs,
        shape=x.shape,
        dtype=x.dtype.name,
        constants=constants,
        opset=opset,
        ml=ml,
    ), x


@pytest.mark.parametrize(("case", "opset"), variants())
def test_operator_agrees_with_onnxruntime(
    case: Case, opset: int, model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    built, x = build(case, opset, model, ml=1)
    ours, theirs = exact(built, x), run_peer(built, x)
    for name in theirs:
        assert_same(ours[name], theirs[name])


def peer_and_exact(
    nodes: Sequence[Any],
    kind: str,
    model: Callable[..., Any],
    exact: Callable[..., Any],
    **more: Any,
) -> tuple[np.ndarray, np.ndarray]:
    built = model(nodes, {"y": kind}, shape=X4.shape, **more)
    return exact(built, X4)["y"], run_peer(built, X4)["y"]


@pytest.mark.parametrize(
    ("attributes", "opset"), [({}, 9), ({}, 22), ({"start": 1}, 15), ({"start": -3, "end": -1}, 21)]
)
def test_shape_is_a_constant(
    attributes: dict[str, int], opset: int, model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    nodes = [helper.make_node("Shape", ["x"], ["y"], **attributes)]
    assert_same(*peer_and_exact(nodes, "int64", model, exact, opset=opset))


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"value": onnx.numpy_helper.from_array(X)}, "float32"),
        ({"value_float": 0.5}, "float32"),
        ({"value_floats": [0.5, 1]}, "float32"),
        ({"value_int": 3}, "int64"),
        ({"value_ints": [3, 4]}, "int64"),
        ({"value_string": b"a"}, "object"),
        ({"value_strings": [b"a", b"b"]}, "object"),
    ],
)
def test_constant(
    attributes: dict[str, Any], kind: str, model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    nodes = [helper.make_node("Constant", [], ["y"], **attributes)]
    assert_same(*peer_and_exact(nodes, kind, model, exact))


@pytest.mark.parametrize("value", [None, np.array([7], np.int64)])
def test_shapes_that_follow_from_the_input_fold(
    value: Any, model: Callable[..., Any], exact: Callable[..., Any]
) -> None:
    filling = {} if value is None else {"value": onnx.numpy_helper.from_array(value)}
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "place"], ["n"]),
        helper.make_node("Concat", ["n", "two"], ["t"], axis=0),
        helper.make_node("ConstantOfShape", ["t"], ["y"], **filling),
    ]
    constants = {"place": axes(2), "two": axes(2)}
    kind = "float32" if value is None else "int64"
    assert_same(*peer_and_exact(nodes, kind, model, exact, constants=constants))


def test_versions_of_an_operator_do_not_overlap() -> None:
    for (domain, name), versions in catalogue().items():
        first, last = profile.OPSETS[domain]
        covered = [
            opset
            for operator in versions
            for opset in range(max(first, operator.opsets[0]), min(last, operator.opsets[1]) + 1)
        ]
        assert len(covered) == len(set(covered)), name
