"""Nothing but its own operands decides the bits of an element: no neighbour, place, alignment,
thread or block.

`kernels/test_gemm.py` and `kernels/test_convolution.py` show it of the products themselves; here it
is shown of whole graphs. Every graph takes [rows, columns, operands] and keeps rows and columns;
what is made of the operands of one row and column must have the same bits when it is alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.evaluation.kernels.elementwise import canonical
from danku.evaluation.kernels.threads import threads
from tests.evaluation.golden import suite
from tests.evaluation.golden.numbers import Array, spread
from tests.evaluation.lanes import GRAPHS, ORDERS, SUMS, computed

LENGTHS = (4, 8, 36, 256, 260, 516)
"""Of the operands: shorter than a vector, a block of the sum, and across blocks; all even."""


def crooked(x: Array, offset: int) -> Array:
    """The same numbers, ``offset`` bytes from where a vector would begin."""
    memory = np.zeros(x.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    moved = memory[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    moved[...] = x
    return moved


def surrounded(operands: Array, rows: int, columns: int, row: int, column: int) -> Array:
    """The operands of one lane among others, some of which are not finite."""
    x = spread(f"order/{rows}/{columns}", (rows, columns, operands.size), operands.dtype)
    x[::3, ::2, 0], x[1::3, ::5, -1] = np.nan, np.inf
    x[row, column] = operands
    return x


@contextmanager
def shared_out(count: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, threads(count):
        patch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
        yield


@pytest.mark.parametrize("name", GRAPHS)
@settings(max_examples=8, deadline=None)
@given(
    length=st.sampled_from(LENGTHS),
    rows=st.integers(1, 9),
    columns=st.sampled_from([1, 2, 3, 7, 8, 9, 16, 17, 33]),
    place=st.tuples(st.integers(0, 2**16), st.integers(0, 2**16)),
    dtype=st.sampled_from([np.float32, np.float64]),
    offset=st.sampled_from([0, 1, 4, 8, 20, 63]),
    count=st.integers(1, 3),
)
def test_a_lane_has_the_bits_that_it_has_alone(
    name: str,
    length: int,
    rows: int,
    columns: int,
    place: tuple[int, int],
    dtype: Any,
    offset: int,
    count: int,
) -> None:
    row, column = place[0] % rows, place[1] % columns
    operands = spread(f"order/{place}", (length,), dtype)
    alone = computed(GRAPHS[name], operands.reshape(1, 1, -1))[0, 0]
    x = crooked(surrounded(operands, rows, columns, row, column), offset)
    with shared_out(count):
        among = computed(GRAPHS[name], x)[row, column]
    assert canonical(among) == canonical(alone)


@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize("name", [f"Reduce{each}" for each in SUMS] + ["Softmax", "LogSoftmax"])
def test_axes_in_another_order_of_memory_change_nothing(name: str, order: list[int]) -> None:
    x = spread("order/axes", (5, 11, 300))
    usual = computed(GRAPHS[f"{name}-{ORDERS[0]}"], x)
    assert canonical(computed(GRAPHS[f"{name}-{order}"], x)) == canonical(usual)


def test_the_sums_would_show_another_order() -> None:
    """The numbers are such that summing them the other way round gives other bits."""
    for length in LENGTHS[2:]:
        x = spread("order/shown", (4, 9, length), np.float64)
        for name in ("ReduceSum", "ReduceMean", "ReduceL2", "Softmax"):
            fill = GRAPHS[f"{name}-{ORDERS[0]}"]
            there, back = computed(fill, x), computed(fill, np.ascontiguousarray(x[..., ::-1]))
            assert canonical(back[..., ::-1]) != canonical(there)


BLOCKING = [
    ("kernels.functions", "CHUNK", 1_000),
    ("kernels.convolution", "CACHED_BYTES", 300),
    ("kernels.convolution", "MOST_LAID_OUT", 0),
    ("kernels.convolution", "ROOM", 0),
    ("kernels.resampling", "TOGETHER", 5),
    ("kernels.fourier", "_TABLE", 100),
    ("operators.ml_svm", "_PART", 20),
]


@pytest.mark.parametrize(("module", "constant", "value"), BLOCKING)
def test_golden_digests_come_out_with_other_blocks(
    module: str, constant: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NOTE: constants that are compiled into kernels differ by processor: see `make emulate`."""
    holder = importlib.import_module(f"danku.evaluation.{module}")
    assert getattr(holder, constant) > value
    monkeypatch.setattr(holder, constant, value)
    golden = suite.golden()
    for name, run in suite.runs():
        if name in suite.MODELS or constant == "CHUNK":
            found = run()
            wanted = {key: golden[key] for key in found}
            assert suite.different(found, wanted) == []
