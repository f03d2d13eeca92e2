"""What every kernel function asks of its operands: a known type, native bytes, plain layout."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FLOATS = frozenset(np.dtype(name) for name in ("float16", "float32", "float64"))
INTEGERS = frozenset(
    np.dtype(f"{sign}int{width}") for sign in ("", "u") for width in (8, 16, 32, 64)
)
BOOL = np.dtype(np.bool_)


def native(x: Array) -> Array:
    """The same values in this machine's byte order."""
    return x.astype(x.dtype.newbyteorder("="), copy=False)


def contiguous(x: Array) -> Array:
    """The same values in native byte order, C order, aligned."""
    if x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative:
        return x
    return np.require(native(x), requirements=("C_CONTIGUOUS", "ALIGNED"))


def floats(x: Array, purpose: str) -> Array:
    """``x`` in native byte order. Raises TypeError unless it is float16, float32 or float64."""
    x = native(x)
    if x.dtype not in FLOATS:
        raise TypeError(f"{purpose} of {x.dtype}: it takes float16, float32 and float64")
    return x


def rounded(values: NDArray[np.float64], dtype: np.dtype[Any]) -> Array:
    """float64 to ``dtype``, to nearest even; float16 by way of float32."""
    if dtype == np.float16:
        return values.astype(np.float32).astype(np.float16)
    return values.astype(dtype)
