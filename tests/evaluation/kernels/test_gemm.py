"""Matrix products against an exact rational chain, numpy's shapes, and onnxruntime."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from danku.evaluation.kernels.epilogue import Code, Operation, epilogue
from danku.evaluation.kernels.gemm import Product, matmul, matmul_packed, pack
from danku.evaluation.kernels.threads import threads

Array = NDArray[Any]

FORMATS = {np.dtype(np.float32): (24, -149, 128), np.dtype(np.float64): (53, -1074, 1024)}


def nearest(exact: Fraction, dtype: np.dtype[Any]) -> Fraction:
    """``exact`` rounded to nearest even in an IEEE-754 format."""
    precision, lowest, highest = FORMATS[dtype]
    if exact == 0:
        return exact
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size < Fraction(2) ** exponent
    unit = Fraction(2) ** max(exponent - precision + 1, lowest)
    result = round(exact / unit) * unit
    assert abs(result) < Fraction(2) ** highest, "the sample overflows"
    return result


def chain(row: Array, column: Array) -> float:
    """Section 6 of the design in exact arithmetic, rounding where it says so."""
    total = Fraction(0)
    for start in range(0, row.size, 256):
        acc = Fraction(0)
        for a, b in zip(row[start : start + 256], column[start : start + 256], strict=True):
            acc = nearest(Fraction(float(a)) * Fraction(float(b)) + acc, row.dtype)
        total = nearest(total + acc, row.dtype)
    return float(total)


def same_bits(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def spread(seed: int, shape: tuple[int, ...], dtype: Any, width: int = 8) -> Array:
    """Numbers of very different sizes, so that another order shows."""
    random = np.random.default_rng(seed)
    scale = np.exp2(random.integers(-width, width + 1, shape))
    return (random.standard_normal(shape) * scale).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 255, 256, 257, 300, 515])
def test_every_element_is_the_exact_chain(dtype: Any, depth: int) -> None:
    a, b = spread(depth, (5, depth), dtype), spread(depth + 1, (depth, 3), dtype)
    product = matmul(a, b)
    assert product.dtype == dtype
    for i in range(5):
        for j in range(3):
            assert product[i, j] == chain(a[i], b[:, j])


@pytest.mark.parametrize(("dtype", "floor"), [(np.float32, -149), (np.float64, -1074)])
def test_the_chain_among_subnormals(dtype: Any, floor: int) -> None:
    random = np.random.default_rng(3)
    size = np.exp2(random.integers(floor // 2 - 3, floor // 2 + 12, (2, 40)))
    a, b = ((random.standard_normal(40) * size[i]).astype(dtype) for i in range(2))
    product = matmul(a, b)
    assert product == chain(a, b)
    assert 0 < abs(product) < np.finfo(dtype).tiny


@given(
    st.lists(
        st.tuples(st.floats(-4, 4, width=32), st.floats(-4, 4, width=32)), min_size=1, max_size=40
    )
)
@settings(max_examples=60, deadline=None)
def test_any_short_product_is_the_exact_chain(pairs: list[tuple[float, float]]) -> None:
    a, b = (np.array(side, np.float32) for side in zip(*pairs, strict=True))
    product = matmul(a, b)
    assert product == chain(a, b)
    assert product != 0 or not np.signbit(product)


def layouts(x: Array) -> list[Array]:
    """The same matrix in other memory."""
    buffer = bytearray(x.nbytes + 1)
    crooked = np.frombuffer(buffer, x.dtype, x.size, offset=1).reshape(x.shape)
    crooked[...] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    return [
        np.asfortranarray(x),
        x[::-1, ::-1].copy()[::-1, ::-1],
        np.repeat(x, 2, axis=1)[:, ::2],
        crooked,
        frozen,
        x.astype(x.dtype.newbyteorder(">")),
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_do_not_depend_on_layout(dtype: Any) -> None:
    a, b = spread(1, (9, 270), dtype), spread(2, (270, 21), dtype)
    expected = matmul(a, b)
    for left, right in zip(layouts(a), layouts(b), strict=True):
        assert same_bits(matmul(left, right), expected)
        assert same_bits(matmul(left, b), expected)


@given(
    st.integers(1, 13), st.sampled_from([1, 3, 260]), st.integers(1, 40), st.integers(0, 2**32 - 1)
)
@settings(max_examples=60, deadline=None)
def test_bits_do_not_depend_on_the_other_rows_and_columns(
    rows: int, depth: int, columns: int, seed: int
) -> None:
    a, b = spread(seed, (rows, depth), np.float32), spread(seed + 1, (depth, columns), np.float32)
    product = matmul(a, b)
    i, j = seed % rows, seed % columns
    assert matmul(a[i], b[:, j]).tobytes() == product[i, j].tobytes()
    assert matmul(a[: i + 1], b[:, j:]).tobytes() == product[: i + 1, j:].tobytes()
    wide = np.concatenate([b] * (300 // columns), axis=1)
    assert matmul(a, wide)[:, -columns:].tobytes() == product.tobytes()


def by_single_elements(a: Array, b: Array) -> Array:
    """Every element by a product of its own: nothing is tiled, packed or shared."""
    columns = [np.ascontiguousarray(b[:, j]) for j in range(b.shape[1])]
    return np.array([[matmul(row, column) for column in columns] for row in a], a.dtype)


@given(
    st.integers(1, 40),
    st.sampled_from([0, 1, 7, 8, 9, 255, 256, 257, 264, 511, 512, 520]),
    st.integers(1, 70),
    st.sampled_from([np.float32, np.float64]),
    st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_bits_do_not_depend_on_tiles_packing_and_threads(
    rows: int, depth: int, columns: int, dtype: Any, count: int
) -> None:
    a, b = spread(rows, (rows, depth), dtype), spread(columns, (depth, columns), dtype)
    expected = by_single_elements(a, b)
    with pytest.MonkeyPatch.context() as patch, threads(count):
        patch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
        assert same_bits(matmul(a, b), expected)
        assert same_bits(matmul_packed(a, pack(b)), expected)


@pytest.mark.parametrize("rows", [251, 252, 253, 255, 256, 257, 258, 263, 264, 511, 513])
@pytest.mark.parametrize("columns", [3, 255, 256, 257, 288, 300])
def test_every_cut_of_rows_and_columns(rows: int, columns: int) -> None:
    a, b = spread(rows, (rows, 3), np.float32), spread(columns, (3, columns), np.float32)
    whole = matmul(a, b)
    assert same_bits(matmul_packed(a, pack(b)), whole)
    parts = [matmul(a[i : i + 5], b) for i in range(0, rows, 5)]
    assert same_bits(np.concatenate(parts), whole)
    slices = [matmul(a, b[:, j : j + 7]) for j in range(0, columns, 7)]
    assert same_bits(np.concatenate(slices, axis=1), whole)


@pytest.mark.parametrize("shape", [(40, 300, 70), (300, 20, 5), (5, 20, 300), (1, 600, 600)])
@pytest.mark.parametrize("stack", [(), (1,), (5,), (2, 3)])
def test_threads_take_any_side(stack: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    rows, depth, columns = shape
    a, b = (
        spread(1, (*stack, rows, depth), np.float32),
        spread(2, (*stack, depth, columns), np.float32),
    )
    expected = matmul(a, b)
    for count in (2, 3):
        with threads(count):
            assert same_bits(matmul(a, b), expected)


@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (0,), (2, 0, 3)])
def test_a_packed_matrix_multiplies_any_rows(leading: tuple[int, ...]) -> None:
    a, b = spread(1, (*leading, 20), np.float32), spread(2, (20, 9), np.float32)
    assert same_bits(matmul_packed(a, pack(b)), matmul(a, b))


@pytest.mark.parametrize("columns", [5, 32, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_follows_a_product_is_done_step_by_step(columns: int, dtype: Any) -> None:
    a, b = spread(1, (70, 300), dtype), spread(2, (300, columns), dtype)
    v, other = spread(3, (columns,), dtype), spread(4, (70, columns), dtype)
    operations = [
        Operation(Code.MULTIPLY, 0.3),
        Operation(Code.ADD, v),
        Operation(Code.ADD_TENSOR),
        Operation(Code.SUBTRACT, v),
        Operation(Code.DIVIDE, v),
        Operation(Code.RELU),
        Operation(Code.MINIMUM, v),
    ]
    steps = epilogue(operations, columns, dtype)
    expected = ((matmul(a, b) * dtype(0.3) + v) + other - v) / v
    expected = np.minimum(np.where(expected <= 0, dtype(0), expected), v)
    for right in (b.shape, pack(b)):
        product = Product(a.shape, right, np.dtype(dtype), steps)
        given_b = b if isinstance(right, tuple) else None
        for count in (1, 2):
            with threads(count):
                assert same_bits(product.run(a, given_b, other), expected)


SHAPES = [
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (1, 5, 3, 1)),
    ((0, 3), (3, 4)),
    ((2, 0), (0, 4)),
    ((2, 3), (3, 0)),
    ((0, 2, 3), (3, 4)),
    ((0, 2, 3), (1, 3, 4)),
]


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int32", "uint64"])
def test_shapes_and_small_values_are_numpys(
    left: tuple[int, ...], right: tuple[int, ...], dtype: str
) -> None:
    random = np.random.default_rng(0)
    a, b = (random.integers(0, 5, shape).astype(dtype) for shape in (left, right))
    product, expected = matmul(a, b), np.matmul(a, b)
    assert product.shape == expected.shape
    assert product.dtype == expected.dtype
    assert np.array_equal(product, expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_integers_wrap_exactly(dtype: str) -> None:
    random, limits = np.random.default_rng(5), np.iinfo(dtype)
    a, b = (
        random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        for shape in ((6, 300), (300, 5))
    )
    exact = a.astype(object) @ b.astype(object)
    wrapped = [(int(v) - limits.min) % 2**limits.bits + limits.min for v in exact.reshape(-1)]
    assert matmul(a, b).reshape(-1).tolist() == wrapped


def test_float16_is_computed_in_float32_and_rounded() -> None:
    a, b = spread(1, (4, 300), np.float16, 2), spread(2, (300, 6), np.float16, 2)
    expected = matmul(a.astype(np.float32), b.astype(np.float32)).astype(np.float16)
    assert same_bits(matmul(a, b), expected)
    huge = np.array([60000, 60000], np.float16)
    assert matmul(huge, np.ones(2, np.float16)) == np.inf


def test_infinities_and_nan_stay_in_their_row_and_column() -> None:
    a, b = spread(1, (6, 9), np.float32), spread(2, (9, 5), np.float32)
    clean = matmul(a, b)
    a[2, 3], b[4, 1] = np.inf, np.nan
    product = matmul(a, b)
    assert np.isnan(product[:, 1]).all()
    assert np.isinf(product[2, [0, 2, 3, 4]]).all()
    rest = np.ix_([0, 1, 3, 4, 5], [0, 2, 3, 4])
    assert same_bits(product[rest], clean[rest])


def test_padding_k_with_zeros_changes_nothing_within_a_block() -> None:
    a, b = spread(1, (3, 100), np.float32), spread(2, (100, 7), np.float32)
    padded = matmul(np.pad(a, ((0, 0), (0, 60))), np.pad(b, ((0, 60), (0, 0))))
    assert same_bits(padded, matmul(a, b))


@pytest.mark.parametrize(
    ("a", "b", "error"),
    [
        (np.ones((2, 3), np.float32), np.ones((3, 2)), TypeError),
        (np.ones((2, 3), bool), np.ones((3, 2), bool), TypeError),
        (np.ones((2, 3)), np.ones((2, 3)), ValueError),
        (np.ones(()), np.ones(3), ValueError),
        (np.ones((2, 2, 3)), np.ones((3, 3, 2)), ValueError),
    ],
)
def test_operands_that_do_not_fit_are_refused(a: Array, b: Array, error: type[Exception]) -> None:
    with pytest.raises(error):
        matmul(a, b)


@pytest.mark.parametrize(("rows", "depth", "columns"), [(1, 30, 1), (7, 300, 10), (64, 1000, 33)])
def test_agrees_with_onnxruntime(rows: int, depth: int, columns: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    inputs = [
        helper.make_tensor_value_info("a", TensorProto.FLOAT, [rows, depth]),
        helper.make_tensor_value_info("b", TensorProto.FLOAT, [depth, columns]),
    ]
    output = helper.make_tensor_value_info("c", TensorProto.FLOAT, [rows, columns])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])], "product", inputs, [output]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    random = np.random.default_rng(0)
    a = random.standard_normal((rows, depth), np.float32)
    b = random.standard_normal((depth, columns), np.float32)
    theirs = session.run(None, {"a": a, "b": b})[0]
    assert np.allclose(matmul(a, b), theirs, rtol=1e-5, atol=1e-5 * np.sqrt(depth))
