"""The worker process: gives up what it does not need, tests itself, then serves job after job."""

from __future__ import annotations

import os
import sys
from typing import IO

from danku.evaluation import sandbox, systemcalls
from danku.evaluation.frames import Answer, Isolation, Job, read_frame, write_frame
from danku.protocol import records
from danku.protocol.manifest import Manifest
from danku.protocol.types import Score

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
    _send(answers, Answer("ready", Score(0), "", isolation))
    while (header := read_frame(sys.stdin.buffer)) is not None:
        job = records.decode(header, Job, "the job")
        manifest, model, data = (_required(sys.stdin.buffer) for _ in range(3))
        _send(answers, _serve(job, manifest, model, data, isolation))


def _required(stream: IO[bytes]) -> bytes:
    data = read_frame(stream)
    if data is None:
        raise EOFError("the job ends early")
    return data


def _send(stream: IO[bytes], answer: Answer) -> None:
    write_frame(stream, records.encode(answer))
    stream.flush()


def _serve(job: Job, manifest: bytes, model: bytes, data: bytes, isolation: Isolation) -> Answer:
    from safetensors.numpy import load

    from danku.evaluation.evaluate import evaluate

    sandbox.limit_job(job.seconds, job.memory_bytes)
    try:
        rows = load(data)
        terms = records.decode(manifest, Manifest, "the manifest")
        verdict = evaluate(model, rows["features"], rows["target"], terms)
    except Exception as error:  # NOTE: whatever it is, the validator hears of it and abstains
        reason = f"{type(error).__name__}: {error}"[:_REASON_CHARACTERS]
        return Answer("failed", Score(0), reason, isolation)
    return Answer(verdict.status, verdict.score, verdict.reason, isolation)
