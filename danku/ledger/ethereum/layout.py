"""How facts are packed into words for the contracts; contracts/layout.vy says the same.

Words are unsigned integers of 256 bits. Golden vectors hold the two together.
"""

from __future__ import annotations

from typing import TypeAlias

from danku.crypto.hashing import abi_encode, from_hex, keccak
from danku.protocol.state import Challenge, Round
from danku.protocol.terms import SEED_SOURCES, NamedPanel, Schedule, SeatsPanel, Terms

Agreement: TypeAlias = tuple[int, int, int, int, int, bytes]
"""Schedule, prize, bonds, entry and origin as words, and the keccak of the panel."""
Panel: TypeAlias = tuple[bytes, tuple[str, ...]]
"""The organizer's seed commitment and the named members."""
Committee: TypeAlias = tuple[tuple[str, ...], tuple[int, ...], int]
"""Owners, seats and position of a round's walk."""

NO_COMMITTEE: Committee = ((), (), 0)
SECONDS_BITS, AMOUNT_BITS = 31, 96


def _packed(*fields: tuple[int, int]) -> int:
    """A word of (value, bits) fields, the first one lowest."""
    word, place = 0, 0
    for value, bits in fields:
        assert 0 <= value < 1 << bits, "records bound every field"
        word |= value << place
        place += bits
    assert place <= 256, "a word has 256 bits"
    return word


def panel(challenge: Challenge) -> Panel:
    """What stands behind an agreement's last word."""
    return from_hex(challenge.seed_commitment), challenge.terms.panel.members


def panel_digest(panel: Panel) -> bytes:
    """An agreement's last word."""
    return keccak(abi_encode(("(bytes32,address[])",), (panel,)))


def agreement(challenge: Challenge, beacon_block: int) -> Agreement:
    """What the contract's later actions need of a challenge.

    ``beacon_block`` is the block that `create` fixed for the beacon, or 0 where it is not used.
    """
    terms, reward = challenge.terms, challenge.terms.reward
    pool = challenge.pool
    return (
        _schedule(terms),
        _packed(
            (int(reward.pot), AMOUNT_BITS),
            (int(reward.fee), AMOUNT_BITS),
            (reward.max_entries, 17),
            (reward.max_submissions, 10),
            (terms.panel.seats, 5),
            (terms.panel.minority_share if isinstance(terms.panel, SeatsPanel) else 0, 13),
            (terms.panel.silence_share if isinstance(terms.panel, SeatsPanel) else 0, 13),
        ),
        _packed(
            (int(reward.organizer_bond), AMOUNT_BITS),
            (int(reward.contribution_deposit), AMOUNT_BITS),
            (challenge.created, 40),
        ),
        _packed(
            (int(reward.submission_bond), AMOUNT_BITS),
            (int(reward.entry_fee), AMOUNT_BITS),
            (beacon_block, 64),
        ),
        _packed(
            (int(challenge.organizer, 16), 160),
            (pool.version if pool else 0, 48),
            (pool.slots if pool else 0, 21),
        ),
        panel_digest(panel(challenge)),
    )


def _schedule(terms: Terms) -> int:
    lengths = [getattr(terms.schedule, name) for name in Schedule.__struct_fields__]
    return _packed(
        *((length, SECONDS_BITS) for length in lengths),
        (SEED_SOURCES.index(terms.seed_source), 2),
        (0 if isinstance(terms.panel, NamedPanel) else 1, 1),
        (terms.min_contributions, 5),
    )


def committee(found: Round | None) -> Committee:
    """A round of staked seats as the contract hashes it; an empty one for a named panel."""
    if found is None or (not found.seats and not found.position):
        return NO_COMMITTEE
    return found.committee, found.seats, found.position
