"""Keccak, hex and ABI digests against published vectors and an independent permutation."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danku.crypto.hashing import (
    Keccak,
    abi_digest,
    abi_encode,
    domain,
    from_hex,
    keccak,
    to_hex,
)
from danku.errors import DataError

RATE = 136
LANE = 2**64 - 1


def rotate(lane: int, by: int) -> int:
    return (lane << by | lane >> (64 - by)) & LANE if by else lane


def permute(lanes: list[list[int]]) -> None:
    """Keccak-f[1600], written from FIPS 202 section 3.2 for this test alone."""
    register = 1
    for _ in range(24):
        parity = [a ^ b ^ c ^ d ^ e for a, b, c, d, e in lanes]
        for x in range(5):
            mix = parity[x - 1] ^ rotate(parity[(x + 1) % 5], 1)
            lanes[x] = [lane ^ mix for lane in lanes[x]]
        x, y, moved = 1, 0, lanes[1][0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            moved, lanes[x][y] = lanes[x][y], rotate(moved, (step + 1) * (step + 2) // 2 % 64)
        for y in range(5):
            row = [lanes[x][y] for x in range(5)]
            for x in range(5):
                lanes[x][y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5])
        for bit in range(7):
            if register & 1:
                lanes[0][0] ^= 1 << (2**bit - 1)
            register = register << 1 ^ (0x171 if register & 0x80 else 0)


def sponge(data: bytes, suffix: int) -> bytes:
    padded = bytearray(data + bytes([suffix]))
    padded += bytes(-len(padded) % RATE)
    padded[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), RATE):
        for i in range(RATE // 8):
            word = padded[start + 8 * i : start + 8 * i + 8]
            lanes[i % 5][i // 5] ^= int.from_bytes(word, "little")
        permute(lanes)
    return b"".join(lanes[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (
            # The type hash that every Safe contract states; longer than one block.
            b"SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,"
            b"uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,"
            b"uint256 nonce)",
            "bb8310d486368db6bd6f849402fdd73ad53d316b5a4b2644ad6efe0f941286d8",
        ),
    ],
)
def test_published_vectors(data: bytes, digest: str) -> None:
    assert keccak(data).hex() == digest


@pytest.mark.parametrize("length", [0, 1, 7, 8, 135, 136, 137, 271, 272, 273, 408, 1000])
def test_an_independent_permutation_agrees_around_the_rate(length: int) -> None:
    data = bytes(i * 7 % 256 for i in range(length))
    assert sponge(data, 0x06) == hashlib.sha3_256(data).digest()
    assert keccak(data) == sponge(data, 0x01)


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_parts_are_hashed_as_one_string(parts: list[bytes]) -> None:
    state = Keccak()
    for part in parts:
        state.update(part)
    assert keccak(*parts) == keccak(b"".join(parts)) == state.digest()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (5,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["<f4", "<i8", "u1"])
def test_a_typed_view_is_hashed_to_its_last_byte(shape: tuple[int, ...], dtype: str) -> None:
    array = np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)
    assert keccak(array.data) == keccak(array.tobytes())
    assert keccak(bytearray(array.tobytes())) == keccak(array.tobytes())


def test_what_has_no_single_byte_string_is_refused() -> None:
    array = np.arange(12, dtype="<f4").reshape(3, 4)
    for view in (array.data[::2], array.T.data, memoryview(b"abcd")[::-1]):
        with pytest.raises(TypeError):
            keccak(view)
    with pytest.raises(TypeError):
        keccak("abc")  # type: ignore[arg-type]


def test_nothing_is_fed_after_the_digest() -> None:
    state = Keccak(b"abc")
    assert state.digest() == state.digest() == keccak(b"abc")
    with pytest.raises(TypeError):
        state.update(b"d")


def test_domains_are_the_stated_hash_and_differ() -> None:
    assert domain("vote") == keccak(b"danku/v1/vote")
    assert len({domain(tag) for tag in ("vote", "submission", "data-leaf", "data-node", "")}) == 5


@given(st.binary(max_size=80))
def test_hex_round_trip(data: bytes) -> None:
    assert from_hex(to_hex(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "00",
        "0X00",
        "0x0",
        "0x0G",
        "0xAB",
        "0x00 ",
        "0x00\n",
        " 0x00",
        "0x0_0",
        "0x\u0660\u0660",
    ],
)
def test_hex_has_one_spelling(text: str) -> None:
    with pytest.raises(DataError):
        from_hex(text)


def test_abi_digest_is_keccak_of_the_words() -> None:
    address, word = "0x" + "ab" * 20, bytes(range(32))
    expected = keccak(
        domain("test")
        + bytes(12)
        + bytes.fromhex("ab" * 20)
        + word
        + (2**256 - 1).to_bytes(32, "big")
        + (-5 % 2**256).to_bytes(32, "big")
        + bytes(31)
        + b"\x07"
    )
    types = ("address", "bytes32", "uint256", "int256", "uint8")
    assert abi_digest("test", types, (address, word, 2**256 - 1, -5, 7)) == expected


@given(st.integers(-(2**255), 2**255 - 1), st.binary(min_size=32, max_size=32), st.binary())
def test_abi_encoding_matches_eth_abi(number: int, word: bytes, data: bytes) -> None:
    from eth_abi.abi import encode

    types = ["int256", "bytes32", "bytes", "(bytes32,uint8)[]"]
    values = [number, word, data, [(word, 1), (word, 255)]]
    assert abi_encode(types, values) == encode(types, values)


@pytest.mark.parametrize(
    ("types", "values"),
    [
        (["bytes32"], [b"short"]),
        (["bytes32"], [bytes(33)]),
        (["bytes32[]"], [[bytes(32), b""]]),
        (["(uint8,bytes32)"], [(1, bytes(31))]),
        (["bytes32"], ["0x" + "00" * 32]),
        (["uint8"], [256]),
        (["uint8"], [-1]),
        (["uint8"], [True]),
        (["uint256"], [1.0]),
        (["uint256"], ["1"]),
        (["int256"], [2**255]),
        (["address"], ["0x12"]),
        (["address"], [None]),
        (["uint8"], []),
        (["uint8"], [1, 2]),
        (["uint8", "nonsense"], [1, 1]),
        (["(uint8"], [1]),
    ],
)
def test_values_that_do_not_fit_are_refused(types: list[str], values: list[object]) -> None:
    with pytest.raises(DataError):
        abi_encode(types, values)


def test_the_refusal_does_not_show_the_value() -> None:
    with pytest.raises(DataError) as caught:
        abi_encode(["uint8", "bytes32"], [1, b"the-secret-salt"])
    assert "secret-salt" not in f"{caught.value} {caught.value.why} {caught.value.__cause__}"
    assert "value 1" in str(caught.value) and "bytes32" in str(caught.value)
