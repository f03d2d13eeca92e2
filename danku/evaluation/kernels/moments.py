"""Means and variances in float64, in the order of section 5 of docs/exact-1.md, and what divides
by them. Results are float64, to be rounded once by the caller."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import functions, reductions
from danku.evaluation.kernels.arrays import Array

Floats = NDArray[np.float64]


def centred(x: Array, axes: Sequence[int]) -> tuple[Floats, Floats, Floats]:
    """x - mean, the mean, and the mean of squares of x - mean, both with axes of length 1."""
    wide = x.astype(np.float64)
    mean = reductions.mean(wide, axes, keepdims=True)
    apart = wide - mean
    return apart, mean, reductions.mean(apart * apart, axes, keepdims=True)


def inverse_deviation(variance: Floats, epsilon: float) -> Floats:
    """1 / sqrt(variance + epsilon)."""
    return 1.0 / np.sqrt(variance + epsilon)


def root_mean_square(x: Array, axes: Sequence[int], epsilon: float) -> Floats:
    """sqrt(mean of squares + epsilon), with axes of length 1."""
    wide = x.astype(np.float64)
    return np.sqrt(reductions.mean(wide * wide, axes, keepdims=True) + epsilon)


def response(x: Array, size: int, alpha: float, beta: float, bias: float) -> Floats:
    """x / (bias + alpha / size * s)^beta, with s the sum of squares of ``size`` channels around.

    Args:
        x: [batch, channels, ...]
    """
    wide = x.astype(np.float64)
    squares = wide * wide
    channels = x.shape[1]
    sums = np.zeros_like(squares)
    before, after = (size - 1) // 2, size // 2
    # NOTE: every sum is in the order of channels, since the offsets ascend.
    for offset in range(max(-before, 1 - channels), min(after, channels - 1) + 1):
        target = slice(max(-offset, 0), channels - max(offset, 0))
        origin = slice(max(offset, 0), channels - max(-offset, 0))
        sums[:, target] += squares[:, origin]
    return wide / functions.power(bias + (alpha / size) * sums, np.array(beta))
