"""Joining two journals that began alike: one side stays, the other side's actions follow it.

A line cannot move, since it names the line before; a signed action can, since it names an action
that its signer had seen. So the lines of the kept side stay byte for byte, and the actions that
only the other side has are put behind them in their own order, which keeps every signer's nonces
and every seen action. Each gets the time of the joined journal's end. What no longer fits there
is refused by the rule that refuses it, and handed back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from danku.crypto.hashing import to_hex
from danku.crypto.signatures import PrivateKey
from danku.errors import Rejected, VerificationFailed
from danku.ledger.embedded.envelope import SignedAction
from danku.ledger.embedded.errors import JournalBroken, OtherLedger, Rewritten, refuse
from danku.ledger.embedded.heads import Head, check_head
from danku.ledger.embedded.lines import sequenced
from danku.ledger.embedded.refusals import Refusal
from danku.ledger.embedded.replay import Replay
from danku.protocol import records
from danku.protocol.actions import kind_of
from danku.protocol.types import Address, Digest


@dataclass(frozen=True)
class Side:
    """One of the journals, as lines without their newlines."""

    name: str
    """What errors call it."""
    lines: Iterable[bytes]


@dataclass(frozen=True)
class Moved:
    """An action that has a new place."""

    digest: Digest
    kind: str
    sender: Address
    sequence: int
    time: int


@dataclass
class Merged:
    """The joined journal."""

    replay: Replay
    """After its last line."""
    lines: list[bytes]
    moved: list[Moved] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        """The file's bytes."""
        return b"\n".join([*self.lines, b""])


def merge(
    kept: Side,
    moving: Side,
    *,
    now: int,
    floor: Head | None = None,
    extra: Sequence[SignedAction] = (),
    sequencer: Callable[[], PrivateKey | None] = lambda: None,
) -> Merged:
    """Join two journals; both are verified on the way, line by line.

    Args:
        now: what the clock shows.
        floor: a line that has to stay where it is.
        extra: further actions to put behind, where neither side has them.
        sequencer: the key of a ledger that needs one; asked for only if a line is to be added.

    Raises:
        JournalBroken: one of the two does not verify.
        OtherLedger: they are not of one ledger.
        Rewritten: the kept side does not contain ``floor``.
        Rejected: the ledger has a sequencer, whose key is not at hand.
    """
    left, right = _named(kept), _named(moving)
    first, other = _first(kept, left), _first(moving, right)
    with _blamed(kept):
        replay = Replay(first)
        replay.check_start(now)
    if first != other:
        _refuse_other(moving, other, replay)
    merged = Merged(replay, [first])
    ours, theirs = next(left, None), next(right, None)
    while ours is not None and ours == theirs:
        _read(kept, merged, ours, now)
        ours, theirs = next(left, None), next(right, None)
    behind: list[SignedAction] = []
    if ours is None:
        # NOTE: one is the beginning of the other, so nothing has to move.
        for raw in _rest(theirs, right):
            _read(moving, merged, raw, now)
    else:
        own = Merged(replay.fork(), [])
        for raw in _rest(ours, left):
            _read(kept, merged, raw, now)
        for raw in _rest(theirs, right):
            behind.append(_read(moving, own, raw, now))
    try:
        check_head(replay, floor)
    except Rewritten as error:
        error.what = f"{kept.name} lacks lines that were shared already: {error.what}"
        error.fix += "; to keep your lines where they are: danku ledger merge OTHER --keep-mine"
        raise
    _append(merged, [*behind, *extra], now, sequencer)
    return merged


def _append(
    merged: Merged,
    actions: Sequence[SignedAction],
    now: int,
    sequencer: Callable[[], PrivateKey | None],
) -> None:
    """Put actions behind, as often as one that fits now may make room for another."""
    waiting = list({signed.digest: signed for signed in actions}.values())
    waiting = [signed for signed in waiting if not merged.replay.holds(signed.digest)]
    key = _sequencer_key(merged.replay, sequencer) if waiting else None
    progress = True
    while waiting and progress:
        refused: list[Refusal] = []
        for signed in waiting:
            try:
                _append_one(merged, signed, now, key)
            except Rejected as rejected:
                replay = merged.replay
                head, time = to_hex(replay.head), replay.time(now)
                refused.append(Refusal.of(signed, rejected, head, time))
        progress = len(refused) < len(waiting)
        waiting = [refusal.action for refusal in refused]
        merged.refused = refused


def _append_one(merged: Merged, signed: SignedAction, now: int, key: PrivateKey | None) -> None:
    replay = merged.replay
    line = replay.next_line(signed, now)
    if replay.genesis.sequencer is not None:
        line = sequenced(line, replay.identity, replay.genesis.sequencer, key)
    # NOTE: its signature was checked where it stood; whoever writes the result checks all again.
    step = replay.check(records.encode(line), now=now, already_checked=True)
    replay.commit(step)
    merged.lines.append(step.raw)
    kind, digest = kind_of(signed.action), to_hex(step.digest)
    merged.moved.append(Moved(digest, kind, step.sender, line.sequence, line.time))


def _sequencer_key(replay: Replay, sequencer: Callable[[], PrivateKey | None]) -> PrivateKey | None:
    expected = replay.genesis.sequencer
    if expected is None:
        return None
    key = sequencer()
    if key is None or to_hex(key.public_key) != expected:
        refuse(
            "NotSequencer",
            f"every line of this ledger needs the signature of {expected}, also one that moves",
            "whoever runs the ledger has to merge: danku ledger merge OTHER --as KEY",
        )
    return key


def _refuse_other(side: Side, first: bytes, expected: Replay) -> None:
    with _blamed(side):
        found = Replay(first).identity.address
    raise OtherLedger(
        f"{side.name} is a journal of the ledger {found}, not of {expected.identity.address}",
        why="only journals that begin with the same line can be joined",
        fix="take the journal of this ledger",
    )


def _read(side: Side, merged: Merged, raw: bytes, now: int) -> SignedAction:
    with _blamed(side):
        step = merged.replay.read(raw, now=now)
    merged.lines.append(raw)
    return step.line.action


def _first(side: Side, lines: Iterator[bytes]) -> bytes:
    first = next(lines, None)
    if first is None:
        with _blamed(side):
            raise JournalBroken(1, "genesis", "there is no whole line")
    return first


def _named(side: Side) -> Iterator[bytes]:
    with _blamed(side):
        yield from side.lines


def _rest(first: bytes | None, others: Iterator[bytes]) -> Iterator[bytes]:
    if first is not None:
        yield first
        yield from others


@contextmanager
def _blamed(side: Side) -> Iterator[None]:
    """Say of which journal an error tells."""
    try:
        yield
    except VerificationFailed as error:
        if not error.what.startswith(f"{side.name}: "):
            error.what = f"{side.name}: {error.what}"
        raise
