"""What a workspace has seen of its ledgers, kept where the journal's writers do not reach.

A hash chain does not show that its last lines were removed, nor a journal that it has replaced
another. So the newest line seen is remembered outside the journal, in the private folder.

Where git carries the journal, lines that others do not have yet are pending: a merge may move
them, and only them. So two lines are remembered: the newest one, and the newest one that others
had as well (shared). Up to the shared line nothing may change. The signed actions behind it are
remembered one by one: each has to stand in the journal, wherever it was moved to, or not to fit
any more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from danku.crypto.hashing import from_hex, to_hex
from danku.errors import DataError, Rejected
from danku.ledger.embedded.envelope import Count, SignedAction
from danku.ledger.embedded.errors import ActionsDropped, HeadsBroken, Rewritten
from danku.ledger.embedded.files import PRIVATE_MODE, disk_errors, locked, replace_file
from danku.ledger.embedded.record_file import RecordFile
from danku.ledger.embedded.refusals import Refusal
from danku.ledger.embedded.replay import Replay
from danku.protocol import records
from danku.protocol.manifest import Record
from danku.protocol.types import Address, Digest


class Head(Record):
    """A line that was seen: its sequence, and the keccak of its bytes."""

    sequence: Count
    digest: Digest


@dataclass(frozen=True)
class Known:
    """What is remembered of a ledger."""

    newest: Head
    shared: Head
    """The newest line that others were known to have; never behind ``newest``."""


class _Seen(Record, omit_defaults=True):
    heads: dict[Address, Head]
    """The newest line seen of each ledger."""
    journals: dict[str, Address]
    """The ledger found in each journal; paths are relative to this file's folder."""
    shared: dict[Address, Head] = msgspec.field(default_factory=dict)
    """The newest shared line, of ledgers of which it is not the newest."""

    def known(self, ledger: Address) -> Known | None:
        newest = self.heads.get(ledger)
        return None if newest is None else Known(newest, self.shared.get(ledger, newest))


class Heads:
    """The remembered heads in one file, and the pending actions in files beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self, journal: Path, ledger: Address) -> Known | None:
        """What is remembered of the ledger whose journal stands here.

        Raises:
            Rewritten: another ledger's journal stood here before.
            HeadsBroken: the file cannot be understood.
            JournalUnavailable: it cannot be read.
        """
        seen = self._read()
        before = seen.journals.get(self._name(journal), ledger)
        if before != ledger:
            raise Rewritten(f"{journal} is the ledger {ledger}, it was {before}")
        return seen.known(ledger)

    def pending(self, ledger: Address) -> list[SignedAction]:
        """The actions behind the shared line, in order; there may be some that are shared by now.

        Raises:
            HeadsBroken: their file cannot be understood.
            JournalUnavailable: it cannot be read.
        """
        try:
            return self._pending(ledger).load()
        except DataError as error:
            raise self._broken(error) from None

    def remember(
        self,
        journal: Path,
        replay: Replay,
        *,
        shared: int | None,
        actions_behind: Callable[[int], Sequence[SignedAction]],
        replacing: Head | None = None,
    ) -> None:
        """Note the replay's head, unless a later one is noted already.

        Args:
            shared: sequence of the newest line that others have; None if nothing is pending.
            actions_behind: the replay's signed actions behind a sequence.
            replacing: a noted head that `check_pending` has found to be moved.

        Raises:
            HeadsBroken, JournalUnavailable, JournalBusy: it cannot be noted.
        """
        ledger = replay.identity.address
        head, name = _head_at(replay, replay.sequence), self._name(journal)
        with locked(self._path):
            seen = self._read()
            noted = seen.known(ledger)
            moved = noted is not None and noted.newest == replacing
            newest = noted.newest if noted and not moved and _later(noted.newest, head) else head
            settled = newest if shared is None else _head_at(replay, shared)
            if noted is not None and shared is not None and _later(noted.shared, settled):
                settled = noted.shared
            anew = noted is None or moved or noted.shared != settled
            pending = newest == head and settled.sequence < head.sequence
            if pending:
                known_to = settled if noted is None or moved else noted.newest
                more = actions_behind(max(known_to.sequence, settled.sequence))
                self._pending(ledger).add(more)
            now_seen = _Seen(
                heads={**seen.heads, ledger: newest},
                journals={**seen.journals, name: ledger},
                shared={
                    key: line
                    for key, line in {**seen.shared, ledger: settled}.items()
                    if key != ledger or settled != newest
                },
            )
            if now_seen != seen:
                with disk_errors(self._path):
                    replace_file(self._path, records.encode(now_seen))
            # NOTE: last, so that a killed process leaves an action too many and never one too few.
            if anew and newest == head:
                self._pending(ledger).replace(actions_behind(settled.sequence) if pending else ())

    def _pending(self, ledger: Address) -> RecordFile[SignedAction]:
        return RecordFile(
            self._path.with_name(f"pending-{ledger}.jsonl"), SignedAction, PRIVATE_MODE
        )

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
            raise self._broken(error) from None

    def _broken(self, error: DataError) -> HeadsBroken:
        return HeadsBroken(
            f"{self._path}: {error.what}",
            why="without it nobody can tell whether the journal was truncated",
            fix="restore it from a backup; to start afresh, compare the journal with another "
            "participant's copy (danku ledger verify --head HASH), then delete the file",
        )


def _head_at(replay: Replay, sequence: int) -> Head:
    digest = replay.line_digest(sequence)
    assert digest is not None, "the replay has this line"
    return Head(sequence, to_hex(digest))


def _later(noted: Head, head: Head) -> bool:
    return noted.sequence >= head.sequence


def leads_to(replay: Replay, head: Head) -> bool:
    """Whether a replay contains a remembered line."""
    return replay.line_digest(head.sequence) == from_hex(head.digest)


def check_head(replay: Replay, head: Head | None) -> None:
    """Refuse a replay that does not contain a remembered line.

    Raises:
        Rewritten: see there.
    """
    if head is None or leads_to(replay, head):
        return
    found = replay.line_digest(head.sequence)
    if found is None:
        raise Rewritten(
            f"it ends with sequence {replay.sequence}, sequence {head.sequence} was seen before"
        )
    raise Rewritten(
        f"sequence {head.sequence} hashes to {to_hex(found)}, seen before was {head.digest}"
    )


def check_pending(replay: Replay, pending: Sequence[SignedAction], now: int) -> list[Refusal]:
    """Refuse a replay that lacks a pending action which would fit; say why the others do not.

    Nobody's word is taken for a refusal: each missing action is checked again.

    Raises:
        ActionsDropped: some would fit.
    """
    refused, dropped = list[Refusal](), list[SignedAction]()
    for signed in pending:
        if replay.holds(signed.digest):
            continue
        line = replay.next_line(signed, now)
        try:
            replay.check(records.encode(line), now=now, already_checked=True)
        except Rejected as rejected:
            refused.append(Refusal.of(signed, rejected, to_hex(replay.head), line.time))
        else:
            dropped.append(signed)
    if dropped:
        names = ", ".join(to_hex(signed.digest) for signed in dropped)
        raise ActionsDropped(
            f"the journal has lost {len(dropped)} action(s) that stood in it: {names}",
            why="an action that was acknowledged may move in a merge, and never vanish",
            fix="danku ledger merge puts them back",
        )
    return refused
