"""The embedded ledger: a journal file that is replayed, behind the port of all ledgers."""

from __future__ import annotations

import time as _time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from danku.crypto.hashing import to_hex
from danku.crypto.signatures import PrivateKey
from danku.ledger.embedded.cache import Cache
from danku.ledger.embedded.envelope import LedgerAction, SignedAction, sign
from danku.ledger.embedded.errors import (
    AHEAD_SECONDS,
    ClockBehind,
    JournalBroken,
    JournalUnmerged,
)
from danku.ledger.embedded.files import locked
from danku.ledger.embedded.genesis import Clock, Genesis
from danku.ledger.embedded.heads import Head, Heads, Known, check_head, check_pending, leads_to
from danku.ledger.embedded.journal import Journal
from danku.ledger.embedded.lines import read_line, sequenced
from danku.ledger.embedded.refusals import note_refusals
from danku.ledger.embedded.replay import Replay
from danku.ledger.embedded.repository import Repository, shared_sequence
from danku.ledger.port import Entry, Receipt
from danku.protocol import records
from danku.protocol.actions import Action, Create
from danku.protocol.draw import challenge_id
from danku.protocol.rules import apply
from danku.protocol.state import Context, State
from danku.protocol.types import Address, Digest

CACHE_INTERVAL = 256
"""New actions after which the cached standing is written again."""


def system_clock() -> int:
    """The seconds since the epoch."""
    return int(_time.time())


