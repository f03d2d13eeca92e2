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
from danku.ledger.embedded.errors import AHEAD_SECONDS, ClockBehind, JournalBroken, refuse
from danku.ledger.embedded.files import locked
from danku.ledger.embedded.genesis import Clock, Genesis
from danku.ledger.embedded.heads import Heads, check_head
from danku.ledger.embedded.journal import Journal
from danku.ledger.embedded.lines import Line, read_line, sequencer_signature
from danku.ledger.embedded.replay import Replay
from danku.ledger.port import Entry, Receipt
from danku.protocol import records
from danku.protocol.actions import Create
from danku.protocol.draw import challenge_id
from danku.protocol.state import State
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
    ) -> None:
        """Open a journal and replay it.

        ``cache`` and ``heads`` are files in the private folder, made when they are needed: the
        one saves time, the other detects a truncated journal. ``sequencer`` is needed to write to
        a ledger whose genesis names one.

        Raises:
            JournalMissing: there is no journal.
            VerificationFailed: it is broken, or does not contain the remembered head.
            StorageError: a file cannot be used.
        """
        self._clock = clock
        self._cache = Cache(cache) if cache else None
        self._heads = Heads(heads) if heads else None
        self._sequencer = sequencer
        self._journal = Journal(path)
        self._replay: Replay | None = None
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

    def submit(self, key: PrivateKey, action: LedgerAction, value: int = 0) -> Receipt:
        """See `Ledger`; takes `Grant` and `AdvanceTime` besides."""
        with locked(self.path):
            replay = self._current()
            nonce, seen = replay.nonce(key.address), to_hex(replay.newest_action)
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
        identity, created = replay.identity, dict[Address, int]()
        for raw in islice(Journal(self.path).read(), 1, replay.sequence + 1):
            line = read_line(raw)
            signed, action = line.action, line.action.action
            about = getattr(action, "challenge", None)
            if isinstance(action, Create):
                nonce = created.get(signed.sender, 0)
                created[signed.sender] = nonce + 1
                about = challenge_id(identity.chain_id, identity.address, signed.sender, nonce)
            if challenge is None or about == challenge:
                yield Entry(
                    sequence=line.sequence,
                    time=line.time,
                    digest=to_hex(signed.digest),
                    sender=signed.sender,
                    action=action,
                    value=int(signed.value),
                )

    def _current(self) -> Replay:
        if self._replay is not None and self._journal.unchanged():
            return self._replay
        now = self._clock()
        journal, replay = self._resumed()
        self._replay = None
        lines = journal.read()
        begun = replay is not None
        if replay is None:
            first = next(lines, None)
            if first is None:
                raise JournalBroken(1, "genesis", "there is no whole line")
            replay, self._cached = Replay(first), 0
        ledger = replay.identity.address
        known = self._heads.known(self.path, ledger) if self._heads else None
        if not begun and known is None:
            replay.check_start(now)
        for raw in lines:
            checked = known is not None and replay.sequence < known.sequence
            replay.read(raw, now=now, already_checked=checked)
        # NOTE: signatures up to the remembered head were not checked again, so nothing may be
        # believed, cached or noted before the chain has been seen to lead there.
        check_head(replay, known)
        self._journal, self._replay = journal, replay
        self._keep(replay)
        return replay

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
        line = self._sequenced(
            replay,
            Line(
                action=signed,
                previous=to_hex(replay.head),
                sequence=replay.sequence + 1,
                time=replay.time(now),
            ),
        )
        step = replay.check(records.encode(line), now=now)
        # NOTE: interrupted between disk and memory, the next call has to read the journal again.
        self._replay = None
        self._journal.append(step.raw)
        replay.commit(step)
        self._replay = replay
        self._keep(replay)
        return Receipt(line.sequence, line.time, to_hex(step.digest))

    def _sequenced(self, replay: Replay, line: Line) -> Line:
        sequencer, key = replay.genesis.sequencer, self._sequencer
        if sequencer is None:
            return line
        if key is None or to_hex(key.public_key) != sequencer:
            refuse(
                "NotSequencer",
                f"the sequencer's key is {sequencer}, and it is not at hand",
                "send the action to whoever runs this ledger",
            )
        signature = sequencer_signature(key, replay.identity, line)
        return Line(line.action, line.previous, line.sequence, line.time, signature)

    def _keep(self, replay: Replay) -> None:
        if self._heads is not None:
            self._heads.remember(self.path, replay)
        if self._cache is not None and replay.sequence >= self._cached + CACHE_INTERVAL:
            self._cache.save(self._journal, replay)
            self._cached = replay.sequence
