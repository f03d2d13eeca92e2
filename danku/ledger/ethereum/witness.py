"""What a caller hands over so that the contract need not store it (contracts/layout.vy).

All of it follows from the replayed state, and from two facts that `create` fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

from danku.crypto.hashing import abi_encode, from_hex, keccak
from danku.protocol.actions import OUTCOMES, Ballot
from danku.protocol.state import Challenge, Contribution, Pool, Round
from danku.protocol.terms import SEED_SOURCES, NamedPanel, Reward, Schedule, SeatsPanel, Terms

Agreement = tuple[int, int, int, int, int, bytes]
Committee = tuple[list[bytes], list[int], int]
Panel = tuple[bytes, list[bytes]]

NOBODY: Committee = ([], [], 0)


@dataclass(frozen=True)
class Origin:
    """What `create` fixed besides the terms."""

    pool: Pool | None
    """As `create` counted it; submitters who enter lessen the challenge's own."""
    beacon_block: int
    """Whose hash is the beacon; 0 where there is none."""


def agreement(challenge: Challenge, origin: Origin) -> Agreement:
    """The words that every later action of a challenge hands over."""
    terms, reward, pool = challenge.terms, challenge.terms.reward, origin.pool
    named = isinstance(terms.panel, NamedPanel)
    schedule = sum(
        getattr(terms.schedule, name) << (31 * place)
        for place, name in enumerate(Schedule.__struct_fields__)
    )
    schedule |= SEED_SOURCES.index(terms.seed_source) << 248
    schedule |= (0 if named else 1) << 250 | terms.min_contributions << 251
    prize = reward.pot | reward.fee << 96 | reward.max_entries << 192
    prize |= reward.max_submissions << 209 | terms.panel.seats << 219
    if isinstance(terms.panel, SeatsPanel):
        prize |= terms.panel.minority_share << 224 | terms.panel.silence_share << 237
    bonds = reward.organizer_bond | reward.contribution_deposit << 96 | challenge.created << 192
    entry = reward.submission_bond | reward.entry_fee << 96 | origin.beacon_block << 192
    whence = int(challenge.organizer, 16)
    if pool is not None:
        whence |= pool.version << 160 | pool.slots << 208 | pool.eligible << 229
    seed_commitment, members = panel(challenge)
    shown = (seed_commitment, ["0x" + member.hex() for member in members])
    digest = keccak(abi_encode(("(bytes32,address[])",), (shown,)))
    return schedule, prize, bonds, entry, whence, digest


def panel(challenge: Challenge) -> Panel:
    """The organizer's seed commitment, and the members of a named panel."""
    members = [from_hex(member) for member in challenge.terms.panel.members]
    return from_hex(challenge.seed_commitment), members


def committee(challenge: Challenge, number: int) -> Committee:
    """A round's committee of staked seats, as far as it was drawn; else nobody."""
    found = challenge.rounds.get(number)
    if challenge.pool is None or found is None:
        return NOBODY
    return _drawn(found)


def _drawn(found: Round) -> Committee:
    return [from_hex(owner) for owner in found.committee], list(found.seats), found.position


def openings(challenge: Challenge) -> tuple[list[bytes], list[bytes]]:
    """Who opened a part of the seed, and all opened secrets, the organizer's first."""
    if challenge.terms.seed_source == "beacon":
        return [], []
    opened = [item for item in challenge.contributions if item.secret is not None]
    secrets = [challenge.seed_secret, *(item.secret for item in opened)]
    return _addresses(opened), [from_hex(secret) for secret in secrets if secret is not None]


def unopened(challenge: Challenge) -> list[bytes]:
    """Who has a part of the seed to open yet."""
    return _addresses([item for item in challenge.contributions if item.secret is None])


def _addresses(contributions: list[Contribution]) -> list[bytes]:
    return [from_hex(item.contributor) for item in contributions]


def place_of(challenge: Challenge, number: int) -> int:
    """How many submissions its submitter made before a submission."""
    submitter = challenge.submissions[number].submitter
    return sum(1 for entry in challenge.submissions[:number] if entry.submitter == submitter)


def beacon_number(first: int, next_block: int, kept: int) -> int | None:
    """The block whose hash `draw` would use in ``next_block``; None if it is not there yet.

    Args:
        first: the block that `create` fixed.
        kept: how many blocks back a hash can be had.
    """
    if next_block <= first:
        return None
    passed = next_block - 1 - first
    return first + passed - passed % kept


def ballot(cast: Ballot | None) -> tuple[int, bytes, bytes, int, bytes, int]:
    """A ballot as the contract has it; an empty one for None."""
    if cast is None:
        return 0, bytes(32), bytes(32), 0, bytes(20), 0
    return (
        OUTCOMES.index(cast.outcome),
        from_hex(cast.result),
        from_hex(cast.payout_root),
        int(cast.payout_total),
        from_hex(cast.winner),
        int(cast.score),
    )


def terms_struct(terms: Terms) -> tuple[object, ...]:
    """Terms as the contract has them."""
    reward, kind = terms.reward, terms.panel
    staked = (
        (1, [], kind.seats, kind.minority_share, kind.silence_share)
        if isinstance(kind, SeatsPanel)
        else (0, [from_hex(member) for member in kind.members], 0, 0, 0)
    )
    return (
        from_hex(terms.data_root),
        terms.groups,
        terms.test_groups,
        SEED_SOURCES.index(terms.seed_source),
        terms.min_contributions,
        *(getattr(terms.schedule, name) for name in Schedule.__struct_fields__),
        *(int(getattr(reward, name)) for name in Reward.__struct_fields__),
        *staked,
        from_hex(terms.manifest),
    )