class EmbeddedLedger:
    """A `Ledger` in one file that several processes may share; of one thread at a time."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = system_clock,
        cache: Path | None = None,
        heads: Path | None = None,
        sequencer: PrivateKey | None = None,
        repository: Repository | None = None,
    ) -> None:
        """Open a journal and replay it.

        ``cache`` and ``heads`` are files in the private folder, made when they are needed: the
        one saves time, the other detects a truncated journal. ``sequencer`` is needed to write to
        a ledger whose genesis names one. ``repository`` is the git repository that carries the
        journal to others; without one nothing is pending.

        Raises:
            JournalMissing: there is no journal.
            JournalUnmerged: git could not merge it, and left that to somebody.
            VerificationFailed: it is broken, or does not contain the remembered head.
            StorageError: a file cannot be used.
        """
        self._clock = clock
        self._cache = Cache(cache) if cache else None
        self._heads = Heads(heads) if heads else None
        self._sequencer = sequencer
        self._repository = repository
        self._journal = Journal(path)
        self._replay: Replay | None = None
        self._shared: int | None = None
        self._cached = 0
        self._current()

    @property
    def path(self) -> Path:
        """The journal."""
        return self._journal.path

    @property
    def chain_id(self) -> int:
        """See `Ledger`."""
        return self._current().identity.chain_id

    @property
    def address(self) -> Address:
        """See `Ledger`."""
        return self._current().identity.address

    @property
    def genesis(self) -> Genesis:
        """What the ledger's maker decided."""
        return self._current().genesis

    @property
    def torn(self) -> int:
        """Bytes of an unfinished last line, which the next action sets aside."""
        self._current()
        return self._journal.torn

    def state(self) -> State:
        """See `Ledger`."""
        return self._current().standing.state

    def time(self) -> int:
        """See `Ledger`."""
        return self._current().time(self._clock())

    def balance(self, address: Address) -> int:
        """See `Ledger`."""
        return self._current().balance(address)

    def nonce(self, address: Address) -> int:
        """See `Ledger`."""
        return self._current().nonce(address)

    def head(self) -> Digest:
        """See `Ledger`."""
        return to_hex(self._current().head)

    def check(self, sender: Address, action: Action, value: int = 0) -> None:
        """See `Ledger`."""
        replay = self._current()
        replay.check_money(sender, value)
        apply(replay.standing.state, action, Context(sender, self.time(), value))

    def submit(self, key: PrivateKey, action: LedgerAction, value: int = 0) -> Receipt:
        """See `Ledger`; takes `Grant` and `AdvanceTime` besides."""
        with locked(self.path):
            replay = self._current()
            # NOTE: a pending action may be refused in a merge, and what names it would be as well.
            newest = replay.sequence if self._shared is None else self._shared
            nonce, seen = replay.nonce(key.address), to_hex(replay.action_digest(newest))
            return self._append(replay, sign(key, replay.identity, action, value, nonce, seen))

    def append(self, signed: SignedAction) -> Receipt:
        """Have an action accepted that was signed elsewhere.

        Raises:
            Rejected: a rule of the envelope, the ledger or the protocol forbids it.
            DataError: it is no well-formed record.
        """
        with locked(self.path):
            return self._append(self._current(), signed)

    def actions(self, challenge: Digest | None = None) -> Iterator[Entry]:
        """See `Ledger`."""
        replay = self._current()
        identity = replay.identity
        for raw in islice(Journal(self.path).read(), 1, replay.sequence + 1):
            line = read_line(raw)
            signed, action = line.action, line.action.action
            about = getattr(action, "challenge", None)
            if isinstance(action, Create):
                about = challenge_id(
                    identity.chain_id, identity.address, signed.sender, action.nonce
                )
            if challenge is None or about == challenge:
                yield Entry(
                    sequence=line.sequence,
                    time=line.time,
                    digest=to_hex(signed.digest),
                    sender=signed.sender,
                    action=action,
                    value=int(signed.value),
                )

    def pending(self) -> list[Entry]:
        """The actions that others do not have yet, as git says now."""
        replay = self._current()
        if self._repository is not None:
            self._keep(replay, shared_sequence(self.path, self._repository.view(), replay.sequence))
        if self._shared is None:
            return []
        known = self._heads.known(self.path, replay.identity.address) if self._heads else None
        shared = max(self._shared, known.shared.sequence if known else 0)
        return [entry for entry in self.actions() if entry.sequence > shared]

    def _current(self) -> Replay:
        if self._replay is not None and self._journal.unchanged():
            return self._replay
        now = self._clock()
        view = self._repository.view() if self._repository else None
        if view is not None and view.unmerged:
            raise JournalUnmerged(self.path)
        journal, replay, known = self._read(now)
        moved = None
        # NOTE: signatures up to the remembered head were not checked again, so nothing may be
        # believed, cached or noted before the chain has been seen to lead there.
        if self._heads and known and not leads_to(replay, known.newest):
            if known.shared == known.newest:
                check_head(replay, known.newest)
            journal, replay, _ = self._read(now, only_shared=True)
            check_head(replay, known.shared)
            pending = self._heads.pending(replay.identity.address)
            note_refusals(self.path, check_pending(replay, pending, now))
            moved = known.newest
        self._journal, self._replay = journal, replay
        shared = shared_sequence(self.path, view, replay.sequence) if view else None
        self._keep(replay, shared, moved=moved)
        return replay

    def _read(self, now: int, *, only_shared: bool = False) -> tuple[Journal, Replay, Known | None]:
        """The journal read to its end; signatures are checked behind the remembered line."""
        journal, replay = self._resumed()
        self._replay = None
        lines = journal.read()
        begun = replay is not None
        if replay is None:
            first = next(lines, None)
            if first is None:
                raise JournalBroken(1, "genesis", "there is no whole line")
            replay, self._cached = Replay(first), 0
        known = self._heads.known(self.path, replay.identity.address) if self._heads else None
        if not begun and known is None:
            replay.check_start(now)
        trusted = -1
        if known is not None:
            trusted = (known.shared if only_shared else known.newest).sequence
        for raw in lines:
            replay.read(raw, now=now, already_checked=replay.sequence < trusted)
        return journal, replay, known

    def _actions_behind(self, sequence: int) -> list[SignedAction]:
        """The signed actions behind a line of what was read."""
        raws = islice(Journal(self.path).read(), sequence + 1, self._journal.count)
        return [read_line(raw).action for raw in raws]

    def _resumed(self) -> tuple[Journal, Replay | None]:
        """The journal, placed behind what is known of it already."""
        journal, known = Journal(self.path), self._journal
        if self._replay is not None:
            if journal.resume(known.offset, known.count, known.fingerprint()):
                return journal, self._replay
        elif self._cache is not None:
            cached = self._cache.load(journal)
            if cached is not None:
                self._cached = cached.sequence
                return journal, cached
        return journal, None

    def _append(self, replay: Replay, signed: SignedAction) -> Receipt:
        now = self._clock()
        if replay.ahead(now) > AHEAD_SECONDS:
            raise ClockBehind(
                f"this machine's clock is {replay.ahead(now)} s behind the ledger's newest line",
                why=f"lines more than {AHEAD_SECONDS} s ahead of their reader's clock are refused",
                fix="set the clock, then try again",
            )
        line = replay.next_line(signed, now)
        sequencer = replay.genesis.sequencer
        if sequencer is not None:
            line = sequenced(line, replay.identity, sequencer, self._sequencer)
        step = replay.check(records.encode(line), now=now)
        # NOTE: interrupted between disk and memory, the next call has to read the journal again.
        self._replay = None
        self._journal.append(step.raw)
        replay.commit(step)
        self._replay = replay
        self._keep(replay, self._shared, newest=signed)
        return Receipt(line.sequence, line.time, to_hex(step.digest))

    def _keep(
        self,
        replay: Replay,
        shared: int | None,
        *,
        moved: Head | None = None,
        newest: SignedAction | None = None,
    ) -> None:
        self._shared = shared
        if self._heads is not None:

            def actions_behind(sequence: int) -> list[SignedAction]:
                if newest is not None and sequence == replay.sequence - 1:
                    return [newest]
                return self._actions_behind(sequence)

            self._heads.remember(
                self.path,
                replay,
                shared=shared,
                actions_behind=actions_behind,
                replacing=moved,
            )
        if self._cache is not None and replay.sequence >= self._cached + CACHE_INTERVAL:
            self._cache.save(self._journal, replay)
            self._cached = replay.sequence
