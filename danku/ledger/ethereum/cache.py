"""What was read of a chain, kept in the private folder, so that reading goes on where it stopped.

It counts only for the chain, contract and version of danku that it was made with, and only as far
as the blocks that it names by hash are still in the chain; `Reader` asks. Anything odd about the
file, and the chain is read from the beginning. `verify` never looks at it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from danku import __version__
from danku.ledger.ethereum.history import Accepted
from danku.ledger.ethereum.network import Anchor
from danku.protocol.records import decode_scalar
from danku.protocol.types import Address
from danku.storage.files import NewFile, make_folder

_HASH_BYTES = 32
_MALFORMED = (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError, OSError)


class Kept(msgspec.Struct):
    """How far a chain was read, and what was found."""

    version: str
    chain_id: int
    contract: Address
    anchors: list[Anchor]
    """Blocks up to which everything was read, the newest last."""
    told: list[Accepted]


class Cache:
    """One chain's file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, chain_id: int, contract: Address) -> Kept | None:
        """What was kept; None if there is nothing to be had for this contract."""
        try:
            kept = msgspec.json.decode(self._read(), type=Kept, dec_hook=decode_scalar)
        except _MALFORMED:
            return None
        known = (kept.version, kept.chain_id, kept.contract) == (__version__, chain_id, contract)
        return kept if known and kept.anchors else None

    def save(
        self, chain_id: int, contract: Address, anchors: list[Anchor], told: list[Accepted]
    ) -> None:
        """Keep it; a failure is no matter."""
        kept = Kept(__version__, chain_id, contract, anchors, told)
        body = msgspec.json.encode(kept, enc_hook=str)
        with suppress(OSError):
            make_folder(self._path.parent, 0o700)
            with NewFile(self._path.parent, mode=0o600) as draft:
                draft.write(_hash(body))
                draft.write(body)
                draft.keep(self._path)

    def _read(self) -> bytes:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                raise ValueError("somebody else can write it")
            data = file.read()
        if _hash(data[_HASH_BYTES:]) != data[:_HASH_BYTES]:
            raise ValueError("it is damaged")
        return data[_HASH_BYTES:]


def _hash(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_HASH_BYTES).digest()
