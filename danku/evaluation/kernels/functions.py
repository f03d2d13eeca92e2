"""Mathematical functions of arrays in the profile exact/1.

Every element is widened to float64, computed by ``scalars.py``, and rounded once to float32, or
not at all for float64; float16 goes through float32. Results have the shape and type of ``x``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import buffers, scalars
from danku.evaluation.kernels.arrays import Array, contiguous, floats, rounded
from danku.evaluation.kernels.compiler import FLOAT32, FLOAT64, Kernel, kernel, source, target
from danku.evaluation.kernels.threads import share

Floats = NDArray[np.float64]

# NOTE: a chunk of every operand fits in the nearest caches; the bits do not depend on it.
CHUNK = 8192

WORK = 64
"""Multiply-accumulates that an element is worth, when threads are to share them."""

_TWO = (source(FLOAT64, 1), source(FLOAT64, 1), target(FLOAT64, 1))

Kernels = dict[np.dtype[np.generic], Kernel]


def of_one(function: Callable[[Array, Array], None]) -> Kernels:
    """Declares a loop from operand to result, for float32 and for float64."""
    return {
        np.dtype(name): kernel(source(scalar, 1), target(scalar, 1), variant=f"_{name}")(function)
        for name, scalar in (("float32", FLOAT32), ("float64", FLOAT64))
    }


@of_one
def _exp(values: Array, results: Array) -> None:
    for i in range(values.size):
        results[i] = scalars.exp(np.float64(values[i]))


@of_one
def _expm1(values: Array, results: Array) -> None:
    for i in range(values.size):
        results[i] = scalars.expm1(np.float64(values[i]))


@of_one
def _log(values: Array, results: Array) -> None:
    for i in range(values.size):
        results[i] = scalars.log(np.float64(values[i]))


@of_one
def _log1p(values: Array, results: Array) -> None:
    for i in range(values.size):
        results[i] = scalars.log1p(np.float64(values[i]))


@of_one
def _tanh(values: Array, results: Array) -> None:
    for i in range(values.size):
        results[i] = scalars.tanh(np.float64(values[i]))


@of_one
def _sigmoid(values: Array, results: Array) -> None:
    for i in range(values.size):
        results[i] = scalars.sigmoid(np.float64(values[i]))


@of_one
def _softplus(values: Array, results: Array) -> None:
    for i in range(values.size):
        results[i] = scalars.softplus(np.float64(values[i]))


@of_one
def _erf(values: Array, results: Array) -> None:
    for i in range(values.size):
        results[i] = scalars.erf(np.float64(values[i]))


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


def each(kernels: Kernels, x: Array, purpose: str) -> Array:
    """A function of every element, in the type of ``x``."""
    x = floats(x, purpose)
    if x.dtype == np.float16:
        with np.errstate(all="ignore"):
            return each(kernels, x.astype(np.float32), purpose).astype(np.float16)
    values = contiguous(x).reshape(-1)
    results, compute = buffers.empty(values.size, x.dtype), kernels[x.dtype]

    def part(first: int, last: int) -> None:
        compute(values[first * CHUNK : last * CHUNK], results[first * CHUNK : last * CHUNK])

    share(part, -(-values.size // CHUNK), values.size * WORK)
    return results.reshape(x.shape)


def exp(x: Array) -> Array:
    """e^x."""
    return each(_exp, x, "exp")


def expm1(x: Array) -> Array:
    """e^x - 1, without cancellation near 0."""
    return each(_expm1, x, "expm1")


def log(x: Array) -> Array:
    """The natural logarithm; -inf at 0 of either sign, NaN below."""
    return each(_log, x, "log")


def log1p(x: Array) -> Array:
    """log(1 + x), without cancellation near 0."""
    return each(_log1p, x, "log1p")


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return each(_tanh, x, "tanh")


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    return each(_sigmoid, x, "sigmoid")


def softplus(x: Array) -> Array:
    """log(1 + e^x)."""
    return each(_softplus, x, "softplus")


def erf(x: Array) -> Array:
    """The error function."""
    return each(_erf, x, "erf")


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
