"""The LSTM in one kernel gives the bits of one that goes step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.evaluation.kernels import functions, gemm, memory, recurrence
from danku.evaluation.kernels.threads import threads

ACTIVATIONS = [functions.sigmoid, functions.tanh, functions.tanh]


def both_ways(
    steps: int,
    batch: int,
    size: int,
    hidden: int,
    *,
    dtype: Any = np.float32,
    lengths: bool = False,
    backwards: bool = False,
) -> None:
    random = np.random.default_rng(steps * batch + hidden)

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(dtype)

    x, biases = normal(steps, batch, size), normal(2, 4 * hidden)
    weights = gemm.pack(normal(size, 4 * hidden))
    recurrent = gemm.pack(normal(hidden, 4 * hidden))
    states = normal(batch, hidden), normal(batch, hidden)
    before = [state.copy() for state in states]
    ends = random.integers(0, steps + 1, batch).astype(np.int32) if lengths else None
    cell = recurrence.Cell([recurrent], biases[0], biases[1], ACTIVATIONS, None)
    step = recurrence.memory_step(cell, None, input_forget=False)
    # the outputs of two directions lie between each other
    outputs = np.full((2, steps, 2, batch, hidden), np.nan, dtype)
    slow = recurrence.walk(*(step, x, weights, states, ends, outputs[0, :, 1]), backwards=backwards)
    fast = memory.walk(
        *(x, weights, recurrent, biases[0] + biases[1], states, ends, outputs[1, :, 1]),
        backwards=backwards,
    )
    assert outputs[0].tobytes() == outputs[1].tobytes()
    for one, other, given_state, kept in zip(slow, fast, states, before, strict=True):
        assert one.tobytes() == other.tobytes()
        assert np.array_equal(given_state, kept)


@given(
    st.integers(0, 9),
    st.integers(1, 30),
    st.integers(0, 5),
    st.integers(1, 70),
    st.sampled_from([np.float32, np.float64]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_any_layer(
    steps: int,
    batch: int,
    size: int,
    hidden: int,
    dtype: Any,
    lengths: bool,
    backwards: bool,
    workers: int,
) -> None:
    with threads(workers), pytest.MonkeyPatch.context() as patch:
        patch.setattr("danku.evaluation.kernels.threads.LEAST_WORK", 1)
        both_ways(steps, batch, size, hidden, dtype=dtype, lengths=lengths, backwards=backwards)


@pytest.mark.parametrize("batch", [255, 256, 257, 513])
def test_more_rows_than_go_together(batch: int) -> None:
    both_ways(2, batch, 3, 5, lengths=True)


def test_a_chain_of_several_blocks() -> None:
    both_ways(3, 5, 7, 300)


@pytest.mark.parametrize("backwards", [False, True])
def test_products_of_few_steps_at_a_time(backwards: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrence, "AT_ONCE", 3 * 2 * 16)
    both_ways(10, 2, 3, 4, lengths=True, backwards=backwards)
