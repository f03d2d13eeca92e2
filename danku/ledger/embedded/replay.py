"""A journal's lines, checked and added up one after the other.

Readers and writers pass every line through the same `Replay.check`, in this order:
the record's form, its place in the chain, its time, the sequencer's signature, then the envelope
(signature, nonce, seen action, money), and last the rules of the ledger and of the protocol.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import msgspec

from danku.crypto.hashing import DIGEST_BYTES, keccak, to_hex
from danku.errors import DataError, Rejected
from danku.ledger.embedded.envelope import AdvanceTime, Grant, SignedAction, signature_holds
from danku.ledger.embedded.errors import AHEAD_SECONDS, JournalBroken, refuse
from danku.ledger.embedded.genesis import ADVANCE_LIMIT, identify, read_genesis
from danku.ledger.embedded.lines import Line, read_line, sequencer_signature_holds
from danku.protocol import rules
from danku.protocol.errors import require
from danku.protocol.state import Context, Registry, State
from danku.protocol.types import Address

_CHECK_OF_RULE = {"BadSignature": "signature", "WrongNonce": "order", "UnknownSeen": "order"}


class Standing(msgspec.Struct):
    """Everything that the lines so far add up to."""

    state: State
    time: int
    """Of the newest line."""
    advanced: int
    """Seconds by which a sandbox is ahead of the clock."""
    nonces: dict[Address, int]
    """Actions of each sender."""
    granted: dict[Address, int]
    spent: dict[Address, int]
    """What each sender's actions carried."""
    lines: bytearray
    """The keccaks of all lines, one after the other."""
    actions: bytearray
    """The digests of all signed actions, likewise; the genesis line stands for the first."""


@dataclass(frozen=True)
class Step:
    """A checked line and what it changes."""

    line: Line
    raw: bytes
    sender: Address
    digest: bytes
    """Of the signed action."""
    state: State
    """After the action."""


