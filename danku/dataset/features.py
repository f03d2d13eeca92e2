"""Features: which numbers may go into which data type, and where the first misfit stands."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from danku.dataset.table import Array, FeatureBroken, blocks

Place = Callable[[tuple[int, ...]], str]
"""Names the place of an element [row, ...] in the file, for an error's text."""


def check_features(raw: Array, dtype: str, place: Place) -> None:
    """Every number of ``raw`` [rows, ...] can become a ``dtype``.

    Floats may be rounded and may be NaN (a missing value), never infinite; integers must fit.

    Raises:
        FeatureBroken: one cannot; the error names the first.
    """
    wanted = np.dtype(dtype)
    whole = raw.dtype.kind in "iu" and wanted.kind in "iu"
    castable = raw.dtype.kind in "biuf" and np.can_cast(raw.dtype, wanted, "same_kind")
    if not (castable or whole):
        raise FeatureBroken(
            f"{place(())}: the features are of type {raw.dtype}, the model takes {dtype}",
            why="numbers become another kind of number only where nothing is lost but digits",
            fix=f"save the array as {dtype}, or change dtype in [model]",
        )
    if np.can_cast(raw.dtype, wanted, "safe") and raw.dtype.kind != "f":
        return
    for start, block in blocks(raw):
        bad = _misfits(block, wanted)
        if bad.any():
            element = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
            raise misfit(block[element].item(), dtype, place((start + element[0], *element[1:])))


def _misfits(block: Array, wanted: np.dtype[np.generic]) -> NDArray[np.bool_]:
    if wanted.kind == "f":
        if block.dtype.kind == "f" and block.dtype.itemsize <= wanted.itemsize:
            return np.isinf(block)
        with np.errstate(over="ignore"):
            return np.isinf(block.astype(wanted))
    limits = np.iinfo(wanted.name)
    return np.asarray((block < limits.min) | (block > limits.max))


def misfit(value: object, dtype: str, where: str) -> FeatureBroken:
    """The refusal of a number that is infinite, or too large or not whole for ``dtype``."""
    if isinstance(value, float) and math.isinf(value):
        return FeatureBroken(
            f"{where}: the feature is infinite",
            why="no model can be scored on it alike everywhere",
            fix="correct it, remove the row, or write nan for a missing value",
        )
    return FeatureBroken(
        f"{where}: the feature {value!r} does not fit into {dtype}",
        fix="correct it, or choose a wider dtype in [model]",
    )
