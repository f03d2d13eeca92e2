"""Many models over the same rows, in several worker processes at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from danku.evaluation import worker as process
from danku.evaluation.batches import Batches, Judged, Named, judge_batch
from danku.evaluation.verdict import Verdict
from danku.evaluation.work import Work, Yardstick
from danku.evaluation.worker import Worker
from danku.protocol.manifest import Manifest
from danku.protocol.types import Digest

if TYPE_CHECKING:
    from danku.evaluation.tensor import Array

_AHEAD = 2
"""Batches held for each worker: the one it evaluates and the next."""

Found = tuple[Digest, Verdict]


class Evaluator(Protocol):
    """Whoever gives verdicts of models over one set of rows."""

    def evaluate_each(
        self,
        models: Iterable[tuple[Digest, bytes]],
        features: Array,
        target: Array,
        manifest: Manifest,
        yardstick: Yardstick | None = None,
    ) -> Iterator[tuple[Digest, Verdict]]:
        """The verdict of each named model, in any order; some say a score on the yardstick too.

        Raises:
            WorkerFailed: one came to no verdict; the validator must abstain.
        """
        ...


class Pool:
    """Worker processes that share the work; which of them evaluates a model changes no verdict.

    Use it as a context manager: leaving it ends the processes. A worker is started when there is a
    model for it.
    """

    def __init__(self, workers: int = 1, make: Callable[[], Worker] | None = None) -> None:
        """``workers`` processes; 0 for as many as this process may use processors."""
        self.count = workers or available_processors()
        self._make = make or process.Worker
        self._stack = ExitStack()
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for _ in range(self.count):
            self._idle.put(self._stack.enter_context(self._make()))

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def evaluate_each(
        self,
        models: Iterable[tuple[Digest, bytes]],
        features: Array,
        target: Array,
        manifest: Manifest,
        yardstick: Yardstick | None = None,
    ) -> Iterator[tuple[Digest, Verdict]]:
        """See `Evaluator`; a model whose worker failed is tried once more, alone, at the end."""
        work = Work(features, target, manifest, yardstick)
        batches = Batches(models)
        failed: list[Named] = []

        def evaluate(batch: Sequence[Named]) -> tuple[list[Judged], float]:
            worker = self._idle.get()
            try:
                return judge_batch(worker, batch, work), worker.took
            finally:
                self._idle.put(worker)

        def finished(done: set[Future[tuple[list[Judged], float]]]) -> Iterator[Found]:
            for future in done:
                judged, seconds = future.result()
                batches.took(len(judged), seconds)
                for name, model, verdict in judged:
                    if verdict is None:
                        failed.append((name, model))
                    else:
                        yield name, verdict

        with ThreadPoolExecutor(self.count) as threads:
            pending: set[Future[tuple[list[Judged], float]]] = set()
            try:
                for batch in batches:
                    pending.add(threads.submit(evaluate, batch))
                    while len(pending) >= _AHEAD * self.count:
                        done, pending = wait(pending, return_when=FIRST_COMPLETED)
                        yield from finished(done)
                while pending:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from finished(done)
            finally:
                for future in pending:
                    future.cancel()
        # NOTE: side by side they may have wanted more memory or time than the machine has.
        for name, model in failed:
            with self._make() as worker:
                yield name, worker.judge([model], work, work.measured([name]))[0]


def available_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
