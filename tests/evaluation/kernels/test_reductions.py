"""Reductions against plain Python loops over the reduced coordinates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from danku.evaluation.kernels import reductions
from danku.evaluation.kernels.rejection import RuntimeRejection, ZeroDivisor

Array = NDArray[Any]
INF, NAN = math.inf, math.nan


def spread(seed: int, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) * np.exp2(random.integers(-30, 30, shape))).astype(dtype)


def elements(x: Array, axes: Sequence[int]) -> dict[tuple[int, ...], list[Any]]:
    """The elements of each group, in C order of the reduced coordinates."""
    reduced = sorted(axis % x.ndim for axis in axes)
    kept = [axis for axis in range(x.ndim) if axis not in reduced]
    groups: dict[tuple[int, ...], list[Any]] = {}
    for outer in itertools.product(*(range(x.shape[axis]) for axis in kept)):
        groups[outer] = []
        for inner in itertools.product(*(range(x.shape[axis]) for axis in reduced)):
            place = dict(zip(kept, outer, strict=True)) | dict(zip(reduced, inner, strict=True))
            groups[outer].append(x[tuple(place[axis] for axis in range(x.ndim))].item())
    return groups


def in_order(terms: Sequence[float]) -> float:
    accumulator = 0.0
    for term in terms:
        accumulator += term
    return accumulator


EVERY_AXES = [axes for count in range(4) for axes in itertools.combinations(range(3), count)]


@pytest.mark.parametrize("axes", EVERY_AXES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_and_norms_take_the_elements_in_order(axes: tuple[int, ...], dtype: Any) -> None:
    x = spread(1, (5, 7, 11), dtype)
    total = reductions.total(x, axes, keepdims=False)
    mean = reductions.mean(x, axes, keepdims=False)
    l1 = reductions.l1_norm(x, axes, keepdims=False)
    l2 = reductions.l2_norm(x, axes, keepdims=False)
    for place, terms in elements(x, axes).items():
        assert total[place] == dtype(in_order(terms))
        assert mean[place] == dtype(in_order(terms) / len(terms))
        assert l1[place] == dtype(in_order([abs(term) for term in terms]))
        assert l2[place] == dtype(math.sqrt(in_order([term * term for term in terms])))


def test_the_order_of_the_axes_argument_is_irrelevant_and_negatives_count_from_the_end() -> None:
    x = spread(2, (4, 5, 6))
    assert (
        reductions.total(x, (2, 0), keepdims=False).tobytes()
        == reductions.total(x, (-3, -1), keepdims=False).tobytes()
    )


@pytest.mark.parametrize("axes", EVERY_AXES)
@pytest.mark.parametrize(
    "function",
    [
        reductions.total,
        reductions.mean,
        reductions.maximum,
        reductions.minimum,
        reductions.l1_norm,
        reductions.l2_norm,
    ],
)
def test_shapes_types_and_layouts(function: Any, axes: tuple[int, ...]) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        x = spread(3, (4, 5, 6)).astype(dtype) if dtype != np.float16 else np.ones((4, 5, 6), dtype)
        for keepdims in (True, False):
            expected = x.sum(axis=axes, keepdims=keepdims)
            result = function(x, axes, keepdims)
            assert result.shape == expected.shape
            assert result.dtype == dtype
            for other in (np.asfortranarray(x), x[::-1].copy()[::-1], np.repeat(x, 2, 2)[..., ::2]):
                assert function(other, axes, keepdims).tobytes() == result.tobytes()


@given(st.integers(1, 9), st.integers(1, 70), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_groups_do_not_influence_one_another(outer: int, n: int, inner: int, seed: int) -> None:
    x = spread(seed, (outer, n, inner))
    i, j = seed % outer, seed % inner
    alone = np.ascontiguousarray(x[i, :, j])
    for function in (reductions.total, reductions.mean, reductions.maximum, reductions.l2_norm):
        whole = function(x, (1,), keepdims=False)
        assert whole[i, j].tobytes() == function(alone, (0,), keepdims=False).tobytes()
    soft, log_soft = reductions.softmax(x, 1), reductions.log_softmax(x, 1)
    assert soft[i, :, j].tobytes() == reductions.softmax(alone, 0).tobytes()
    assert log_soft[i, :, j].tobytes() == reductions.log_softmax(alone, 0).tobytes()


def test_the_sum_is_rounded_once() -> None:
    x = np.array([2.0**24, 1.0, 1.0], np.float32)
    assert reductions.total(x, (0,), keepdims=False) == 2.0**24 + 2
    x = np.array([1.0, 2.0**-60, -1.0])
    assert reductions.total(x, (0,), keepdims=False) == 0
    third = np.array([1.0, 0.0, 0.0], np.float32)
    assert reductions.mean(third, (0,), keepdims=False) == np.float32(1 / 3)


def test_sums_over_nothing_and_of_negative_zeros() -> None:
    empty = np.ones((2, 0), np.float32)
    assert reductions.total(empty, (1,), keepdims=False).tolist() == [0.0, 0.0]
    assert np.isnan(reductions.mean(empty, (1,), keepdims=False)).all()
    assert reductions.total(empty, (0,), keepdims=False).shape == (0,)
    assert reductions.maximum(empty, (1,), keepdims=False).tolist() == [-INF, -INF]
    assert reductions.minimum(empty, (1,), keepdims=False).tolist() == [INF, INF]
    zeros = np.full((2, 3), -0.0, np.float32)
    assert not np.signbit(reductions.total(zeros, (1,), keepdims=False)).any()
    assert not np.signbit(reductions.total(zeros, (), keepdims=False)).any()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_integer_sums_wrap_and_means_truncate(dtype: str) -> None:
    limits = np.iinfo(dtype)
    random = np.random.default_rng(4)
    x = random.integers(limits.min, limits.max, (6, 50), dtype, endpoint=True)
    sums = reductions.total(x, (1,), keepdims=False)
    means = reductions.mean(x, (1,), keepdims=False)
    assert sums.dtype == means.dtype == np.dtype(dtype)
    for row, found, average in zip(x.tolist(), sums.tolist(), means.tolist(), strict=True):
        assert found == (sum(row) - limits.min) % 2**limits.bits + limits.min
        if limits.bits < 64:
            assert average == int(math.copysign(abs(sum(row)) // 50, sum(row)))
    with pytest.raises(ZeroDivisor):
        reductions.mean(np.ones((2, 0), dtype), (1,), keepdims=False)


# NaN of either sign, zeros of either sign, ties
POOL = st.sampled_from([NAN, -NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 2.0**-149])


def larger(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return NAN
    if a == b == 0:
        return 0.0 if math.copysign(1, a) + math.copysign(1, b) >= 0 else -0.0
    return max(a, b)


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=POOL))
@settings(max_examples=200, deadline=None)
def test_extremes_spell_out_nan_and_zeros(x: Array) -> None:
    largest = reductions.maximum(x, (1,), keepdims=False)
    smallest = reductions.minimum(x, (1,), keepdims=False)
    for row, high, low in zip(x.tolist(), largest.tolist(), smallest.tolist(), strict=True):
        expected_high, expected_low = row[0], row[0]
        for value in row[1:]:
            expected_high = larger(expected_high, value)
            expected_low = -larger(-expected_low, -value)
        assert repr(abs(high) if math.isnan(high) else high) == repr(
            abs(expected_high) if math.isnan(expected_high) else expected_high
        )
        assert repr(abs(low) if math.isnan(low) else low) == repr(
            abs(expected_low) if math.isnan(expected_low) else expected_low
        )


def test_extremes_of_integers_and_bool() -> None:
    x = np.array([[3, -7, 5]], np.int8)
    assert reductions.maximum(x, (1,), keepdims=True).tolist() == [[5]]
    assert reductions.minimum(x, (1,), keepdims=True).tolist() == [[-7]]
    assert reductions.maximum(x[:, :0], (1,), keepdims=False).tolist() == [-128]
    assert reductions.minimum(x[:, :0], (1,), keepdims=False).tolist() == [127]
    flags = np.array([[True, False], [False, False]])
    assert reductions.maximum(flags, (1,), keepdims=False).tolist() == [True, False]
    assert reductions.minimum(flags, (0,), keepdims=False).tolist() == [False, False]


@pytest.mark.parametrize(
    ("row", "first", "last"),
    [
        ([1.0, 3.0, 3.0, 2.0], 1, 2),
        ([-0.0, 0.0, -1.0], 0, 1),
        ([1.0, NAN, INF, NAN], 1, 3),
        ([-INF, -INF], 0, 1),
        ([5.0], 0, 0),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_argmax_ties(row: list[float], first: int, last: int, dtype: Any) -> None:
    x = np.array([row, row], dtype)
    for array, axis in ((x, 1), (x, -1), (x.T, 0)):
        assert reductions.argmax(array, axis).tolist() == [first, first]
        assert reductions.argmax(array, axis, select_last=True).tolist() == [last, last]
    assert reductions.argmax(x, 1).dtype == np.int64


def test_argmax_of_long_rows_and_of_nothing() -> None:
    x = np.zeros(1000, np.float32)
    x[[400, 700]] = 1
    assert reductions.argmax(x, 0) == 400
    assert reductions.argmax(x, 0, select_last=True) == 700
    with pytest.raises(RuntimeRejection) as caught:
        reductions.argmax(np.ones((2, 0)), 1)
    assert caught.value.reason == "arg-max over an axis of length 0"


@pytest.mark.parametrize("width", [1, 2, 3, 10, 17, 300])
def test_softmax_is_all_but_correctly_rounded(width: int) -> None:
    x = (np.random.default_rng(width).standard_normal((40, width)) * 9).astype(np.float32)
    soft, log_soft = reductions.softmax(x, 1), reductions.log_softmax(x, -1)
    for row, found, found_log in zip(x.tolist(), soft, log_soft, strict=True):
        powers = [math.exp(value - max(row)) for value in row]
        whole = math.fsum(powers)
        exact = np.array([power / whole for power in powers])
        exact_log = np.array([value - max(row) - math.log(whole) for value in row])
        units = np.spacing(np.maximum(exact, 2.0**-126).astype(np.float32))
        assert (np.abs(found - exact) <= 0.5001 * units).all()
        assert np.allclose(found_log, exact_log, rtol=6e-8, atol=1e-15)


def test_softmax_special_values() -> None:
    x = np.array([[0, -INF, 0], [INF, 0, 0], [NAN, 0, 0], [-INF] * 3, [3e38, -3e38, 3e38]])
    soft = reductions.softmax(x.astype(np.float32), 1)
    assert soft[[0, 4]].tolist() == [[0.5, 0.0, 0.5], [0.5, 0.0, 0.5]]
    assert np.isnan(soft[1:4]).all()
    log_soft = reductions.log_softmax(x.astype(np.float32), 1)
    assert log_soft[0].tolist() == [np.float32(-math.log(2)), -INF, np.float32(-math.log(2))]
    assert np.isnan(log_soft[1:4]).all()
    assert reductions.softmax(np.ones((3, 0), np.float16), 1).shape == (3, 0)
    assert reductions.softmax(np.ones((1, 2), np.float16), 1).dtype == np.float16


@pytest.mark.parametrize("axis", [0, 1, 2, -2])
def test_softmax_along_any_axis(axis: int) -> None:
    x = spread(6, (3, 4, 5))
    moved = np.moveaxis(reductions.softmax(np.moveaxis(x, axis, -1).copy(), -1), -1, axis)
    result = reductions.softmax(x, axis)
    assert result.flags.c_contiguous
    assert np.array_equal(result, moved)


def test_what_is_not_a_number_is_refused() -> None:
    flags = np.array([True, False])
    for function in (reductions.total, reductions.mean, reductions.l1_norm, reductions.l2_norm):
        with pytest.raises(TypeError):
            function(flags, (0,), keepdims=False)
    with pytest.raises(TypeError):
        reductions.softmax(np.array([1, 2]), 0)
    with pytest.raises(ValueError, match="axis"):
        reductions.total(np.ones(3), (1,), keepdims=False)


def test_arrays_without_dimensions() -> None:
    x = np.array(-2.0, np.float32)
    for function in (reductions.total, reductions.mean, reductions.maximum, reductions.minimum):
        assert function(x, (), keepdims=True).tolist() == -2.0
    assert reductions.l2_norm(x, (), keepdims=False).tolist() == 2.0
