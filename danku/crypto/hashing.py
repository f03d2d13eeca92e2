"""Keccak-256, domain tags, hex and ABI words: every digest in danku is made here.

Keccak is Ethereum's (the original padding, not SHA-3's), from pycryptodome; ABI encoding is
eth-abi's, so that a contract computes the same digests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from Crypto.Hash import keccak as _keccak

from danku.errors import DataError

if TYPE_CHECKING:
    from eth_abi.codec import ABIEncoder
    from eth_abi.registry import ABIRegistry

BytesLike: TypeAlias = bytes | bytearray | memoryview

DIGEST_BYTES = 32
_HEX = re.compile(r"0x(?:[0-9a-f]{2})*")


class Keccak:
    """A running keccak-256; feed it parts, then ask for the digest once."""

    __slots__ = ("_state",)

    def __init__(self, *parts: BytesLike) -> None:
        self._state = _keccak.new(digest_bits=256)
        for part in parts:
            self.update(part)

    def update(self, part: BytesLike) -> None:
        """Hash the bytes of ``part``; of a typed memoryview, all of its bytes in C order.

        Raises:
            TypeError: not bytes, or a view whose bytes do not lie side by side.
        """
        if not isinstance(part, bytes):
            # NOTE: pycryptodome takes len() of a view, which counts rows, not bytes, and would
            # hash the beginning of an array only.
            view = memoryview(part)
            if not view.c_contiguous:
                raise TypeError("only a memoryview in C order has one byte string to hash")
            part = view.cast("B") if view.nbytes else b""
        self._state.update(part)

    def digest(self) -> bytes:
        """The 32-byte digest of everything fed so far; nothing can be fed afterwards."""
        return self._state.digest()


def keccak(*parts: BytesLike) -> bytes:
    """keccak-256 of the parts, one after the other."""
    return Keccak(*parts).digest()


@lru_cache(maxsize=256)
def domain(tag: str) -> bytes:
    """The 32 bytes that keep digests of one purpose apart from those of every other."""
    return keccak(b"danku/v1/" + tag.encode("ascii"))


def to_hex(data: bytes) -> str:
    """Lower-case hex with 0x in front."""
    return "0x" + data.hex()


def from_hex(text: str) -> bytes:
    """The bytes of lower-case 0x hex.

    Raises:
        DataError: anything but the one spelling that `to_hex` gives.
    """
    if not _HEX.fullmatch(text):
        raise DataError(
            f"not lower-case hex: {text[:80]!r}",
            why="bytes are written as 0x and an even number of the digits 0-9 and a-f",
        )
    return bytes.fromhex(text[2:])


@lru_cache(maxsize=1)
def _encoder() -> ABIEncoder:
    from eth_abi.codec import ABIEncoder
    from eth_abi.encoding import BytesEncoder
    from eth_abi.registry import BaseEquals, registry

    class ExactBytesEncoder(BytesEncoder):
        # NOTE: eth-abi pads short values with zeros, so that b"" and b"\0" would share a digest.
        def validate_value(self, value: Any) -> None:
            super().validate_value(value)  # type: ignore[no-untyped-call]
            if len(value) * 8 != self.value_bit_size:
                self.invalidate_value(value)

    exact: ABIRegistry = registry.copy()  # type: ignore[no-untyped-call]
    exact.unregister_encoder("bytes<M>")
    bytes_with_length = BaseEquals("bytes", with_sub=True)  # type: ignore[no-untyped-call]
    exact.register_encoder(bytes_with_length, ExactBytesEncoder, "bytes<M>")
    return ABIEncoder(exact)


def abi_encode(types: Sequence[str], values: Sequence[object]) -> bytes:
    """Solidity's ``abi.encode``: addresses as 0x text, bytes32 as exactly 32 bytes, integers.

    Raises:
        DataError: a value does not fit its type, or the numbers of types and values differ.
            The message names the type and never the value, which may be a secret.
    """
    from eth_abi.exceptions import EncodingError, ParseError

    if len(types) != len(values):
        raise DataError(f"{len(values)} values for {len(types)} ABI types")
    try:
        return _encoder().encode(types, values)
    except (EncodingError, ParseError, ValueError, TypeError):
        misfit = next(
            place
            for place, (type_name, value) in enumerate(zip(types, values, strict=True))
            if not _encoder().is_encodable(type_name, value)
        )
    raise DataError(
        f"value {misfit} does not fit the ABI type {types[misfit]}",
        why="integers have bounds, bytes an exact length, and addresses are 0x and 40 hex digits",
    )


def abi_digest(tag: str, types: Sequence[str], values: Sequence[object]) -> bytes:
    """keccak(abi.encode(domain(tag), *values)).

    Raises:
        DataError: as `abi_encode`.
    """
    return keccak(abi_encode(("bytes32", *types), (domain(tag), *values)))
