"""Two tensors of bytes added or multiplied as the numbers that they stand for."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from danku.evaluation.kernels import buffers
from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.compiler import (
    BOOLEAN,
    BYTE,
    FLOAT32,
    INDEX,
    kernel,
    several,
    source,
    target,
)
from danku.evaluation.kernels.integer_products import as_bytes
from danku.evaluation.kernels.requantization import Rounding, rounded
from danku.evaluation.kernels.threads import share

LINE = 4096
"""Elements that a thread does together."""
ELEMENT_WORK = 16
"""What one element counts when threads are shared out, in multiply-accumulates."""


def _combine(
    a: Array,
    b: Array,
    flips: tuple[int, int],
    zeros: tuple[int, int],
    scales: tuple[Any, Any, Any],
    multiplied: bool,
    rounding: tuple[int, int, int],
    out: Array,
) -> None:
    for i in range(out.size):
        x = np.float32(np.int32(a[i] ^ np.uint8(flips[0])) - np.int32(zeros[0])) * scales[0]
        y = np.float32(np.int32(b[i] ^ np.uint8(flips[1])) - np.int32(zeros[1])) * scales[1]
        together = x * y if multiplied else x + y
        out[i] = rounded(together / scales[2], rounding)


_COMBINE = kernel(
    *(source(BYTE, 1), source(BYTE, 1), several(INDEX, 2), several(INDEX, 2)),
    *(several(FLOAT32, 3), BOOLEAN, several(INDEX, 3), target(BYTE, 1)),
)(_combine)


def combined(
    operation: Literal["add", "multiply"],
    a: Array,
    b: Array,
    scales: tuple[np.float32, np.float32, np.float32],
    zeros: tuple[int, int],
    rounding: Rounding,
) -> Array:
    """Both dequantized, added or multiplied in float32, and quantized.

    Args:
        a, b: int8 or uint8 that broadcast.
        scales: of a, of b and of the result.
        zeros: zero points of a and b.
        rounding: the zero point and type of the result.
    """
    if a.shape != b.shape:
        a, b = np.broadcast_arrays(a, b)
    out = buffers.empty(a.shape, rounding.dtype)
    (left, flip), (right, other) = as_bytes(a), as_bytes(b)
    left, right = left.reshape(-1), right.reshape(-1)
    patterns = out.reshape(-1).view(np.uint8)
    moved = zeros[0] + flip, zeros[1] + other

    def part(first: int, last: int) -> None:
        chosen = slice(first * LINE, last * LINE)
        _COMBINE(
            *(left[chosen], right[chosen], (flip, other), moved, scales),
            *(operation == "multiply", rounding.limits, patterns[chosen]),
        )

    share(part, -(-out.size // LINE), ELEMENT_WORK * out.size)
    return out
