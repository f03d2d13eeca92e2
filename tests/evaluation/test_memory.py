"""What a plan really allocates, against the peak bytes that it is charged for."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from danku.evaluation.kernels.rejection import RuntimeRejection
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.session import Session
from danku.evaluation.worker import MEMORY_BYTES, MEMORY_FACTOR
from danku.protocol.manifest import Limits
from tests.evaluation.test_mutated_operators import Seed, every_seed, model_of

ELEMENTS = 2**17
"""About so many are in the largest input."""
UNMETERED = 2**18
"""Bytes of plans and of Python's own, which do not grow with the tensors."""
LIMITS = Limits(peak_bytes=2**30, elements=10**8, multiply_accumulates=10**8)


def grown(seed: Seed, axis: int) -> Seed:
    """The seed with its first input longer along an axis, and others where they were as long."""
    first = seed.inputs[0]
    times, length = max(1, ELEMENTS // first.size), first.shape[axis]

    def longer(array: Any, place: int) -> Any:
        return np.take(array, np.arange(length * times) % length, place)

    inputs: list[Any] = [longer(first, axis)]
    for each in seed.inputs[1:]:
        place = axis - first.ndim if each is not None else 0
        fits = each is not None and each.ndim >= -place and each.shape[place] == length
        inputs.append(longer(each, place) if fits and each.size <= first.size else each)
    return replace(seed, inputs=tuple(inputs))


def variants(seeds: list[Seed]) -> Iterator[Seed]:
    for seed in seeds[:2]:
        first = seed.inputs[0] if seed.inputs else None
        if first is not None and first.size:
            yield from (grown(seed, axis) for axis in range(min(first.ndim, 4)))


def excess(seed: Seed) -> float:
    """Bytes allocated beyond the unmetered, for each byte charged."""
    named = {f"i{i}": each for i, each in enumerate(seed.inputs) if each is not None}
    fixed = {name: each for name, each in named.items() if name != "i0"}
    session = Session(model_of(seed, 3), {"i0": named["i0"].shape}, fixed, LIMITS)
    session.run(named)
    [plan, *_] = session._plans.values()
    held = sum(each.nbytes for each in named.values())
    del session
    tracemalloc.start()
    Session(model_of(seed, 3), {"i0": named["i0"].shape}, fixed, LIMITS).run(named)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return float((peak + held - UNMETERED) / plan.peak_bytes)


@pytest.fixture(scope="module")
def measured() -> dict[str, float]:
    """The worst of each operator."""
    worst: dict[str, float] = {}
    for seeds in every_seed():
        started = time.monotonic()
        for seed in variants(seeds):
            # NOTE: only how many variants are tried depends on the clock.
            if time.monotonic() - started > 0.1 and seed.operator in worst:
                break
            try:
                found = excess(seed)
            except (ModelRejected, RuntimeRejection):
                continue
            finally:
                tracemalloc.stop()
            worst[seed.operator] = max(found, worst.get(seed.operator, 0.0))
    return worst


def test_what_is_allocated_is_bounded_by_what_is_charged(measured: dict[str, float]) -> None:
    assert len(measured) > 120
    assert {name: found for name, found in measured.items() if found > MEMORY_FACTOR} == {}


def test_a_worker_has_as_much_as_the_default_limits_may_take() -> None:
    assert MEMORY_FACTOR * Limits().peak_bytes <= MEMORY_BYTES
