"""Two Merkle trees: one over the data groups, ordered, and one over the payouts, OpenZeppelin's.

The data tree keeps leaves, inner nodes and the root apart by domain tags, and its root binds the
number of leaves, so that neither a node nor a shorter or longer list passes for what it is not.
The payout tree is the StandardMerkleTree format of https://github.com/OpenZeppelin/merkle-tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from danku.crypto.hashing import DIGEST_BYTES, BytesLike, Keccak, abi_encode, domain, keccak
from danku.errors import DataError

PayoutLeaf: TypeAlias = tuple[int, str, int]
"""Index, address (0x hex) and amount."""

NO_PAYOUTS = bytes(DIGEST_BYTES)
"""The root of an empty payout tree, against which nothing verifies."""

_PAYOUT_TYPES = ("uint256", "address", "uint256")


def hash_leaf(nonce: bytes, chunks: Iterable[BytesLike]) -> bytes:
    """The leaf of a data group: its bytes, in chunks of any size, blinded by a 32-byte nonce.

    Raises:
        DataError: the nonce is not 32 bytes.
    """
    if len(nonce) != DIGEST_BYTES:
        raise DataError(f"a nonce has {DIGEST_BYTES} bytes, not {len(nonce)}")
    state = Keccak(domain("data-leaf"), nonce)
    for chunk in chunks:
        state.update(chunk)
    return state.digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """An inner node of the data tree."""
    return keccak(domain("data-node"), left, right)


def hash_root(count: int, top: bytes) -> bytes:
    """The data root: the number of leaves as a 32-byte word, and the topmost node."""
    return keccak(domain("data-root"), count.to_bytes(32, "big"), top)


class DataTree:
    """The ordered tree over the leaves of all data groups; an unpaired node moves up as it is."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """Build all levels.

        Raises:
            DataError: no leaf, or one that is not 32 bytes.
        """
        if not leaves:
            raise DataError("a data tree needs at least one group")
        if any(len(leaf) != DIGEST_BYTES for leaf in leaves):
            raise DataError(f"a leaf of the data tree is not {DIGEST_BYTES} bytes")
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            level = self._levels[-1]
            above = [hash_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
            self._levels.append(above + level[len(above) * 2 :])
        self.root = hash_root(len(leaves), self._levels[-1][0])

    def proof(self, index: int) -> list[bytes]:
        """The siblings of leaf ``index``, from the bottom up.

        Raises:
            DataError: there is no such leaf.
        """
        count = len(self._levels[0])
        if not 0 <= index < count:
            raise DataError(f"the data tree has no leaf {index}, it has {count}")
        return [
            level[(index >> height) ^ 1]
            for height, level in enumerate(self._levels)
            if (index >> height) ^ 1 < len(level)
        ]


def verify_data(root: bytes, count: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether ``leaf`` is number ``index`` of the ``count`` leaves under ``root``.

    The proof must have exactly the siblings that this place in a tree of this size has.
    """
    if not 0 <= index < count < 2**64 or any(
        len(node) != DIGEST_BYTES for node in (root, leaf, *proof)
    ):
        return False
    siblings = iter(proof)
    node, width = leaf, count
    while width > 1:
        if index ^ 1 < width:
            sibling = next(siblings, None)
            if sibling is None:
                return False
            node = hash_node(sibling, node) if index & 1 else hash_node(node, sibling)
        index, width = index >> 1, (width + 1) >> 1
    return next(siblings, None) is None and hash_root(count, node) == root


class PayoutTree:
    """An OpenZeppelin StandardMerkleTree over (uint256 index, address, uint256 amount)."""

    def __init__(self, leaves: Sequence[PayoutLeaf]) -> None:
        """Build the tree; an empty one has the root `NO_PAYOUTS`.

        Raises:
            DataError: a leaf that does not fit its types.
        """
        hashes = [_payout_hash(leaf) for leaf in leaves]
        ascending = sorted(range(len(hashes)), key=hashes.__getitem__)
        # NOTE: a heap in an array, root first, leaves last and descending: node i stands above
        # nodes 2i+1 and 2i+2.
        inner = max(len(hashes) - 1, 0)
        self._nodes = [b""] * inner + [hashes[place] for place in reversed(ascending)]
        for i in reversed(range(inner)):
            self._nodes[i] = _hash_pair(self._nodes[2 * i + 1], self._nodes[2 * i + 2])
        self._places = {place: len(self._nodes) - 1 - i for i, place in enumerate(ascending)}

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._nodes[0] if self._nodes else NO_PAYOUTS

    def proof(self, index: int) -> list[bytes]:
        """The siblings of the leaf at ``index`` of the list given, from the bottom up.

        Raises:
            DataError: there is no such leaf.
        """
        if index not in self._places:
            raise DataError(f"the payout tree has no leaf {index}, it has {len(self._places)}")
        siblings, place = [], self._places[index]
        while place:
            siblings.append(self._nodes[place - 1 if place % 2 == 0 else place + 1])
            place = (place - 1) // 2
        return siblings


def verify_payout(root: bytes, leaf: PayoutLeaf, proof: Sequence[bytes]) -> bool:
    """Whether the leaf is in the payout tree; False for malformed leaves and proofs."""
    if any(len(node) != DIGEST_BYTES for node in (root, *proof)):
        return False
    try:
        node = _payout_hash(leaf)
    except DataError:
        return False
    for sibling in proof:
        node = _hash_pair(node, sibling)
    return node == root


def _payout_hash(leaf: PayoutLeaf) -> bytes:
    # NOTE: hashed twice, so that no 64-byte pair of nodes can pass for a leaf.
    return keccak(keccak(abi_encode(_PAYOUT_TYPES, leaf)))


def _hash_pair(one: bytes, other: bytes) -> bytes:
    return keccak(min(one, other), max(one, other))
