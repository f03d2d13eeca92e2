"""Locks, and files that a killed process leaves either as they were or as they should be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from danku.ledger.embedded.errors import JournalBusy, JournalUnavailable
from danku.storage.files import sync_folder

LOCK_SECONDS = 60.0
PUBLIC_MODE = 0o644
PRIVATE_MODE = 0o600

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a file into an error that advises.

    Raises:
        JournalUnavailable: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise JournalUnavailable(
            f"{path} cannot be used: {error.strerror or error}",
            why="nothing is acknowledged before it is on disk",
            fix="check that the folder is there and writable, and that the disk is not full",
        ) from error


@contextmanager
def locked(path: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of a file against other processes; it dies with the process that holds it.

    Raises:
        JournalBusy: another process kept it for ``seconds``.
        JournalUnavailable: the lock's file cannot be made.
    """
    from filelock import FileLock, Timeout

    # NOTE: without flock, filelock falls back to a lock that survives kill -9; refuse instead.
    lock = FileLock(f"{path}.lock", timeout=seconds, poll_interval=0.005, fallback_to_soft=False)
    with disk_errors(path):
        # NOTE: filelock would make a missing folder, and a private one with the wrong mode.
        path.parent.stat()
        try:
            lock.acquire()
        except Timeout:
            raise JournalBusy(
                f"{path} is locked by another process",
                why="appending takes a moment, so something hangs",
                fix="end the other danku process, then try again",
            ) from None
    try:
        yield
    finally:
        lock.release()


def write_synced(path: Path, data: bytes, mode: int, flags: int) -> None:
    """Write a file that ``flags`` make or empty, and put it on disk; an OSError passes."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | _NO_FOLLOW | flags, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def unfinished(path: Path) -> Path:
    """Where the next version of a file is written, by whoever holds the file's lock."""
    # NOTE: always the same name, so that killed processes leave no litter behind.
    return path.with_name(f"{path.name}.new")


def put_in_place(finished: Path, path: Path) -> None:
    """Give a finished file its name, on disk; an OSError passes."""
    finished.replace(path)
    sync_folder(path.parent)


def replace_file(path: Path, data: bytes, mode: int = PRIVATE_MODE) -> None:
    """Put ``data`` in the place of a file whose lock the caller holds; an OSError passes."""
    write_synced(unfinished(path), data, mode, os.O_TRUNC)
    put_in_place(unfinished(path), path)
