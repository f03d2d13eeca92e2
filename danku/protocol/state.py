"""The state that rules read and return: frozen values, shared between versions, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from danku.protocol.actions import Ballot
from danku.protocol.manifest import Record
from danku.protocol.schedule import Windows, windows
from danku.protocol.terms import RegistryTerms, Terms
from danku.protocol.types import ZERO_DIGEST, Address, Amount, Cid, Digest, Score

SettlementKind = Literal[
    "decided",
    "nothing-opened",
    "no-quorum",
    "no-train",
    "no-seed",
    "few-contributions",
    "cancelled",
]


@dataclass(frozen=True)
class Context:
    """What a ledger tells the rules about an action: who, when, with how much money."""

    sender: Address
    time: int
    """Ledger time in seconds since the epoch; never runs backwards."""
    value: int = 0
    beacon: Digest | None = None
    """Public randomness that nobody chose, or None on a ledger that has none."""


class Contribution(Record):
    contributor: Address
    commitment: Digest
    secret: Digest | None = None


class Opening(Record):
    model: Digest
    cid: Cid
    salt: Digest


class Submission(Record):
    """``number`` is its place in the order of commitment, from 0."""

    number: int
    submitter: Address
    commitment: Digest
    time: int
    opening: Opening | None = None
    report: Score | None = None
    """What its submitter reported last, in units of 1e-9; nobody has checked it."""


class CommittedVote(Record):
    commitment: Digest
    ballot: Ballot | None = None
    cid: Cid | None = None


class Round(Record):
    """A committee and its votes; an address that holds several seats votes once for all of them."""

    committee: tuple[Address, ...]
    """Who holds each seat: an address as often as it has seats."""
    seats: tuple[int, ...] = ()
    """The registry's seats, in the order of ``committee``; none for a named panel."""
    position: int = 0
    """The next candidate of the walk that draws seats."""
    votes: dict[Address, CommittedVote] = msgspec.field(default_factory=dict)


Fault = Literal["silent", "unopened", "minority"]


class Penalty(Record):
    """What a seat lost for how it served."""

    seat: int
    owner: Address
    fault: Fault
    amount: Amount
    """Of its stake, burned."""


class Settlement(Record):
    """How a challenge ended and what can still be claimed from its escrow."""

    kind: SettlementKind
    time: int
    reason: str
    ballot: Ballot | None = None
    round: int = 0
    majority: tuple[Address, ...] = ()
    claimed: int = 0
    """Bitmap over payout leaves."""
    deposit: int = 0
    """What `claim_deposit` pays for each submission that is owed one."""
    deposits_claimed: int = 0
    """Bitmap over submissions."""
    previous_link: Digest | None = None
    link: Digest | None = None
    penalties: tuple[Penalty, ...] = ()
    """What seats lost, round by round in committee order."""


class Pool(Record):
    """The seats that may serve a challenge: those of the registry as `create` found it."""

    version: int
    """Of the registry at `create`."""
    slots: int
    """Of the registry at `create`; a walk draws from 0 <= index < slots."""
    eligible: int
    """Seats whose owner is neither the organizer nor, so far, a submitter."""


class Challenge(Record):
    id: Digest
    organizer: Address
    terms: Terms
    terms_digest: Digest
    manifest: Cid
    created: int
    seed_commitment: Digest
    escrow: int
    pool: Pool | None = None
    """None for a named panel."""
    seed_secret: Digest | None = None
    contributions: tuple[Contribution, ...] = ()
    seed: Digest | None = None
    train: Cid | None = None
    test: Cid | None = None
    submissions: tuple[Submission, ...] = ()
    counts: dict[Address, int] = msgspec.field(default_factory=dict)
    """Submissions of each submitter."""
    opened: int = 0
    mix: Digest = ZERO_DIGEST
    """Exclusive or of keccak(submitter, salt) over all opened submissions."""
    rounds: dict[int, Round] = msgspec.field(default_factory=dict)
    settlement: Settlement | None = None

    @property
    def windows(self) -> Windows:
        """The challenge's deadlines."""
        return windows(self.created, self.terms.schedule)


class Seat(Record):
    """One staked seat; it stays in its slot of the registry until its stake is taken out."""

    owner: Address
    since: int
    """The registry's version from which it counts."""
    until: int = 0
    """The version from which it does not any more; 0 while nobody ended it."""
    free: int = 0
    """The time from which its stake can be taken out; 0 while nobody ended it."""
    loss: int = 0
    """What it was slashed by; never more than the stake."""


class Registry(Record):
    """All staked seats of a ledger.

    ``version`` counts what changed who holds which seats. A seat belongs to version v if
    ``since <= v`` and it did not end by v.
    """

    terms: RegistryTerms
    version: int = 0
    seats: tuple[Seat | None, ...] = ()
    """Slots; None is one whose stake was taken out."""
    free: tuple[int, ...] = ()
    """Empty slots; the last one is filled first."""
    active: int = 0
    """Seats that nobody ended."""
    staked: int = 0
    """All stakes in, less losses."""
    held: dict[Address, tuple[tuple[int, int], ...]] = msgspec.field(default_factory=dict)
    """Of each owner: (version, active seats from then on), ascending."""


class State(Record):
    """Everything a ledger's actions add up to.

    Money that came in is in an escrow, staked, credited to an address, or paid out:
    ``received == sum(escrows) + staked + sum(credits) + sum(paid)`` holds in every state.
    """

    chain_id: int
    ledger: Address
    registry: Registry | None = None
    """None on a ledger without staked validators."""
    challenges: dict[Digest, Challenge] = msgspec.field(default_factory=dict)
    created: dict[Address, int] = msgspec.field(default_factory=dict)
    """Challenges created by each organizer."""
    credits: dict[Address, int] = msgspec.field(default_factory=dict)
    paid: dict[Address, int] = msgspec.field(default_factory=dict)
    received: int = 0
    link: Digest = ZERO_DIGEST
    """The newest learning link."""
