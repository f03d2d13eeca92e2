"""The state that rules read and return: frozen values, shared between versions, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from danku.protocol.actions import Ballot
from danku.protocol.manifest import Record
from danku.protocol.schedule import Windows, windows
from danku.protocol.terms import Terms
from danku.protocol.types import ZERO_DIGEST, Address, Cid, Digest

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


class CommittedVote(Record):
    commitment: Digest
    ballot: Ballot | None = None
    cid: Cid | None = None


class Round(Record):
    committee: tuple[Address, ...]
    votes: dict[Address, CommittedVote] = msgspec.field(default_factory=dict)


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


class Challenge(Record):
    id: Digest
    organizer: Address
    terms: Terms
    terms_digest: Digest
    manifest: Cid
    created: int
    seed_commitment: Digest
    escrow: int
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


class State(Record):
    """Everything a ledger's actions add up to.

    Money that came in is in an escrow, credited to an address, or paid out:
    ``received == sum(escrows) + sum(credits) + sum(paid)`` holds in every state.
    """

    chain_id: int
    ledger: Address
    challenges: dict[Digest, Challenge] = msgspec.field(default_factory=dict)
    created: dict[Address, int] = msgspec.field(default_factory=dict)
    """Challenges created by each organizer."""
    credits: dict[Address, int] = msgspec.field(default_factory=dict)
    paid: dict[Address, int] = msgspec.field(default_factory=dict)
    received: int = 0
    link: Digest = ZERO_DIGEST
    """The newest learning link."""
