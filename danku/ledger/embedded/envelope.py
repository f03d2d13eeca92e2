"""Signed actions: who says what, on which ledger, as which of its actions, knowing what.

The signature is EIP-712's over (kind, challenge, payload, value, nonce, seen) in the domain
(danku, version 1, chain id, ledger address); payload is the keccak of the action's canonical bytes.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.crypto.signatures import PrivateKey, address_of, typed_data_digest, verify
from danku.ledger.embedded.genesis import ADVANCE_LIMIT, Identity, PublicKeyHex
from danku.protocol import records
from danku.protocol.actions import Action, kind_of
from danku.protocol.manifest import Record
from danku.protocol.types import ZERO_DIGEST, Address, Amount, Digest

SignatureHex = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{128}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**48)]

_ACTION_TYPE = {
    "Action": (
        ("kind", "string"),
        ("challenge", "bytes32"),
        ("payload", "bytes32"),
        ("value", "uint256"),
        ("nonce", "uint256"),
        ("seen", "bytes32"),
    )
}


class Grant(Record, tag_field="kind", tag="grant"):
    """Treasurer: gives an address money to play with."""

    address: Address
    amount: Amount


class AdvanceTime(Record, tag_field="kind", tag="advance_time"):
    """Anyone, in a sandbox: moves the ledger's time ahead of the clock."""

    seconds: Annotated[int, msgspec.Meta(ge=1, lt=ADVANCE_LIMIT)]


LedgerAction: TypeAlias = Action | Grant | AdvanceTime


class SignedAction(Record):
    """An action with everything that its signature covers; it never changes again."""

    action: LedgerAction
    nonce: Count
    """How many actions of the signer stand before it."""
    public_key: PublicKeyHex
    seen: Digest
    """A signed action, or the genesis line, that the signer knew to stand before it."""
    signature: SignatureHex
    value: Amount
    """The money that it carries."""

    @property
    def sender(self) -> Address:
        """The address of the public key."""
        return address_of(from_hex(self.public_key))

    @property
    def digest(self) -> bytes:
        """keccak of the canonical bytes."""
        return keccak(records.encode(self))


def domain_of(identity: Identity) -> dict[str, object]:
    """The EIP-712 domain of a ledger."""
    return {
        "name": "danku",
        "version": "1",
        "chainId": identity.chain_id,
        "verifyingContract": identity.address,
    }


def _signing_digest(
    identity: Identity, action: LedgerAction, value: int, nonce: int, seen: Digest
) -> bytes:
    message = {
        "kind": kind_of(action),
        "challenge": getattr(action, "challenge", ZERO_DIGEST),
        "payload": keccak(records.encode(action)),
        "value": int(value),
        "nonce": nonce,
        "seen": seen,
    }
    return typed_data_digest(_ACTION_TYPE, "Action", domain_of(identity), message)


def sign(
    key: PrivateKey, identity: Identity, action: LedgerAction, value: int, nonce: int, seen: Digest
) -> SignedAction:
    """Sign an action for one ledger.

    Raises:
        DataError: a value does not fit its type.
    """
    digest = _signing_digest(identity, action, value, nonce, seen)
    return SignedAction(
        action=action,
        nonce=nonce,
        public_key=to_hex(key.public_key),
        seen=seen,
        signature=to_hex(key.sign(digest)),
        value=Amount(value),
    )


def signature_holds(signed: SignedAction, identity: Identity) -> bool:
    """Whether the action was signed by its public key for this ledger; never raises."""
    digest = _signing_digest(identity, signed.action, signed.value, signed.nonce, signed.seen)
    return verify(from_hex(signed.public_key), digest, from_hex(signed.signature))
