"""The private folder: what must survive a crash and must not be seen by others before its time.

Files are 0600, folders 0700; a write is on the disk before `keep` returns, whole or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from danku.errors import DataError
from danku.protocol.records import decode, encode
from danku.protocol.types import Digest
from danku.storage.files import NewFile, make_folder

T = TypeVar("T")


class PrivateMissing(DataError):
    """The private folder does not hold what a step needs."""


class Vault:
    """Private files of one workspace, by challenge."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, challenge: Digest) -> Path:
        """The folder of one challenge, made if it is not there."""
        folder = self.root / challenge
        make_folder(folder, mode=0o700)
        return folder

    def _path(self, challenge: Digest, name: str) -> Path:
        return self.root / challenge / name

    def keep(self, challenge: Digest, name: str, data: bytes) -> Path:
        """Write bytes durably; an earlier version under the name is replaced whole."""
        with NewFile(self.folder(challenge), mode=0o600) as draft:
            draft.write(data)
            draft.keep(self._path(challenge, name))
        return self._path(challenge, name)

    def keep_record(self, challenge: Digest, name: str, record: object) -> Path:
        """Write a record's canonical bytes durably."""
        return self.keep(challenge, name, encode(record))

    def read(self, challenge: Digest, name: str, purpose: str) -> bytes:
        """The bytes of a private file.

        Raises:
            PrivateMissing: it is not there; says what is lost with it.
        """
        path = self._path(challenge, name)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise PrivateMissing(
                f"{path} is missing; it holds {purpose}",
                why="it was written on the machine where the step was made, and only there",
                fix="restore the private folder from a backup, or run this command there",
            ) from None

    def read_record(self, challenge: Digest, name: str, expected: type[T], purpose: str) -> T:
        """A private record.

        Raises:
            PrivateMissing: it is not there.
            DataError: it was damaged.
        """
        return decode(self.read(challenge, name, purpose), expected, f"private file {name}")

    def records(self, challenge: Digest, pattern: str, expected: type[T]) -> list[T]:
        """All private records of a challenge whose names match, by name."""
        folder = self.root / challenge
        return [
            decode(path.read_bytes(), expected, f"private file {path.name}")
            for path in sorted(folder.glob(pattern))
        ]
