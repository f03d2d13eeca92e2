"""Mathematical functions of arrays in the profile exact/1.

Every element is widened to float64, computed by ``scalars.py``, and rounded once to float32, or
not at all for float64; float16 goes through float32. Results have the shape and type of ``x``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import scalars
from danku.evaluation.kernels.arrays import Array, contiguous, floats, rounded
from danku.evaluation.kernels.compiler import FLOAT64, Kernel, kernel, source, target

Floats = NDArray[np.float64]

# NOTE: a chunk of every operand fits in the nearest caches; the bits do not depend on it.
CHUNK = 8192

_ONE = (source(FLOAT64, 1), target(FLOAT64, 1))
_TWO = (source(FLOAT64, 1), source(FLOAT64, 1), target(FLOAT64, 1))


@kernel(*_ONE)
def _exp(values: Floats, results: Floats) -> None:
    for i in range(values.size):
        results[i] = scalars.exp(values[i])


@kernel(*_ONE)
def _expm1(values: Floats, results: Floats) -> None:
    for i in range(values.size):
        results[i] = scalars.expm1(values[i])


@kernel(*_ONE)
def _log(values: Floats, results: Floats) -> None:
    for i in range(values.size):
        results[i] = scalars.log(values[i])


@kernel(*_ONE)
def _log1p(values: Floats, results: Floats) -> None:
    for i in range(values.size):
        results[i] = scalars.log1p(values[i])


@kernel(*_ONE)
def _tanh(values: Floats, results: Floats) -> None:
    for i in range(values.size):
        results[i] = scalars.tanh(values[i])


@kernel(*_ONE)
def _sigmoid(values: Floats, results: Floats) -> None:
    for i in range(values.size):
        results[i] = scalars.sigmoid(values[i])


@kernel(*_ONE)
def _softplus(values: Floats, results: Floats) -> None:
    for i in range(values.size):
        results[i] = scalars.softplus(values[i])


@kernel(*_ONE)
def _erf(values: Floats, results: Floats) -> None:
    for i in range(values.size):
        results[i] = scalars.erf(values[i])


@kernel(*_TWO)
def _power(bases: Floats, exponents: Floats, results: Floats) -> None:
    for i in range(bases.size):
        results[i] = scalars.power(bases[i], exponents[i])


def mapped(function: Kernel, x: Array, *others: Array) -> Array:
    """A kernel of float64 operands applied to every element, rounded to the type of ``x``."""
    x = floats(x, function.name)
    operands = [contiguous(operand).reshape(-1) for operand in (x, *others)]
    results = np.empty(x.size, x.dtype)
    scratch = np.empty(min(CHUNK, x.size))
    with np.errstate(all="ignore"):
        for start in range(0, x.size, CHUNK):
            chunk = slice(start, start + CHUNK)
            part = scratch[: results[chunk].size]
            function(*(operand[chunk].astype(np.float64) for operand in operands), part)
            results[chunk] = rounded(part, x.dtype)
    return results.reshape(x.shape)


def exp(x: Array) -> Array:
    """e^x."""
    return mapped(_exp, x)


def expm1(x: Array) -> Array:
    """e^x - 1, without cancellation near 0."""
    return mapped(_expm1, x)


def log(x: Array) -> Array:
    """The natural logarithm; -inf at 0 of either sign, NaN below."""
    return mapped(_log, x)


def log1p(x: Array) -> Array:
    """log(1 + x), without cancellation near 0."""
    return mapped(_log1p, x)


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return mapped(_tanh, x)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    return mapped(_sigmoid, x)


def softplus(x: Array) -> Array:
    """log(1 + e^x)."""
    return mapped(_softplus, x)


def erf(x: Array) -> Array:
    """The error function."""
    return mapped(_erf, x)


def sqrt(x: Array) -> Array:
    """The square root as IEEE 754 rounds it; -0 at -0, NaN below."""
    with np.errstate(all="ignore"):
        return np.asarray(np.sqrt(floats(x, "sqrt")))


def power(x: Array, y: Array) -> Array:
    """x^y with broadcasting, in the type of ``x``; the exponents may be any numbers.

    Exponents are rounded to float64 first. Special values are those of IEEE 754's pow.
    """
    x = floats(x, "power")
    if y.size == 1 and float(y.reshape(())) == 2.0:
        with np.errstate(all="ignore"):
            return np.broadcast_to(x * x, np.broadcast_shapes(x.shape, y.shape)).copy()
    bases, exponents = np.broadcast_arrays(x, y)
    return mapped(_power, bases, exponents)
