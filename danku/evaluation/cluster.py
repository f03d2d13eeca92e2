"""Models evaluated on the machines of a Dask cluster, each in a sandboxed worker process there.

A cluster's machines are the validator's own: what they answer is believed like what this machine
finds. Where a machine is lost with what it was at, the scheduler gives that to another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any

from danku import __version__
from danku.errors import StorageError, UsageError
from danku.evaluation.batches import Batches, Judged, Named, judge_batch
from danku.evaluation.verdict import Verdict
from danku.evaluation.work import Work, Yardstick
from danku.evaluation.worker import Worker, WorkerFailed
from danku.protocol.manifest import Manifest
from danku.protocol.types import Digest

if TYPE_CHECKING:
    from danku.evaluation.tensor import Array

CONNECT_SECONDS = 20
PATIENCE_SECONDS = 120
"""For a cluster without any worker to get one."""
_AHEAD = 2
"""Batches held for each thread of the cluster: the one it evaluates and the next."""


class ClusterMissing(UsageError):
    """danku is installed without what it needs to use a cluster."""


class ClusterUnreachable(StorageError):
    """There is no cluster at the address, or it went away."""


class ClusterUnfit(StorageError):
    """The cluster's machines do not have this version of danku."""


class Cluster:
    """An `Evaluator` over Dask workers; each of their threads has a worker process of its own.

    Use it as a context manager: leaving it ends the worker processes on the cluster.
    """

    def __init__(self, address: str, *, patience: float = PATIENCE_SECONDS) -> None:
        """Connect to a scheduler.

        Args:
            address: as Dask writes it, such as ``tcp://10.0.0.1:8786`` or ``tls://…``, whose
                certificates Dask's own settings name.
            patience: seconds for a cluster without any worker to get one.

        Raises:
            ClusterMissing: the extra is not installed.
            ClusterUnreachable: nobody answers.
        """
        try:
            import distributed
        except ImportError:
            raise ClusterMissing(
                "danku cannot use a cluster here",
                why="dask.distributed is not installed",
                fix="pip install 'danku[cluster]'",
            ) from None
        self._dask: Any = distributed
        self._address = address
        self._patience = patience
        try:
            self._client = self._dask.Client(
                address, timeout=CONNECT_SECONDS, set_as_default=False, name="danku"
            )
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise self._unreachable(str(error)) from None

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(Exception):
            self._client.run(release, on_error="ignore")
        with suppress(Exception):
            self._client.close(timeout=CONNECT_SECONDS)

    def evaluate_each(
        self,
        models: Iterable[tuple[Digest, bytes]],
        features: Array,
        target: Array,
        manifest: Manifest,
        yardstick: Yardstick | None = None,
    ) -> Iterator[tuple[Digest, Verdict]]:
        """See `Evaluator`; a model whose worker failed is tried once more, alone, at the end.

        Raises:
            ClusterUnreachable: it went away, or has had no worker for too long.
            ClusterUnfit: it has another version of danku.
        """
        batches, failed = Batches(models), list[Named]()
        # NOTE: a task, so that Dask makes it again where the machine that held it is lost.
        work = self._submit(_hold, Work(features, target, manifest, yardstick))
        for name, model, verdict in self._judged(batches, work, batches.took):
            if verdict is None:
                failed.append((name, model))
            else:
                yield name, verdict
        alone = ([named] for named in failed)
        for name, _, verdict in self._judged(alone, work, lambda models, seconds: None):
            if verdict is None:
                raise WorkerFailed(
                    f"the cluster came to no verdict of the model {name}",
                    why="two worker processes failed over it",
                    fix="abstain, or evaluate it without --cluster to see why",
                )
            yield name, verdict

    def _judged(
        self, batches: Iterable[list[Named]], work: Any, took: Callable[[int, float], None]
    ) -> Iterator[Judged]:
        waiting: dict[Any, list[Named]] = {}
        room = _AHEAD * max(1, self._threads())
        try:
            for batch in batches:
                waiting[self._submit(_judge, batch, work)] = batch
                while len(waiting) >= room:
                    yield from self._finished(waiting, took)
                    room = _AHEAD * max(1, self._threads())
            while waiting:
                yield from self._finished(waiting, took)
        finally:
            if waiting:
                with suppress(Exception):
                    self._client.cancel(list(waiting), force=True)

    def _finished(
        self, waiting: dict[Any, list[Named]], took: Callable[[int, float], None]
    ) -> list[Judged]:
        found: list[Judged] = []
        for future in self._wait(list(waiting)):
            batch = waiting.pop(future)
            version, seconds, verdicts = self._result(future)
            if version != __version__:
                raise ClusterUnfit(
                    f"the cluster has danku {version}, this machine {__version__}",
                    why="another version may come to other verdicts",
                    fix="install the same version on all machines",
                )
            took(len(batch), seconds)
            found += [(*named, verdict) for named, verdict in zip(batch, verdicts, strict=True)]
        return found

    def _wait(self, futures: Sequence[Any]) -> list[Any]:
        """Those that are done; one at least."""
        while True:
            try:
                with self._client.as_current():
                    done = self._dask.wait(futures, self._patience, "FIRST_COMPLETED").done
            except TimeoutError:
                # NOTE: models may well take longer than that; a cluster without machines must not.
                if self._threads() == 0:
                    raise self._unreachable("it has no worker") from None
            except Exception as error:
                raise self._unreachable(str(error) or type(error).__name__) from None
            else:
                return list(done)

    def _result(self, future: Any) -> tuple[str, float, list[Verdict | None]]:
        try:
            result: tuple[str, float, list[Verdict | None]] = future.result(CONNECT_SECONDS)
        except self._dask.KilledWorker as error:
            raise WorkerFailed(
                "too many machines of the cluster were lost over the same models",
                why=str(error)[:500],
                fix="look at the logs of its workers, or evaluate without --cluster",
            ) from None
        except (ImportError, AttributeError) as error:
            raise ClusterUnfit(
                "the cluster's machines cannot run this version of danku",
                why=str(error),
                fix="install the same version on all machines",
            ) from None
        except Exception as error:
            raise self._unreachable(str(error) or type(error).__name__) from None
        return result

    def _submit(self, function: Callable[..., Any], *values: Any) -> Any:
        try:
            return self._client.submit(function, *values, pure=False)
        except Exception as error:
            raise self._unreachable(str(error) or type(error).__name__) from None

    def _threads(self) -> int:
        try:
            return sum(self._client.nthreads().values())
        except Exception as error:
            raise self._unreachable(str(error) or type(error).__name__) from None

    def _unreachable(self, why: str) -> ClusterUnreachable:
        return ClusterUnreachable(
            f"the cluster at {self._address} cannot be used",
            why=why,
            fix="look whether its scheduler and workers run; what was evaluated is remembered",
        )


_idle: SimpleQueue[Worker] = SimpleQueue()
"""On a machine of the cluster: worker processes that wait for models."""


def _hold(work: Work) -> Work:
    return work


def _judge(batch: Sequence[Named], work: Work) -> tuple[str, float, list[Verdict | None]]:
    """On a machine of the cluster: this danku's version, seconds taken, a verdict each or None."""
    try:
        worker = _idle.get_nowait()
    except Empty:
        worker = Worker()
    try:
        judged = judge_batch(worker, batch, work)
    finally:
        _idle.put(worker)
    return __version__, worker.took, [verdict for _, _, verdict in judged]


def release() -> None:
    """On a machine of the cluster: end the worker processes that wait for models."""
    while True:
        try:
            _idle.get_nowait().close()
        except Empty:
            return
