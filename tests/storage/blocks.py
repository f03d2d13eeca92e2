"""A second, plain writer of IPFS's file trees: what the tests' servers serve."""

from __future__ import annotations

import base64
import hashlib

LEAF, LINKS = 2**18, 174
BASE_58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RAW, NODE = b"\x01\x55\x12\x20", b"\x01\x70\x12\x20"


def name(prefix: bytes, block: bytes) -> str:
    digest = prefix + hashlib.sha256(block).digest()
    return "b" + base64.b32encode(digest).decode().rstrip("=").lower()


def raw_bytes(cid: str) -> bytes:
    return base64.b32decode(cid[1:].upper() + "======")


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def node(children: list[tuple[str, int, int]], *, raw: bool = True) -> bytes:
    """A file's inner node over (CID, bytes of the file, bytes of all blocks) of each child."""
    links = b"".join(
        field(2, field(1, raw_bytes(cid)[0 if raw else 2 :]) + field(2, b"") + field(3, total))
        for cid, _, total in children
    )
    sizes = [size for _, size, _ in children]
    data = field(1, 2) + field(3, sum(sizes)) + b"".join(field(4, size) for size in sizes)
    return links + field(1, data)


def wrapped(part: bytes) -> bytes:
    """A leaf as CIDs of version 0 have it."""
    content = field(2, part) if part else b""
    return field(1, field(1, 2) + content + field(3, len(part)))


def base58(data: bytes) -> str:
    number, digits = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        digits = BASE_58[digit] + digits
    return digits


def version_0(cid: str) -> str:
    """The name of version 0 of the same block."""
    return base58(raw_bytes(cid)[2:])


def tree(
    data: bytes, leaf: int = LEAF, links: int = LINKS, *, raw: bool = True
) -> tuple[str, dict[str, bytes]]:
    """The root of the file's tree, and all its blocks by CID.

    Args:
        raw: leaves are bytes as they are; else they are wrapped, as for CIDs of version 0.
    """
    blocks: dict[str, bytes] = {}

    def keep(prefix: bytes, block: bytes) -> str:
        cid = name(prefix, block)
        blocks[cid] = block
        return cid

    parts = [data[start : start + leaf] for start in range(0, len(data), leaf)] or [b""]
    level = []
    for part in parts:
        block = part if raw else wrapped(part)
        level.append((keep(RAW if raw else NODE, block), len(part), len(block)))
    while len(level) > 1:
        above = []
        for start in range(0, len(level), links):
            children = level[start : start + links]
            block = node(children, raw=raw)
            total = len(block) + sum(each for _, _, each in children)
            above.append((keep(NODE, block), sum(size for _, size, _ in children), total))
        level = above
    return level[0][0], blocks
