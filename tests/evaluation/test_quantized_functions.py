"""com.microsoft's quantized operators against what they are short for, and onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import helper

from danku.evaluation.refusal import ModelRejected
from tests.evaluation.test_operators import Case, build, run_peer

FLOAT = np.float32
MICROSOFT = "com.microsoft"
RANDOM = np.random.default_rng(17)
ONE = FLOAT(1)


def whole(kind: str, *shape: int) -> np.ndarray:
    limits = np.iinfo(kind)
    return RANDOM.integers(limits.min, limits.max, shape, endpoint=True).astype(kind)


def contributed(case: Case, model: Any) -> Any:
    built, x = build(case, 17, model, 3)
    built.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    return built, x


def spelled_out(case: Case, operator: str, model: Any, exact: Any, **attributes: Any) -> np.ndarray:
    """The same with DequantizeLinear, an operator of ai.onnx, and QuantizeLinear."""
    names = [f"c{i}" if value is not None else "" for i, value in enumerate(case.others)]
    constants = {n: v for n, v in zip(names, case.others, strict=True) if v is not None}
    triples, result = numbered(case.operator, ["x", *names])
    nodes, data = [], []
    for place, (tensor, *point) in enumerate(triples):
        name = f"d{place}"
        nodes.append(helper.make_node("DequantizeLinear", [tensor, *point], [name]))
        data.append(name)
    nodes.append(helper.make_node(operator, data, ["r"], **attributes))
    nodes.append(helper.make_node("QuantizeLinear", ["r", *result], ["y"]))
    built = model(
        nodes,
        {"y": case.outputs[0]},
        shape=case.x.shape,
        dtype=case.x.dtype.name,
        constants=constants,
        opset=17,
    )
    found: np.ndarray = exact(built, case.x)["y"]
    return found


def numbered(operator: str, names: Sequence[str]) -> tuple[list[Sequence[str]], Sequence[str]]:
    """Tensors with their scales and zero points, and those of the result."""
    if operator in ("QLinearAdd", "QLinearMul"):
        return [names[:3], names[3:6]], names[6:]
    return [names[:3]], names[3:]


FUNCTIONS: list[tuple[str, str, dict[str, Any], tuple[int, ...]]] = [
    ("QLinearSigmoid", "Sigmoid", {}, (3, 400)),
    ("QLinearLeakyRelu", "LeakyRelu", {"alpha": 0.3}, (3, 400)),
    ("QLinearLeakyRelu", "LeakyRelu", {}, (2, 3, 5)),
    ("QLinearSoftmax", "Softmax", {"axis": -1, "opset": 13}, (3, 4, 9)),
    ("QLinearSoftmax", "Softmax", {"axis": 1, "opset": 13}, (3, 4, 9)),
    ("QLinearGlobalAveragePool", "GlobalAveragePool", {}, (2, 5, 6, 7)),
    (
        "QLinearAveragePool",
        "AveragePool",
        {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]},
        (2, 5, 6, 7),
    ),
    (
        "QLinearAveragePool",
        "AveragePool",
        {"kernel_shape": [2, 2], "pads": [1] * 4, "count_include_pad": 1},
        (1, 3, 6, 6),
    ),
]


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
@pytest.mark.parametrize("kind", ["uint8", "int8"])
def test_functions_are_what_they_are_short_for(
    number: int, kind: str, model: Any, exact: Any
) -> None:
    name, operator, attributes, shape = FUNCTIONS[number]
    x, zeros = whole(kind, *shape), whole(kind, 2)
    scale = FLOAT(1 / 256 if operator in ("Sigmoid", "Softmax") else 0.05)
    if operator in ("Sigmoid", "Softmax"):
        zeros[1] = np.iinfo(kind).min
    inputs = [FLOAT(0.04), zeros[0], scale, zeros[1]]
    case = Case(name, x, inputs, attributes, domain=MICROSOFT, outputs=[kind])
    built, _ = contributed(case, model)
    found, peer = exact(built, x)["y0"], run_peer(built, x)["y0"]
    plain = {key: value for key, value in attributes.items() if key != "opset"}
    assert found.tolist() == spelled_out(case, operator, model, exact, **plain).tolist()
    apart = np.abs(found.astype(int) - peer)
    assert apart.max() <= 1
    assert (apart == 0).mean() > 0.98


@pytest.mark.parametrize(("name", "operator"), [("QLinearAdd", "Add"), ("QLinearMul", "Mul")])
@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("other", [(70, 130), (130,), (70, 1), ()])
def test_sums_and_products_are_what_they_are_short_for(
    name: str, operator: str, kind: str, other: tuple[int, ...], model: Any, exact: Any
) -> None:
    x, zeros = whole(kind, 70, 130), whole(kind, 3)
    y = whole(kind, *other)
    inputs = [FLOAT(0.04), zeros[0], y, FLOAT(0.11), zeros[1], FLOAT(0.3), zeros[2]]
    case = Case(name, x, inputs, domain=MICROSOFT, outputs=[kind])
    built, _ = contributed(case, model)
    found, peer = exact(built, x)["y0"], run_peer(built, x)["y0"]
    assert found.tolist() == spelled_out(case, operator, model, exact).tolist()
    apart = np.abs(found.astype(int) - peer)
    assert apart.max() <= 1
    assert (apart == 0).mean() > 0.98


@pytest.mark.parametrize("scale", [0.0, -0.7, np.inf, np.nan, 1e-45])
def test_any_scale_has_a_meaning(scale: float, model: Any, exact: Any) -> None:
    x, y, zero = whole("int8", 40, 40), whole("int8", 40, 40), np.int8(-9)
    for place in (0, 3, 5):
        inputs = [ONE, zero, y, ONE, zero, ONE, zero]
        inputs[place] = FLOAT(scale)
        case = Case("QLinearMul", x, inputs, domain=MICROSOFT, outputs=["int8"])
        found = exact(contributed(case, model)[0], x)["y0"]
        assert found.tolist() == spelled_out(case, "Mul", model, exact).tolist()
    for place in (0, 2):
        inputs = [ONE, zero, ONE, zero]
        inputs[place] = FLOAT(scale)
        case = Case("QLinearSigmoid", x, inputs, domain=MICROSOFT, outputs=["int8"])
        found = exact(contributed(case, model)[0], x)["y0"]
        assert found.tolist() == spelled_out(case, "Sigmoid", model, exact).tolist()


def test_missing_zero_points_are_zero(model: Any, exact: Any) -> None:
    x, scale = whole("int8", 5, 6), FLOAT(0.2)
    zero = np.int8(0)
    for name, given, missing in (
        ("QLinearSigmoid", [scale, zero, scale, zero], [scale, None, scale]),
        (
            "QLinearAdd",
            [scale, zero, x, scale, zero, scale, zero],
            [scale, None, x, scale, None, scale],
        ),
    ):
        results = []
        for inputs in (given, missing):
            case = Case(name, x, inputs, domain=MICROSOFT, outputs=["int8"])
            results.append(exact(contributed(case, model)[0], x)["y0"].tolist())
        assert results[0] == results[1]


def test_parts_are_brought_to_one_scale(model: Any, exact: Any) -> None:
    x, y, zeros = whole("uint8", 3, 40), whole("uint8", 3, 9), whole("uint8", 3)
    names = ["s", "z", "x", "a", "p", "y", "b", "q"]
    numbers: dict[str, Any] = {"y": y, "s": FLOAT(0.1), "a": FLOAT(0.07), "b": FLOAT(0.3)}
    numbers |= dict(zip("zpq", zeros, strict=True))
    node = helper.make_node("QLinearConcat", names, ["r"], domain=MICROSOFT, axis=1)
    built = model([node], {"r": "uint8"}, shape=x.shape, dtype="uint8", constants=numbers, opset=17)
    built.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    found = exact(built, x)["r"]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "a", "p"], ["u"]),
        helper.make_node("DequantizeLinear", ["y", "b", "q"], ["v"]),
        helper.make_node("Concat", ["u", "v"], ["w"], axis=1),
        helper.make_node("QuantizeLinear", ["w", "s", "z"], ["r"]),
    ]
    plain = model(nodes, {"r": "uint8"}, shape=x.shape, dtype="uint8", constants=numbers, opset=17)
    assert found.tolist() == exact(plain, x)["r"].tolist()
    assert np.abs(found.astype(int) - run_peer(built, x)["r"]).max() <= 1


def test_chosen_parts_are_brought_to_one_scale(model: Any, exact: Any) -> None:
    x, y, zeros = whole("int8", 6, 40), whole("int8", 40), whole("int8", 3)
    condition = RANDOM.random((6, 1)) < 0.5
    inputs = ["c", "x", "a", "p", "y", "b", "q", "s", "z"]
    numbers: dict[str, Any] = {"y": y, "c": condition}
    numbers |= {"s": FLOAT(0.1), "a": FLOAT(0.07), "b": FLOAT(0.3)}
    numbers |= dict(zip("zpq", zeros, strict=True))
    node = helper.make_node("QLinearWhere", inputs, ["r"], domain=MICROSOFT)
    built = model([node], {"r": "int8"}, shape=x.shape, dtype="int8", constants=numbers, opset=17)
    built.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    found, peer = exact(built, x)["r"], run_peer(built, x)["r"]
    assert np.abs(found.astype(int) - peer).max() <= 1
    assert (found == peer).mean() > 0.98


def wide(a: np.ndarray, zero: Any) -> np.ndarray:
    return a.astype(np.int64) - np.int64(zero)


@pytest.mark.parametrize(
    ("left", "right"), [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")]
)
@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("columns", [1, 7])
def test_products_with_a_bias_are_exact_then_rounded(
    left: str, right: str, turned: int, columns: int, model: Any, exact: Any
) -> None:
    a, b = whole(left, 5, 333), whole(right, 333, 7)
    a_zero, b_zero, zero = whole(left, 1)[0], whole(right, columns), whole(left, 1)[0]
    b_scale = RANDOM.uniform(0.01, 0.1, columns).astype(FLOAT)
    a_scale, scale, alpha = FLOAT(0.03), FLOAT(7.3), FLOAT(1.25)
    bias = RANDOM.integers(-(2**20), 2**20, 7).astype(np.int32)
    attributes = {"transA": turned, "transB": turned, "alpha": float(alpha)}
    x, y = (a.T.copy(), b.T.copy()) if turned else (a, b)
    total = wide(a, a_zero) @ (b.astype(np.int64) - b_zero.astype(np.int64)) + bias
    factor = (alpha * a_scale) * b_scale
    inputs = [a_scale, a_zero, y, b_scale, b_zero, bias]
    case = Case("QGemm", x, inputs, attributes, domain=MICROSOFT)
    found = exact(contributed(case, model)[0], x)["y0"]
    assert found.tolist() == (total.astype(np.int32).astype(FLOAT) * factor).tolist()
    case = Case("QGemm", x, [*inputs, scale, zero], attributes, domain=MICROSOFT, outputs=[left])
    found = exact(contributed(case, model)[0], x)["y0"]
    moved = np.rint(total.astype(FLOAT) * (factor / scale)).astype(np.int64) + zero
    limits = np.iinfo(left)
    assert found.tolist() == np.clip(moved, limits.min, limits.max).tolist()


X = whole("uint8", 2, 3, 4, 4)
ZERO = np.uint8(0)
MATRIX = whole("uint8", 4, 4)


def gemm(place: int, value: Any) -> Case:
    inputs: list[Any] = [ONE, ZERO, MATRIX, ONE, ZERO, np.zeros(4, np.int32), ONE, ZERO]
    inputs[place] = value
    return Case("QGemm", MATRIX, inputs, domain=MICROSOFT, outputs=["uint8"])


def function(name: str, others: Sequence[Any], x: Any = X, **attributes: Any) -> Case:
    return Case(name, x, others, attributes, domain=MICROSOFT, outputs=["uint8"])


POINT = [ONE, ZERO]
HOSTILE = [
    (function("QLinearSigmoid", [*POINT, *POINT], X.astype(FLOAT)), "unsupported type float32"),
    (function("QLinearSigmoid", [ONE, np.int8(0), *POINT]), "unsupported type int8"),
    (function("QLinearSigmoid", [*POINT, ONE, np.int8(0)]), "unsupported type int8"),
    (function("QLinearSigmoid", [np.float16(1), ZERO, *POINT]), "unsupported type float16"),
    (function("QLinearSigmoid", [np.ones(3, FLOAT), ZERO, *POINT]), "more than one scale"),
    (function("QLinearSigmoid", POINT), "a required input is absent"),
    (function("QLinearAdd", [*POINT, X, ONE]), "a required input is absent"),
    (function("QLinearAdd", [*POINT, None, *POINT, *POINT]), "a required input is absent"),
    (function("QLinearSoftmax", [*POINT, *POINT]), "lacks attribute opset"),
    (function("QLinearSoftmax", [*POINT, *POINT], opset=-5), "unsupported operator Softmax"),
    (function("QLinearSoftmax", [*POINT, *POINT], opset=13, axis=9), "axis 9"),
    (function("QLinearAveragePool", [*POINT, *POINT]), "lacks kernel_shape"),
    (
        function("QLinearAveragePool", [*POINT, *POINT], kernel_shape=[2, 2], channels_last=1),
        "channels last",
    ),
    (function("QLinearGlobalAveragePool", [*POINT, *POINT], channels_last=1), "channels last"),
    (function("QLinearGlobalAveragePool", [*POINT, *POINT], MATRIX), "input of rank 2"),
    (function("QLinearAdd", [*POINT, X[:, :2], *POINT, *POINT]), "shapes that do not broadcast"),
    (function("QLinearAdd", [*POINT, X.view(np.int8), *POINT, *POINT]), "unsupported type"),
    (function("QLinearMul", [*POINT, X, ONE, np.zeros(3, np.uint8), *POINT]), "more than one"),
    (function("QuantizeLinear", [ONE, ZERO]), "unsupported type uint8"),
    (gemm(0, np.ones(4, FLOAT)), "more than one scale"),
    (gemm(2, MATRIX[:3]), "inner dimensions differ"),
    (gemm(2, X), "input of rank 4"),
    (gemm(3, np.ones(3, FLOAT)), "neither single nor one each column"),
    (gemm(3, np.ones(4, FLOAT)), "a zero point of another shape"),
    (gemm(5, np.zeros(4, FLOAT)), "unsupported type float32"),
    (gemm(5, np.zeros((2, 4, 4), np.int32)), "C does not broadcast"),
    (gemm(7, None), "a scale of the result without a zero point"),
]


@pytest.mark.parametrize(
    ("case", "reason"),
    [pytest.param(*each, id=f"{each[0].operator}-{i}") for i, each in enumerate(HOSTILE)],
)
def test_hostile_operators_are_refused(case: Case, reason: str, model: Any, exact: Any) -> None:
    built, x = contributed(case, model)
    with pytest.raises(ModelRejected) as refused:
        exact(built, x)
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("szxszxs", "inputs that are not tensor, scale and zero point"),
        ("szxszx", "inputs that are not tensor, scale and zero point"),
        ("szxszx s", "an input that is absent"),
        ("szxszx z", "an input that is absent"),
        ("szssz", "unsupported type float32"),
        ("s xsz", "lacks a required one"),
    ],
)
def test_hostile_parts_are_refused(names: str, reason: str, model: Any, exact: Any) -> None:
    inputs = [name.strip() for name in names]
    node = helper.make_node("QLinearConcat", inputs, ["y"], domain=MICROSOFT, axis=0)
    built = model(
        [node],
        {"y": "uint8"},
        shape=MATRIX.shape,
        dtype="uint8",
        constants={"s": ONE, "z": ZERO},
        opset=17,
    )
    built.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    with pytest.raises(ModelRejected) as refused:
        exact(built, MATRIX)
    assert reason in refused.value.reason
