"""CIDs are Kubo's: checked against pinned ones and against a second implementation."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.errors import DataError
from danku.storage.cid import CidHasher, UnknownCid, check_cid, cid_of

CHUNK = 262_144
LINKS = 174


def pattern(size: int) -> bytes:
    """Bytes that repeat after 64 KiB only, so that no two places in a chunk look alike."""
    period = b"".join(bytes((i * 7 + high * 13) & 255 for i in range(256)) for high in range(256))
    return (period * (size // len(period) + 1))[:size]


# `hello world` is Kubo's own documentation's; the others were computed once with Kubo's sister
# implementation, npm ipfs-unixfs-importer 17.1.1 (raw leaves, 262144, balanced, 174 links).
GOLDEN = [
    (b"hello world\n", "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"),
    (b"", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
    (pattern(12), "bafkreiecix7llwed2du5v7ezu2g6nmxshljje6xkgi2del45h7g26eab4y"),
    (pattern(CHUNK - 1), "bafkreibnlu4fsocjuuwh5tr74nfrf7d4kupviysklaeoy7jpcps53kuy7u"),
    (pattern(CHUNK), "bafkreigqnljze2cqjsyeaomodnf6twbuqjmdzuuqqsbzw322aqpa3bszhy"),
    (pattern(CHUNK + 1), "bafybeigqwswj3pdynomghcvku7cat46kg5a2zg3k3qdux2my6vezyzh7rm"),
    (pattern(2 * CHUNK), "bafybeidbvswfi3galiaipseuoucs3ed6mmi2zrq5sitrw24kdz5yvlofqq"),
    (pattern(10**6), "bafybeihsx33w2gdnace2dhkfopsfoezqy23jlk6npun5c4axs7ltmzc33m"),
    (pattern(LINKS * CHUNK), "bafybeidyv7k6dcjbr4qfxcwu6ratn54vrcbubperxfsgkkcx2bre5wzp3m"),
    (pattern(LINKS * CHUNK + 1), "bafybeie2btiszourkhuxqia4ugsao77ty264f2tsq4o3dwabq7usig64qe"),
]


@dataclass
class Node:
    cid: bytes
    file_bytes: int
    dag_bytes: int


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(codec: int, data: bytes, file_bytes: int, dag_bytes: int) -> Node:
    cid = bytes([1, codec, 0x12, 32]) + hashlib.sha256(data).digest()
    return Node(cid, file_bytes, dag_bytes)


def parent(children: list[Node]) -> Node:
    links = b"".join(
        field(2, field(1, child.cid) + field(2, b"") + field(3, child.dag_bytes))
        for child in children
    )
    file_bytes = sum(child.file_bytes for child in children)
    sizes = b"".join(field(4, child.file_bytes) for child in children)
    data = links + field(1, field(1, 2) + field(3, file_bytes) + sizes)
    return block(0x70, data, file_bytes, len(data) + sum(child.dag_bytes for child in children))


def independent_cid(data: bytes) -> str:
    """UnixFS over dag-pb, written from its specification (specs.ipfs.tech/unixfs)."""
    chunks = [data[i : i + CHUNK] for i in range(0, len(data), CHUNK)] or [b""]
    level = [block(0x55, chunk, len(chunk), len(chunk)) for chunk in chunks]
    while len(level) > 1:
        level = [parent(level[i : i + LINKS]) for i in range(0, len(level), LINKS)]
    return "b" + base64.b32encode(level[0].cid).decode("ascii").rstrip("=").lower()


@pytest.mark.parametrize(("data", "expected"), GOLDEN, ids=[str(len(data)) for data, _ in GOLDEN])
def test_golden_vectors_agree_with_both_implementations(data: bytes, expected: str) -> None:
    assert independent_cid(data) == expected
    assert cid_of(data) == expected
    assert check_cid(expected) == expected


@settings(max_examples=20, deadline=None)
@given(
    size=st.integers(0, 3 * CHUNK + 2),
    cuts=st.lists(st.integers(0, 3 * CHUNK + 2), max_size=5),
    kind=st.sampled_from([bytes, bytearray, memoryview]),
)
def test_pieces_of_any_size_give_the_cid_of_the_whole(
    size: int, cuts: list[int], kind: type
) -> None:
    data = pattern(size)
    hasher = CidHasher()
    edges = [0, *sorted(cut for cut in cuts if cut < size), size]
    for start, stop in pairwise(edges):
        hasher.update(kind(data[start:stop]))
    assert hasher.cid() == independent_cid(data)


def base32(data: bytes) -> str:
    return "b" + base64.b32encode(data).decode("ascii").rstrip("=").lower()


DIGEST = hashlib.sha256(b"x").digest()
GOOD = base32(bytes([1, 0x55, 0x12, 32]) + DIGEST)
HOSTILE = {
    "empty": "",
    "parent": "..",
    "traversal": "../../etc/passwd",
    "traversal of a CID's length": "b" + "../" * 19 + "a",
    "absolute": "/etc/passwd",
    "trailing newline": GOOD + "\n",
    "leading space": " " + GOOD,
    "null byte": GOOD[:-1] + "\0",
    "with a path": GOOD + "/x",
    "with a scheme": "/ipfs/" + GOOD,
    "upper case": GOOD.upper(),
    "mixed case": GOOD[:20] + GOOD[20:].upper(),
    "version 0": "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o",
    "dag-cbor": base32(bytes([1, 0x71, 0x12, 32]) + DIGEST),
    "sha3-256": base32(bytes([1, 0x55, 0x16, 32]) + DIGEST),
    "version 2": base32(bytes([2, 0x55, 0x12, 32]) + DIGEST),
    "short digest": base32(bytes([1, 0x55, 0x12, 16]) + DIGEST[:16]),
    "base58 of version 1": "zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA",
    "one digit more": GOOD + "a",
    "one digit less": GOOD[:-1],
    "wide letters": GOOD[:-1] + "\uff41",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_name_that_is_not_this_kind_of_cid_is_refused(text: str) -> None:
    with pytest.raises(UnknownCid) as refusal:
        check_cid(text)
    assert isinstance(refusal.value, DataError)
    assert refusal.value.fix


def test_one_digest_has_one_name() -> None:
    digits = "abcdefghijklmnopqrstuvwxyz234567"
    last = digits.index(GOOD[-1])
    for spare in range(1, 4):
        with pytest.raises(UnknownCid):
            check_cid(GOOD[:-1] + digits[last ^ spare])
