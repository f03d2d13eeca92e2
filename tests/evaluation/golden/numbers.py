"""Fixed numbers from integers alone: no library's random stream, which may change, has a part."""

from __future__ import annotations

from collections.abc import Sequence
from math import ldexp, prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from danku.crypto.hashing import keccak

Array = NDArray[Any]


def words(key: str, count: int) -> NDArray[np.uint64]:
    """``count`` 64-bit words: splitmix64 from the first eight bytes of keccak(key)."""
    start = np.uint64(int.from_bytes(keccak(key.encode())[:8], "little"))
    with np.errstate(over="ignore"):
        z = start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(
    key: str, shape: Sequence[int], dtype: DTypeLike = np.float32, exponent: int = 0
) -> Array:
    """Multiples of 2^(exponent - 52) from -2^exponent to 2^exponent, rounded to the type."""
    steps = (words(key, prod(shape)) >> np.uint64(11)).astype(np.int64) - 2**52
    values = steps.astype(np.float64) * ldexp(1.0, exponent - 52)
    return values.astype(dtype).reshape(shape)


def spread(key: str, shape: Sequence[int], dtype: DTypeLike = np.float32, width: int = 6) -> Array:
    """Numbers of very different sizes, from 2^-width to 2^width, so that another order shows."""
    sizes = np.array([ldexp(1.0, i) for i in range(-width, width + 1)])
    scale = sizes[words(f"{key}/size", prod(shape)) % np.uint64(sizes.size)]
    values = uniform(key, shape, np.float64).reshape(-1) * scale
    return values.astype(dtype).reshape(shape)


def integers(
    key: str, shape: Sequence[int], low: int, after: int, dtype: DTypeLike = np.int64
) -> Array:
    """Integers from ``low`` to ``after`` - 1."""
    places = words(key, prod(shape)) % np.uint64(after - low)
    return (places.astype(np.int64) + low).astype(dtype).reshape(shape)


def special(dtype: DTypeLike) -> Array:
    """NaN of all sorts, infinities, zeros, limits, subnormals, integers, halves; of both signs."""
    dtype = np.dtype(dtype)
    pattern = np.dtype(f"uint{8 * dtype.itemsize}")
    fraction, bits = np.finfo(dtype).nmant, 8 * dtype.itemsize
    infinity = ((1 << (bits - 1 - fraction)) - 1) << fraction
    quiet, sign = infinity | 1 << (fraction - 1), 1 << (bits - 1)
    positive = [
        *(0, 1, 2, 3, (1 << fraction) - 1, 1 << fraction, (1 << fraction) + 1),
        *(infinity - 1, infinity, quiet, quiet | 5, infinity | 1),
    ]
    encoded = np.array([*positive, *(sign | each for each in positive)], pattern).view(dtype)
    numbers = [0.5, 1, 1.5, 2, 2.5, 3, 7, 100, 127.5, 128, 254.5, 255.5, 256, 448, 32767.5, 65504]
    numbers += [ldexp(1.0, -k) for k in (1, 3, 9, 24)]
    with np.errstate(all="ignore"):
        plain = np.array([*numbers, *(-each for each in numbers)], np.float64).astype(dtype)
    return np.concatenate([encoded, plain])
