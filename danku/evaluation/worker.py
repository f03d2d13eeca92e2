"""Evaluation in a process of its own, with limits; its child is this module run as a program.

The limits here protect a validator and say nothing about a model: when one strikes, the validator
abstains. What a model may cost is metered, alike for everybody (`danku.evaluation.metering`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer
from time import perf_counter
from types import TracebackType
from typing import IO, TYPE_CHECKING

import danku
from danku.errors import DankuError
from danku.evaluation.frames import (
    ANSWER_BYTES,
    Answer,
    BrokenFrame,
    Isolation,
    Job,
    decode_answer,
    read_frame,
    write_frame,
)
from danku.evaluation.verdict import Verdict
from danku.evaluation.work import Work
from danku.protocol import records
from danku.protocol.manifest import Manifest

if TYPE_CHECKING:
    from danku.evaluation.tensor import Array

SECONDS = 600
MEMORY_FACTOR = 10
"""Kernels compute in wider types than they are given, and take at most so many times the peak bytes
that a model is charged."""
MEMORY_BYTES = 6 * 2**30
"""For the default limits: so many times their peak bytes, and the rest for what is not metered."""
START_SECONDS = 300
"""For imports and the self-test; the very first start also compiles kernels."""

_EXIT_SECONDS = 5
_COMPLAINT_CHARACTERS = 500


class WorkerFailed(DankuError):
    """The worker gave no verdict; the validator abstains, and never votes "rejected"."""


class WorkerTimedOut(WorkerFailed):
    """The worker took longer than its wall-clock limit."""


class WorkerDied(WorkerFailed):
    """The worker ended without an answer."""


class Worker:
    """A process that evaluates one model after another; started at the first, restarted if it dies.

    Use it as a context manager: leaving it ends the process.
    """

    def __init__(self, *, seconds: int = SECONDS, memory_bytes: int = MEMORY_BYTES) -> None:
        self.seconds = seconds
        """Wall-clock and processor time for one model."""
        self.memory_bytes = memory_bytes
        """Address space for one model, beyond what Python and the kernels take."""
        self.isolation: Isolation | None = None
        """What the kernel let the worker give up; None until it has started."""
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        self._holds = ""
        """The digest of the `Work` that the process has."""
        self.took = 0.0
        """Seconds that the newest models were judged for, to cut batches by and nothing else."""

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the process unless it runs.

        Raises:
            WorkerFailed: it cannot start, or its self-test fails.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "danku.evaluation.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
        self.isolation = self._exchange([], START_SECONDS, ("ready",)).isolation

    def evaluate(self, model: bytes, features: Array, target: Array, manifest: Manifest) -> Verdict:
        """`danku.evaluation.evaluate.evaluate`, in the worker.

        Raises:
            WorkerFailed: as `judge`.
        """
        return self.judge([model], Work(features, target, manifest))[0]

    def judge(
        self, models: Sequence[bytes], work: Work, measured: Sequence[int] = ()
    ) -> list[Verdict]:
        """The verdicts of at most `MODELS` models, in their order.

        Those at the places ``measured`` are scored on the yardstick of ``work`` as well.

        The rows travel once to each process. More than one model at a time is for small ones: they
        share all limits, and where one fails, all of them are without a verdict.

        Raises:
            WorkerFailed: it died, ran out of time or memory, or met an error that is not the
                model's. The next call starts another process.
        """
        fresh = self._process is None or self._process.poll() is not None
        self.start()
        started = perf_counter()
        try:
            return self._judge(models, work, measured)
        except WorkerDied:
            if fresh:
                raise
            # NOTE: an earlier model may have left the process in a bad state.
            self.start()
            return self._judge(models, work, measured)
        finally:
            self.took = perf_counter() - started

    def _judge(self, models: Sequence[bytes], work: Work, measured: Sequence[int]) -> list[Verdict]:
        frames = self._frames(models, work, measured=measured)
        answer = self._exchange(frames, self.seconds, ("judged",))
        if len(answer.verdicts) != len(models):
            self.close()
            found = f"{len(answer.verdicts)} verdicts for {len(models)} models"
            raise WorkerFailed(f"the worker gave {found}", fix="abstain")
        self._holds = work.digest
        return list(answer.verdicts)

    def _frames(
        self,
        models: Sequence[bytes],
        work: Work,
        *,
        measured: Sequence[int] = (),
        predict: bool = False,
    ) -> list[bytes]:
        """A job as messages; the rows are among them unless the process has them."""
        known = self._holds == work.digest
        job = Job(
            seconds=self.seconds,
            memory_bytes=self.memory_bytes,
            work=work.digest,
            fresh=not known,
            models=len(models),
            yardstick=work.yardstick is not None,
            measured=tuple(measured),
            predict=predict,
        )
        return [records.encode(job), *(() if known else work.frames), *models]

    def predict(self, model: bytes, work: Work) -> tuple[Verdict, Array]:
        """A model's verdict, and what it says of each row; nothing where it is rejected.

        Returns:
            The verdict; labels int64 [rows] (-1: no class of the challenge) or values float64
            [rows], as `danku.evaluation.evaluate.said_array`.

        Raises:
            WorkerFailed: as `judge`.
        """
        from danku.evaluation.evaluate import said_array

        self.start()
        frames = self._frames([model], work, predict=True)
        rows = len(work.target)
        answer = self._exchange(frames, self.seconds, ("predicted",), ANSWER_BYTES + 16 * rows)
        scored = [verdict.status == "scored" for verdict in answer.verdicts]
        if len(scored) != 1 or len(answer.said) != 8 * rows * scored[0]:
            self.close()
            raise WorkerFailed(f"the worker gave {len(answer.said)} bytes for {rows} rows")
        self._holds = work.digest
        return answer.verdicts[0], said_array(answer.said, work.manifest)

    def close(self) -> None:
        """End the process and everything that it started."""
        self._holds = ""
        if self._process is not None:
            self._kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
            self._process = None
        if self._complaints is not None:
            self._complaints.close()
            self._complaints = None

    def _exchange(
        self,
        frames: Sequence[bytes],
        seconds: float,
        expected: Sequence[str],
        limit: int = ANSWER_BYTES,
    ) -> Answer:
        """Send a job and wait for its answer; whatever goes wrong ends the process."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        timed_out = Event()
        timer = Timer(seconds, self._strike, [timed_out])
        timer.daemon = True
        timer.start()
        try:
            for frame in frames:
                write_frame(process.stdin, frame)
            process.stdin.flush()
            data = read_frame(process.stdout, limit)
            answer = None if data is None else decode_answer(data)
        except (OSError, BrokenFrame):
            answer = None
        finally:
            timer.cancel()
        if answer is None:
            raise self._death(seconds, timed_out=timed_out.is_set())
        if answer.status not in expected:
            self.close()
            problem = answer.reason if answer.status == "failed" else f"it says {answer.status}"
            raise WorkerFailed(f"the worker met an error: {problem}", fix="abstain")
        return answer

    def _death(self, seconds: float, *, timed_out: bool) -> WorkerFailed:
        assert self._process is not None and self._complaints is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_SECONDS)
        self._kill()
        code = self._process.wait()
        said = _end_of(self._complaints)
        self.close()
        if timed_out:
            return WorkerTimedOut(
                f"the worker took longer than {seconds:g} s",
                why="its time limit protects this machine and says nothing about the model",
                fix="abstain, or allow more time",
            )
        how = f"by {_signal_name(-code)}" if code < 0 else f"with code {code}"
        return WorkerDied(f"the worker ended {how}", why=said, fix="abstain")

    def _strike(self, timed_out: Event) -> None:
        timed_out.set()
        self._kill()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _end_of(stream: IO[bytes]) -> str:
    """The last of what was written, which may be very much."""
    length = stream.seek(0, os.SEEK_END)
    stream.seek(max(length - 4 * _COMPLAINT_CHARACTERS, 0))
    said = stream.read(4 * _COMPLAINT_CHARACTERS).decode("utf-8", "replace")
    return said.strip()[-_COMPLAINT_CHARACTERS:]


def _signal_name(number: int) -> str:
    """NOTE: not every number has a name."""
    names = {each.value: each.name for each in signal.Signals}
    return names.get(number, f"signal {number}")


def _environment() -> dict[str, str]:
    """Nothing of this process's own environment, which may hold keys and passwords."""
    return {
        "PYTHONPATH": str(Path(danku.__file__).parent.parent),
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


if __name__ == "__main__":
    from danku.evaluation import serving

    serving.main()
