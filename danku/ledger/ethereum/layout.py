"""How facts are packed into words for the contracts; contracts/layout.vy says the same.

Words are unsigned integers of 256 bits. Golden vectors hold the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import TypeAlias

from danku.crypto.hashing import abi_encode, from_hex, keccak, to_hex
from danku.protocol.actions import OUTCOMES, Ballot
from danku.protocol.state import Challenge
from danku.protocol.terms import SEED_SOURCES, NamedPanel, Reward, Schedule, SeatsPanel, Terms
from danku.protocol.types import Address, Amount, Score

Agreement: TypeAlias = tuple[int, int, int, int, int, bytes]
"""Schedule, prize, bonds, entry and origin as words, and the keccak of the panel."""
Panel: TypeAlias = tuple[bytes, tuple[int, ...]]
"""The organizer's seed commitment and the named members; addresses in structs are integers."""
Committee: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], int]
"""Owners, seats and position of a round's walk."""
BallotWords: TypeAlias = tuple[bytes, bytes, int, int]
"""Result digest, payout root, winner and total, score and outcome."""

NO_COMMITTEE: Committee = ((), (), 0)
SECONDS_BITS, AMOUNT_BITS, SCORE_BITS = 31, 96, 64
SCORES = 2**SCORE_BITS


def _packed(*fields: tuple[int, int]) -> int:
    """A word of (value, bits) fields, the first one lowest."""
    word, place = 0, 0
    for value, bits in fields:
        assert 0 <= value < 1 << bits, "records bound every field"
        word |= value << place
        place += bits
    assert place <= 256, "a word has 256 bits"
    return word


def _fields(word: int, *bits: int) -> list[int]:
    """The fields of a word, the first one lowest."""
    found = []
    for size in bits:
        found.append(word % (1 << size))
        word >>= size
    return found


def panel(challenge: Challenge) -> Panel:
    """What stands behind an agreement's last word."""
    return from_hex(challenge.seed_commitment), numbers(challenge.terms.panel.members)


def numbers(addresses: Iterable[Address]) -> tuple[int, ...]:
    """Addresses as the contract's structs hold them."""
    return tuple(int(address, 16) for address in addresses)


def address(number: int) -> Address:
    """The address that a struct holds."""
    return f"0x{number:040x}"


def panel_digest(panel: Panel) -> bytes:
    """An agreement's last word."""
    return keccak(abi_encode(("(bytes32,uint256[])",), (panel,)))


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


def agreement_digest(agreement: Agreement) -> bytes:
    """What the contract stores of a challenge."""
    types = ("uint256",) * 5 + ("bytes32",)
    return keccak(abi_encode(types, agreement))


def _schedule(terms: Terms) -> int:
    lengths = [getattr(terms.schedule, name) for name in Schedule.__struct_fields__]
    return _packed(
        *((end, SECONDS_BITS) for end in accumulate(lengths)),
        (SEED_SOURCES.index(terms.seed_source), 2),
        (0 if isinstance(terms.panel, NamedPanel) else 1, 1),
        (terms.min_contributions, 5),
    )


def terms_of(
    agreement: Agreement, members: Sequence[int], data_root: bytes, groups: int, manifest: bytes
) -> Terms:
    """The terms that a `Created` event tells: its agreement, and what no later action needs."""
    schedule, prize, bonds, entry, _, _ = agreement
    *ends, source, kind, least = _fields(schedule, *(SECONDS_BITS,) * 8, 2, 1, 5)
    pot, fee, entries, each, seats, minority, silence = _fields(
        prize, AMOUNT_BITS, AMOUNT_BITS, 17, 10, 5, 13, 13
    )
    bond, deposit = _fields(bonds, AMOUNT_BITS, AMOUNT_BITS)
    submission_bond, entry_fee = _fields(entry, AMOUNT_BITS, AMOUNT_BITS)
    named = NamedPanel(tuple(map(address, members)))
    return Terms(
        manifest=to_hex(bytes(manifest)),
        data_root=to_hex(bytes(data_root)),
        groups=groups % 2**128,
        test_groups=groups >> 128,
        seed_source=SEED_SOURCES[source],  # type: ignore[arg-type]
        min_contributions=least,
        schedule=Schedule(*(end - start for start, end in pairwise((0, *ends)))),
        reward=Reward(
            pot=Amount(pot),
            fee=Amount(fee),
            organizer_bond=Amount(bond),
            contribution_deposit=Amount(deposit),
            submission_bond=Amount(submission_bond),
            entry_fee=Amount(entry_fee),
            max_submissions=each,
            max_entries=entries,
        ),
        panel=SeatsPanel(seats, minority, silence) if kind else named,
    )


def beacon_block_of(agreement: Agreement) -> int:
    """The block that `create` fixed for the beacon, or 0 where it is not used."""
    return agreement[3] >> 2 * AMOUNT_BITS


def ballot(ballot: Ballot) -> BallotWords:
    """A ballot as the contract's struct."""
    return (
        from_hex(ballot.result),
        from_hex(ballot.payout_root),
        _packed((int(ballot.winner, 16), 160), (int(ballot.payout_total), AMOUNT_BITS)),
        _packed((ballot.score % SCORES, SCORE_BITS), (OUTCOMES.index(ballot.outcome), 2)),
    )


def ballot_of(words: BallotWords) -> Ballot:
    """The ballot that the contract's struct says."""
    result, root, winner_total, score_outcome = words
    winner, total = _fields(winner_total, 160, AMOUNT_BITS)
    score, outcome = _fields(score_outcome, SCORE_BITS, 2)
    return Ballot(
        outcome=OUTCOMES[outcome],  # type: ignore[arg-type]
        result=to_hex(bytes(result)),
        payout_root=to_hex(bytes(root)),
        payout_total=Amount(total),
        winner=address(winner),
        score=Score(score - SCORES if score >= SCORES // 2 else score),
    )


def committee(challenge: Challenge, number: int) -> Committee:
    """A round's committee as the contract hashes it: of a named panel its members, no seats."""
    if challenge.pool is None:
        return numbers(challenge.terms.panel.members), (), 0
    found = challenge.rounds.get(number)
    if found is None:
        return NO_COMMITTEE
    return numbers(found.committee), found.seats, found.position
