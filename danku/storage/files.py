"""Files that are there whole or not at all, and stay after a power cut."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from types import TracebackType

TEMPORARY_PREFIX = ".incoming-"
PARTIAL_PREFIX = ".partial-"
"""Of a blob that is being fetched; it stays, so that fetching can go on."""


class NewFile:
    """A file under a temporary name in ``folder``: `keep` gives it its name, else it vanishes.

    Use it as a context manager. ``mode`` holds from its creation on, less the umask.
    """

    def __init__(self, folder: Path, mode: int = 0o644) -> None:
        self._path = folder / (TEMPORARY_PREFIX + secrets.token_hex(8))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._file = os.fdopen(os.open(self._path, flags, mode), "wb")
        self._kept = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append the bytes."""
        self._file.write(data)

    def keep(self, target: Path, *, durable: bool = True) -> None:
        """Take the place of ``target``, in the same folder; durable when this returns."""
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())
        self._file.close()
        self._path.replace(target)
        self._kept = True
        if durable:
            sync_folder(target.parent)

    def __enter__(self) -> NewFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._kept:
            try:
                self._file.close()
            finally:
                self._path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the folder's names durable (a no-op where folders cannot be synced)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Create the folder and its parents, durably; fine if it is there."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=mode, exist_ok=True)
        sync_folder(each.parent)
