"""Several workers at once: every model gets its verdict, and none is guessed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from danku.evaluation.pool import Pool, available_processors
from danku.evaluation.verdict import Verdict
from danku.evaluation.work import Yardstick
from danku.evaluation.worker import WorkerDied, WorkerFailed
from danku.protocol.types import Score

ROWS = np.zeros((2, 3), np.float32), np.zeros(2, np.int64)


class Fake:
    """A worker whose verdict is the model's length; models that start with ! kill it."""

    took = 0.0

    def __init__(self, deaths: dict[bytes, int] | None = None) -> None:
        self.deaths = deaths if deaths is not None else {}
        self.busy = threading.Lock()

    def __enter__(self) -> Fake:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def judge(self, models: Sequence[bytes], _: Any, measured: Sequence[int]) -> list[Verdict]:
        verdicts = [self.evaluate(model) for model in models]
        for place in measured:
            score = Score(-len(models[place]))
            verdicts[place] = replace(verdicts[place], yardstick=score)
        return verdicts

    def evaluate(self, model: bytes) -> Verdict:
        assert self.busy.acquire(blocking=False), "one model at a time"
        try:
            if self.deaths.get(model, 0) > 0:
                self.deaths[model] -= 1
                raise WorkerDied("killed")
            return Verdict("scored", Score(len(model)), "")
        finally:
            self.busy.release()


def named(models: list[bytes]) -> list[tuple[str, bytes]]:
    return [(f"{place}", model) for place, model in enumerate(models)]


def judged(pool: Pool, models: list[tuple[str, bytes]]) -> dict[str, int]:
    found = list(pool.evaluate_each(models, *ROWS, None))  # type: ignore[arg-type]
    assert len(found) == len(dict(found))
    return {name: int(verdict.score) for name, verdict in found}


@given(st.lists(st.binary(max_size=20), max_size=30), st.integers(1, 5))
def test_every_model_gets_its_own_verdict(models: list[bytes], workers: int) -> None:
    with Pool(workers, Fake) as pool:  # type: ignore[arg-type]
        expected = {name: len(model) for name, model in named(models)}
        assert judged(pool, named(models)) == expected
        assert judged(pool, named(models)) == expected, "a pool serves more than once"


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(1, 3))
def test_a_model_that_killed_its_worker_is_tried_once_more(
    deadly: list[bool], workers: int
) -> None:
    models = [b"!" * (place + 1) for place in range(len(deadly))]
    deaths = {model: 1 for model, dies in zip(models, deadly, strict=True) if dies}
    with Pool(workers, lambda: Fake(deaths)) as pool:  # type: ignore[arg-type,return-value]
        assert judged(pool, named(models)) == {name: len(model) for name, model in named(models)}


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=20), st.integers(1, 3))
def test_the_models_that_are_named_are_scored_on_the_yardstick_and_no_others(
    kinds: list[tuple[bool, bool]], workers: int
) -> None:
    """Whether it is among them, and whether it kills its first worker."""
    models = [b"!" * (place + 1) for place in range(len(kinds))]
    deaths = {model: 1 for model, (_, dies) in zip(models, kinds, strict=True) if dies}
    among = frozenset(f"{place}" for place, (asked, _) in enumerate(kinds) if asked)
    with Pool(workers, lambda: Fake(deaths)) as pool:  # type: ignore[arg-type,return-value]
        found = dict(
            pool.evaluate_each(named(models), *ROWS, None, Yardstick(*ROWS, among))  # type: ignore[arg-type]
        )
    assert {name: verdict.yardstick for name, verdict in found.items()} == {
        name: Score(-len(model)) if name in among else None for name, model in named(models)
    }


def test_a_model_that_kills_every_worker_ends_the_run_without_a_verdict() -> None:
    deaths = {b"bad": 99}
    with Pool(2, lambda: Fake(deaths)) as pool:  # type: ignore[arg-type,return-value]
        found: dict[str, Verdict] = {}
        with pytest.raises(WorkerFailed):
            found.update(pool.evaluate_each(named([b"a", b"bad", b"c"]), *ROWS, None))  # type: ignore[arg-type]
        verdicts = dict.fromkeys(found)
        assert "1" not in verdicts


def test_models_are_fetched_as_they_are_needed() -> None:
    fetched = 0

    def models() -> Iterator[tuple[str, bytes]]:
        nonlocal fetched
        for place in range(100):
            fetched += 1
            yield str(place), b"model"

    with Pool(2, Fake) as pool:  # type: ignore[arg-type]
        verdicts = pool.evaluate_each(models(), *ROWS, None)  # type: ignore[arg-type]
        next(verdicts)
        assert fetched <= 5
        assert len(list(verdicts)) == 99


def test_a_source_that_fails_ends_the_run() -> None:
    def models() -> Iterator[tuple[str, bytes]]:
        yield "a", b"a"
        raise OSError("the store is gone")

    with Pool(2, Fake) as pool, pytest.raises(OSError, match="the store is gone"):  # type: ignore[arg-type]
        list(pool.evaluate_each(models(), *ROWS, None))  # type: ignore[arg-type]


def test_as_many_workers_as_processors() -> None:
    with Pool(0, Fake) as pool:  # type: ignore[arg-type]
        assert pool.count == available_processors() >= 1
