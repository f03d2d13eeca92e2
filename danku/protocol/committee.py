"""Who sits in a round, and what a round decides.

A committee of staked seats is drawn by a walk (DESIGN.md section 4). Candidate i is the word
keccak(domain "committee", seed, mix, i), all as 32-byte words; a word of 2^256 - 2^256 mod slots
or more names nobody, else candidate i is the seat in slot word mod slots. Candidates are passed
over if their seat is not in the challenge's pool, if it was drawn before, or if its owner is the
organizer or a submitter. Round two goes on where round one's walk stopped.
"""

from __future__ import annotations

from msgspec.structs import replace

from danku.crypto.hashing import domain, from_hex, keccak
from danku.protocol.actions import Ballot
from danku.protocol.registry import held_at, in_pool
from danku.protocol.state import Challenge, Registry, Round
from danku.protocol.types import Address, Digest

WALK_STEPS = 512
"""Candidates that one `convene` looks at; it is repeated where they do not fill a committee."""

_WORDS = 2**256


def candidate(seed: Digest, mix: Digest, position: int, slots: int) -> int | None:
    """The slot that a place of the walk names, 0 <= slot < slots; None for a word too large."""
    data = domain("committee") + from_hex(seed) + from_hex(mix) + position.to_bytes(32, "big")
    word = int.from_bytes(keccak(data), "big")
    return word % slots if word < _WORDS - _WORDS % slots else None


def walked(challenge: Challenge, registry: Registry, number: int, steps: int = WALK_STEPS) -> Round:
    """A round of a challenge with a pool, after so many more candidates."""
    pool, first = challenge.pool, challenge.rounds.get(1, Round(()))
    found = challenge.rounds.get(number, Round((), position=first.position))
    if pool is None or challenge.seed is None:
        return found
    drawn = {*first.seats, *found.seats}
    owners, seats, position = list(found.committee), list(found.seats), found.position
    while steps and len(seats) < challenge.terms.panel.seats:
        slot = candidate(challenge.seed, challenge.mix, position, pool.slots)
        position, steps = position + 1, steps - 1
        if slot is None or slot in drawn:
            continue
        seat = registry.seats[slot]
        if seat is None or not in_pool(seat, pool) or not serves(challenge, seat.owner):
            continue
        drawn.add(slot)
        seats.append(slot)
        owners.append(seat.owner)
    return replace(found, committee=tuple(owners), seats=tuple(seats), position=position)


def serves(challenge: Challenge, owner: Address) -> bool:
    """Whether an owner's seats may judge: those of the organizer and of submitters never do."""
    return owner != challenge.organizer and owner not in challenge.counts


def eligible_seats(challenge: Challenge, registry: Registry | None, owner: Address) -> int:
    """Seats of an owner that may be drawn for a challenge as things stand."""
    if challenge.pool is None or registry is None or not serves(challenge, owner):
        return 0
    return held_at(registry, owner, challenge.pool.version)


def judges(challenge: Challenge, registry: Registry | None, address: Address) -> bool:
    """Whether an address is on the panel, or owns seats that may be drawn."""
    if challenge.pool is None:
        return address in challenge.terms.panel.members
    return eligible_seats(challenge, registry, address) > 0


def round_due(challenge: Challenge, time: int) -> int:
    """The round whose windows are meant at this time: 2 from the end of round one, else 1."""
    return 2 if time >= challenge.windows.open_vote else 1


def named_committee(challenge: Challenge, number: int) -> tuple[Address, ...]:
    """A named panel; in round two without those who were silent in round one."""
    members = challenge.terms.panel.members
    first = challenge.rounds.get(1)
    if number == 1 or first is None:
        return members
    return tuple(
        member
        for member in members
        if member in first.votes and first.votes[member].ballot is not None
    )


def convened(challenge: Challenge, number: int) -> bool:
    """Whether a round has its whole committee."""
    found = challenge.rounds.get(number)
    if found is None or challenge.pool is None:
        return found is not None
    return len(found.seats) == challenge.terms.panel.seats


def quorum(seats: int, challenge: Challenge) -> bool:
    """Whether so many seats are two thirds of a full committee."""
    return 3 * seats >= 2 * challenge.terms.panel.seats


def tally(challenge: Challenge, number: int) -> dict[Ballot, tuple[Address, ...]]:
    """The opened ballots of a round and who cast each, once a seat, in committee order."""
    voters: dict[Ballot, tuple[Address, ...]] = {}
    found = challenge.rounds.get(number)
    for member in found.committee if found else ():
        vote = found.votes.get(member) if found else None
        if vote is not None and vote.ballot is not None:
            voters[vote.ballot] = (*voters.get(vote.ballot, ()), member)
    return voters


def decision(challenge: Challenge, number: int) -> tuple[Ballot, tuple[Address, ...]] | None:
    """The ballot that at least two thirds of the full committee's seats opened, and its voters."""
    for ballot, voters in tally(challenge, number).items():
        if quorum(len(voters), challenge):
            return ballot, voters
    return None
