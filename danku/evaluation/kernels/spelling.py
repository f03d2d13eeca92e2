"""Numbers as text and text as numbers."""

from __future__ import annotations

import re
from math import isinf, isnan
from typing import Any

import numpy as np

from danku.evaluation.kernels.arrays import FLOATS, Array, rounded
from danku.evaluation.kernels.rejection import RuntimeRejection

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SPECIAL = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
_LONGEST = 400
"""Characters of a number."""
_DIGITS = {8: 17, 4: 8, 2: 8}
"""Significant digits by the bytes of a float."""


def spelled(x: Array) -> Array:
    """Integers in decimal; floats as C's %.8g (float64: %.17g), and NaN, INF, -INF."""
    texts = np.empty(x.size, np.dtype(object))
    if x.dtype in FLOATS:
        digits = _DIGITS[x.dtype.itemsize]
        texts[:] = [_float_text(value, digits) for value in x.reshape(-1).tolist()]
    else:
        texts[:] = [str(value) for value in x.reshape(-1).tolist()]
    return texts.reshape(x.shape)


def _float_text(value: float, digits: int) -> str:
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "INF" if value > 0 else "-INF"
    return f"{value:.{digits}g}"


def parsed(texts: Array, dtype: np.dtype[Any]) -> Array:
    """Decimal text as numbers: the nearest float64, rounded once more to a narrower float.

    Raises:
        RuntimeRejection: what is no number, or no integer of the type.
    """
    listed = texts.reshape(-1).tolist()
    if dtype in FLOATS:
        with np.errstate(all="ignore"):
            floats = rounded(np.array([_float(text) for text in listed], np.float64), dtype)
        return floats.reshape(texts.shape)
    limits = np.iinfo(dtype)
    integers = [_integer(text) for text in listed]
    if any(not limits.min <= value <= limits.max for value in integers):
        raise RuntimeRejection("Cast: text that is no such number")
    return np.array(integers, dtype).reshape(texts.shape)


def _float(text: str) -> float:
    if len(text) > _LONGEST or not (_DECIMAL.fullmatch(text) or _SPECIAL.fullmatch(text)):
        raise RuntimeRejection("Cast: text that is no such number")
    return float(text)


def _integer(text: str) -> int:
    if len(text) > _LONGEST or not _INTEGER.fullmatch(text):
        raise RuntimeRejection("Cast: text that is no such number")
    return int(text)
