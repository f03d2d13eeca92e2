"""The journal as a file: whole lines are read, one line at a time is added, nothing else changes.

A line counts once its newline is there. What stands behind the last newline is torn: a writer was
killed before it could acknowledge anything. Readers pass over it, the next writer sets it aside.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from danku.ledger.embedded.conflict import is_marker
from danku.ledger.embedded.errors import JournalBroken, JournalConflicted, JournalMissing
from danku.ledger.embedded.files import PUBLIC_MODE, disk_errors, write_synced
from danku.ledger.embedded.lines import LINE_BYTES
from danku.storage.files import sync_folder

_CHUNK = 2**20
_Stamp: TypeAlias = tuple[int, int, int, int, int]


def _stamp(status: os.stat_result) -> _Stamp:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


class Journal:
    """A journal file and how far it has been read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        """Where the next line begins, in bytes."""
        self.count = 0
        """Lines read."""
        self.torn = 0
        """Bytes found behind the last newline."""
        # NOTE: not keccak: the fingerprint leaves no machine, and reading a cached state means
        # hashing the whole journal, which BLAKE2 does three times as fast.
        self._hasher = hashlib.blake2b(digest_size=32)
        self._stamp: _Stamp | None = None

    def fingerprint(self) -> bytes:
        """What all bytes before ``offset`` hash to."""
        return self._hasher.copy().digest()

    def unchanged(self) -> bool:
        """Whether the file is as it was when it was last read or written through this object.

        Raises:
            JournalMissing: it is gone.
            JournalUnavailable: the disk does not say.
        """
        with self._found():
            return self._stamp == _stamp(self.path.stat())

    def resume(self, offset: int, count: int, fingerprint: bytes) -> bool:
        """Stand at ``offset`` after ``count`` lines, if the bytes before it are those known.

        Raises:
            JournalMissing: there is no file.
            JournalUnavailable: it cannot be read.
        """
        hasher, left = hashlib.blake2b(digest_size=32), offset
        with self._opened() as descriptor:
            while left and (chunk := os.read(descriptor, min(left, _CHUNK))):
                hasher.update(chunk)
                left -= len(chunk)
        if left or hasher.digest() != fingerprint:
            return False
        self.offset, self.count, self._hasher = offset, count, hasher
        return True

    def read(self) -> Iterator[bytes]:
        """The whole lines from ``offset`` on, without their newlines.

        Raises:
            JournalBroken: a line is too long to be one.
            JournalConflicted: git left a conflict there.
            JournalMissing: there is no file.
            JournalUnavailable: it cannot be read.
        """
        with self._opened() as descriptor:
            stamp = _stamp(os.fstat(descriptor))
            os.lseek(descriptor, self.offset, os.SEEK_SET)
            rest = b""
            while chunk := os.read(descriptor, _CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._bound(line)
                    self._passed(line)
                    yield line
                self._bound(rest)
            self.torn = len(rest)
            self._stamp = stamp

    def append(self, line: bytes) -> None:
        """Add a line behind all others and have it on disk; the caller holds the lock.

        Raises:
            JournalUnavailable: the disk refuses; the file is as it was.
        """
        self.set_aside()
        with self._writable() as descriptor:
            self._write(descriptor, line + b"\n")
            self._passed(line)
            self._stamp = _stamp(os.fstat(descriptor))

    def set_aside(self) -> None:
        """Move the bytes behind the last newline to a file of their own; under the lock as well.

        Raises:
            JournalUnavailable: the disk refuses.
        """
        if not self.torn:
            return
        with self._writable() as descriptor:
            self._copy_aside(os.pread(descriptor, self.torn, self.offset))
            os.ftruncate(descriptor, self.offset)
            os.fsync(descriptor)
            self.torn = 0

    @contextmanager
    def _writable(self) -> Iterator[int]:
        with disk_errors(self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND)
            try:
                if os.fstat(descriptor).st_size != self.offset + self.torn:
                    raise OSError("it was changed by a program that does not hold its lock")
                yield descriptor
            finally:
                os.close(descriptor)

    def _write(self, descriptor: int, data: bytes) -> None:
        try:
            written = os.write(descriptor, data)
            if written < len(data):
                raise OSError(f"{written} of {len(data)} bytes were written")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, self.offset)
            raise

    def _copy_aside(self, fragment: bytes) -> None:
        for copy in itertools.count():
            suffix = f".torn-{self.count}" + (f"-{copy}" if copy else "")
            aside = self.path.with_name(self.path.name + suffix)
            try:
                write_synced(aside, fragment, PUBLIC_MODE, os.O_EXCL)
            except FileExistsError:
                continue
            sync_folder(self.path.parent)
            return

    def _passed(self, line: bytes) -> None:
        self._hasher.update(line + b"\n")
        self.offset += len(line) + 1
        self.count += 1

    def _bound(self, line: bytes) -> None:
        if is_marker(line):
            raise JournalConflicted(self.count + 1)
        if len(line) > LINE_BYTES:
            raise JournalBroken(
                self.count + 1, "bytes", f"it is longer than {LINE_BYTES} bytes, as none can be"
            )

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with self._found():
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    @contextmanager
    def _found(self) -> Iterator[None]:
        with disk_errors(self.path):
            try:
                yield
            except FileNotFoundError:
                raise JournalMissing(
                    f"there is no journal {self.path}",
                    why="the ledger of this workspace is that file",
                    fix="danku init starts one; danku ledger import FILE takes over another's",
                ) from None
