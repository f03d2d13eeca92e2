"""Seed secrets: 32 random bytes that the organizer and validators commit to and open later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from danku.crypto.commitments import random_secret, seed_commitment
from danku.crypto.hashing import from_hex, to_hex
from danku.protocol.actions import Contribute, OpenSeed
from danku.protocol.errors import refuse
from danku.protocol.manifest import Record
from danku.protocol.state import Challenge
from danku.protocol.types import ZERO_DIGEST, Address, Digest
from danku.roles.workspace import Workspace

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey
    from danku.ledger.port import Receipt


class SeedSecret(Record):
    """What opens a contribution to a seed."""

    secret: Digest


def _name(commitment: Digest) -> str:
    return f"seed-{commitment}.json"


def derived_secret(key: PrivateKey, challenge: Digest) -> bytes:
    """A contributor's secret: it follows from its key, so that an empty disk can open it."""
    return key.derive("seed secret", from_hex(challenge))


def keep_secret(
    workspace: Workspace, challenge: Digest, contributor: Address, secret: bytes | None = None
) -> Digest:
    """The commitment to a secret, fresh unless given, that is on the disk before this returns."""
    secret = random_secret() if secret is None else secret
    commitment = to_hex(seed_commitment(from_hex(challenge), contributor, secret))
    workspace.vault.keep_record(challenge, _name(commitment), SeedSecret(to_hex(secret)))
    return commitment


def committed_by(challenge: Challenge, contributor: Address) -> Digest | None:
    """The seed commitment that an address made in `create` or `contribute`."""
    if contributor == challenge.organizer:
        return challenge.seed_commitment
    for item in challenge.contributions:
        if item.contributor == contributor:
            return item.commitment
    return None


def contribute(workspace: Workspace, key: PrivateKey, challenge_id: Digest) -> Receipt:
    """Commit to a contribution to the seed.

    Raises:
        Rejected: by a rule of `contribute`.
    """
    value = workspace.challenge(challenge_id).terms.reward.contribution_deposit
    workspace.precheck(key, Contribute(challenge_id, ZERO_DIGEST), value)
    secret = derived_secret(key, challenge_id)
    commitment = keep_secret(workspace, challenge_id, key.address, secret)
    return workspace.send(key, Contribute(challenge_id, commitment), value)


def open_seed(workspace: Workspace, key: PrivateKey, challenge_id: Digest) -> Receipt:
    """Open the organizer's or a contributor's secret.

    Raises:
        PrivateMissing: the secret is not in the private folder.
        Rejected: by a rule of `open_seed`.
    """
    commitment = committed_by(workspace.challenge(challenge_id), key.address)
    if commitment is None:
        refuse("NotContributor", f"{key.address} committed to no part of this seed")
    derived = derived_secret(key, challenge_id)
    expected = seed_commitment(from_hex(challenge_id), key.address, derived)
    if to_hex(expected) == commitment:
        return workspace.send(key, OpenSeed(challenge_id, to_hex(derived)))
    purpose = "the secret that opens a seed commitment; without it the deposit or bond is lost"
    kept = workspace.vault.read_record(challenge_id, _name(commitment), SeedSecret, purpose)
    return workspace.send(key, OpenSeed(challenge_id, kept.secret))
