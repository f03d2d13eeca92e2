"""The organizer's private folder of groups: their bytes in one file, their nonces in another."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import msgspec

from danku.crypto.hashing import from_hex, to_hex
from danku.crypto.merkle import hash_leaf
from danku.errors import DataError
from danku.storage.files import sync_folder

BYTES_FILE = "groups.bin"
INDEX_FILE = "groups.json"

_SYNC_BYTES = 64 * 2**20


class PrivateGroupsBroken(DataError):
    """The private folder lost groups or nonces, or they changed."""


@dataclass(frozen=True, slots=True)
class GroupCommitment:
    """One data group: its place, the 32 secret bytes that blind it, and the leaf they make."""

    index: int
    nonce: bytes
    leaf: bytes
    rows: int
    size: int
    """In bytes."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    nonce: str
    leaf: str
    rows: int
    size: int


class PrivateGroups:
    """Reads what `danku.dataset.commit.commit_groups` wrote."""

    def __init__(self, folder: Path) -> None:
        """Read the index.

        Raises:
            PrivateGroupsBroken: it is missing or malformed.
        """
        self.folder = folder
        try:
            entries = msgspec.json.decode((folder / INDEX_FILE).read_bytes(), type=list[_Entry])
            self.commitments = [
                GroupCommitment(
                    index, from_hex(each.nonce), from_hex(each.leaf), each.rows, each.size
                )
                for index, each in enumerate(entries)
            ]
        except (OSError, msgspec.DecodeError, DataError) as error:
            raise self._broken(f"{INDEX_FILE}: {error}") from None
        self._offsets = list(accumulate((each.size for each in entries), initial=0))

    def read(self, index: int) -> bytes:
        """The bytes of a group, checked against its leaf.

        Raises:
            PrivateGroupsBroken: they are missing or changed.
        """
        commitment = self.commitments[index]
        try:
            with (self.folder / BYTES_FILE).open("rb") as file:
                file.seek(self._offsets[index])
                data = file.read(commitment.size)
        except OSError as error:
            raise self._broken(f"{BYTES_FILE}: {error}") from None
        if hash_leaf(commitment.nonce, (data,)) != commitment.leaf:
            raise self._broken(f"the bytes of group {index} are not those committed")
        return data

    def _broken(self, why: str) -> PrivateGroupsBroken:
        return PrivateGroupsBroken(
            f"the private groups in {self.folder} are damaged",
            why=why,
            fix="bring the private folder back from a backup; without it the data cannot be "
            "revealed and the bond is lost",
        )


class GroupsFile:
    """Appends groups to a new private folder; `finish` makes them durable."""

    def __init__(self, folder: Path) -> None:
        """Create the file of bytes (mode 0600).

        Raises:
            OSError: it cannot be created.
        """
        self._folder = folder
        self._file = _create(folder / BYTES_FILE)
        self._unsynced = 0

    def append(self, data: bytes) -> None:
        """Write one group's bytes behind the others'."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        self._unsynced += len(data)
        if self._unsynced >= _SYNC_BYTES:
            os.fsync(self._file)
            self._unsynced = 0

    def finish(self, commitments: list[GroupCommitment]) -> None:
        """Write the index; everything is on the disk when this returns."""
        os.fsync(self._file)
        entries = [
            _Entry(to_hex(each.nonce), to_hex(each.leaf), each.rows, each.size)
            for each in commitments
        ]
        with os.fdopen(_create(self._folder / INDEX_FILE), "wb") as index:
            index.write(msgspec.json.format(msgspec.json.encode(entries)))
            index.flush()
            os.fsync(index.fileno())
        sync_folder(self._folder)

    def close(self) -> None:
        """Close the file, finished or not."""
        os.close(self._file)


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o600)
