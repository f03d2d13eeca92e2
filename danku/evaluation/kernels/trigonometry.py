"""Circular and hyperbolic functions of arrays in the profile exact/1, and their inverses.

Sine, cosine and arctangent are kernels; the others are formulas in float64 over these and over
`functions`. Results are rounded once, to the type of ``x``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import circular, functions
from danku.evaluation.kernels.arrays import Array, contiguous, floats, rounded
from danku.evaluation.kernels.compiler import FLOAT64, kernel, source, target
from danku.evaluation.kernels.functions import CHUNK, mapped

Floats = NDArray[np.float64]

_LARGE = 2.0**28
_LN2 = np.float64(float.fromhex("0x1.62e42fefa39efp-1"))


@kernel(source(FLOAT64, 1), target(FLOAT64, 1))
def _sin(values: Floats, results: Floats) -> None:
    for i in range(values.size):
        results[i] = circular.sin_near(values[i])
    for i in range(values.size):
        if not abs(values[i]) < circular.FAR:
            results[i] = circular.sin_far(values[i])


@kernel(source(FLOAT64, 1), target(FLOAT64, 1))
def _cos(values: Floats, results: Floats) -> None:
    for i in range(values.size):
        results[i] = circular.cos_near(values[i])
    for i in range(values.size):
        if not abs(values[i]) < circular.FAR:
            results[i] = circular.cos_far(values[i])


@kernel(source(FLOAT64, 1), target(FLOAT64, 1))
def _atan(values: Floats, results: Floats) -> None:
    for i in range(values.size):
        results[i] = circular.atan(values[i])


def by_formula(formula: Callable[..., Any], x: Array, *parameters: float) -> Array:
    """A float64 formula of every element, rounded to the type of ``x``.

    Args:
        formula: from float64 [n], and the parameters, to float64 [n].
    """
    x = floats(x, formula.__name__)
    values = contiguous(x).reshape(-1)
    results = np.empty(x.size, x.dtype)
    with np.errstate(all="ignore"):
        for start in range(0, x.size, CHUNK):
            chunk = slice(start, start + CHUNK)
            part = formula(values[chunk].astype(np.float64), *parameters)
            results[chunk] = rounded(part, x.dtype)
    return results.reshape(x.shape)


def sin(x: Array) -> Array:
    """The sine of an angle of any size."""
    return mapped(_sin, x)


def cos(x: Array) -> Array:
    """The cosine of an angle of any size."""
    return mapped(_cos, x)


def _tangent(x: Floats) -> Floats:
    return mapped(_sin, x) / mapped(_cos, x)


def tan(x: Array) -> Array:
    """sin(x) / cos(x)."""
    return by_formula(_tangent, x)


def atan(x: Array) -> Array:
    """The angle from -pi/2 to pi/2."""
    return mapped(_atan, x)


def _arcsine(x: Floats) -> Floats:
    return mapped(_atan, x / np.sqrt((1.0 - x) * (1.0 + x)))


def asin(x: Array) -> Array:
    """atan(x / sqrt((1 - x) (1 + x))); NaN beyond 1."""
    return by_formula(_arcsine, x)


def _arccosine(x: Floats) -> Floats:
    return 2.0 * mapped(_atan, np.sqrt((1.0 - x) / (1.0 + x)))


def acos(x: Array) -> Array:
    """2 atan(sqrt((1 - x) / (1 + x))); NaN beyond 1."""
    return by_formula(_arccosine, x)


def _hyperbolic_sine(x: Floats) -> Floats:
    size = np.abs(x)
    grown = functions.expm1(size)
    near = 0.5 * (grown + grown / (grown + 1.0))
    root = functions.exp(0.5 * size)
    return np.copysign(np.where(size < 22.0, near, (0.5 * root) * root), x)


def sinh(x: Array) -> Array:
    """(e^x - e^-x) / 2."""
    return by_formula(_hyperbolic_sine, x)


def _hyperbolic_cosine(x: Floats) -> Floats:
    size = np.abs(x)
    power = functions.exp(size)
    root = functions.exp(0.5 * size)
    return np.where(size < 22.0, 0.5 * power + 0.5 / power, (0.5 * root) * root)


def cosh(x: Array) -> Array:
    """(e^x + e^-x) / 2."""
    return by_formula(_hyperbolic_cosine, x)


def _area_sine(x: Floats) -> Floats:
    size = np.abs(x)
    square = size * size
    near = functions.log1p(size + square / (1.0 + np.sqrt(square + 1.0)))
    far = functions.log(size) + _LN2
    return np.copysign(np.where(size < _LARGE, near, far), x)


def asinh(x: Array) -> Array:
    """log(x + sqrt(x^2 + 1))."""
    return by_formula(_area_sine, x)


def _area_cosine(x: Floats) -> Floats:
    above = x - 1.0
    near = functions.log1p(above + np.sqrt(above * (above + 2.0)))
    return np.where(x < _LARGE, near, functions.log(x) + _LN2)


def acosh(x: Array) -> Array:
    """log(x + sqrt(x^2 - 1)); NaN below 1."""
    return by_formula(_area_cosine, x)


def _area_tangent(x: Floats) -> Floats:
    size = np.abs(x)
    return np.copysign(0.5 * functions.log1p((size + size) / (1.0 - size)), x)


def atanh(x: Array) -> Array:
    """log((1 + x) / (1 - x)) / 2; NaN beyond 1."""
    return by_formula(_area_tangent, x)
