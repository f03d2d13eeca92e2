"""What can be said to a ledger about challenges: one record an action, told apart by ``kind``."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from danku.protocol.manifest import Record
from danku.protocol.terms import MAX_ENTRIES, Terms
from danku.protocol.types import Address, Amount, Cid, Digest, Score

OUTCOMES = ("test", "train-fallback", "void")
MAX_SEATS = 256
"""Seats that one action may stake, end or take out."""
MAX_SLOTS = 2**20
"""Seats that a registry holds at once."""
Outcome = Literal["test", "train-fallback", "void"]
MAX_NONCE = 2**48
"""Nonces of an organizer's challenges stay below it."""
ChallengeNonce = Annotated[int, msgspec.Meta(ge=0, lt=MAX_NONCE)]
SubmissionNumber = Annotated[int, msgspec.Meta(ge=0, lt=MAX_ENTRIES)]


class _Action(Record, tag_field="kind"):
    pass


class Create(_Action, tag="create"):
    """Organizer: fixes the terms and escrows pot, fee and bond."""

    terms: Terms
    manifest: Cid
    seed_commitment: Digest
    nonce: ChallengeNonce
    """Chosen by the organizer, once each; the challenge's id follows from it (`challenge_id`)."""


class Contribute(_Action, tag="contribute"):
    """Validator: commits to 32 random bytes for the seed."""

    challenge: Digest
    commitment: Digest


class OpenSeed(_Action, tag="open_seed"):
    """Organizer or contributor: opens the committed 32 bytes."""

    challenge: Digest
    secret: Digest


class Draw(_Action, tag="draw"):
    """Anyone: fixes the seed, and with it the train/test partition."""

    challenge: Digest


class RevealTrain(_Action, tag="reveal_train"):
    """Organizer: names the bundle of the train groups."""

    challenge: Digest
    bundle: Cid


class Submit(_Action, tag="submit"):
    """Submitter: commits to a model."""

    challenge: Digest
    commitment: Digest


class Open(_Action, tag="open"):
    """Submitter: opens a committed model."""

    challenge: Digest
    submission: SubmissionNumber
    model: Digest
    cid: Cid
    salt: Digest


class RevealTest(_Action, tag="reveal_test"):
    """Organizer: names the bundle of the test groups."""

    challenge: Digest
    bundle: Cid


class Convene(_Action, tag="convene"):
    """Anyone: calls the committee of the round that is due."""

    challenge: Digest


class Vote(_Action, tag="vote"):
    """Committee member: commits to a ballot."""

    challenge: Digest
    commitment: Digest


class Ballot(Record):
    """What a committee member says happened; equal ballots add up."""

    outcome: Outcome
    result: Digest
    payout_root: Digest
    payout_total: Amount
    winner: Address
    """The submitter ranked first, or the zero address."""
    score: Score
    """The winner's score, or 0."""


class OpenVote(_Action, tag="open_vote"):
    """Committee member: opens a committed ballot and names where the result can be had."""

    challenge: Digest
    ballot: Ballot
    salt: Digest
    cid: Cid


class Finalize(_Action, tag="finalize"):
    """Anyone: settles a challenge whose fate is decided."""

    challenge: Digest


class Cancel(_Action, tag="cancel"):
    """Organizer: ends a challenge before any model can be opened."""

    challenge: Digest


class Claim(_Action, tag="claim"):
    """Anyone: has one leaf of the payout tree paid to its payee."""

    challenge: Digest
    index: SubmissionNumber
    payee: Address
    amount: Amount
    proof: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=32)]


class ClaimDeposit(_Action, tag="claim_deposit"):
    """Anyone: has a submission's deposit paid back to its submitter, where no committee decided."""

    challenge: Digest
    submission: SubmissionNumber


class Withdraw(_Action, tag="withdraw"):
    """Anyone: takes out everything credited to the sender."""


SeatNumber = Annotated[int, msgspec.Meta(ge=0, lt=MAX_SLOTS)]
SeatNumbers = Annotated[tuple[SeatNumber, ...], msgspec.Meta(min_length=1, max_length=MAX_SEATS)]


class Join(_Action, tag="join"):
    """Anyone: stakes seats in the registry."""

    seats: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEATS)]
    """How many more."""
    held: Annotated[int, msgspec.Meta(ge=0, le=MAX_SLOTS)]
    """How many the sender holds already, so that nothing is bought twice."""


class Leave(_Action, tag="leave"):
    """Owner: ends seats, whose stakes can be taken out after the unbonding delay."""

    seats: SeatNumbers


class Unstake(_Action, tag="unstake"):
    """Owner: takes out what is left of the stakes of ended seats."""

    seats: SeatNumbers


Action: TypeAlias = (
    Create
    | Contribute
    | OpenSeed
    | Draw
    | RevealTrain
    | Submit
    | Open
    | RevealTest
    | Convene
    | Vote
    | OpenVote
    | Finalize
    | Cancel
    | Claim
    | ClaimDeposit
    | Withdraw
    | Join
    | Leave
    | Unstake
)


def kind_of(action: Record) -> str:
    """The action's name, as in the ``kind`` key of its record."""
    return str(action.__struct_config__.tag)
