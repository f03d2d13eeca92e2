"""What every blob store offers: bytes in, a CID out, and the same bytes back or an error.

Every implementation passes `tests/conformance/test_store.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from danku.errors import StorageError


class NotFound(StorageError):
    """The store does not have the blob."""


class NotRetrieved(NotFound):
    """No place where blobs are looked for gave the blob in time; it may come later."""


class ForeignFile(NotFound):
    """The CID names something else than a file in danku's form, which no store can hold."""


class Corrupt(StorageError):
    """What the store holds under a CID are other bytes."""


class BlobTooLarge(StorageError):
    """The blob is larger than the reader is willing to take."""


class StoreUnusable(StorageError):
    """The store's folder or node cannot be read or written."""


class Store(Protocol):
    """Blobs by CID; bytes are checked against their CID on every read.

    A CID that is not of danku's kind is an `UnknownCid` in every method.
    """

    def put(self, data: bytes) -> str:
        """Keep the bytes, durably, and return their CID; a second time changes nothing.

        Raises:
            StoreUnusable: they could not be kept.
        """
        ...

    def put_file(self, path: Path) -> str:
        """Keep the file's bytes, read once and in constant memory, and return their CID.

        Raises:
            DataError: the file cannot be read.
            StoreUnusable: the bytes could not be kept.
        """
        ...

    def get(self, cid: str, limit: int) -> bytes:
        """The blob, of at most ``limit`` bytes.

        Raises:
            NotFound, Corrupt, BlobTooLarge, StoreUnusable: see there.
        """
        ...

    def fetch(self, cid: str, target: Path, limit: int | None = None) -> None:
        """Write the blob to the file ``target``, in constant memory: whole and right, or not.

        Raises:
            NotFound, Corrupt, BlobTooLarge, StoreUnusable: see there; ``target`` is as before.
        """
        ...

    def has(self, cid: str) -> bool:
        """Whether the store holds something under this CID; only reading verifies it."""
        ...
