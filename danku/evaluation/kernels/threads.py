"""Sharing the elements of a result among threads; a caller says how many, nothing else does.

No kernel's bits depend on how many there are: threads divide elements of results, never a sum.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from queue import SimpleQueue
from threading import Lock, Thread

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels.compiler import INDEX, INT64, kernel, target
from danku.evaluation.kernels.intrinsics import load_shared, pause, store_shared

Index = NDArray[np.int64]
Share = Callable[[int, int], None]

LEAST_WORK = 2**20
"""Multiply-accumulates, or as much of something else, below which a thread is not worth waking."""


PATIENCE = 1_500
"""How often a waiting thread looks before it sleeps; waking one costs as much as a product."""
SPARED = 200
"""Looks for which a helper leaves Python to the thread that called it and needs it, too."""

_POSTED, _DONE = 0, 16
"""Places in a helper's counters, of tasks: in cache lines of their own."""


@kernel(target(INT64, 1), INDEX, INT64)
def _linger(counters: Index, place: int, known: int) -> None:
    """Return when another thread has changed a counter, or after a while."""
    for _ in range(PATIENCE):
        if load_shared(counters, place) != known:
            break
        pause()


@kernel(target(INT64, 1), INT64)
def _serve(counters: Index, served: int) -> None:
    """Say that a helper has done so many tasks, and wait for another for a while."""
    store_shared(counters, _DONE, served)
    for _ in range(PATIENCE):
        if load_shared(counters, _POSTED) != served:
            break
        pause()
    for _ in range(SPARED):
        pause()


class _Helper:
    """A thread that does one thing after another.

    Tasks and results go through queues. The counters only let either side wait awake, without
    holding Python's lock, for what will be in its queue.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Share, int, int] | None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._counters = np.zeros(32, np.int64)
        self._started = 0
        self._thread = Thread(target=self._work, name="danku-kernels", daemon=True)
        self._thread.start()

    def start(self, function: Share, first: int, last: int) -> None:
        self._post((function, first, last))

    def wait(self) -> BaseException | None:
        _linger(self._counters, _DONE, self._started - 1)
        return self._done.get()

    def end(self) -> None:
        self._post(None)
        self._thread.join()

    def _post(self, task: tuple[Share, int, int] | None) -> None:
        self._tasks.put(task)
        self._started += 1
        self._counters[_POSTED] = self._started

    def _work(self) -> None:
        served = 0
        while (task := self._tasks.get()) is not None:
            function, first, last = task
            try:
                function(first, last)
            except BaseException as error:  # NOTE: raised again by the thread that asked
                self._done.put(error)
            else:
                self._done.put(None)
            del task, function
            served += 1
            _serve(self._counters, served)


class _Team:
    """Helpers that serve one caller at a time: a context may have been copied to other threads."""

    def __init__(self, count: int) -> None:
        self.helpers = [_Helper() for _ in range(count)]
        self.free = Lock()


_TEAM: ContextVar[_Team | None] = ContextVar("team", default=None)


# NOTE: threads do not live on in a child process; whoever shares there would wait for ever.
os.register_at_fork(after_in_child=lambda: _TEAM.set(None) and None)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let kernels called inside use ``count`` threads, the caller's own among them."""
    if count < 1:
        raise ValueError(f"{count} threads")
    team = _Team(count - 1)
    token = _TEAM.set(team if team.helpers else None)
    try:
        yield
    finally:
        _TEAM.reset(token)
        with team.free:
            for helper in team.helpers:
                helper.end()
            team.helpers.clear()


def thread_count() -> int:
    """Threads that kernels called here may use."""
    team = _TEAM.get()
    return 1 if team is None else 1 + len(team.helpers)


def worth_sharing(work: int) -> bool:
    """Whether `share` would use more than one thread for this much, in many units."""
    return work >= 2 * LEAST_WORK and _TEAM.get() is not None


def share(function: Share, units: int, work: int) -> None:
    """Call ``function(first, last)`` over parts of ``range(units)``, a thread each.

    ``work`` is that of all units together, in multiply-accumulates.
    """
    team, most = _TEAM.get(), min(units, work // LEAST_WORK)
    if team is None or most < 2 or not team.free.acquire(blocking=False):
        function(0, units)
        return
    try:
        _divide(function, units, team.helpers[: most - 1])
    finally:
        team.free.release()


def _divide(function: Share, units: int, helpers: Sequence[_Helper]) -> None:
    parts = len(helpers) + 1
    bounds = [units * part // parts for part in range(parts + 1)]
    for place, helper in enumerate(helpers, start=1):
        helper.start(function, bounds[place], bounds[place + 1])
    errors: list[BaseException | None] = []
    try:
        function(bounds[0], bounds[1])
    finally:
        errors += [helper.wait() for helper in helpers]
    for error in errors:
        if error is not None:
            raise error
