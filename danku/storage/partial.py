"""A blob that is still being fetched: a file in which only verified leaves stand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from danku.storage.dag import Piece, is_block
from danku.storage.files import PARTIAL_PREFIX


class PartialBlob:
    """The leaves of one blob under a name that is no blob's; it survives whatever is killed.

    No list of what is there is kept: whoever goes on hashes what the file holds, so that neither a
    torn write nor another hand's change is taken for a leaf.
    """

    def __init__(self, folder: Path, cid: str) -> None:
        self.path = folder / (PARTIAL_PREFIX + cid)

    def missing(self, leaves: Sequence[Piece]) -> list[Piece]:
        """Those leaves that the file does not hold yet."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return list(leaves)
        with file:
            return [leaf for leaf in leaves if not _holds(file.fileno(), leaf)]

    @contextmanager
    def writing(self, size: int) -> Iterator[int]:
        """A descriptor to write leaves to, in a file of ``size`` bytes.

        NOTE: nothing is synced. What a power cut takes is found out by hashing, and fetched again.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            os.ftruncate(descriptor, size)
            yield descriptor
        finally:
            os.close(descriptor)


def write_leaf(descriptor: int, leaf: Piece, data: bytes) -> None:
    """Put a verified leaf into its place."""
    place, left = leaf.offset, memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, place)
        place, left = place + written, left[written:]


def _holds(descriptor: int, leaf: Piece) -> bool:
    data = os.pread(descriptor, leaf.size, leaf.offset)
    return len(data) == leaf.size and is_block(leaf.cid, data)
