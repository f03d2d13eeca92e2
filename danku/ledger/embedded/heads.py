"""What a workspace has seen of its ledgers, kept where the journal's writers do not reach.

A hash chain does not show that its last lines were removed, nor a journal that it has replaced
another. So the newest line seen is remembered outside the journal, in the private folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from danku.crypto.hashing import from_hex, to_hex
from danku.errors import DataError
from danku.ledger.embedded.envelope import Count
from danku.ledger.embedded.errors import HeadsBroken, Rewritten
from danku.ledger.embedded.files import disk_errors, locked, replace_file
from danku.ledger.embedded.replay import Replay
from danku.protocol import records
from danku.protocol.manifest import Record
from danku.protocol.types import Address, Digest


class Head(Record):
    """A line that was seen: its sequence, and the keccak of its bytes."""

    sequence: Count
    digest: Digest


class _Seen(Record):
    heads: dict[Address, Head]
    """The newest line seen of each ledger."""
    journals: dict[str, Address]
    """The ledger found in each journal; paths are relative to this file's folder."""


class Heads:
    """The remembered heads in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self, journal: Path, ledger: Address) -> Head | None:
        """The newest line seen of the ledger whose journal stands here.

        Raises:
            Rewritten: another ledger's journal stood here before.
            HeadsBroken: the file cannot be understood.
            JournalUnavailable: it cannot be read.
        """
        seen = self._read()
        before = seen.journals.get(self._name(journal), ledger)
        if before != ledger:
            raise Rewritten(f"{journal} is the ledger {ledger}, it was {before}")
        return seen.heads.get(ledger)

    def remember(self, journal: Path, replay: Replay) -> None:
        """Note the replay's head, unless a later one is noted already.

        Raises:
            HeadsBroken, JournalUnavailable, JournalBusy: it cannot be noted.
        """
        ledger, head = replay.identity.address, Head(replay.sequence, to_hex(replay.head))
        name = self._name(journal)
        with locked(self._path):
            seen = self._read()
            noted = seen.heads.get(ledger)
            if noted is not None and noted.sequence >= head.sequence:
                head = noted
            now_seen = _Seen({**seen.heads, ledger: head}, {**seen.journals, name: ledger})
            if now_seen != seen:
                with disk_errors(self._path):
                    replace_file(self._path, records.encode(now_seen))

    def _name(self, journal: Path) -> str:
        return os.path.relpath(journal.resolve(), self._path.resolve().parent)

    def _read(self) -> _Seen:
        with disk_errors(self._path):
            if not self._path.exists():
                return _Seen({}, {})
            data = self._path.read_bytes()
        try:
            return records.decode(data, _Seen, "the file of remembered heads")
        except DataError as error:
            raise HeadsBroken(
                f"{self._path}: {error.what}",
                why="without it nobody can tell whether the journal was truncated",
                fix="restore it from a backup; to start afresh, compare the journal with another "
                "participant's copy (danku ledger verify --head HASH), then delete the file",
            ) from None


def check_head(replay: Replay, head: Head | None) -> None:
    """Refuse a replay that does not contain a remembered line.

    Raises:
        Rewritten: see there.
    """
    if head is None:
        return
    found = replay.line_digest(head.sequence)
    if found is None:
        raise Rewritten(
            f"it ends with sequence {replay.sequence}, sequence {head.sequence} was seen before"
        )
    if found != from_hex(head.digest):
        raise Rewritten(
            f"sequence {head.sequence} hashes to {to_hex(found)}, seen before was {head.digest}"
        )
