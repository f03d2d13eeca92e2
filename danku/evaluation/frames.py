"""Length-prefixed messages between a validator and its worker process."""

from __future__ import annotations

from typing import IO, Annotated, Literal

import msgspec

from danku.evaluation.verdict import Verdict
from danku.protocol.manifest import Record
from danku.protocol.records import decode_scalar

_PREFIX_BYTES = 8
ANSWER_BYTES = 2**18
MODELS = 64
"""In one job, at most: their verdicts fit into an answer."""


class Job(Record):
    """Heads a job; frames follow: the manifest and all rows if they are new, then each model."""

    seconds: int
    """For all of its models, as the rest of the limits."""
    memory_bytes: int
    work: str
    """Names the manifest and the rows."""
    fresh: bool
    """Whether they follow; else the worker has them from the job before."""
    models: Annotated[int, msgspec.Meta(ge=1, le=MODELS)]
    yardstick: bool = False
    """Whether the rows of a yardstick are among them."""
    measured: Annotated[tuple[int, ...], msgspec.Meta(max_length=MODELS)] = ()
    """The places of those models that are scored on the yardstick as well."""
    predict: bool = False
    """Whether what the job's only model says of each row is asked for as well."""


class Isolation(Record):
    """What the kernel let a worker give up."""

    no_network: bool
    """By a network namespace of its own, or by the filter of system calls."""
    confined: bool
    """Whether the filter holds: no new process, no signal to another one."""


class Answer(Record):
    """What a worker says: ready after its self-test, then one answer a job."""

    status: Literal["ready", "judged", "predicted", "failed"]
    isolation: Isolation
    verdicts: Annotated[tuple[Verdict, ...], msgspec.Meta(max_length=MODELS)] = ()
    """Of each model of the job, in order."""
    reason: str = ""
    """Why it failed."""
    said: bytes = b""
    """Predictions, eight little-endian bytes a row: labels as integers, or values as floats."""


class BrokenFrame(Exception):
    """The other side went away in the middle of a message, or sent what is none."""


def encode_answer(answer: Answer) -> bytes:
    """An answer's bytes; they are of no one's record, so that any JSON will do."""
    return msgspec.json.encode(answer, enc_hook=str)


def decode_answer(data: bytes) -> Answer:
    """Read an answer, from a process that a model may have taken over.

    Raises:
        BrokenFrame: it is none.
    """
    try:
        return msgspec.json.decode(data, type=Answer, dec_hook=decode_scalar)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenFrame(str(error)) from None


def write_frame(stream: IO[bytes], data: bytes) -> None:
    """Write one message."""
    stream.write(len(data).to_bytes(_PREFIX_BYTES, "big"))
    stream.write(data)


def read_frame(stream: IO[bytes], limit: int | None = None) -> bytes | None:
    """Read one message; None if the other side has closed the stream.

    Raises:
        BrokenFrame: the stream ends inside a message, or the message is longer than ``limit``.
    """
    prefix = stream.read(_PREFIX_BYTES)
    if not prefix:
        return None
    length = int.from_bytes(prefix, "big")
    if len(prefix) < _PREFIX_BYTES or (limit is not None and length > limit):
        raise BrokenFrame
    data = stream.read(length)
    if len(data) < length:
        raise BrokenFrame
    return data
