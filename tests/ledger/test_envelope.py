"""Signed actions: what is signed counts once, here, in its order, and as it was signed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.errors import DataError, Rejected
from danku.ledger.embedded.envelope import (
    AdvanceTime,
    Grant,
    SignedAction,
    sign,
    signature_holds,
)
from danku.ledger.embedded.errors import ENVELOPE_RULES
from danku.ledger.embedded.genesis import Identity
from danku.protocol import actions, records
from danku.protocol.errors import RULES
from danku.protocol.types import ZERO_DIGEST, Amount
from tests.ledger.worlds import EmbeddedWorld, key_of
from tests.protocol.simulator import digest

ALICE = key_of("alice")
IDENTITY = Identity(2**51 + 12345, "0x" + "ab" * 20)
ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


def signed_submit(**changes: object) -> SignedAction:
    action = actions.Submit(digest("challenge"), digest("commitment"))
    signed = sign(ALICE, IDENTITY, action, 23, 4, digest("seen"))
    return msgspec.structs.replace(signed, **changes)


@pytest.mark.parametrize(
    ("action", "challenge"),
    [
        (actions.Submit(digest("challenge"), digest("commitment")), digest("challenge")),
        (actions.Withdraw(), ZERO_DIGEST),
        (Grant(ALICE.address, Amount(7)), ZERO_DIGEST),
    ],
)
def test_the_signature_is_what_a_wallet_would_make(action: object, challenge: str) -> None:
    typed = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Action": [
                {"name": "kind", "type": "string"},
                {"name": "challenge", "type": "bytes32"},
                {"name": "payload", "type": "bytes32"},
                {"name": "value", "type": "uint256"},
                {"name": "nonce", "type": "uint256"},
                {"name": "seen", "type": "bytes32"},
            ],
        },
        "primaryType": "Action",
        "domain": {
            "name": "danku",
            "version": "1",
            "chainId": IDENTITY.chain_id,
            "verifyingContract": IDENTITY.address,
        },
        "message": {
            "kind": actions.kind_of(action),
            "challenge": from_hex(challenge),
            "payload": keccak(records.encode(action)),
            "value": 23,
            "nonce": 4,
            "seen": from_hex(digest("seen")),
        },
    }
    signed = sign(ALICE, IDENTITY, action, 23, 4, digest("seen"))
    wallet = Account.sign_message(
        encode_typed_data(full_message=typed), key_of("alice").unsafe_secret()
    )
    assert to_hex(bytes(wallet.signature[:64])) == signed.signature
    assert signature_holds(signed, IDENTITY)
    assert signed.sender == ALICE.address


@pytest.mark.parametrize(
    "changes",
    [
        {"action": actions.Submit(digest("another challenge"), digest("commitment"))},
        {"action": actions.Submit(digest("challenge"), digest("another commitment"))},
        {"action": actions.Contribute(digest("challenge"), digest("commitment"))},
        {"value": Amount(24)},
        {"nonce": 5},
        {"seen": digest("something else")},
        {"public_key": to_hex(key_of("bob").public_key)},
        {"public_key": "0x" + "00" * 64},
        {"signature": "0x" + "00" * 64},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_field_is_signed(changes: dict[str, object]) -> None:
    assert not signature_holds(signed_submit(**changes), IDENTITY)


def test_it_counts_on_no_other_ledger() -> None:
    signed = signed_submit()
    assert signature_holds(signed, IDENTITY)
    assert not signature_holds(signed, Identity(IDENTITY.chain_id + 1, IDENTITY.address))
    assert not signature_holds(signed, Identity(IDENTITY.chain_id, "0x" + "ac" * 20))


def test_a_mirrored_signature_does_not_count() -> None:
    raw = from_hex(signed_submit().signature)
    mirrored = raw[:32] + (ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    assert not signature_holds(signed_submit(signature=to_hex(mirrored)), IDENTITY)


@given(st.integers(0, 63), st.integers(1, 255))
def test_no_bit_of_the_signature_is_spare(place: int, difference: int) -> None:
    raw = bytearray(from_hex(signed_submit().signature))
    raw[place] ^= difference
    assert not signature_holds(signed_submit(signature=to_hex(bytes(raw))), IDENTITY)


def attempt(world: EmbeddedWorld, **fields: object) -> str:
    """The rule that refuses alice's AdvanceTime, signed over the fields given."""
    nonce = world.ledger.nonce(ALICE.address)
    seen = world.ledger.head()
    words = {"value": 0, "nonce": nonce, "seen": seen, "action": AdvanceTime(1), "key": ALICE}
    words.update(fields)
    identity = words.pop("identity", world.identity)
    key, action = words.pop("key"), words.pop("action")
    signed = sign(key, identity, action, words["value"], words["nonce"], words["seen"])
    before = world.path.read_bytes()
    with pytest.raises(Rejected) as refusal:
        world.ledger.append(signed)
    assert world.path.read_bytes() == before
    return refusal.value.rule


