"""Files of records, one canonical JSON line each, that are added to and survive a killed writer."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

from danku.errors import DataError
from danku.ledger.embedded.conflict import whole_lines
from danku.ledger.embedded.files import disk_errors, replace_file
from danku.protocol import records
from danku.protocol.manifest import Record
from danku.storage.files import sync_folder

T = TypeVar("T", bound=Record)


class RecordFile(Generic[T]):
    """Records of one type; writers hold a lock of their own choice.

    A line counts once its newline is there; what a killed writer left behind the last newline is
    passed over, and cut off by the next writer.
    """

    def __init__(self, path: Path, expected: type[T], mode: int) -> None:
        self.path = path
        self._expected = expected
        self._mode = mode

    def load(self, *, strict: bool = True) -> list[T]:
        """All records; none if there is no file.

        Raises:
            DataError: a line is not such a record; if not ``strict``, such lines are passed over.
            JournalUnavailable: the file cannot be read.
        """
        with disk_errors(self.path):
            if not self.path.exists():
                return []
            data = self.path.read_bytes()
        found = []
        for line in whole_lines(data):
            try:
                found.append(records.decode(line, self._expected, f"a line of {self.path.name}"))
            except DataError:
                if strict:
                    raise
        return found

    def add(self, more: Sequence[T]) -> None:
        """Add records and have them on disk.

        Raises:
            JournalUnavailable: the disk refuses.
        """
        if not more:
            return
        data = _lines(more)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        with disk_errors(self.path):
            is_new = not self.path.exists()
            descriptor = os.open(self.path, flags, self._mode)
            with os.fdopen(descriptor, "rb+", buffering=0) as file:
                _cut_torn(file)
                if file.write(data) != len(data):
                    raise OSError("the disk took a part of it only")
                os.fsync(descriptor)
            if is_new:
                sync_folder(self.path.parent)

    def replace(self, all_: Sequence[T]) -> None:
        """Have these records and no others in the file; without any there is no file.

        Raises:
            JournalUnavailable: the disk refuses.
        """
        with disk_errors(self.path):
            if all_:
                replace_file(self.path, _lines(all_), self._mode)
            elif self.path.exists():
                self.path.unlink()
                sync_folder(self.path.parent)


def _cut_torn(file: io.FileIO) -> None:
    size = file.seek(0, os.SEEK_END)
    if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
        file.truncate(os.pread(file.fileno(), size, 0).rfind(b"\n") + 1)


def _lines(of: Sequence[Record]) -> bytes:
    return b"".join(records.encode(record) + b"\n" for record in of)
