"""Activations of exact/1: one formula in float64 for each element, rounded once to its type.

docs/exact-1.md, section 7, states the formulas; parameters are the float32 of ONNX attributes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import functions, scalars
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.trigonometry import by_formula

Floats = NDArray[np.float64]

SQRT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")
SQRT_TWO_OVER_PI = float.fromhex("0x1.9884533d43651p-1")


def _elu(x: Floats, alpha: float) -> Floats:
    return np.where(x >= 0, x, alpha * functions.expm1(x))


def elu(x: Array, alpha: float) -> Array:
    """x, or alpha (e^x - 1) below 0."""
    return by_formula(_elu, x, alpha)


def _selu(x: Floats, alpha: float, gamma: float) -> Floats:
    return gamma * np.where(x > 0, x, alpha * functions.expm1(x))


def selu(x: Array, alpha: float, gamma: float) -> Array:
    """gamma times x, or gamma times alpha (e^x - 1) below 0."""
    return by_formula(_selu, x, alpha, gamma)


def _celu(x: Floats, alpha: float) -> Floats:
    return np.where(x >= 0, x, alpha * functions.expm1(x / alpha))


def celu(x: Array, alpha: float) -> Array:
    """x, or alpha (e^(x / alpha) - 1) below 0."""
    return by_formula(_celu, x, alpha)


def _between_zero_and_one(x: Floats) -> Floats:
    return np.where(x <= 0, 0.0, np.where(x >= 1, 1.0, x))


def _hard_sigmoid(x: Floats, alpha: float, beta: float) -> Floats:
    return _between_zero_and_one(alpha * x + beta)


def hard_sigmoid(x: Array, alpha: float, beta: float) -> Array:
    """alpha x + beta, cut to 0 and 1; NaN stays."""
    return by_formula(_hard_sigmoid, x, alpha, beta)


def _hard_swish(x: Floats) -> Floats:
    return x * _between_zero_and_one(x / 6.0 + 0.5)


def hard_swish(x: Array) -> Array:
    """x times x / 6 + 1/2, cut to 0 and 1."""
    return by_formula(_hard_swish, x)


def _mish(x: Floats) -> Floats:
    return x * functions.tanh(functions.softplus(x))


def mish(x: Array) -> Array:
    """x tanh(log(1 + e^x))."""
    return by_formula(_mish, x)


def _softsign(x: Floats) -> Floats:
    return x / (1.0 + np.abs(x))


def softsign(x: Array) -> Array:
    """x / (1 + |x|)."""
    return by_formula(_softsign, x)


def _swish(x: Floats, alpha: float) -> Floats:
    return x * functions.sigmoid(alpha * x)


def swish(x: Array, alpha: float) -> Array:
    """x / (1 + e^(-alpha x))."""
    return by_formula(_swish, x, alpha)


@functions.of_one
def _gelu(values: Array, results: Array) -> None:
    for i in range(values.size):
        x = np.float64(values[i])
        results[i] = (0.5 * x) * (1.0 + scalars.erf(x * SQRT_HALF))


def gelu(x: Array) -> Array:
    """x times the standard normal distribution function."""
    return functions.each(_gelu, x, "gelu")


@functions.of_one
def _gelu_by_tanh(values: Array, results: Array) -> None:
    for i in range(values.size):
        x = np.float64(values[i])
        inner = SQRT_TWO_OVER_PI * (x + 0.044715 * ((x * x) * x))
        results[i] = (0.5 * x) * (1.0 + scalars.tanh(inner))


def gelu_by_tanh(x: Array) -> Array:
    """The usual approximation of ``gelu``."""
    return functions.each(_gelu_by_tanh, x, "gelu")


def _shrink(x: Floats, threshold: float, bias: float) -> Floats:
    return np.where(x < -threshold, x + bias, np.where(x > threshold, x - bias, 0.0))


def shrink(x: Array, threshold: float, bias: float) -> Array:
    """x moved towards 0 by the bias beyond the threshold, +0 (also for NaN) within."""
    return by_formula(_shrink, x, threshold, bias)


def _thresholded(x: Floats, alpha: float) -> Floats:
    return np.where(x > alpha, x, 0.0)


def thresholded_relu(x: Array, alpha: float) -> Array:
    """x above alpha, else +0 (also for NaN)."""
    return by_formula(_thresholded, x, alpha)
