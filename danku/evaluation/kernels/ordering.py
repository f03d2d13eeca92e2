"""The order of numbers: integers that sort as the numbers do, NaN above all; the best k."""

from __future__ import annotations

import numpy as np

from danku.evaluation.kernels.arrays import FLOATS, Array, native


def order_keys(x: Array, *, signed_zeros: bool = False) -> Array:
    """Integers in the order of the numbers: every NaN is one, above all.

    Zeros of either sign are equal, or -0 is below +0 with ``signed_zeros``.
    """
    x = native(x)
    if x.dtype not in FLOATS:
        return x
    with np.errstate(all="ignore"):
        plain = x if signed_zeros else x + x.dtype.type(0)
    plain = np.where(np.isnan(x), np.abs(x.dtype.type(np.nan)), plain)
    signed = np.dtype(f"int{8 * x.dtype.itemsize}")
    patterns = np.ascontiguousarray(plain).view(signed).reshape(x.shape)
    return np.where(patterns < 0, patterns ^ np.iinfo(signed).max, patterns)


def from_order_keys(keys: Array, like: Array) -> Array:
    """The numbers in the type of ``like`` whose ``order_keys`` (with signed zeros) these are."""
    if like.dtype not in FLOATS:
        return keys
    patterns = np.where(keys < 0, keys ^ np.iinfo(keys.dtype).max, keys)
    return np.ascontiguousarray(patterns).view(like.dtype.newbyteorder("=")).reshape(keys.shape)


def best(x: Array, count: int, largest: bool) -> Array:
    """Indices [rows, count] of the best elements of each row of [rows, columns], best first.

    NaN is above every number; of equal elements the one with the lower index comes first.
    """
    keys = order_keys(x)
    if largest:
        keys = ~keys
    rows, columns = keys.shape
    if 0 < count < columns:
        limit = np.partition(keys, count - 1, axis=1)[:, count - 1 : count]
        better, equal = keys < limit, keys == limit
        needed = count - better.sum(axis=1, dtype=np.int64, keepdims=True)
        chosen = better | (equal & (np.cumsum(equal, axis=1, dtype=np.int64) <= needed))
        places = np.nonzero(chosen)[1].reshape(rows, count)
        found = np.take_along_axis(keys, places, axis=1)
        order = np.argsort(found, axis=1, kind="stable")
        return np.take_along_axis(places, order, axis=1).astype(np.int64)
    return np.argsort(keys, axis=1, kind="stable")[:, :count].astype(np.int64)
