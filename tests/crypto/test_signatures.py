"""Keys and signatures: published vectors, peers, and everything a forger would try."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import subprocess
import sys
import traceback
from functools import cache
from typing import Any

import msgspec
import pytest
from eth_account import Account
from eth_keys.backends.native.ecdsa import ecdsa_raw_verify
from eth_keys.backends.native.jacobian import fast_add, fast_multiply
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.traceback import Traceback

from danku.crypto.hashing import keccak
from danku.crypto.signatures import (
    KeyMalformed,
    PrivateKey,
    address_of,
    checksum_address,
    typed_data_digest,
    verify,
)
from danku.errors import DataError

FIELD = 2**256 - 2**32 - 977
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
GENERATOR = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
COW = PrivateKey.from_bytes(keccak(b"cow"))
SECRET = keccak(b"a secret that nobody may see")
DIGEST = keccak(b"what is signed")

secrets_of_keys = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
digests = st.binary(min_size=32, max_size=32)


def pair(first: int, second: int) -> bytes:
    return first.to_bytes(32, "big") + second.to_bytes(32, "big")


def split(signature: bytes) -> tuple[int, int]:
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


def test_ether_mail_is_signed_as_published() -> None:
    digest = bytes.fromhex("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2")
    signature = COW.sign(digest)
    assert COW.address == "0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826"
    assert signature.hex() == (
        "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d"
        "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b91562"
    )
    assert verify(COW.public_key, digest, signature)


@settings(deadline=None)
@given(secrets_of_keys, digests)
def test_eth_account_makes_the_same_key_and_signature(secret: bytes, digest: bytes) -> None:
    key, peer = PrivateKey.from_bytes(secret), Account.from_key(secret)
    signed = peer.unsafe_sign_hash(digest)
    assert key.address == peer.address.lower()
    assert checksum_address(key.address) == peer.address
    assert key.sign(digest) == pair(signed.r, signed.s)
    assert verify(key.public_key, digest, key.sign(digest))


@settings(deadline=None)
@given(secrets_of_keys, digests, st.integers(0, 3), st.integers(0, 511))
def test_one_flipped_bit_anywhere_fails(
    secret: bytes, digest: bytes, part: int, place: int
) -> None:
    key = PrivateKey.from_bytes(secret)
    parts = [bytearray(key.public_key), bytearray(digest), bytearray(key.sign(digest))]
    target = parts[part % 3]
    target[place // 8 % len(target)] ^= 1 << place % 8
    assert not verify(*map(bytes, parts))


@settings(deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=40), st.binary(max_size=80))
def test_noise_is_false_and_never_an_error(public_key: bytes, digest: bytes, sig: bytes) -> None:
    assert verify(public_key, digest, sig) is False


def with_x_above_the_order(digest: bytes) -> tuple[bytes, bytes]:
    """A key and a signature whose point has an x between the order and the field's prime.

    Nobody knows the private key; it is recovered from a chosen r, as anybody could.
    """
    x = ORDER + 1
    while True:
        square = (x**3 + 7) % FIELD
        y = pow(square, (FIELD + 1) // 4, FIELD)
        if y * y % FIELD == square:
            break
        x += 1
    r, s, z = x - ORDER, 5, int.from_bytes(digest, "big")
    inverse = pow(r, -1, ORDER)
    public = fast_add(
        fast_multiply((x, y), s * inverse % ORDER), fast_multiply(GENERATOR, -z * inverse % ORDER)
    )
    return pair(*public), pair(r, s)


def with_equal_addends(digest: bytes) -> tuple[bytes, bytes]:
    """A valid signature whose check adds a point to itself, where naive addition breaks."""
    nonce, z = 12345, int.from_bytes(digest, "big")
    r = fast_multiply(GENERATOR, nonce)[0] % ORDER
    secret = z * pow(r, -1, ORDER) % ORDER
    s = 2 * z * pow(nonce, -1, ORDER) % ORDER
    return pair(*fast_multiply(GENERATOR, secret)), pair(r, min(s, ORDER - s))


def off_curve() -> bytes:
    x, y = split(COW.public_key)
    return pair(x, (y + 1) % FIELD)


@cache
def cases() -> dict[str, tuple[bytes, bytes, bytes, bool]]:
    signature = COW.sign(DIGEST)
    r, s = split(signature)
    x, y = split(COW.public_key)
    small_x = next(
        (x, pow(x**3 + 7, (FIELD + 1) // 4, FIELD))
        for x in range(1, 50)
        if pow(x**3 + 7, (FIELD - 1) // 2, FIELD) == 1
    )
    other = PrivateKey.from_bytes(keccak(b"dog"))
    tall_key, tall_signature = with_x_above_the_order(DIGEST)
    equal_key, equal_signature = with_equal_addends(DIGEST)
    return {
        "honest": (COW.public_key, DIGEST, signature, True),
        "equal addends": (equal_key, DIGEST, equal_signature, True),
        "high s": (COW.public_key, DIGEST, pair(r, ORDER - s), False),
        "s zero": (COW.public_key, DIGEST, pair(r, 0), False),
        "r zero": (COW.public_key, DIGEST, pair(0, s), False),
        "all zero": (COW.public_key, DIGEST, bytes(64), False),
        "r order": (COW.public_key, DIGEST, pair(ORDER, s), False),
        "s order": (COW.public_key, DIGEST, pair(r, ORDER), False),
        "r all ones": (COW.public_key, DIGEST, b"\xff" * 32 + signature[32:], False),
        "swapped": (COW.public_key, DIGEST, pair(s, r), False),
        "x above order": (tall_key, DIGEST, tall_signature, False),
        "with recovery byte": (COW.public_key, DIGEST, signature + b"\0", False),
        "short signature": (COW.public_key, DIGEST, signature[:-1], False),
        "empty signature": (COW.public_key, DIGEST, b"", False),
        "long digest": (COW.public_key, DIGEST + b"\0", signature, False),
        "short digest": (COW.public_key, DIGEST[:-1], signature, False),
        "other digest": (COW.public_key, keccak(b"else"), signature, False),
        "other key": (other.public_key, DIGEST, signature, False),
        "negated key": (pair(x, FIELD - y), DIGEST, signature, False),
        "off curve": (off_curve(), DIGEST, signature, False),
        "key at infinity": (bytes(64), DIGEST, signature, False),
        "x beyond the field": (pair(small_x[0] + FIELD, small_x[1]), DIGEST, signature, False),
        "y beyond the field": (pair(x, 2**256 - 1), DIGEST, signature, False),
        "tagged key": (b"\4" + COW.public_key, DIGEST, signature, False),
        "compressed key": (b"\2" + COW.public_key[:32], DIGEST, signature, False),
    }


@pytest.mark.parametrize("name", cases())
def test_forgeries_and_malleated_signatures_are_refused(name: str) -> None:
    public_key, digest, signature, expected = cases()[name]
    assert verify(public_key, digest, signature) is expected


def test_the_backends_disagree_where_verify_refuses_both() -> None:
    """Shows that the bound on r is needed: without it two machines would split."""
    coincurve = pytest.importorskip("coincurve")
    public_key, signature = with_x_above_the_order(DIGEST)
    r, s = split(signature)
    compact = coincurve.ecdsa.deserialize_compact(signature)
    der = coincurve.ecdsa.cdata_to_der(compact)
    assert coincurve.PublicKey(b"\4" + public_key).verify(der, DIGEST, hasher=None)
    assert not ecdsa_raw_verify(DIGEST, (r, s), public_key)


WITHOUT_COINCURVE = """
import json, sys
sys.modules["coincurve"] = None
from eth_keys.backends import get_backend
from danku.crypto.signatures import PrivateKey, verify
assert type(get_backend()).__name__ == "NativeECCBackend"
given = json.load(sys.stdin)
key = PrivateKey.from_hex(given["secret"])
json.dump({
    "address": key.address,
    "signatures": [key.sign(bytes.fromhex(digest)).hex() for digest in given["digests"]],
    "verdicts": {
        name: verify(*map(bytes.fromhex, case)) for name, case in given["cases"].items()
    },
}, sys.stdout)
"""


def test_pure_python_gives_the_same_signatures_and_verdicts() -> None:
    to_sign = [keccak(bytes([i])) for i in range(8)]
    given_ = {
        "secret": SECRET.hex(),
        "digests": [digest.hex() for digest in to_sign],
        "cases": {name: [part.hex() for part in case[:3]] for name, case in cases().items()},
    }
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COINCURVE],
        input=json.dumps(given_),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    key = PrivateKey.from_bytes(SECRET)
    assert answer["address"] == key.address
    assert answer["signatures"] == [key.sign(digest).hex() for digest in to_sign]
    assert answer["verdicts"] == {name: case[3] for name, case in cases().items()}


@pytest.mark.parametrize("length", [0, 31, 33])
def test_only_digests_are_signed(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        COW.sign(bytes(length))


@pytest.mark.parametrize(
    "secret",
    [b"", bytes(31), bytes(32), bytes(33), ORDER.to_bytes(32, "big"), b"\xff" * 32],
)
def test_what_is_no_secret_is_refused(secret: bytes) -> None:
    with pytest.raises(KeyMalformed):
        PrivateKey.from_bytes(secret)


def test_hex_keys() -> None:
    plain = SECRET.hex()
    address = PrivateKey.from_bytes(SECRET).address
    for text in (plain, "0x" + plain, plain.upper(), f" 0x{plain}\n"):
        assert PrivateKey.from_hex(text).address == address
    for text in (
        "",
        "0x",
        plain[:-1],
        plain + "0",
        "0x0x" + plain[2:],
        "zz" + plain[2:],
        "00" * 32,
    ):
        with pytest.raises(KeyMalformed):
            PrivateKey.from_hex(text)


def test_the_extreme_keys_work() -> None:
    one, last = (PrivateKey.from_bytes(n.to_bytes(32, "big")) for n in (1, ORDER - 1))
    assert one.address == "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"
    assert one.public_key == pair(*GENERATOR)
    assert last.public_key == pair(GENERATOR[0], FIELD - GENERATOR[1])


def test_generated_keys_differ_and_sign() -> None:
    keys = [PrivateKey.generate() for _ in range(20)]
    assert len({key.address for key in keys}) == 20
    assert all(verify(key.public_key, DIGEST, key.sign(DIGEST)) for key in keys)


@given(st.lists(st.binary(max_size=8), max_size=3), st.lists(st.binary(max_size=8), max_size=3))
def test_derived_secrets_follow_from_key_purpose_and_parts(
    parts: list[bytes], others: list[bytes]
) -> None:
    key, other = PrivateKey.from_bytes(b"\1" * 32), PrivateKey.from_bytes(b"\2" * 32)
    derived = key.derive("vote", *parts)
    assert len(derived) == 32
    assert derived == PrivateKey.from_bytes(b"\1" * 32).derive("vote", *parts)
    assert derived not in (key.derive("seed", *parts), other.derive("vote", *parts))
    assert (derived == key.derive("vote", *others)) == (parts == others)


@pytest.mark.parametrize("length", [0, 20, 63, 65])
def test_an_address_needs_a_whole_public_key(length: int) -> None:
    with pytest.raises(KeyMalformed):
        address_of(bytes(length))


@pytest.mark.parametrize(
    "address",
    [
        # EIP-55's own examples.
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_checksummed_addresses(address: str) -> None:
    assert checksum_address(address.lower()) == address


@pytest.mark.parametrize("text", ["", "0x", "0x" + "AB" * 20, "ab" * 20, "0x" + "ab" * 21])
def test_only_lower_case_addresses_get_a_checksum(text: str) -> None:
    with pytest.raises(DataError):
        checksum_address(text)


class TestTheKeyStaysHidden:
    key = PrivateKey.from_bytes(SECRET)

    def assert_hidden(self, text: str) -> None:
        lowered = text.lower()
        assert SECRET.hex() not in lowered
        assert repr(SECRET)[2:-1] not in text
        assert str(int.from_bytes(SECRET, "big")) not in text

    def test_in_every_textual_form(self) -> None:
        log = io.StringIO()
        logger = logging.Logger("keys")
        logger.addHandler(logging.StreamHandler(log))
        logger.error("key %s %r", self.key, [self.key])
        forms = (repr(self.key), str(self.key), f"{self.key}", f"{self.key!r:>90}", log.getvalue())
        for form in (*forms, repr({"key": (self.key,)}), "%s" % self.key):  # noqa: UP031
            self.assert_hidden(form)
            assert self.key.address in form

    def test_in_tracebacks_that_print_local_variables(self) -> None:
        key = self.key
        try:
            key.sign(b"no digest")
        except ValueError as error:
            plain = traceback.TracebackException.from_exception(error, capture_locals=True)
            self.assert_hidden("".join(plain.format()))
            console = Console(file=io.StringIO(), width=200)
            console.print(Traceback(Traceback.extract(*sys.exc_info(), show_locals=True)))
            self.assert_hidden(console.file.getvalue())  # type: ignore[attr-defined]
        else:
            pytest.fail("signed something that is no digest")

    def test_in_the_message_about_a_bad_key(self) -> None:
        nearly = SECRET.hex()[:-1] + "x"
        with pytest.raises(KeyMalformed) as caught:
            PrivateKey.from_hex(nearly)
        shown = "".join(traceback.format_exception(caught.value))
        assert nearly[:16] not in shown + caught.value.why + caught.value.fix

    def test_in_pickles_copies_and_serializers(self) -> None:
        attempts: list[Any] = [
            *(lambda p=p: pickle.dumps(self.key, p) for p in range(pickle.HIGHEST_PROTOCOL + 1)),
            lambda: copy.copy(self.key),
            lambda: copy.deepcopy([self.key]),
            lambda: json.dumps(self.key),
            lambda: msgspec.json.encode(self.key),
            lambda: bytes(self.key),  # type: ignore[call-overload]
            lambda: vars(self.key),
        ]
        for attempt in attempts:
            with pytest.raises(TypeError):
                attempt()


def test_the_digest_function_stands_beside_the_keys() -> None:
    digest = typed_data_digest({"A": [("b", "uint8")]}, "A", {"name": "danku"}, {"b": 1})
    assert verify(COW.public_key, digest, COW.sign(digest))
