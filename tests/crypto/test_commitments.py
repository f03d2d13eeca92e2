"""Commitments: one opening each, an author inside, and the words a contract would hash."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from danku.crypto.commitments import (
    random_secret,
    seed_commitment,
    submission_commitment,
    vote_commitment,
)
from danku.crypto.hashing import domain, keccak
from danku.errors import DataError

CHALLENGE, SALT = b"\x11" * 32, b"\x22" * 32
ALICE, BOB = "0x" + "a1" * 20, "0x" + "b0" * 20
CID = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"

words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
bytes_of_a_small_integer = st.integers(0, 255)
votes = st.tuples(
    words,
    bytes_of_a_small_integer,
    addresses,
    bytes_of_a_small_integer,
    words,
    words,
    st.integers(0, 2**256 - 1),
    addresses,
    st.integers(-(2**255), 2**255 - 1),
    words,
)
VOTE_TYPES = [
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
]


def test_golden_values() -> None:
    assert (
        seed_commitment(CHALLENGE, ALICE, SALT).hex()
        == "58da380c264f85995539cfcccf4bbbb30fa2cb7450c91b79b0b89dba7213c7b1"
    )
    assert (
        submission_commitment(CHALLENGE, ALICE, b"\x33" * 32, CID, SALT).hex()
        == "78129237093a208c80c0dd61bc18722e60ae61916151bcf886e988315e04b4b2"
    )
    vote = vote_commitment(
        CHALLENGE, 1, ALICE, 0, b"\x44" * 32, b"\x55" * 32, 10**18, BOB, -(10**9), SALT
    )
    assert vote.hex() == "56ace391420d4f5f50955b01d6609c9f1b3041bcb5c3b886dc1a98c8dbef796c"


@given(votes)
def test_a_vote_is_the_hash_of_its_abi_words(vote: tuple[object, ...]) -> None:
    words_of_vote = encode(["bytes32", *VOTE_TYPES], [domain("vote"), *vote])
    assert vote_commitment(*vote) == keccak(words_of_vote)  # type: ignore[arg-type]


@given(words, addresses, words)
def test_a_seed_is_the_hash_of_its_abi_words(challenge: bytes, who: str, secret: bytes) -> None:
    expected = keccak(
        encode(
            ["bytes32", "bytes32", "address", "bytes32"],
            [domain("seed-commitment"), challenge, who, secret],
        )
    )
    assert seed_commitment(challenge, who, secret) == expected


@given(words, addresses, words, st.text(st.characters(codec="ascii"), max_size=80), words)
def test_a_submission_is_the_hash_of_its_abi_words(
    challenge: bytes, who: str, model: bytes, cid: str, salt: bytes
) -> None:
    expected = keccak(
        encode(
            ["bytes32", "bytes32", "address", "bytes32", "bytes32", "bytes32"],
            [domain("submission"), challenge, who, model, keccak(cid.encode("ascii")), salt],
        )
    )
    assert submission_commitment(challenge, who, model, cid, salt) == expected


@given(votes, votes, st.integers(0, 9))
def test_changing_any_one_value_changes_the_vote(
    vote: tuple[object, ...], other: tuple[object, ...], place: int
) -> None:
    changed = (*vote[:place], other[place], *vote[place + 1 :])
    same = vote_commitment(*vote) == vote_commitment(*changed)  # type: ignore[arg-type]
    assert same == (vote == changed)


def test_a_copied_commitment_opens_for_its_author_only() -> None:
    model = b"\x33" * 32
    assert submission_commitment(CHALLENGE, ALICE, model, CID, SALT) != submission_commitment(
        CHALLENGE, BOB, model, CID, SALT
    )
    assert seed_commitment(CHALLENGE, ALICE, SALT) != seed_commitment(CHALLENGE, BOB, SALT)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_salt_that_is_not_32_bytes_is_refused(length: int) -> None:
    # Padding would let one commitment open in two ways.
    salt = bytes(length)
    with pytest.raises(DataError):
        seed_commitment(CHALLENGE, ALICE, salt)
    with pytest.raises(DataError):
        submission_commitment(CHALLENGE, ALICE, SALT, CID, salt)
    with pytest.raises(DataError):
        vote_commitment(CHALLENGE, 1, ALICE, 0, SALT, SALT, 0, BOB, 0, salt)


@pytest.mark.parametrize(
    ("round_", "outcome", "total", "score"),
    [(256, 0, 0, 0), (1, 256, 0, 0), (1, -1, 0, 0), (1, 0, -1, 0), (1, 0, 2**256, 0)],
)
def test_numbers_out_of_bounds_are_refused(
    round_: int, outcome: int, total: int, score: int
) -> None:
    with pytest.raises(DataError):
        vote_commitment(CHALLENGE, round_, ALICE, outcome, SALT, SALT, total, BOB, score, SALT)


@pytest.mark.parametrize("cid", ["bafkreí", "bafk\ud800"])
def test_a_cid_that_is_not_ascii_is_refused(cid: str) -> None:
    with pytest.raises(DataError):
        submission_commitment(CHALLENGE, ALICE, SALT, cid, SALT)


def test_secrets_are_32_fresh_bytes() -> None:
    drawn = [random_secret() for _ in range(100)]
    assert {len(secret) for secret in drawn} == {32}
    assert len(set(drawn)) == 100
