"""Convolutions against the product that defines them, however they are laid out, cut and shared."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from danku.evaluation.kernels import convolution, gemm
from danku.evaluation.kernels.convolution import Convolution, pack
from danku.evaluation.kernels.epilogue import Code, Operation, epilogue
from danku.evaluation.kernels.layout import Axis, Layout
from danku.evaluation.kernels.threads import threads

Array = NDArray[Any]
Axes = tuple[Axis, Axis, Axis]
ALONE = Axis(1, 1, (0,), 1)


def spread(seed: int, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Numbers of very different sizes, so that another order shows."""
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) * np.exp2(random.integers(-8, 9, shape))).astype(dtype)


def axis(size: int, kernel: int, stride: int = 1, dilation: int = 1, before: int = 0) -> Axis:
    """Padded alike on both sides."""
    count = (size + 2 * before - (kernel - 1) * dilation - 1) // stride + 1
    return Axis(size, stride, tuple(j * dilation - before for j in range(kernel)), count)


def patches(x: Array, axes: Axes) -> Array:
    """What every output meets: [images, channels, kernel, outputs]."""
    places = list(product(*(axis.positions for axis in axes)))
    outputs = list(product(*(range(axis.count) for axis in axes)))
    met = np.zeros((*x.shape[:2], len(places), len(outputs)), x.dtype)
    for k, place in enumerate(places):
        for j, output in enumerate(outputs):
            at = [o * axis.step + p for o, axis, p in zip(output, axes, place, strict=True)]
            if all(0 <= i < axis.size for i, axis in zip(at, axes, strict=True)):
                met[:, :, k, j] = x[(slice(None), slice(None), *at)]
    return met


def expected(x: Array, weights: Array, axes: Axes) -> Array:
    """[images, channels, depth, height, width] by `gemm.matmul`."""
    images, (groups, rows, depth) = len(x), weights.shape
    met = patches(x, axes).reshape(images, groups, depth, -1)
    counts = [axis.count for axis in axes]
    return gemm.matmul(weights[np.newaxis], met).reshape(images, groups * rows, *counts)


def convolved(x: Array, weights: Array, axes: Axes, **more: Any) -> Array:
    shape = (len(x), weights.shape[0] * weights.shape[1], *(axis.count for axis in axes))
    out = np.full(shape, np.nan, x.dtype)
    steps, other = more.get("steps"), more.get("other")
    Convolution(pack(weights), axes, x.shape, shape, steps).run(x, out, other)
    return out


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Array, Axes]:
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    images, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    channels, rows = draw(st.integers(1, 4)), draw(st.integers(1, 19))
    axes = []
    for _ in range(3):
        kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        dilation, before = draw(st.integers(1, 3)), draw(st.integers(0, 4))
        least = max(1, (kernel - 1) * dilation + 1 - 2 * before)
        axes.append(axis(draw(st.integers(least, least + 5)), kernel, stride, dilation, before))
    depth = channels * prod(len(each.positions) for each in axes)
    seed = draw(st.integers(0, 2**32 - 1))
    sizes = [each.size for each in axes]
    return (
        spread(seed, (images, groups * channels, *sizes), dtype),
        spread(seed + 1, (groups, rows, depth), dtype),
        (axes[0], axes[1], axes[2]),
    )


@given(cases())
@settings(max_examples=80, deadline=None)
def test_any_convolution_is_its_product(case: tuple[Array, Array, Axes]) -> None:
    x, weights, axes = case
    wanted = expected(x, weights, axes)
    assert convolved(x, weights, axes).tobytes() == wanted.tobytes()


@given(cases(), st.integers(2, 3), st.sampled_from([1, 300, 5_000]))
@settings(max_examples=40, deadline=None)
def test_bits_do_not_depend_on_threads_and_batches(
    case: tuple[Array, Array, Axes], count: int, cached: int
) -> None:
    x, weights, axes = case
    alone = convolved(x, weights, axes)
    with pytest.MonkeyPatch.context() as patch, threads(count):
        patch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
        patch.setattr(convolution, "CACHED_BYTES", cached)
        assert convolved(x, weights, axes).tobytes() == alone.tobytes()
    for image in range(len(x)):
        single = convolved(x[image : image + 1], weights, axes)
        assert single.tobytes() == alone[image : image + 1].tobytes()