class Replay:
    """A ledger as its journal tells it, up to some line."""

    def __init__(self, genesis_line: bytes, standing: Standing | None = None) -> None:
        """Begin with the genesis line alone, or where an earlier replay of it stood.

        Raises:
            JournalBroken: the genesis line does not verify.
        """
        try:
            first = read_genesis(genesis_line)
            self.identity = identify(genesis_line)
        except DataError as error:
            raise JournalBroken(1, "genesis", error.what) from None
        self.genesis = first.genesis
        self.genesis_line = genesis_line
        digest = keccak(genesis_line)
        agreed = self.genesis.registry
        self.standing = standing or Standing(
            state=State(
                chain_id=self.identity.chain_id,
                ledger=self.identity.address,
                registry=Registry(agreed) if agreed else None,
            ),
            time=first.time,
            advanced=0,
            nonces={},
            granted={},
            spent={},
            lines=bytearray(digest),
            actions=bytearray(digest),
        )
        self._seen = {
            bytes(self.standing.actions[start : start + DIGEST_BYTES])
            for start in range(0, len(self.standing.actions), DIGEST_BYTES)
        }

    @property
    def sequence(self) -> int:
        """Of the newest line."""
        return len(self.standing.lines) // DIGEST_BYTES - 1

    @property
    def head(self) -> bytes:
        """keccak of the newest line."""
        return bytes(self.standing.lines[-DIGEST_BYTES:])

    def action_digest(self, sequence: int) -> bytes:
        """Digest of the signed action of a line, or of the genesis line; it must be there."""
        return bytes(self.standing.actions[sequence * DIGEST_BYTES : (sequence + 1) * DIGEST_BYTES])

    def line_digest(self, sequence: int) -> bytes | None:
        """keccak of a line, or None where there is none."""
        if not 0 <= sequence <= self.sequence:
            return None
        return bytes(self.standing.lines[sequence * DIGEST_BYTES : (sequence + 1) * DIGEST_BYTES])

    def holds(self, action: bytes) -> bool:
        """Whether a signed action of this digest stands in the journal."""
        return action in self._seen

    def fork(self) -> Replay:
        """A replay that stands at the same line and goes its own way from there."""
        # NOTE: the state is never changed in place; dicts and byte strings are.
        parts = {name: copy(getattr(self.standing, name)) for name in Standing.__struct_fields__}
        return Replay(self.genesis_line, Standing(**parts))

    def next_line(self, action: SignedAction, now: int) -> Line:
        """An action as the line that would come next when the clock shows ``now``."""
        return Line(action, to_hex(self.head), self.sequence + 1, self.time(now))

    def nonce(self, address: Address) -> int:
        """The nonce that the next action of an address must have."""
        return self.standing.nonces.get(address, 0)

    def balance(self, address: Address) -> int:
        """Money that the address can spend: what it got, less what its actions carried."""
        standing = self.standing
        got = standing.granted.get(address, 0) + standing.state.paid.get(address, 0)
        return self.genesis.play_money + got - standing.spent.get(address, 0)

    def time(self, now: int) -> int:
        """The ledger's time when the clock shows ``now``."""
        return max(now + self.standing.advanced, self.standing.time)

    def ahead(self, now: int) -> int:
        """By how many seconds the newest line is ahead of a clock that shows ``now``."""
        return self.standing.time - (now + self.standing.advanced)

    def check_start(self, now: int) -> None:
        """Check the genesis line's time, before any other line is read.

        Raises:
            JournalBroken: it is too far ahead of the clock.
        """
        _check_clock(1, self.standing.time, self.ahead(now))

    def read(self, raw: bytes, *, now: int, already_checked: bool = False) -> Step:
        """Check a line that stands in the journal, and take it in.

        ``already_checked`` passes over signatures and the reader's clock: for a line of which the
        caller makes sure that it leads to a head which an earlier full replay reached.

        Raises:
            JournalBroken: it does not verify; the replay must not be used any more.
        """
        number = self.sequence + 2
        try:
            step = self.check(raw, now=now, already_checked=already_checked)
        except Rejected as refusal:
            check = _CHECK_OF_RULE.get(refusal.rule, "rules")
            detail = f"{refusal.rule}, {refusal.what}"
            raise JournalBroken(number, check, detail) from refusal
        except DataError as error:
            raise JournalBroken(number, "bytes", error.what) from error
        self.commit(step)
        return step

    def check(self, raw: bytes, *, now: int, already_checked: bool = False) -> Step:
        """Check the line that is to come next, and change nothing.

        Raises:
            DataError: it is not a canonical record.
            JournalBroken: it is out of place or time, or not the sequencer's.
            Rejected: its action is refused.
        """
        line = read_line(raw)
        self._check_place(line)
        if not already_checked:
            ahead = line.time - (now + self.standing.advanced)
            _check_clock(self.sequence + 2, line.time, ahead)
            self._check_sequencer(line)
        signed, sender, digest = line.action, line.action.sender, line.action.digest
        self._check_envelope(signed, sender, already_checked)
        state = self._apply(signed, sender, line.time)
        return Step(line, raw, sender, digest, state)

    def commit(self, step: Step) -> None:
        """Take in a checked line, which must be the last one checked."""
        standing, signed = self.standing, step.line.action
        standing.state = step.state
        standing.time = step.line.time
        standing.nonces[step.sender] = signed.nonce + 1
        if signed.value:
            standing.spent[step.sender] = standing.spent.get(step.sender, 0) + signed.value
        if isinstance(signed.action, Grant):
            grant = signed.action
            standing.granted[grant.address] = standing.granted.get(grant.address, 0) + grant.amount
        elif isinstance(signed.action, AdvanceTime):
            standing.advanced += signed.action.seconds
        standing.lines += keccak(step.raw)
        standing.actions += step.digest
        self._seen.add(step.digest)

    def _check_place(self, line: Line) -> None:
        number = self.sequence + 2
        if line.sequence != self.sequence + 1:
            detail = f"its sequence is {line.sequence}, expected {self.sequence + 1}"
            raise JournalBroken(number, "chain", detail)
        if line.previous != to_hex(self.head):
            detail = f"it follows {line.previous}, but line {number - 1} hashes to "
            raise JournalBroken(number, "chain", detail + to_hex(self.head))
        if line.time < self.standing.time:
            detail = f"time runs backwards, from {self.standing.time} to {line.time}"
            raise JournalBroken(number, "time", detail)

    def _check_sequencer(self, line: Line) -> None:
        sequencer = self.genesis.sequencer
        if sequencer is None and line.sequencer_signature is not None:
            detail = "it has a sequencer's signature, but the ledger has no sequencer"
            raise JournalBroken(self.sequence + 2, "signature", detail)
        if sequencer is not None and not sequencer_signature_holds(line, self.identity, sequencer):
            detail = "the sequencer named at genesis did not sign it"
            raise JournalBroken(self.sequence + 2, "signature", detail)

    def _check_envelope(self, signed: SignedAction, sender: Address, already_checked: bool) -> None:
        if not already_checked and not signature_holds(signed, self.identity):
            refuse(
                "BadSignature",
                f"{sender} did not sign this action for the ledger {self.identity.address}",
                "sign it again; an action signed for another ledger counts on that one only",
            )
        if signed.nonce != self.nonce(sender):
            refuse(
                "WrongNonce",
                f"the nonce is {signed.nonce}, the next one of {sender} is {self.nonce(sender)}",
                "sign it again with that nonce, unless the ledger holds it already",
            )
        if bytes.fromhex(signed.seen[2:]) not in self._seen:
            refuse(
                "UnknownSeen",
                f"no action {signed.seen} stands before it",
                "read the newest journal, then sign again",
            )
        self.check_money(sender, signed.value)

    def check_money(self, sender: Address, value: int) -> None:
        """Refuse an action that carries more than its sender has.

        Raises:
            Rejected: InsufficientBalance.
        """
        if value > self.balance(sender):
            refuse(
                "InsufficientBalance",
                f"the action carries {value}, but {sender} has {self.balance(sender)}",
                "danku claim withdraws what is owed; danku ledger grant is the treasurer's",
            )

    def _apply(self, signed: SignedAction, sender: Address, time: int) -> State:
        action = signed.action
        if isinstance(action, Grant):
            if sender != self.genesis.treasurer:
                treasurer: Address | str = self.genesis.treasurer or "nobody"
                refuse("NotTreasurer", f"{sender} is not the treasurer; {treasurer} is")
        elif isinstance(action, AdvanceTime):
            if not self.genesis.sandbox:
                refuse("NotSandbox", "this ledger's time is the clock's", "wait for it")
            advanced = self.standing.advanced + action.seconds
            if advanced >= ADVANCE_LIMIT:
                refuse("TimeLimit", f"{advanced} s would be {ADVANCE_LIMIT} or more")
        else:
            context = Context(sender, time, int(signed.value))
            return rules.apply(self.standing.state, action, context)
        require(
            signed.value == 0, "WrongValue", f"the action takes 0, found {signed.value}", "send 0"
        )
        return self.standing.state


def _check_clock(number: int, time: int, ahead: int) -> None:
    if ahead > AHEAD_SECONDS:
        raise JournalBroken(
            number,
            "time",
            f"its time {time} is {ahead} s ahead of this machine's clock",
            fix="set this machine's clock; if it was right, the writer's was not",
        )
