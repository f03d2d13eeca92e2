"""Each mathematical function over numbers of every size and kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from danku.evaluation.kernels import functions, nonlinear, trigonometry
from tests.evaluation.golden.numbers import Array, special, spread, words

FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    **{
        name: getattr(functions, name)
        for name in ("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus", "erf", "sqrt")
    },
    **{name: getattr(nonlinear, name) for name in ("gelu", "gelu_by_tanh")},
    **{
        name: getattr(trigonometry, name)
        for name in (
            *("sin", "cos", "tan", "asin", "acos", "atan"),
            *("sinh", "cosh", "asinh", "acosh", "atanh"),
        )
    },
}

FLOATS = (np.float32, np.float64)
STRIDE = 65_521
"""Every so many bit patterns of float32 one is taken: a prime, so that all low bits occur."""


def singles() -> Array:
    """65,551 float32 numbers evenly spread over all bit patterns, and special ones."""
    patterns = np.arange(0, 2**32, STRIDE, dtype=np.uint64).astype(np.uint32)
    return np.concatenate([patterns.view(np.float32), special(np.float32)])


def doubles() -> Array:
    """Any bit patterns of float64, numbers of usual sizes, and special ones."""
    anything = words("doubles", 8_000).view(np.float64)
    usual = spread("doubles/usual", (16_000,), np.float64, 10)
    small = spread("doubles/small", (4_000,), np.float64, 2)
    return np.concatenate([anything, usual, small, special(np.float64)])


def _pairs(dtype: type) -> tuple[Array, Array]:
    bases = np.abs(spread("power/bases", (20_000,), np.float64, 12))
    exponents = spread("power/exponents", (20_000,), np.float64, 5)
    every = special(dtype)
    base = np.concatenate([bases.astype(dtype), np.repeat(every, every.size)])
    return base, np.concatenate([exponents.astype(dtype), np.tile(every, every.size)])


def halves() -> Array:
    """All of float16."""
    return np.arange(2**16, dtype=np.uint32).astype(np.uint16).view(np.float16)


def cases() -> dict[str, Callable[[], Array]]:
    """Runs by name, such as ``exp float32``."""
    found = {
        f"{name} {numbers().dtype.name}": partial(_applied, function, numbers)
        for name, function in FUNCTIONS.items()
        for numbers in (singles, doubles, halves)
    }
    powers = {f"power {np.dtype(each).name}": partial(_powers, each) for each in FLOATS}
    return found | powers


def _applied(function: Callable[[Array], Array], numbers: Callable[[], Array]) -> Array:
    return function(numbers())


def _powers(dtype: type) -> Array:
    return functions.power(*_pairs(dtype))
