"""How IPFS cuts a file into blocks, and how a tree of them is read that somebody else made.

`danku.storage.cid` names a blob by the root of one tree: leaves of 256 KiB, nodes of at most 174
links, all leaves equally deep (IPFS: UnixFS, balanced layout; dag-pb). The shape follows from the
size alone, so that a tree of any other shape is refused node by node, before it is followed: a
publisher cannot make a reader fetch more blocks than a file of the stated size has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from danku.storage.cid import binary_cid, is_leaf, text_cid
from danku.storage.port import ForeignFile

LEAF_BYTES = 2**18
LINKS = 174
BLOCK_BYTES = LEAF_BYTES
"""No block of such a tree is larger: a node with all its links has about 10 KB."""

_UNIXFS_FILE = 2
_VARINT, _LENGTH = 0, 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A block of a blob's tree, and the part of the blob that is under it."""

    cid: str
    offset: int
    size: int
    depth: int
    """Links down to the leaves; 0 for a leaf."""


def is_block(cid: str, data: bytes) -> bool:
    """Whether these are the bytes of the block ``cid``."""
    return hashlib.sha256(data).digest() == binary_cid(cid)[4:]


def root_piece(cid: str, block: bytes) -> Piece:
    """The whole blob, as its verified root block describes it.

    Raises:
        ForeignFile: the block is not the root of a file.
    """
    if is_leaf(cid):
        return Piece(cid, 0, len(block), 0)
    try:
        (data,) = [value for number, value in _fields(block) if number == 1]
        size = int(dict(_fields(bytes(data)))[3])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise _foreign(cid, f"its root is no node of a file ({error})") from None
    if size <= LEAF_BYTES:
        raise _foreign(cid, "a file that fits into one block is named by that block")
    return Piece(cid, 0, size, _depth(size))


def children(piece: Piece, block: bytes) -> list[Piece]:
    """The pieces under a node, from its verified block.

    The block has to be, byte for byte, what IPFS writes for a file of this size. So leaves that
    fit their links make up the blob, and the whole need not be hashed once more.

    Raises:
        ForeignFile: it is something else.
    """
    capacity = LEAF_BYTES * LINKS ** (piece.depth - 1)
    sizes = [min(capacity, piece.size - start) for start in range(0, piece.size, capacity)]
    try:
        links = [bytes(link) for number, link in _fields(block) if number == 2]
        cids = [bytes(dict(_fields(link))[1]) for link in links]
        names = [text_cid(cid) for cid in cids]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise _foreign(piece.cid, f"it has a block that is no node of a file ({error})") from None
    if len(cids) != len(sizes) or _node(cids, sizes, piece.depth) != block:
        raise _foreign(piece.cid, "a node is not that of a file of its size")
    if any(is_leaf(name) != (piece.depth == 1) for name in names):
        raise _foreign(piece.cid, "its leaves are not all equally deep")
    return [
        Piece(name, piece.offset + place * capacity, size, piece.depth - 1)
        for place, (name, size) in enumerate(zip(names, sizes, strict=True))
    ]


def _depth(size: int) -> int:
    """How many levels of nodes are above the leaves of a file."""
    depth = 0
    while LEAF_BYTES * LINKS**depth < size:
        depth += 1
    return depth


def _node(cids: Sequence[bytes], sizes: Sequence[int], depth: int) -> bytes:
    """The inner node that IPFS writes (dag-pb: links, then data; UnixFS: type, size, sizes)."""
    links = b"".join(
        _field(2, _field(1, cid) + _field(2, b"") + _field(3, _total(size, depth - 1)))
        for cid, size in zip(cids, sizes, strict=True)
    )
    parts = b"".join(_field(4, size) for size in sizes)
    return links + _field(1, _field(1, _UNIXFS_FILE) + _field(3, sum(sizes)) + parts)


@lru_cache(4_096)
def _total(size: int, depth: int) -> int:
    """Bytes of all blocks under a piece; it follows from its size and depth."""
    if depth == 0:
        return size
    capacity = LEAF_BYTES * LINKS ** (depth - 1)
    sizes = [min(capacity, size - start) for start in range(0, size, capacity)]
    node = _node([bytes(36)] * len(sizes), sizes, depth)
    return len(node) + sum(_total(part, depth - 1) for part in sizes)


def _field(number: int, value: bytes | int) -> bytes:
    """A field of a protobuf message."""
    if isinstance(value, int):
        return _digits(number << 3 | _VARINT) + _digits(value)
    return _digits(number << 3 | _LENGTH) + _digits(len(value)) + value


def _digits(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protobuf message, in order."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        value, place = _varint(data, place)
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _LENGTH and place + value <= len(data):
            yield tag >> 3, data[place : place + value]
            place += value
        else:
            raise ValueError("a field is cut off or of another type")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 63, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number is too long")


def _foreign(cid: str, why: str) -> ForeignFile:
    return ForeignFile(
        f"{cid} does not name a file in the form that danku names files in",
        why=f"{why}: expected are leaves of 256 KiB in a balanced tree",
        fix="whoever published it has to add it with `ipfs add --cid-version=1`",
    )