@given(cases())
@settings(max_examples=40, deadline=None)
def test_gathering_gives_the_same_bits(case: tuple[Array, Array, Axes]) -> None:
    x, weights, axes = case
    alone = convolved(x, weights, axes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "MOST_LAID_OUT", 0)
        patch.setattr(convolution, "ROOM", 0)
        assert convolved(x, weights, axes).tobytes() == alone.tobytes()


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 255, 257, 300])
@pytest.mark.parametrize(("size", "channels"), [(5, 29), (17, 30), (24, 1)])
def test_every_cut_of_rows_columns_and_blocks(rows: int, size: int, channels: int) -> None:
    x = spread(rows, (1, channels, 1, size, size))
    axes = (ALONE, axis(size, 3, before=1), axis(size, 3, before=1))
    weights = spread(rows + 1, (1, rows, 9 * channels))
    assert convolved(x, weights, axes).tobytes() == expected(x, weights, axes).tobytes()


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_one_channel_for_each_group(stride: int) -> None:
    x = spread(1, (2, 40, 1, 9, 33))
    axes = (ALONE, axis(9, 3, stride, before=1), axis(33, 5, stride, before=2))
    weights = spread(2, (40, 1, 15))
    assert convolved(x, weights, axes).tobytes() == expected(x, weights, axes).tobytes()


def separately(x: Array, operations: list[Operation], other: Array) -> Array:
    """An epilogue in numpy, one operation after another; channels are axis 1."""
    for operation in operations:
        values = np.asarray(operation.values, x.dtype)
        v = values.reshape(1, -1, 1, 1, 1) if values.ndim else values
        x = {
            Code.ADD: lambda x, v: x + v,
            Code.SUBTRACT: lambda x, v: x - v,
            Code.MULTIPLY: lambda x, v: x * v,
            Code.DIVIDE: lambda x, v: x / v,
            Code.MAXIMUM: np.maximum,
            Code.MINIMUM: np.minimum,
            Code.RELU: lambda x, v: np.where(x <= 0, x.dtype.type(0), x),
            Code.LEAKY_RELU: lambda x, v: np.where(x < 0, v * x, x),
            Code.ADD_TENSOR: lambda x, v: x + other,
            Code.NUMBER: lambda x, v: np.where(np.isnan(x), v, x),
        }[operation.code](x, v)
    return x


