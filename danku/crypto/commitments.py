"""Blinded commitments: what a role promises before it matters and opens later.

Each is keccak of ABI words with a domain tag and a 32-byte secret salt, so that nothing can be
guessed from it, nothing else opens it, and a contract computes the same. Each names its author,
so that a copied commitment opens for nobody else.
"""

from __future__ import annotations

import secrets

from danku.crypto.hashing import DIGEST_BYTES, abi_digest, keccak
from danku.errors import DataError


def random_secret() -> bytes:
    """32 bytes from the operating system, for seeds, salts and nonces."""
    return secrets.token_bytes(DIGEST_BYTES)


def seed_commitment(challenge: bytes, contributor: str, secret: bytes) -> bytes:
    """What a contributor to the seed promises to open.

    Raises:
        DataError: ``challenge`` or ``secret`` is not 32 bytes, or ``contributor`` no address.
    """
    return abi_digest(
        "seed-commitment", ("bytes32", "address", "bytes32"), (challenge, contributor, secret)
    )


def submission_commitment(
    challenge: bytes, submitter: str, model_digest: bytes, cid: str, salt: bytes
) -> bytes:
    """What a submitter promises to open: keccak and CID of the model's bytes.

    Raises:
        DataError: a value does not have the length or form of its type.
    """
    if not cid.isascii():
        raise DataError("a CID has ASCII letters and digits only")
    return abi_digest(
        "submission",
        ("bytes32", "address", "bytes32", "bytes32", "bytes32"),
        (challenge, submitter, model_digest, keccak(cid.encode("ascii")), salt),
    )


def vote_commitment(
    challenge: bytes,
    round: int,
    validator: str,
    outcome: int,
    result_digest: bytes,
    payout_root: bytes,
    payout_total: int,
    winner: str,
    score: int,
    salt: bytes,
) -> bytes:
    """What a validator promises to open; ``score`` is in units of 1e-9, ``winner`` an address.

    Raises:
        DataError: a value does not have the length, bounds or form of its type.
    """
    return abi_digest(
        "vote",
        (
            "bytes32",
            "uint8",
            "address",
            "uint8",
            "bytes32",
            "bytes32",
            "uint256",
            "address",
            "int256",
            "bytes32",
        ),
        (
            challenge,
            round,
            validator,
            outcome,
            result_digest,
            payout_root,
            payout_total,
            winner,
            score,
            salt,
        ),
    )
