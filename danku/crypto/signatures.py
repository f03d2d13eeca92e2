"""secp256k1 keys, addresses and signatures over EIP-712 digests.

Keys and curve arithmetic are eth-keys', which is pure Python and picks up coincurve by itself
where that is installed. Both must accept the very same signatures, or two machines would
replay one journal into two states; `verify` therefore checks every bound itself.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from danku.crypto.hashing import DIGEST_BYTES, domain, keccak, to_hex
from danku.crypto.typed_data import TypedDataError, typed_data_digest
from danku.errors import DataError

if TYPE_CHECKING:
    from eth_keys.datatypes import PrivateKey as _EthPrivateKey
    from eth_keys.main import KeyAPI

__all__ = [
    "PUBLIC_KEY_BYTES",
    "SIGNATURE_BYTES",
    "KeyMalformed",
    "PrivateKey",
    "TypedDataError",
    "address_of",
    "checksum_address",
    "typed_data_digest",
    "verify",
]

SECRET_BYTES = 32
PUBLIC_KEY_BYTES = 64
SIGNATURE_BYTES = 64

_FIELD = 2**256 - 2**32 - 977
_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_SECRET = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")


class KeyMalformed(DataError):
    """The bytes are not a secp256k1 key."""


@lru_cache(maxsize=1)
def _curve() -> KeyAPI:
    from eth_keys.main import KeyAPI

    return KeyAPI()


class PrivateKey:
    """A signing key that shows itself only as its address and cannot be copied or pickled."""

    __slots__ = ("_key", "_public_key")

    def __init__(self, key: _EthPrivateKey) -> None:
        self._key = key
        self._public_key = key.public_key.to_bytes()

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new key from the operating system's randomness."""
        return cls.from_bytes((1 + secrets.randbelow(_ORDER - 1)).to_bytes(SECRET_BYTES, "big"))

    @classmethod
    def from_bytes(cls, secret: bytes) -> PrivateKey:
        """The key with this 32-byte big-endian secret.

        Raises:
            KeyMalformed: not 32 bytes, or outside 1 <= secret < the group's order.
        """
        if len(secret) != SECRET_BYTES or not 0 < int.from_bytes(secret, "big") < _ORDER:
            raise KeyMalformed(
                "the private key is not a secp256k1 secret",
                why="it is 32 bytes, neither zero nor as large as the group's order",
            )
        return cls(_curve().PrivateKey(secret))

    @classmethod
    def from_hex(cls, text: str) -> PrivateKey:
        """The key with this secret of 64 hex digits, with or without 0x.

        Raises:
            KeyMalformed: anything else.
        """
        digits = _SECRET.fullmatch(text.strip())
        if digits is None:
            raise KeyMalformed(
                "the private key is not 64 hex digits",
                fix="give it as 0x and 64 of the digits 0-9 and a-f",
            )
        return cls.from_bytes(bytes.fromhex(digits[1]))

    @property
    def public_key(self) -> bytes:
        """The point's 64 bytes, x then y."""
        return self._public_key

    @property
    def address(self) -> str:
        """Lower-case 0x hex."""
        return address_of(self._public_key)

    def sign(self, digest: bytes) -> bytes:
        """The 64 bytes r then s, deterministic (RFC 6979), s in the lower half.

        Raises:
            ValueError: the digest is not 32 bytes.
        """
        return self.sign_recoverable(digest)[:SIGNATURE_BYTES]

    def sign_recoverable(self, digest: bytes) -> bytes:
        """As `sign`, and a 65th byte, 0 or 1: the parity of the point's y, as transactions have it.

        Raises:
            ValueError: the digest is not 32 bytes.
        """
        if len(digest) != DIGEST_BYTES:
            raise ValueError(f"a digest has {DIGEST_BYTES} bytes, not {len(digest)}")
        return self._key.sign_msg_hash(digest).to_bytes()

    def derive(self, purpose: str, *parts: bytes) -> bytes:
        """32 bytes that only this key's holder can compute, and will find again (RFC 2104).

        HMAC-SHA-256 under the secret; knowing what was derived for one purpose, or for some parts,
        tells nothing of the others, nor of the key.
        """
        mac = hmac.new(self._key.to_bytes(), domain(f"derive/{purpose}"), hashlib.sha256)
        for part in parts:
            mac.update(len(part).to_bytes(8, "big") + part)
        return mac.digest()

    def unsafe_secret(self) -> bytes:
        """The 32 secret bytes, for encrypting them into a key file and for nothing else."""
        return self._key.to_bytes()

    def __repr__(self) -> str:
        return f"PrivateKey(of {self.address})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a private key is not copied or pickled")


def address_of(public_key: bytes) -> str:
    """The lower-case address of 64 public bytes: the last 20 of their keccak.

    Raises:
        KeyMalformed: not 64 bytes.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise KeyMalformed(f"a public key has 64 bytes, not {len(public_key)}")
    return to_hex(keccak(public_key)[-20:])


def checksum_address(address: str) -> str:
    """EIP-55's mixed-case spelling, for people to read.

    Raises:
        DataError: not a lower-case address.
    """
    if not _ADDRESS.fullmatch(address):
        raise DataError(f"not a lower-case address: {address[:80]!r}")
    digits = address[2:]
    marks = keccak(digits.encode("ascii")).hex()
    return "0x" + "".join(
        digit.upper() if mark >= "8" else digit for digit, mark in zip(digits, marks, strict=False)
    )


def verify(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the signature is this key's; False for every malformed or malleated one.

    Refused besides: a point off the curve, s in the upper half, and an r for which r + order is
    an x coordinate too.
    """
    if (len(public_key), len(digest), len(signature)) != (64, DIGEST_BYTES, SIGNATURE_BYTES):
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    # NOTE: libsecp256k1 compares x modulo the order, eth-keys' own arithmetic and Ethereum's
    # ecrecover compare x itself. They differ only where r + order is below the field's prime,
    # and there anybody can recover a public key for a chosen r: no honest signer meets it.
    if not (_FIELD - _ORDER <= r < _ORDER and 0 < s <= _ORDER // 2):
        return False
    x, y = int.from_bytes(public_key[:32], "big"), int.from_bytes(public_key[32:], "big")
    if not (x < _FIELD and y < _FIELD and (y * y - x * x * x - 7) % _FIELD == 0):
        return False
    curve = _curve()
    return curve.ecdsa_verify(
        digest, curve.NonRecoverableSignature(signature), curve.PublicKey(public_key)
    )