@given(
    st.lists(st.sampled_from(list(Code)), max_size=5).filter(
        lambda codes: codes.count(Code.ADD_TENSOR) < 2
    ),
    st.sampled_from([np.float32, np.float64]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_follows_is_done_step_by_step(codes: list[Code], dtype: Any, far: bool) -> None:
    x = spread(3, (2, 3, 1, 6, 21), dtype)
    axes = (ALONE, axis(6, 3, before=1), axis(21, 3, 2))
    weights = spread(4, (1, 11, 27), dtype)
    plain = convolved(x, weights, axes)
    other = spread(5, plain.shape, dtype)
    operations = [
        Operation(code, 0.0 if code == Code.RELU else spread(i, (11,), dtype))
        for i, code in enumerate(codes)
    ]
    steps = epilogue(operations, 11, dtype)
    with pytest.MonkeyPatch.context() as patch:
        if far:
            patch.setattr(convolution, "MOST_LAID_OUT", -1)
        result = convolved(x, weights, axes, steps=steps, other=other)
    assert result.tobytes() == separately(plain, operations, other).tobytes()


def test_special_values_of_what_follows() -> None:
    x = np.array([np.nan, -np.inf, np.inf, -1.0, 2.0, 0.0], np.float32).reshape(1, 1, 1, 1, 6)
    axes, one = (ALONE, ALONE, axis(6, 1)), np.ones((1, 1, 1), np.float32)

    def after(*operations: Operation) -> list[float]:
        steps = epilogue(operations, 1, np.float32)
        return convolved(x, one, axes, steps=steps)[0, 0, 0, 0].tolist()

    assert str(after(Operation(Code.RELU))) == "[nan, 0.0, inf, 0.0, 2.0, 0.0]"
    assert str(after(Operation(Code.MINIMUM, -0.0))) == "[nan, -inf, -0.0, -1.0, -0.0, -0.0]"
    assert str(after(Operation(Code.MAXIMUM, -0.0))) == "[nan, -0.0, inf, -0.0, 2.0, 0.0]"
    assert str(after(Operation(Code.MAXIMUM, np.nan))) == str([np.nan] * 6)
    assert str(after(Operation(Code.NUMBER, 3.0))) == "[3.0, -inf, inf, -1.0, 2.0, 0.0]"
    assert str(after(Operation(Code.LEAKY_RELU, -0.0))) == "[nan, nan, inf, 0.0, 2.0, 0.0]"


def test_padding_takes_part() -> None:
    x, weights = np.ones((1, 1, 1, 1, 2), np.float32), np.array([[[1, np.inf]]], np.float32)
    result = convolved(x, weights, (ALONE, ALONE, axis(2, 2, before=1)))
    assert np.isinf(result[..., :2]).all()
    assert np.isnan(result[..., 2]).all()


def test_nothing_to_add_gives_zeros() -> None:
    weights = np.empty((2, 3, 0), np.float32)
    axes = (ALONE, ALONE, Axis(4, 1, (), 5))
    result = convolved(np.ones((1, 2, 1, 1, 4), np.float32), weights, axes)
    assert result.shape == (1, 6, 1, 1, 5)
    assert not result.any()


def test_outputs_may_lie_apart() -> None:
    x, weights = spread(1, (1, 2, 1, 4, 4)), spread(2, (1, 3, 2))
    axes = (ALONE, Axis(4, 1, (0,), 4, 1, 2), Axis(4, 1, (0,), 4, 2, 3))
    out = np.zeros((1, 3, 1, 9, 14), np.float32)
    Convolution(pack(weights), axes, x.shape, out.shape).run(x, out)
    plain = convolved(x, weights, (ALONE, axis(4, 1), axis(4, 1)))
    assert out[..., 1::2, 2::3].tobytes() == plain.tobytes()
    out[..., 1::2, 2::3] = 0
    assert not out.any()


@pytest.mark.parametrize(
    "axes",
    [
        (ALONE, ALONE, axis(3, 2, dilation=10**9, before=10**9 // 2)),
        (ALONE, axis(2_000, 1_999), axis(1, 1, before=1_000)),
        (axis(1, 1, before=60), axis(60, 60), axis(60, 60)),
    ],
)
def test_no_geometry_needs_much_memory(axes: Axes) -> None:
    import tracemalloc

    x = np.ones((1, 1, *(each.size for each in axes)), np.float32)
    depth = prod(len(each.positions) for each in axes)
    weights = np.ones((1, 1, depth), np.float32)
    tracemalloc.start()
    result = convolved(x, weights, axes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**25
    assert 0 <= result.max() <= depth


def test_a_layout_holds_each_element_once() -> None:
    where = Layout(2, (ALONE, axis(56, 3, before=1), axis(56, 3, before=1)))
    assert where.extents == (1, 57, 57)
    assert where.columns == 57 * 57 + 55 * 57 + 56
    halved = Layout(1, (ALONE, axis(224, 7, 2, before=3), axis(224, 7, 2, before=3)))
    assert len(halved.planes) == 4
    assert halved.extents == (1, 114, 114)
    assert Layout(1, (ALONE, ALONE, axis(56, 1, 2))).planes.tolist() == [[0, 0, 0, 1, 1, 28]]
