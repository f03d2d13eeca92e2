"""The discrete Fourier transform of exact/1: matrix products with cosines and sines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import gemm, trigonometry

Floats = NDArray[np.float64]

_FULL_TURN = float.fromhex("0x1.921fb54442d18p+2")
# NOTE: as many frequencies at a time as keep the table small; the bits do not depend on it.
_TABLE = 2**20


def _table(length: int, first: int, after: int) -> tuple[Floats, Floats]:
    """cos and sin of 2 pi n k / length: [length, frequencies]."""
    turns = np.outer(np.arange(length), np.arange(first, after)) % length
    angles = (_FULL_TURN * turns) / length
    return trigonometry.cos(angles), trigonometry.sin(angles)


def transform(real: Floats, imaginary: Floats | None, count: int, *, inverse: bool) -> Floats:
    """Frequencies 0 to count - 1 of each row.

    Args:
        real: [rows, length]; ``imaginary`` likewise, None where it is 0.
        count: of the frequencies, at most the length.

    Returns:
        [rows, count, 2], real and imaginary parts; divided by the length if ``inverse``.
    """
    rows, length = real.shape
    result = np.empty((rows, count, 2))
    step = max(1, _TABLE // max(length, 1))
    for first in range(0, count, step):
        after = min(first + step, count)
        cosines, sines = _table(length, first, after)
        sines = sines if inverse else -sines
        parts = result[:, first:after]
        parts[..., 0] = gemm.matmul(real, cosines)
        parts[..., 1] = gemm.matmul(real, sines)
        if imaginary is not None:
            parts[..., 0] -= gemm.matmul(imaginary, sines)
            parts[..., 1] += gemm.matmul(imaginary, cosines)
    return result / length if inverse else result
