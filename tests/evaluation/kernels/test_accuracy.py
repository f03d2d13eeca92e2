"""The error of every mathematical function, at hard arguments and at all there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from danku.evaluation.kernels import functions
from tests.evaluation.kernels.accuracy import FUNCTIONS, PAGE, arguments, worst

CHUNK = 2**22


@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_stay_next_to_correct_rounding(name: str) -> None:
    assert arguments(FUNCTIONS[name]).size > 1_000
    assert worst(FUNCTIONS[name])[0] < 0.5001


def test_the_page_lists_every_function_with_an_error_below_one_unit() -> None:
    rows = re.findall(r"^\| ([^|]+) \| (\d\.\d+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == list(FUNCTIONS)
    assert all(float(error) < 0.5001 for _, error in rows)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_every_float32_against_an_80_bit_library(name: str) -> None:
    ours: Callable[[Any], Any] = getattr(functions, name)
    theirs: Callable[[Any], Any] = getattr(np, name)
    largest, smallest = np.finfo(np.float32).max, np.longdouble(2.0) ** -126
    highest = np.longdouble(0)
    assert np.finfo(np.longdouble).nmant >= 63
    for start in range(0, 2**32, CHUNK):
        x = np.arange(start, start + CHUNK, dtype=np.uint64).astype(np.uint32).view(np.float32)
        number = ~np.isnan(x)
        with np.errstate(all="ignore"):
            result, exact = ours(x), theirs(x[number].astype(np.longdouble))
            assert np.isnan(result[~number]).all()
            result = result[number]
            # NOTE: what rounds beyond the largest number is infinite.
            beyond = exact >= np.longdouble(largest) + np.longdouble(2.0) ** 103
            assert (np.isinf(result) == beyond).all()
            size = np.clip(exact, smallest, np.longdouble(largest)).astype(np.float32)
            unit = np.spacing(np.abs(size) if name == "exp" else np.abs(exact).astype(np.float32))
            unit = np.maximum(unit, np.float32(2.0**-149)).astype(np.longdouble)
            error = np.abs(result.astype(np.longdouble) - exact) / unit
        highest = max(highest, np.max(error[~beyond], initial=0))
        if start % 2**27 == 0:
            print(f"{name}: {start / 2**32:.0%}, largest error {float(highest):.6f}", flush=True)
    assert highest < 0.5001
