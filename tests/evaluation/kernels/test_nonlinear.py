"""Activations that are loops of their own give the bits of their formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from danku.evaluation.kernels import functions, nonlinear
from danku.evaluation.kernels.arrays import rounded
from danku.evaluation.kernels.nonlinear import SQRT_HALF, SQRT_TWO_OVER_PI


def formula(name: str, x: np.ndarray) -> np.ndarray:
    if name == "gelu":
        return (0.5 * x) * (1.0 + functions.erf(x * SQRT_HALF))
    inner = SQRT_TWO_OVER_PI * (x + 0.044715 * ((x * x) * x))
    return (0.5 * x) * (1.0 + functions.tanh(inner))


@pytest.mark.parametrize("name", ["gelu", "gelu_by_tanh"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_gelu_is_its_formula(name: str, dtype: Any) -> None:
    random = np.random.default_rng(1)
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 1e38, -40.0, 6e4]
    spread = random.standard_normal(40_001) * np.exp2(random.integers(-20, 8, 40_001))
    with np.errstate(all="ignore"):
        x = np.concatenate([special, spread]).astype(dtype)
        expected = rounded(formula(name, x.astype(np.float64)), x.dtype)
    found = getattr(nonlinear, name)(x)
    assert found.dtype == dtype
    numbers = ~np.isnan(expected)
    assert np.array_equal(numbers, ~np.isnan(found))
    assert found[numbers].tobytes() == expected[numbers].tobytes()
