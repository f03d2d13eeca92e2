"""The worker process: gives up what it does not need, tests itself, then serves job after job."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import IO, Literal

from danku.evaluation import sandbox, systemcalls
from danku.evaluation.frames import (
    Answer,
    Isolation,
    Job,
    encode_answer,
    read_frame,
    write_frame,
)
from danku.evaluation.work import Work, Yardstick
from danku.protocol import records
from danku.protocol.manifest import Manifest

_REASON_CHARACTERS = 2_000


def main() -> None:
    """Serve jobs from standard input until it ends.

    Raises:
        ProfileBroken: this machine does not compute `exact/1`.
    """
    left = sandbox.leave_network()
    confined = systemcalls.forbid()
    sandbox.limit_files()
    isolation = Isolation(left or confined, confined)
    # NOTE: whatever a library prints must not end up between answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    # NOTE: numpy may start threads when it is imported, and what is above is for a single one.
    import onnx  # noqa: F401 - so that no job waits for it

    from danku.evaluation import evaluate  # noqa: F401
    from danku.evaluation.kernels.selftest import self_test

    self_test()
    _send(answers, Answer("ready", isolation))
    desk = _Desk(isolation)
    while (header := read_frame(sys.stdin.buffer)) is not None:
        job = records.decode(header, Job, "the job")
        count = 3 if job.yardstick else 2
        rows = [_required(sys.stdin.buffer) for _ in range(count)] if job.fresh else []
        models = [_required(sys.stdin.buffer) for _ in range(job.models)]
        _send(answers, desk.serve(job, rows, models))


def _required(stream: IO[bytes]) -> bytes:
    data = read_frame(stream)
    if data is None:
        raise EOFError("the job ends early")
    return data


def _send(stream: IO[bytes], answer: Answer) -> None:
    write_frame(stream, encode_answer(answer))
    stream.flush()


class _Desk:
    """Judges models; the rows and terms of the job before stay on it."""

    def __init__(self, isolation: Isolation) -> None:
        self._isolation = isolation
        self._work: Work | None = None
        self._name = ""

    def serve(self, job: Job, rows: Sequence[bytes], models: Sequence[bytes]) -> Answer:
        """The verdicts of a job's models, or that it failed."""
        from danku.evaluation.evaluate import judge, said_bytes

        verdicts, said = [], b""
        try:
            sandbox.limit_job(job.seconds, job.memory_bytes)
            if job.fresh:
                self._take(job.work, *rows)
            work = self._work
            if work is None or self._name != job.work:
                raise ValueError("the rows of the job are not here")
            for place, model in enumerate(models):
                verdicts.append(judge(model, work, measured=place in job.measured))
            if job.predict and verdicts[-1].status == "scored":
                said = said_bytes(models[-1], work.features, work.manifest)
        except Exception as error:  # NOTE: whatever it is, the validator hears of it and abstains
            reason = f"{type(error).__name__}: {error}"[:_REASON_CHARACTERS]
            return Answer("failed", self._isolation, reason=reason)
        status: Literal["predicted", "judged"] = "predicted" if job.predict else "judged"
        return Answer(status, self._isolation, tuple(verdicts), said=said)

    def _take(self, name: str, manifest: bytes, rows: bytes, yardstick: bytes = b"") -> None:
        from safetensors.numpy import load

        self._work, self._name = None, ""
        arrays = load(rows)
        terms = records.decode(manifest, Manifest, "the manifest")
        apart = None
        if yardstick:
            second = load(yardstick)
            # NOTE: each job says itself which of its models are scored on it.
            apart = Yardstick(second["features"], second["target"], frozenset())
        self._work, self._name = Work(arrays["features"], arrays["target"], terms, apart), name
