"""The signed transaction of a key that may not be in a block yet, on disk before it is sent.

A key has at most one. As long as the file is there, nothing else is sent with this key, so that a
command that was killed at any point is taken up where it stopped, and nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec

from danku.errors import DataError, StorageError
from danku.ledger.ethereum.fees import Fees
from danku.protocol.manifest import Record
from danku.protocol.records import decode, encode
from danku.protocol.types import Address, Digest
from danku.storage.files import NewFile, make_folder, sync_folder

LOCK_SECONDS = 5.0

_Whole = Annotated[str, msgspec.Meta(pattern=r"\A(0|[1-9][0-9]{0,77})\Z")]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
_Data = Annotated[str, msgspec.Meta(pattern=r"\A0x(?:[0-9a-f]{2})*\Z")]


class Busy(StorageError):
    """Another process is sending with the same key."""


class Signed(Record):
    """One version of the transaction; only one of them can ever be in a block."""

    transaction: Digest
    raw: _Data
    most: _Whole
    tip: _Whole

    @property
    def fees(self) -> Fees:
        """What it offers."""
        return Fees(int(self.most), int(self.tip))


class Unsigned(Record):
    """What all versions of a transaction share."""

    chain_id: _Count
    nonce: _Count
    """Of the account, as the chain counts."""
    to: Address | None
    data: _Data
    value: _Whole
    gas: _Count
    """The most that it may use."""


class Waiting(Record):
    """A transaction that was signed, in all versions, the newest last."""

    sender: Address
    purpose: Digest
    """What it does: the keccak of the call, to know it again."""
    what: str
    """For people."""
    unsigned: Unsigned
    versions: Annotated[tuple[Signed, ...], msgspec.Meta(min_length=1)]


class Outbox:
    """The waiting transaction of one key on one chain."""

    def __init__(self, folder: Path, chain_id: int, sender: Address) -> None:
        self._path = folder / f"sending-{chain_id}-{sender}.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from sending with the key.

        Raises:
            Busy: one is at it.
            StorageError: the folder cannot be used.
        """
        from filelock import FileLock, Timeout

        try:
            make_folder(self._path.parent, 0o700)
            # NOTE: without flock, filelock falls back to a lock that survives kill -9.
            lock = FileLock(f"{self._path}.lock", timeout=LOCK_SECONDS, fallback_to_soft=False)
            lock.acquire()
        except Timeout:
            raise Busy(
                "another danku process is sending a transaction with this key",
                why="a key's transactions are ordered by a nonce, so one waits for the other",
                fix="let it end, then try again",
            ) from None
        except OSError as error:
            raise _unusable(self._path, error) from None
        try:
            yield
        finally:
            lock.release()

    def load(self) -> Waiting | None:
        """What is waiting; the caller holds the outbox.

        Raises:
            DataError: the file is damaged.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(self._path, error) from None
        try:
            return decode(data, Waiting, str(self._path))
        except DataError as error:
            raise DataError(
                error.what,
                why="it holds a transaction that may have been sent",
                fix="see in a block explorer whether the key's last transaction is in a block; "
                "then delete the file",
            ) from None

    def keep(self, waiting: Waiting) -> None:
        """Have it on disk when this returns.

        Raises:
            StorageError: it could not be written; nothing may be sent.
        """
        try:
            with NewFile(self._path.parent, mode=0o600) as draft:
                draft.write(encode(waiting))
                draft.keep(self._path)
        except OSError as error:
            raise _unusable(self._path, error) from None

    def clear(self) -> None:
        """Forget it: it is in a block for good, or never will be."""
        try:
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)
        except OSError as error:
            raise _unusable(self._path, error) from None


def _unusable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be used: {error.strerror or error}",
        why="nothing is sent before it is on disk",
        fix="check that the private folder is there and writable, and that the disk is not full",
    )
