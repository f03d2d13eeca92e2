"""Models taken together, so that small ones are not outweighed by what each message costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from danku.evaluation.frames import MODELS
from danku.evaluation.verdict import Verdict
from danku.evaluation.work import Work
from danku.evaluation.worker import WorkerFailed
from danku.protocol.types import Digest

SECONDS = 0.04
"""A batch should take about as long: no worker waits longer for another one at the end."""
BYTES = 2**20
"""Of the models of a batch, about; a larger model goes alone."""

Named = tuple[Digest, bytes]
Judged = tuple[Digest, bytes, Verdict | None]


class Judge(Protocol):
    """A `danku.evaluation.worker.Worker`, or what stands in for one."""

    took: float
    """Seconds that the newest call took; batches are cut by it, and verdicts do not hang on it."""

    def judge(
        self, models: Sequence[bytes], work: Work, measured: Sequence[int] = ()
    ) -> list[Verdict]: ...


class Batches:
    """Named models in batches whose size follows from how long the batches before took."""

    def __init__(self, models: Iterable[Named]) -> None:
        self._models = iter(models)
        self._size = 1

    def __iter__(self) -> Iterator[list[Named]]:
        return self

    def __next__(self) -> list[Named]:
        batch, size = list[Named](), 0
        for name, model in self._models:
            batch.append((name, model))
            size += len(model)
            if len(batch) >= self._size or size >= BYTES:
                break
        if not batch:
            raise StopIteration
        return batch

    def took(self, models: int, seconds: float) -> None:
        """Learn that a batch of so many models took so long."""
        fitting = int(models * SECONDS / max(seconds, 1e-6))
        self._size = max(1, min(fitting, 2 * self._size, MODELS))


def judge_batch(judge: Judge, batch: Sequence[Named], work: Work) -> list[Judged]:
    """The verdicts of a batch, None where there is none; one model's failure costs no other."""
    try:
        measured = work.measured([name for name, _ in batch])
        verdicts = judge.judge([model for _, model in batch], work, measured)
    except WorkerFailed:
        if len(batch) == 1:
            return [(*batch[0], None)]
        return [found for one in batch for found in judge_batch(judge, [one], work)]
    return [(*named, verdict) for named, verdict in zip(batch, verdicts, strict=True)]
