"""Where the blocks of a blob come from, and what can be wrong with a place that offers them.

Nothing that a source gives is believed: `danku.storage.download` hashes every block.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Protocol, TypeVar

from danku.storage.dag import Piece

T = TypeVar("T")

_GLANCE_SECONDS = 0.2
"""How often a reader that waits looks whether it should stop."""


class SourceFault(Exception):
    """A source did not give a block; the text says why."""


class Absent(SourceFault):
    """It works, and does not have the block or cannot find it."""


class TooSlow(SourceFault):
    """It took longer for a block than a reader waits."""


class Failed(SourceFault):
    """It cannot be reached, or answers that something went wrong; it may work a moment later."""


class Lied(SourceFault):
    """It gave other bytes than those asked for."""


@dataclass(frozen=True)
class Patience:
    """How long a reader waits, in seconds."""

    block: float = 30.0
    """For one block, from one to the next."""
    connection: float = 10.0
    """For a connection, or an answer that needs no search."""
    pause: float = 0.5
    """Before the first repetition; doubled before the next one."""
    attempts: int = 3
    """How often a source is asked that fails."""


class Source(Protocol):
    """A place that may have blocks; used by several threads at once."""

    name: str

    @property
    def testifies(self) -> bool:
        """Whether a block that it lacks, or is slow with, tells something of its publisher."""
        ...

    def block(self, cid: str) -> bytes:
        """One block, of at most `BLOCK_BYTES` bytes; not verified.

        Raises:
            SourceFault: why there is none.
        """
        ...

    def run(self, root: str, leaves: Sequence[Piece]) -> Iterator[bytes]:
        """Leaves that follow one another in the blob ``root``, one by one; not verified.

        Raises:
            SourceFault: why there are no more.
        """
        ...


def plain(error: BaseException) -> str:
    """The innermost cause of a network error, in few words."""
    seen = error
    for _ in range(8):
        inner = getattr(seen, "original", None) or getattr(seen, "reason", None)
        inner = inner if isinstance(inner, BaseException) else None
        inner = inner or next((arg for arg in seen.args if isinstance(arg, BaseException)), None)
        if inner is None:
            break
        seen = inner
    text = getattr(seen, "strerror", None) or str(seen) or type(seen).__name__
    return str(text).rpartition(": ")[2][:200]


class _End:
    """Nothing more comes."""


class Stopped(Exception):
    """The reader has no use for more."""


def paced(
    blocks: Callable[[], Iterator[T]], seconds: float, until: float, stopped: Callable[[], bool]
) -> Iterator[T]:
    """What ``blocks`` gives, one by one, each within ``seconds`` of the one before.

    A server that sends a byte now and then defeats the timeout of a socket. So another thread
    reads, and is left behind with its connection when it takes too long.

    Args:
        until: the moment, by `time.monotonic`, after which nothing more is waited for.
        stopped: whether the reader wants no more.

    Raises:
        TooSlow: a block did not come in time.
        Stopped: ``stopped`` says so.
    """
    handed: Queue[T | _End | BaseException] = Queue(maxsize=2)
    deserted = threading.Event()

    def hand_over(item: T | _End | BaseException) -> None:
        while not deserted.is_set():
            with suppress(Full):
                handed.put(item, timeout=1)
                return

    def read() -> None:
        try:
            for block in blocks():
                hand_over(block)
                if deserted.is_set():
                    return
            hand_over(_End())
        except BaseException as error:
            hand_over(error)

    threading.Thread(target=read, daemon=True, name="danku-source").start()
    try:
        while True:
            item = _wait(handed, min(time.monotonic() + seconds, until), stopped)
            if isinstance(item, _End):
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        deserted.set()


def _wait(handed: Queue[T], until: float, stopped: Callable[[], bool]) -> T:
    started = time.monotonic()
    while not stopped():
        left = max(until - time.monotonic(), 0.001)
        try:
            return handed.get(timeout=min(left, _GLANCE_SECONDS))
        except Empty:
            if time.monotonic() >= until:
                waited = time.monotonic() - started
                raise TooSlow(f"no block within {waited:.0f} s") from None
    raise Stopped
