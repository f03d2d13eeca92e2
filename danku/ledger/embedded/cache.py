"""A checked standing kept beside the journal, so that a command need not replay what it knows.

It counts only for the very bytes it was made from: it names the journal's first ``offset`` bytes
by their fingerprint, which is recomputed each time. Anything odd about the file, and it is passed
over and made anew. It belongs in the private folder; `verify` never looks at it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated

import msgspec

from danku import __version__
from danku.crypto.hashing import DIGEST_BYTES
from danku.errors import StorageError, VerificationFailed
from danku.ledger.embedded.files import disk_errors, locked, replace_file
from danku.ledger.embedded.journal import Journal
from danku.ledger.embedded.replay import Replay, Standing
from danku.protocol.records import decode_scalar

_HASH_BYTES = 32
_MALFORMED = (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError, OSError)


class _Snapshot(msgspec.Struct):
    version: str
    genesis_line: bytes
    offset: Annotated[int, msgspec.Meta(ge=1, le=2**62)]
    fingerprint: bytes
    standing: Standing


class Cache:
    """One cached standing in a file of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, journal: Journal) -> Replay | None:
        """The cached replay, with the journal placed behind it; None if there is none to be had.

        Raises:
            JournalMissing: there is no journal.
            JournalUnavailable: it cannot be read.
        """
        try:
            limit = 2**20 + 4 * journal.path.stat().st_size
            body = self._read(limit)
            snapshot = msgspec.json.decode(body, type=_Snapshot, dec_hook=decode_scalar)
            replay = Replay(snapshot.genesis_line, snapshot.standing)
        except (*_MALFORMED, VerificationFailed):
            return None
        count, standing = replay.sequence + 1, snapshot.standing
        whole = (
            snapshot.version == __version__
            and len(standing.lines) == len(standing.actions) == count * DIGEST_BYTES
            and count > 0
        )
        if whole and journal.resume(snapshot.offset, count, snapshot.fingerprint):
            return replay
        return None

    def save(self, journal: Journal, replay: Replay) -> None:
        """Keep where the replay stands, all of the journal being read; a failure is no matter."""
        snapshot = _Snapshot(
            version=__version__,
            genesis_line=replay.genesis_line,
            offset=journal.offset,
            fingerprint=journal.fingerprint(),
            standing=replay.standing,
        )
        try:
            body = msgspec.json.encode(snapshot, enc_hook=str)
            with locked(self._path, seconds=0), disk_errors(self._path):
                replace_file(self._path, _hash(body) + body)
        # NOTE: ValueError is CPython's limit on the digits of an integer, which a bitmap over
        # more than 14,000 submissions of one challenge would pass.
        except (StorageError, ValueError):
            return

    def _read(self, limit: int) -> bytes:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                raise ValueError("somebody else can write it")
            if status.st_size > limit:
                raise ValueError("it is too large for its journal")
            data = file.read(limit + 1)
        if _hash(data[_HASH_BYTES:]) != data[:_HASH_BYTES]:
            raise ValueError("it is damaged")
        return data[_HASH_BYTES:]


def _hash(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_HASH_BYTES).digest()
