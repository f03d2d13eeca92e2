"""Words as the contracts pack them: golden vectors, and that nothing is lost on the way."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from danku.crypto.hashing import keccak
from danku.ledger.ethereum import layout
from danku.ledger.ethereum.events import told
from danku.ledger.ethereum.refusals import CONTRACT_RULES, INDISTINGUISHABLE, SELECTORS
from danku.protocol import actions as a
from danku.protocol.errors import RULES
from danku.protocol.schedule import windows
from danku.protocol.state import Challenge, Pool
from danku.protocol.terms import MAX_SCHEDULE, SeatsPanel, Terms, terms_digest
from danku.protocol.types import Amount, Score
from tests.protocol.simulator import ORGANIZER, PANEL, START, cid, digest, terms
from tests.protocol.strategies import records


def challenge(agreed: Terms, pool: Pool | None = None) -> Challenge:
    return Challenge(
        id=digest("id"),
        organizer=ORGANIZER,
        terms=agreed,
        terms_digest=terms_digest(agreed),
        manifest=cid("manifest"),
        created=START,
        seed_commitment=digest("commitment"),
        escrow=0,
        pool=pool,
    )


def test_an_agreement_of_named_members() -> None:
    found = layout.agreement(challenge(terms(PANEL[:3])), 0)
    assert found[:5] == (
        100
        + (170 << 31)
        + (220 << 62)
        + (520 << 93)
        + (610 << 124)
        + (670 << 155)
        + (750 << 186)
        + (790 << 217)
        + (1 << 251),
        1000 + (102 << 96) + (5 << 192) + (2 << 209) + (3 << 219),
        501 + (7 << 96) + (START << 192),
        20 + (3 << 96),
        int(ORGANIZER, 16),
    )
    assert found[5].hex() == GOLDEN["panel"]
    assert layout.agreement_digest(found).hex() == GOLDEN["named"]


def test_an_agreement_of_seats_with_a_beacon() -> None:
    agreed = terms(SeatsPanel(4, 3_000, 500), seed_source="both")
    found = layout.agreement(challenge(agreed, Pool(version=9, slots=70, eligible=12)), 12_345)
    assert found[0] >> 248 == 2 + (1 << 2) + (1 << 3)
    assert found[1] >> 219 == 4 + (3_000 << 5) + (500 << 18)
    assert found[3] >> 192 == layout.beacon_block_of(found) == 12_345
    assert found[4] >> 160 == 9 + (70 << 48)
    assert layout.agreement_digest(found).hex() == GOLDEN["seats"]


def test_a_ballot() -> None:
    root = digest("root")
    ballot = a.Ballot("train-fallback", digest("result"), root, Amount(1060), PANEL[0], Score(-5))
    result, payout_root, prize, verdict = layout.ballot(ballot)
    assert (result, payout_root) == (keccak(b"result"), keccak(b"root"))
    assert prize == int(PANEL[0], 16) + (1060 << 160)
    assert verdict == 2**64 - 5 + (1 << 64)


GOLDEN = {
    "panel": "923e5973d26889f5d1882b632a465607dd3f3ea5382b52368298d0113991f19b",
    "named": "0e53f6c419356ead9dc40db9c3e743763d8776b25fb63c85955b9cd5b3b27866",
    "seats": "a0177156a8a6f58864d0568d827e4fb04864721004b3b36354bfbe7c8f3efb27",
}
"""keccak of a panel, and of two agreements: what the contract stores."""


@given(records(a.Ballot))
def test_a_ballot_is_read_as_it_was_written(ballot: a.Ballot) -> None:
    assert layout.ballot_of(layout.ballot(ballot)) == ballot


@settings(max_examples=40)
@given(records(Terms), st.integers(0, 2**64 - 1))
def test_terms_are_read_from_a_created_event_as_they_were(agreed: Terms, block: int) -> None:
    assume(windows(0, agreed.schedule).open_vote < MAX_SCHEDULE)
    agreement = layout.agreement(challenge(agreed), block)
    event = {
        "sender": ORGANIZER,
        "agreement": agreement,
        "panel": layout.panel(challenge(agreed)),
        "data_root": bytes.fromhex(agreed.data_root[2:]),
        "groups": agreed.groups | agreed.test_groups << 128,
        "manifest_digest": bytes.fromhex(agreed.manifest[2:]),
        "manifest": cid("manifest"),
        "nonce": 7,
    }
    said = told("Created", event)
    assert said.action == a.Create(agreed, cid("manifest"), digest("commitment"), 7)
    assert said.beacon_block == block


def test_every_refusal_has_four_bytes_of_its_own() -> None:
    assert set(SELECTORS.values()) == set(RULES) | set(CONTRACT_RULES)
    assert len(SELECTORS) == len(RULES) + len(CONTRACT_RULES)
    assert not set(RULES) & set(CONTRACT_RULES)
    assert {rule for pair in INDISTINGUISHABLE.items() for rule in (pair[0][1], pair[1])} <= set(
        RULES
    )


@pytest.mark.parametrize("name", ["Nothing", "created", ""])
def test_an_unknown_event_is_no_action(name: str) -> None:
    with pytest.raises(KeyError):
        told(name, {})