def test_the_envelopes_rules_have_names(sandbox: EmbeddedWorld) -> None:
    other = Identity(sandbox.identity.chain_id, "0x" + "ac" * 20)
    assert attempt(sandbox, identity=other) == "BadSignature"
    assert attempt(sandbox, nonce=1) == "WrongNonce"
    assert attempt(sandbox, seen=digest("nothing")) == "UnknownSeen"
    assert attempt(sandbox, value=10_001) == "InsufficientBalance"
    assert attempt(sandbox, value=1) == "WrongValue"
    assert attempt(sandbox, action=Grant(ALICE.address, Amount(1))) == "NotTreasurer"


def test_the_first_rule_violated_is_the_one_named(sandbox: EmbeddedWorld) -> None:
    wrong = {"nonce": 1, "seen": digest("nothing"), "value": 10_001}
    order = ["WrongNonce", "UnknownSeen", "InsufficientBalance", "WrongValue"]
    named = []
    for field in ("nonce", "seen", "value"):
        named.append(attempt(sandbox, **wrong))
        del wrong[field]
    assert [*named, attempt(sandbox, value=1)] == order


def test_an_action_counts_once(sandbox: EmbeddedWorld) -> None:
    seen = sandbox.ledger.head()
    signed = sign(ALICE, sandbox.identity, AdvanceTime(5), 0, 0, seen)
    sandbox.ledger.append(signed)
    with pytest.raises(Rejected) as refusal:
        sandbox.ledger.append(signed)
    assert refusal.value.rule == "WrongNonce"


def test_an_older_seen_action_will_do(sandbox: EmbeddedWorld) -> None:
    genesis = sandbox.ledger.head()
    first = sandbox.ledger.submit(ALICE, AdvanceTime(5))
    sandbox.ledger.submit(key_of("bob"), AdvanceTime(5))
    for nonce, seen in ((1, genesis), (2, first.digest)):
        sandbox.ledger.append(sign(ALICE, sandbox.identity, AdvanceTime(5), 0, nonce, seen))
    assert sandbox.ledger.nonce(ALICE.address) == 3


def test_a_lines_hash_is_not_an_action(sandbox: EmbeddedWorld) -> None:
    sandbox.ledger.submit(ALICE, AdvanceTime(5))
    assert attempt(sandbox, seen=sandbox.ledger.head()) == "UnknownSeen"


def test_a_forger_cannot_name_anothers_key(sandbox: EmbeddedWorld) -> None:
    forged = sign(key_of("mallory"), sandbox.identity, AdvanceTime(5), 0, 0, sandbox.ledger.head())
    claimed = msgspec.structs.replace(forged, public_key=to_hex(ALICE.public_key))
    with pytest.raises(Rejected) as refusal:
        sandbox.ledger.append(claimed)
    assert refusal.value.rule == "BadSignature"
    assert sandbox.ledger.nonce(ALICE.address) == 0


def test_only_the_treasurer_makes_money(tmp_path: Path) -> None:
    world = EmbeddedWorld(tmp_path)
    with pytest.raises(Rejected) as refusal:
        world.ledger.submit(ALICE, Grant(ALICE.address, Amount(1)))
    assert refusal.value.rule == "NotTreasurer"
    world.fund("alice", 9)
    world.fund("alice", 2**96 - 1)
    assert world.ledger.balance(ALICE.address) == 2**96 + 8


def test_time_advances_in_a_sandbox_only(tmp_path: Path, sandbox: EmbeddedWorld) -> None:
    before = sandbox.ledger.time()
    sandbox.ledger.submit(ALICE, AdvanceTime(86_400))
    assert sandbox.ledger.time() == before + 86_400
    sandbox.clock.now += 7
    assert sandbox.again().time() == before + 86_407
    sandbox.ledger.submit(ALICE, AdvanceTime(2**39 - 86_401))
    with pytest.raises(Rejected) as refusal:
        sandbox.ledger.submit(ALICE, AdvanceTime(1))
    assert refusal.value.rule == "TimeLimit"
    assert sandbox.ledger.submit(key_of("treasurer"), Grant(ALICE.address, Amount(1))).sequence == 3
    (tmp_path / "real").mkdir()
    with pytest.raises(Rejected) as refusal:
        EmbeddedWorld(tmp_path / "real").ledger.submit(ALICE, AdvanceTime(1))
    assert refusal.value.rule == "NotSandbox"


def test_malformed_fields_are_no_record(sandbox: EmbeddedWorld) -> None:
    good = sign(ALICE, sandbox.identity, AdvanceTime(5), 0, 0, sandbox.ledger.head())
    for changes in (
        {"action": AdvanceTime(0)},
        {"action": AdvanceTime(2**60)},
        {"nonce": -1},
        {"public_key": good.public_key[:-2]},
        {"public_key": good.public_key.upper()},
        {"signature": good.signature + "00"},
        {"seen": "genesis"},
        {"value": Amount(2**96)},
    ):
        with pytest.raises(DataError):
            sandbox.ledger.append(msgspec.structs.replace(good, **changes))
    assert sandbox.ledger.append(good).sequence == 1


def test_names_of_rules_are_explained_once() -> None:
    assert not ENVELOPE_RULES.keys() & RULES.keys()
    assert all(ENVELOPE_RULES.values())
