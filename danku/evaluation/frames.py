"""Length-prefixed messages between a validator and its worker process."""

from __future__ import annotations

from typing import IO, Literal

from danku.protocol.manifest import Record
from danku.protocol.types import Score

_PREFIX_BYTES = 8
ANSWER_BYTES = 65_536


class Job(Record):
    """Heads a job; the manifest, the model and the data follow as frames of their own."""

    seconds: int
    memory_bytes: int


class Isolation(Record):
    """What the kernel let a worker give up."""

    no_network: bool
    """By a network namespace of its own, or by the filter of system calls."""
    confined: bool
    """Whether the filter holds: no new process, no signal to another one."""


class Answer(Record):
    """What a worker says: ready after its self-test, then one answer a job."""

    status: Literal["ready", "scored", "rejected", "failed"]
    score: Score
    reason: str
    isolation: Isolation


class BrokenFrame(Exception):
    """The other side went away in the middle of a message, or sent too long a one."""


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
