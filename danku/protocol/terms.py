"""The terms: what the ledger must know of a challenge, fixed for ever by `create`.

Terms digest = keccak of the ABI tuple below, whose last word is the keccak of the manifest's bytes
(DESIGN.md section 3), so that a contract and this module agree on one digest.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from danku.crypto.hashing import abi_digest, from_hex, to_hex
from danku.protocol.manifest import Record
from danku.protocol.types import Address, Amount, Digest

MAX_GROUPS = 65_536
MAX_PANEL = 16
MAX_CONTRIBUTIONS = 64
"""Contributions to the seed of a challenge that staked validators judge."""
MAX_ENTRIES = 100_000
SHARE_UNIT = 10_000
MAX_MINORITY_SHARE = SHARE_UNIT // 2

MAX_SCHEDULE = 2**31
"""All windows up to the opening of votes take less than so many seconds."""

Seconds = Annotated[int, msgspec.Meta(ge=1, le=MAX_SCHEDULE - 1)]


class Schedule(Record):
    """Lengths of the windows, in seconds, in the order in which they follow one another."""

    contribute: Seconds
    open_seed: Seconds
    reveal_train: Seconds
    submit: Seconds
    open: Seconds
    reveal_test: Seconds
    vote: Seconds
    open_vote: Seconds


class Reward(Record):
    """Amounts in the ledger's smallest unit, and how often one may enter."""

    pot: Amount
    fee: Amount
    organizer_bond: Amount
    contribution_deposit: Amount
    submission_bond: Amount
    entry_fee: Amount
    max_submissions: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    max_entries: Annotated[int, msgspec.Meta(ge=1, le=MAX_ENTRIES)]


class NamedPanel(Record, tag="named", tag_field="kind"):
    """Validators by address: for clubs, classes and companies."""

    members: Annotated[tuple[Address, ...], msgspec.Meta(min_length=1, max_length=MAX_PANEL)]

    @property
    def seats(self) -> int:
        """Seats of a full committee; two thirds of them decide."""
        return len(self.members)

    @property
    def contributors(self) -> int:
        """How many may contribute to the seed, besides the organizer."""
        return len(self.members)


Share = Annotated[int, msgspec.Meta(ge=1, le=MAX_MINORITY_SHARE)]
"""Parts per 10,000 of a seat's stake."""


class SeatsPanel(Record, tag="seats", tag_field="kind"):
    """Validators by stake: a committee drawn from the ledger's registry (Proof-of-Learning)."""

    seats: Annotated[int, msgspec.Meta(ge=1, le=MAX_PANEL)]
    """Seats of a full committee; two thirds of them decide."""
    minority_share: Share
    """What a vote costs that is never opened, or opened otherwise than the majority."""
    silence_share: Share
    """What it costs to commit to no vote; less than ``minority_share``."""

    @property
    def members(self) -> tuple[Address, ...]:
        """Nobody is named."""
        return ()

    @property
    def contributors(self) -> int:
        """How many may contribute to the seed, besides the organizer."""
        return MAX_CONTRIBUTIONS


Panel: TypeAlias = NamedPanel | SeatsPanel


class RegistryTerms(Record):
    """What a ledger's maker fixes about staked validators, once and for all."""

    stake: Amount
    """One seat's deposit in the ledger's smallest unit, at least 1."""
    unbonding: Annotated[int, msgspec.Meta(ge=1, lt=2**36)]
    """Seconds between leaving and taking the stake out."""


SEED_SOURCES = ("contributions", "beacon", "both")
SeedSource = Literal["contributions", "beacon", "both"]


class Terms(Record):
    """The ledger's part of a challenge; ``manifest`` is the keccak of the other part's bytes."""

    manifest: Digest
    data_root: Digest
    groups: Annotated[int, msgspec.Meta(ge=2, le=MAX_GROUPS)]
    test_groups: Annotated[int, msgspec.Meta(ge=1, le=MAX_GROUPS)]
    seed_source: SeedSource
    min_contributions: Annotated[int, msgspec.Meta(ge=0, le=MAX_PANEL)]
    schedule: Schedule
    reward: Reward
    panel: Panel


_ABI = (
    *("bytes32", "uint32", "uint32", "uint8", "uint8"),
    *("uint32",) * 8,
    *("uint96",) * 6,
    *("uint32", "uint32", "uint8", "address[]", "uint8", "uint16", "uint16", "bytes32"),
)


def _panel_values(panel: Panel) -> tuple[object, ...]:
    if isinstance(panel, NamedPanel):
        return 0, list(panel.members), 0, 0, 0
    return 1, [], panel.seats, panel.minority_share, panel.silence_share


def terms_digest(terms: Terms) -> Digest:
    """The 32 bytes that stand for the terms, as lower-case hex."""
    schedule, reward = terms.schedule, terms.reward
    values = (
        from_hex(terms.data_root),
        terms.groups,
        terms.test_groups,
        SEED_SOURCES.index(terms.seed_source),
        terms.min_contributions,
        *(getattr(schedule, name) for name in Schedule.__struct_fields__),
        *(getattr(reward, name) for name in Reward.__struct_fields__),
        *_panel_values(terms.panel),
        from_hex(terms.manifest),
    )
    return to_hex(abi_digest("terms", _ABI, values))


def escrow_of(terms: Terms) -> int:
    """What `create` must carry: pot, fee and the organizer's bond."""
    return terms.reward.pot + terms.reward.fee + terms.reward.organizer_bond
