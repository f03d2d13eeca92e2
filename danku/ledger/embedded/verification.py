"""Verifying a journal from nothing: every line, every signature, no cache, no memory.

The checks are those of `danku.ledger.embedded.errors.CHECKS`, numbered in that order. What they
leave to the caller: whether the noted head came from somebody to be trusted, and, without a
sequencer, whether the writers asserted true times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from danku.crypto.hashing import from_hex, to_hex
from danku.errors import StorageError
from danku.ledger.embedded.errors import CHECKS, JournalBroken, Rewritten
from danku.ledger.embedded.files import disk_errors, locked
from danku.ledger.embedded.genesis import Clock, Genesis, Identity, read_genesis
from danku.ledger.embedded.journal import Journal
from danku.ledger.embedded.ledger import system_clock
from danku.ledger.embedded.replay import Replay, Step
from danku.protocol.actions import kind_of
from danku.protocol.state import State
from danku.protocol.types import Digest

_PROGRESS_LINES = 100
_LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Check:
    """One numbered check that the journal passed."""

    number: int
    name: str
    """A key of `CHECKS`."""
    found: str


@dataclass(frozen=True)
class JournalReport:
    """What a full replay found."""

    identity: Identity
    genesis: Genesis
    head: Digest
    lines: int
    """The genesis line included."""
    bytes: int
    first_time: int
    last_time: int
    kinds: dict[str, int]
    """Actions of each kind."""
    signers: int
    later: int | None
    """Lines after the noted head; None if none was given."""
    state: State
    """What the actions add up to."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """What was checked, in order; the head only if one was given."""
        actions, sequencer = self.lines - 1, self.genesis.sequencer
        asserted = "asserted by the writers" if sequencer is None else f"signed by {sequencer}"
        found = {
            "bytes": f"{self.lines} lines, {self.bytes} bytes",
            "genesis": f"chain id {self.identity.chain_id}, ledger {self.identity.address}"
            + (", a sandbox: money and stake have no force" if self.genesis.sandbox else ""),
            "chain": f"{self.lines} lines lead to {self.head}",
            "time": f"from {self.first_time} to {self.last_time}, {asserted}",
            "signature": f"{actions} actions of {self.signers} signers",
            "order": f"{actions} nonces and seen actions",
            "rules": ", ".join(f"{count} {kind}" for kind, count in self.kinds.items())
            or "no action",
        }
        if self.later is not None:
            found["head"] = f"it stands {self.later} lines before the newest"
        return tuple(
            Check(number, name, found[name])
            for number, name in enumerate(CHECKS, start=1)
            if name in found
        )


def verify_journal(
    path: Path,
    *,
    head: Digest | None = None,
    clock: Clock = system_clock,
    progress: Callable[[int, int], None] | None = None,
    observe: Callable[[Step], None] | None = None,
) -> JournalReport:
    """Replay a whole journal; ``progress`` is told bytes done and bytes in all, now and then,
    and ``observe`` of every checked line.

    Stricter than reading: bytes behind the last newline fail here, since a public record with
    anything added to it is not the one that was noted.

    Raises:
        JournalBroken: a line fails a check.
        Rewritten: the noted ``head`` is not among the lines.
        DataError: there is no journal, or ``head`` is no digest.
        StorageError: it cannot be read.
    """
    noted = None if head is None else from_hex(head)
    journal, now, replay, kinds = Journal(path), clock(), None, Counter[str]()
    with disk_errors(path):
        total = path.stat().st_size if path.exists() else 0
    for raw in _all_lines(journal):
        if replay is None:
            replay = Replay(raw)
            replay.check_start(now)
            continue
        step = replay.read(raw, now=now)
        kinds[kind_of(step.line.action.action)] += 1
        if observe:
            observe(step)
        if progress and step.line.sequence % _PROGRESS_LINES == 0:
            progress(journal.offset, total)
    if replay is None:
        raise JournalBroken(1, "genesis", "there is no whole line")
    if progress:
        progress(journal.offset, total)
    later = None if noted is None else _lines_after(replay, noted)
    return JournalReport(
        identity=replay.identity,
        genesis=replay.genesis,
        head=to_hex(replay.head),
        lines=replay.sequence + 1,
        bytes=journal.offset,
        first_time=read_genesis(replay.genesis_line).time,
        last_time=replay.standing.time,
        kinds=dict(sorted(kinds.items())),
        signers=len(replay.standing.nonces),
        later=later,
        state=replay.standing.state,
    )


def _all_lines(journal: Journal) -> Iterator[bytes]:
    yield from journal.read()
    if journal.torn:
        # NOTE: a writer may be halfway through a line, and is done once its lock is free. Where
        # no lock can be had, as in a read-only copy, there is no writer either.
        with suppress(StorageError), locked(journal.path, _LOCK_SECONDS):
            yield from journal.read()
    if journal.torn:
        raise JournalBroken(
            journal.count + 1,
            "bytes",
            f"{journal.torn} bytes stand behind the last newline",
            fix="if a command was killed here, the next one that writes sets them aside; "
            "if not, somebody added them, and another copy is without",
        )


def _lines_after(replay: Replay, noted: bytes) -> int:
    for later in range(replay.sequence + 1):
        if replay.line_digest(replay.sequence - later) == noted:
            return later
    raise Rewritten(f"none of its {replay.sequence + 1} lines hashes to {to_hex(noted)}")
