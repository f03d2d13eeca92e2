"""The names of blobs: IPFS CIDs, computed as Kubo computes them, without a node.

`aleph-cid` does the hashing: version 1, base32, raw leaves, sha2-256, chunks of 256 KiB in a
balanced tree (what ``ipfs add --cid-version=1`` gives). It is young: golden vectors pin it.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import TypeAlias

import aleph_cid

from danku.errors import DataError

BytesLike: TypeAlias = bytes | bytearray | memoryview

READ_BYTES = 2**20
"""How much of a file is in memory while it is hashed or copied."""

_SPELLING = re.compile(r"b[a-z2-7]{58}")
_RAW_LEAF = bytes([0x01, 0x55, 0x12, 0x20])
_FILE_ROOT = bytes([0x01, 0x70, 0x12, 0x20])


class UnknownCid(DataError):
    """The text is not a CID of the one kind that danku names blobs by."""


class CidHasher:
    """A running CID: feed it the bytes in order, then ask once."""

    __slots__ = ("_hasher",)

    def __init__(self) -> None:
        self._hasher = aleph_cid.CidHasher.for_ipfs_v1_raw_leaves()

    def update(self, part: BytesLike) -> None:
        """Take the next bytes, in pieces of any size."""
        self._hasher.update(part if isinstance(part, bytes) else bytes(part))

    def cid(self) -> str:
        """The CID of everything fed so far; nothing can be fed afterwards."""
        return self._hasher.finalize()


def cid_of(data: BytesLike) -> str:
    """The CID of these bytes."""
    hasher = CidHasher()
    hasher.update(data)
    return hasher.cid()


def check_cid(text: str) -> str:
    """The same text, known to be safe as a file name and to be the only spelling of its digest.

    Raises:
        UnknownCid: not a version 1, base32, sha2-256 CID of a raw leaf or of a file's root.
    """
    if _SPELLING.fullmatch(text) and _decode(text)[:4] in (_RAW_LEAF, _FILE_ROOT):
        return text
    raise UnknownCid(
        f"not a CID that a store here can hold: {text[:80]!r}",
        why="blobs are named by lower-case base32 CIDs of version 1 (sha2-256; raw or dag-pb), "
        "which begin with bafkrei or bafybei",
        fix="compute it with `ipfs add --cid-version=1` or let `danku` put the file",
    )


def binary_cid(text: str) -> bytes:
    """The 36 bytes of a checked CID: version, codec, hash function, length, sha2-256 digest."""
    return _decode(text)


def text_cid(data: bytes) -> str:
    """The text of a CID's bytes.

    Raises:
        ValueError: not a CID of a raw leaf or of a file's node.
    """
    if len(data) != 36 or data[:4] not in (_RAW_LEAF, _FILE_ROOT):
        raise ValueError("a CID of another kind")
    return "b" + base64.b32encode(data).decode("ascii").rstrip("=").lower()


def is_leaf(text: str) -> bool:
    """Whether a checked CID names bytes as they are, not a node with links."""
    return _decode(text)[:4] == _RAW_LEAF


def folder_cid(folder: Path) -> str:
    """The CID of a folder and all that is in it, as `ipfs add -r --cid-version=1` gives it.

    Raises:
        DataError: the folder is empty, a name in it is no text, or a file cannot be read.
    """
    try:
        return str(aleph_cid.hash_folder(folder, follow_symlinks=False))
    except (ValueError, OSError) as error:
        raise DataError(
            f"the folder {folder} has no CID: {error}",
            fix="give a folder with at least one readable file",
        ) from None


def _decode(text: str) -> bytes:
    try:
        data = base64.b32decode(text[1:].upper() + "======")
    except binascii.Error:
        return b""
    # NOTE: 58 digits are two bits longer than 36 bytes; those bits must be zero, or one digest
    # would have four names.
    spelling = base64.b32encode(data).decode("ascii").rstrip("=").lower()
    return data if spelling == text[1:] else b""
