"""Quantization against exact integer arithmetic, onnxruntime, and under hostile input."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from onnx import helper

from danku.evaluation.kernels import integer_products, quantization
from danku.evaluation.refusal import ModelRejected
from tests.evaluation.test_operators import Case, assert_same, build, run_peer

RANDOM = np.random.default_rng(29)
X = (RANDOM.normal(size=(4, 6)) * 50).astype(np.float32)
TIES = np.array([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], [1e9, -1e9, 3e38, -3e38, 0, -0.0]], np.float32)
FLOAT, TYPES = np.float32, {"int8": (-128, 127), "uint8": (0, 255)}
SCALES = np.array([0.5, 1.7, 0.03, 4, 0.9, 11], np.float32)
EXTREME = np.array([[np.nan, np.inf, -np.inf, 1, 0, -1]], np.float32)


def points(kind: str, size: int) -> np.ndarray:
    low, high = TYPES[kind]
    return RANDOM.integers(low, high + 1, size).astype(kind)


def whole(kind: str, *shape: int) -> np.ndarray:
    low, high = TYPES[kind]
    return RANDOM.integers(low, high, shape, endpoint=True).astype(kind)


CASES = [
    *(
        Case(
            "QuantizeLinear",
            x,
            [FLOAT(0.75), np.asarray(zero, kind)],
            {},
            (10, 13, 19, 22),
            outputs=[kind],
        )
        for x in (X, TIES)
        for kind, zero in (("uint8", 128), ("uint8", 0), ("int8", -3))
    ),
    Case("QuantizeLinear", X, [FLOAT(0.3)], {}, (10, 22), outputs=["uint8"], note="default"),
    *(
        Case(
            "QuantizeLinear", X, [SCALES, points(kind, 6)], {"axis": axis}, (13, 22), outputs=[kind]
        )
        for kind in TYPES
        for axis in (1, -1)
    ),
    Case(
        "QuantizeLinear",
        X,
        [SCALES[:4], points("int8", 4)],
        {"axis": 0},
        (13, 21),
        outputs=["int8"],
    ),
    *(
        Case(
            "DequantizeLinear",
            whole(kind, 4, 6),
            [FLOAT(0.3), np.asarray(7, kind)],
            {},
            (10, 13, 22),
        )
        for kind in TYPES
    ),
    Case("DequantizeLinear", whole("int8", 4, 6), [SCALES, points("int8", 6)], {}, (13, 22)),
    Case("DequantizeLinear", whole("int8", 4, 6), [SCALES[:4]], {"axis": 0}, (13, 22)),
    Case(
        "DequantizeLinear",
        RANDOM.integers(-(2**31), 2**31, (3, 6)).astype(np.int32),
        [FLOAT(0.1)],
        {},
        (10, 22),
    ),
    *(
        Case("DynamicQuantizeLinear", x, outputs=["uint8", "float32", "uint8"], opsets=(11, 22))
        for x in (X, np.abs(X) + 1, -np.abs(X) - 1, np.zeros((2, 3), FLOAT), TIES[0])
    ),
]


@pytest.mark.parametrize(
    ("case", "opset"),
    [
        pytest.param(case, opset, id=f"{case.identifier}-{number}-{opset}")
        for number, case in enumerate(CASES)
        for opset in case.opsets
    ],
)
def test_operators_agree_with_onnxruntime(case: Case, opset: int, model: Any, exact: Any) -> None:
    built, x = build(case, opset, model, 3)
    ours, theirs = exact(built, x), run_peer(built, x)
    for name in theirs:
        assert_same(ours[name], theirs[name])


def quantized(value: float, scale: float, zero: int, low: int, high: int) -> int:
    """By fractions, but for the one division that is rounded to float32."""
    quotient = Fraction(float(FLOAT(value) / FLOAT(scale)))
    return min(max(round(quotient) + zero, low), high)


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (np.int8, -128, 127),
        (np.uint8, 0, 255),
        (np.int16, -(2**15), 2**15 - 1),
        (np.uint16, 0, 2**16 - 1),
        (ml_dtypes.int4, -8, 7),
        (ml_dtypes.uint4, 0, 15),
        (ml_dtypes.int2, -2, 1),
        (ml_dtypes.uint2, 0, 3),
    ],
)
def test_quantizing_is_exact(kind: Any, low: int, high: int) -> None:
    dtype = np.dtype(kind)
    assert quantization.limits(dtype) == (low, high)
    x = np.concatenate([TIES[np.abs(TIES) < 1e38], (RANDOM.normal(size=500) * high).astype(FLOAT)])
    for scale in (0.5, 1.0, 0.3):
        for zero in (low, 0, 1, high):
            found = quantization.quantize(x, np.asarray(scale, FLOAT), np.int64(zero), dtype)
            expected = [quantized(float(each), scale, zero, low, high) for each in x]
            assert found.dtype == dtype
            assert found.astype(np.int64).tolist() == expected


def test_what_is_no_number_has_a_meaning(model: Any, exact: Any) -> None:
    for scale, expected in ((1.0, [0, 255, 0, 8, 7, 6]), (0.0, [0, 255, 0, 255, 0, 0])):
        case = Case("QuantizeLinear", EXTREME, [FLOAT(scale), np.uint8(7)], outputs=["uint8"])
        built, x = build(case, 13, model, 3)
        assert exact(built, x)["y0"].tolist() == [expected]


KINDS = [(left, right) for left in TYPES for right in TYPES]


def integers(a: np.ndarray, b: np.ndarray, a_zero: Any, b_zero: Any) -> np.ndarray:
    return (a.astype(np.int64) - np.int64(a_zero)) @ (b.astype(np.int64) - np.int64(b_zero))


@pytest.mark.parametrize(("left", "right"), KINDS)
@pytest.mark.parametrize("depth", [1, 255, 256, 257, 3000])
def test_integer_products_are_exact(
    left: str, right: str, depth: int, model: Any, exact: Any
) -> None:
    """The largest numbers too, where hardware that adds pairs in 16 bits saturates."""
    a, b = whole(left, 5, depth), whole(right, depth, 7)
    a[0], b[:, 0] = TYPES[left][1], TYPES[right][1]
    a[1], b[:, 1] = TYPES[left][0], TYPES[right][0]
    for a_zero, b_zero in ((None, None), (points(left, 1)[0], points(right, 7))):
        case = Case("MatMulInteger", a, [b, a_zero, b_zero], outputs=["int32"])
        case = case if a_zero is not None else Case("MatMulInteger", a, [b], outputs=["int32"])
        built, x = build(case, 10, model, 3)
        expected = integers(a, b, 0 if a_zero is None else a_zero, 0 if b_zero is None else b_zero)
        assert exact(built, x)["y0"].tolist() == expected.tolist()


def test_an_accumulator_wraps_at_32_bits() -> None:
    a, b = np.full((1, 40_000), 255, np.uint8), np.full((40_000, 1), 255, np.uint8)
    zero = np.zeros((), np.uint8)
    [[found]] = integer_products.product(a, zero, b, zero)
    assert found == (40_000 * 255 * 255 + 2**31) % 2**32 - 2**31


SHAPES = [
    ((6,), (6,)),
    ((6,), (6, 3)),
    ((2, 6), (6,)),
    ((2, 6), (6, 3)),
    ((4, 2, 6), (6, 3)),
    ((4, 2, 6), (4, 6, 3)),
]


@pytest.mark.parametrize(("first", "second"), SHAPES)
@pytest.mark.parametrize(("left", "right"), KINDS)
def test_linear_products_are_exact_then_rounded(
    first: tuple[int, ...], second: tuple[int, ...], left: str, right: str, model: Any, exact: Any
) -> None:
    a, b = whole(left, *first), whole(right, *second)
    rows, columns = (first[-2] if len(first) > 1 else 1), (second[-1] if len(second) > 1 else 1)
    a_zero, b_zero = points(left, rows), points(right, columns)
    a_scale, b_scale = SCALES[:rows], SCALES[::-1][:columns].copy()
    scale, zero = FLOAT(137.3), np.asarray(3, left)
    case = Case(
        "QLinearMatMul", a, [a_scale, a_zero, b, b_scale, b_zero, scale, zero], outputs=[left]
    )
    built, x = build(case, 10, model, 3)
    found = exact(built, x)["y0"]
    by_row, by_column = (rows, 1) if len(first) > 1 else (), (columns,) if len(second) > 1 else ()
    product = integers(a, b, a_zero.reshape(by_row), b_zero.reshape(by_column))
    low, high = TYPES[left]
    for place in np.ndindex(product.shape):
        row = place[-2 if len(second) > 1 else -1] if rows > 1 else 0
        column = place[-1] if columns > 1 else 0
        factor = (a_scale[row] * b_scale[column]) / scale
        moved = FLOAT(product[place]) * factor
        assert found[place] == quantized(float(moved), 1, 3, low, high)


@pytest.mark.parametrize("kind", [np.int16, np.uint16, ml_dtypes.int4, ml_dtypes.uint4])
def test_what_is_quantized_comes_back(kind: Any, model: Any, exact: Any) -> None:
    """By blocks, with a zero point from `output_dtype` alone."""
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    low, high = quantization.limits(np.dtype(kind))
    x = np.where(X < 0, low, high).astype(FLOAT) * np.repeat(SCALES[:3], 2)
    blocks = {"axis": 1, "block_size": 2}
    constants = {"s": np.repeat(SCALES[None, :3], 4, axis=0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=number, **blocks),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"], **blocks),
    ]
    built = model(nodes, ["y"], shape=x.shape, constants=constants, opset=21)
    assert exact(built, x)["y"].tolist() == x.tolist()


def test_half_types_are_divided_in_float32(model: Any, exact: Any) -> None:
    x = (X / 7).astype(np.float16).astype(FLOAT)
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=10),
        helper.make_node("QuantizeLinear", ["h", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Cast", ["d"], ["y"], to=1),
    ]
    constants = {"s": np.float16(0.11), "z": np.int8(5)}
    scale = FLOAT(np.float16(0.11))
    built = model(
        nodes, {"q": "int8", "y": "float32"}, shape=x.shape, constants=constants, opset=19
    )
    found = exact(built, x)
    expected = np.clip(np.rint(x / scale).astype(int) + 5, -128, 127)
    assert found["q"].tolist() == expected.tolist()
    wide = ((expected - 5).astype(FLOAT) * scale).astype(np.float16).astype(FLOAT)
    assert found["y"].tolist() == wide.tolist()


BYTES = whole("uint8", 4, 6)
ONE, ZERO = FLOAT(1), np.uint8(0)
LINEAR = [ONE, ZERO, BYTES.T.copy(), ONE, ZERO, ONE, ZERO]


def linear(place: int, value: np.ndarray) -> Case:
    others: list[Any] = list(LINEAR)
    others[place] = value
    return Case("QLinearMatMul", BYTES, others, outputs=["uint8"])


HOSTILE = [
    (Case("QuantizeLinear", X, [SCALES[:4]]), 22, "a scale that is not [6]"),
    (Case("QuantizeLinear", X, [SCALES]), 10, "more than one scale"),
    (Case("QuantizeLinear", X, [SCALES], {"axis": 2}), 22, "axis 2"),
    (Case("QuantizeLinear", X, [SCALES[None]]), 22, "a scale that is not [6]"),
    (Case("QuantizeLinear", X, [SCALES, np.uint8(0)]), 22, "a zero point of another shape"),
    (Case("QuantizeLinear", X, [np.float64(1)]), 22, "unsupported type float64"),
    (Case("QuantizeLinear", X, [np.float16(1)]), 22, "inputs of different types"),
    (Case("QuantizeLinear", X, [np.float16(1)]), 13, "unsupported type float16"),
    (Case("QuantizeLinear", X, [ONE, np.int32(0)]), 22, "unsupported type int32"),
    (Case("QuantizeLinear", X, [ONE, np.int16(0)]), 19, "unsupported type int16"),
    (Case("QuantizeLinear", X, [ONE], {"output_dtype": 1}), 22, "unsupported type float32"),
    (Case("QuantizeLinear", X, [ONE], {"output_dtype": 99}), 22, "unsupported element type"),
    (Case("QuantizeLinear", X, [ONE, ZERO], {"output_dtype": 3}), 22, "output_dtype is not"),
    (Case("QuantizeLinear", X, [ONE], {"block_size": -1}), 22, "blocks of size -1"),
    (Case("QuantizeLinear", X, [ONE], {"block_size": 2**62}), 22, "a scale that is not [4, 1]"),
    (Case("QuantizeLinear", X, [ONE], {"block_size": 2}), 19, "has no attribute block_size"),
    (Case("DequantizeLinear", X, [ONE]), 22, "unsupported type float32"),
    (Case("DequantizeLinear", BYTES, [ONE, np.int8(0)]), 22, "unsupported type int8"),
    (Case("DynamicQuantizeLinear", X[:0]), 22, "nothing to quantize"),
    (Case("DynamicQuantizeLinear", X.astype(float)), 22, "unsupported type float64"),
    (Case("MatMulInteger", BYTES, [BYTES]), 22, "inner dimensions differ"),
    (Case("MatMulInteger", BYTES, [ZERO]), 22, "input of rank 0"),
    (Case("MatMulInteger", BYTES, [X.T.copy()]), 22, "unsupported type float32"),
    (Case("MatMulInteger", BYTES, [BYTES.T.copy(), np.int8(0)]), 22, "unsupported type int8"),
    (Case("MatMulInteger", BYTES, [BYTES.T.copy(), BYTES[0]]), 22, "one for each row"),
    (Case("MatMulInteger", BYTES, [BYTES.T.copy(), ZERO, BYTES[0]]), 22, "one for each column"),
    (linear(0, SCALES), 22, "one for each row"),
    (linear(0, SCALES[:4]), 22, "a zero point of another shape"),
    (linear(3, SCALES), 22, "one for each column"),
    (linear(5, SCALES[:4]), 22, "more than one scale of the result"),
    (linear(5, np.float16(1)), 10, "unsupported type float16"),
    (linear(5, np.float16(1)), 22, "inputs of different types"),
    (linear(6, np.int32(1)), 22, "unsupported type int32"),
]


@pytest.mark.parametrize(
    ("case", "opset", "reason"),
    [pytest.param(*each, id=f"{each[0].operator}-{i}") for i, each in enumerate(HOSTILE)],
)
def test_hostile_operators_are_refused(
    case: Case, opset: int, reason: str, model: Any, exact: Any
) -> None:
    built, x = build(case, opset, model, 3)
    with pytest.raises(ModelRejected) as refused:
        exact(built, x)
    assert reason in refused.value.reason
