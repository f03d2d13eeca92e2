"""Sharing the elements of a result among threads; a caller says how many, nothing else does.

No kernel's bits depend on how many there are: threads divide elements of results, never a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from queue import SimpleQueue
from threading import Thread

Share = Callable[[int, int], None]

LEAST_WORK = 2**17
"""Multiply-accumulates, or as much of something else, below which a thread is not worth waking."""


class _Helper:
    """A thread that does one thing after another."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Share, int, int] | None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name="danku-kernels", daemon=True)
        self._thread.start()

    def start(self, function: Share, first: int, last: int) -> None:
        self._tasks.put((function, first, last))

    def wait(self) -> BaseException | None:
        return self._done.get()

    def end(self) -> None:
        self._tasks.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            function, first, last = task
            try:
                function(first, last)
            except BaseException as error:  # NOTE: raised again by the thread that asked
                self._done.put(error)
            else:
                self._done.put(None)
            del task, function


_HELPERS: ContextVar[tuple[_Helper, ...]] = ContextVar("helpers", default=())


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let kernels called inside use ``count`` threads, the caller's own among them."""
    if count < 1:
        raise ValueError(f"{count} threads")
    helpers = tuple(_Helper() for _ in range(count - 1))
    token = _HELPERS.set(helpers)
    try:
        yield
    finally:
        _HELPERS.reset(token)
        for helper in helpers:
            helper.end()


def thread_count() -> int:
    """Threads that kernels called here may use."""
    return 1 + len(_HELPERS.get())


def share(function: Share, units: int, work: int) -> None:
    """Call ``function(first, last)`` over parts of ``range(units)``, a thread each.

    ``work`` is that of all units together, in multiply-accumulates.
    """
    helpers = _HELPERS.get()[: max(0, min(units, work // LEAST_WORK) - 1)]
    if not helpers:
        function(0, units)
        return
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
