"""From sums of products to integers of fewer bits: one product, one rounding, one addition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from danku.evaluation.kernels.compiler import device

WHOLE = np.float32(1.5 * 2**23)
"""A float32 below 2^22 plus this is an integer."""


@device
def rounded(x: Any, rounding: tuple[int, int, int]) -> Any:
    """A float32 rounded half to even, plus the zero point, cut to the limits; 0 if it is NaN.

    Args:
        rounding: the least and the greatest result, and the zero point.
    """
    low, high = np.float32(rounding[0] - rounding[2]), np.float32(rounding[1] - rounding[2])
    # NOTE: cut first: the limits are integers, so rounding afterwards gives the same, and the
    # sum below is exact.
    y = low if x < low else x
    y = high if y > high else y
    whole = (y + WHOLE) - WHOLE
    return np.int32(0) if x != x else np.int32(whole) + np.int32(rounding[2])


@device
def requantized(total: Any, multiplier: Any, rounding: tuple[int, int, int]) -> Any:
    """A sum of products, rounded to float32, times the multiplier in float32, then `rounded`."""
    return rounded(np.float32(total) * multiplier, rounding)


@dataclass(frozen=True)
class Rounding:
    """To int8 or uint8."""

    zero_point: int
    dtype: np.dtype[Any]

    @property
    def limits(self) -> tuple[int, int, int]:
        """The least and the greatest result, and the zero point."""
        info = np.iinfo(self.dtype)
        return int(info.min), int(info.max), self.zero_point
