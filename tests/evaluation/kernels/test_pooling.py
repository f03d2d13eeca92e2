"""Pooling against windows walked one element at a time."""

from __future__ import annotations

from itertools import product
from math import inf, isnan, prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from danku.evaluation.kernels import pooling
from danku.evaluation.kernels.pooling import Windows
from danku.evaluation.kernels.threads import threads

Array = NDArray[Any]
SPECIAL = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, -1.0])


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Windows]:
    def three(low: int, high: int) -> tuple[int, int, int]:
        first, second, third = (draw(st.integers(low, high)) for _ in range(3))
        return first, second, third

    sizes, kernel, dilations, before = three(1, 6), three(1, 4), three(1, 3), three(0, 3)
    windows = Windows(sizes, kernel, three(1, 3), dilations, before, three(1, 5))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (2, 2, *sizes)
    x = random.standard_normal(shape)
    x = np.where(random.random(shape) < 0.3, random.choice(SPECIAL, shape), x)
    return x.astype(draw(st.sampled_from([np.float32, np.float64]))), windows


def met(windows: Windows, output: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The places that an output covers, in C order."""
    lines = [
        [i for j in range(kernel) if 0 <= (i := o * stride - before + j * dilation) < size]
        for o, size, kernel, stride, dilation, before in zip(
            output,
            windows.sizes,
            windows.kernel,
            windows.strides,
            windows.dilations,
            windows.before,
            strict=True,
        )
    ]
    return list(product(*lines))


def covered(x: Array, windows: Windows) -> Any:
    """For each output: its place, and the places and values of what it covers, in C order."""
    for plane in product(range(2), range(2)):
        for output in product(*map(range, windows.counts)):
            places = met(windows, output)
            yield (*plane, *output), places, [float(x[(*plane, *place)]) for place in places]


@given(cases())
@settings(max_examples=60, deadline=None)
def test_maxima(case: tuple[Array, Windows]) -> None:
    x, windows = case
    result = pooling.largest(x, windows)
    for output, _, values in covered(x, windows):
        if any(map(isnan, values)):
            assert isnan(result[output])
            continue
        best = max(values, default=-inf)
        positive = any(value == 0 and not np.signbit(value) for value in values)
        assert result[output] == best
        assert best != 0 or np.signbit(result[output]) != positive


@given(cases(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_places_of_maxima(case: tuple[Array, Windows], column_major: bool) -> None:
    x, windows = case
    result = pooling.where_largest(x, windows, column_major=column_major)
    size = prod(windows.sizes)
    order = "F" if column_major else "C"
    for output, places, values in covered(x, windows):
        if not values:
            assert result[output] == -1
            continue
        first = places[int(np.argmax(values))]
        plane = (output[0] * 2 + output[1]) * size
        assert result[output] == plane + np.ravel_multi_index(first, windows.sizes, order=order)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_sums_are_one_accumulator_in_order(case: tuple[Array, Windows]) -> None:
    x, windows = case
    result = pooling.sums(x, windows)
    assert result.dtype == np.float64
    for output, _, values in covered(x, windows):
        total = 0.0
        for value in values:
            total += value
        assert result[output] == total or (isnan(total) and isnan(result[output]))


@pytest.mark.parametrize("run", [pooling.largest, pooling.sums])
def test_threads_change_nothing(run: Any) -> None:
    x = np.random.default_rng(1).standard_normal((3, 7, 1, 40, 40)).astype(np.float32)
    windows = Windows((1, 40, 40), (1, 3, 3), (1, 2, 2), (1, 1, 1), (0, 1, 1), (1, 20, 20))
    alone = run(x, windows)
    with pytest.MonkeyPatch.context() as patch, threads(3):
        patch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
        assert run(x, windows).tobytes() == alone.tobytes()


@pytest.mark.parametrize("together", [0, 2**15])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(1, 1, 1), (2, 2, 1), (2, 3, 1), (3, 3, 1), (2, 3, 2)]
)
def test_windows_side_by_side(
    kernel: int, stride: int, dilation: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that are pooled as one give what each gives by itself."""
    monkeypatch.setattr(pooling, "TOGETHER", together)
    random = np.random.default_rng(kernel * stride)
    x = random.choice([0.0, -0.0, 1.0, -2.0, np.nan, np.inf], (2, 3, 1, 7, 6 * stride))
    windows = Windows(
        (1, 7, 6 * stride),
        (1, 2, kernel),
        (1, 2, stride),
        (1, 1, dilation),
        (0, 1, 0),
        (1, 4, 6),
    )
    found = pooling.largest(x.astype(np.float32), windows)
    for place in np.ndindex(*found.shape):
        n, c, _, h, w = place
        lines = x[n, c, 0, max(0, 2 * h - 1) : 2 * h + 1]
        seen = lines[:, w * stride : w * stride + (kernel - 1) * dilation + 1 : dilation]
        expected = np.nan if np.isnan(seen).any() else seen.max()
        assert np.array_equal(found[place], np.float32(expected), equal_nan=True)
        if expected == 0:
            assert np.signbit(found[place]) == np.signbit(seen[seen == 0]).all()
