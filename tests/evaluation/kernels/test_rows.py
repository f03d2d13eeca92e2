"""Softmax and layer normalisation of rows, against their definition one operation at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.evaluation.kernels import functions, rows
from danku.evaluation.kernels.threads import threads


def in_order(values: np.ndarray) -> float:
    """One float64 accumulator from +0."""
    return float(np.cumsum(np.concatenate([[0.0], values]))[-1])


def softmax(row: np.ndarray, *, logarithmic: bool) -> np.ndarray:
    wide, largest = row.astype(np.float64), -np.inf
    for value in wide:
        largest = value if value > largest else largest
    powers = functions.exp(wide - largest)
    total = in_order(powers)
    if logarithmic:
        return ((wide - largest) - functions.log(np.array([total]))).astype(row.dtype)
    return (powers / total).astype(row.dtype)


def layer_norm(
    row: np.ndarray, scale: np.ndarray, bias: np.ndarray | None, epsilon: float
) -> np.ndarray:
    wide = row.astype(np.float64)
    apart = wide - in_order(wide) / row.size
    inverse = 1.0 / np.sqrt(in_order(apart * apart) / row.size + epsilon)
    result = (apart * inverse) * scale.astype(np.float64)
    return (result if bias is None else result + bias.astype(np.float64)).astype(row.dtype)


def spread(seed: int, *shape: int, dtype: Any = np.float32) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) * np.exp2(random.integers(-9, 5, shape))).astype(dtype)


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e38, -1e38, 1e-45]

SIZES = st.tuples(st.integers(1, 19), st.integers(1, 40), st.integers(1, 3), st.integers(0, 99))
TYPES = st.sampled_from([np.float32, np.float64])


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """NaN has no sign and no payload."""
    numbers = ~np.isnan(a)
    return (
        a.dtype == b.dtype
        and np.array_equal(numbers, ~np.isnan(b))
        and a[numbers].tobytes() == b[numbers].tobytes()
    )


@given(SIZES, TYPES, st.lists(st.sampled_from(SPECIAL), max_size=3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_softmax_is_its_definition(
    size: tuple[int, int, int, int], dtype: Any, special: list[float], logarithmic: bool
) -> None:
    count, length, workers, seed = size
    x = spread(seed, count, length, dtype=dtype)
    with np.errstate(all="ignore"):
        for place, value in enumerate(special):
            x[(seed + place) % count, (seed * 7 + place) % length] = value
        expected = np.stack([softmax(row, logarithmic=logarithmic) for row in x])
    with threads(workers), pytest.MonkeyPatch.context() as patch:
        patch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
        assert same_bits(rows.softmax(x, logarithmic=logarithmic), expected)


@given(SIZES, TYPES, st.booleans(), st.sampled_from([None, *SPECIAL]))
@settings(max_examples=60, deadline=None)
def test_layer_normalisation_is_its_definition(
    size: tuple[int, int, int, int], dtype: Any, biased: bool, special: float | None
) -> None:
    count, length, workers, seed = size
    x = spread(seed, count, length, dtype=dtype)
    scale = spread(seed + 1, length, dtype=dtype)
    bias = spread(seed + 2, length, dtype=dtype) if biased else None
    if special is not None:
        x[seed % count, seed % length] = special
    with np.errstate(all="ignore"):
        expected = np.stack([layer_norm(row, scale, bias, 1e-5) for row in x])
    with threads(workers), pytest.MonkeyPatch.context() as patch:
        patch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
        result, mean, inverse = rows.layer_norm(x, scale, bias, 1e-5)
    assert same_bits(result, expected)
    assert mean.shape == inverse.shape == (count,)
    if special is None:
        assert mean[-1] == in_order(x[-1].astype(np.float64)) / length


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 4), (0,)])
def test_nothing_gives_nothing(shape: tuple[int, ...]) -> None:
    assert rows.softmax(np.empty(shape, np.float32), logarithmic=False).shape == shape
