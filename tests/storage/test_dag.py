"""Trees of blocks: read as they are written, and refused in any other shape."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.storage.cid import cid_of
from danku.storage.dag import LEAF_BYTES, LINKS, Piece, children, is_block, root_piece
from danku.storage.port import ForeignFile
from tests.storage.blocks import LEAF, NODE, RAW, field, name, node, raw_bytes, tree


def leaves_of(cid: str, blocks: dict[str, bytes]) -> list[Piece]:
    level = [root_piece(cid, blocks[cid])]
    while level[0].depth:
        level = [child for piece in level for child in children(piece, blocks[piece.cid])]
    return level


@settings(max_examples=12, deadline=None)
@given(
    size=st.sampled_from(
        [0, 1, LEAF - 1, LEAF, LEAF + 1, 2 * LEAF, LINKS * LEAF, LINKS * LEAF + 1, 200 * LEAF - 7]
    )
)
def test_a_tree_is_read_to_its_leaves(size: int) -> None:
    data = bytes(size)
    cid, blocks = tree(data)
    assert cid == cid_of(data)
    leaves = leaves_of(cid, blocks)
    assert b"".join(blocks[leaf.cid] for leaf in leaves) == data
    assert all(leaf.offset == place * LEAF_BYTES for place, leaf in enumerate(leaves))
    assert all(is_block(leaf.cid, blocks[leaf.cid]) for leaf in leaves)


def test_one_changed_bit_is_another_block() -> None:
    cid, blocks = tree(bytes(LEAF + 1))
    block = bytearray(blocks[cid])
    block[-1] ^= 1
    assert not is_block(cid, bytes(block))


LEAVES = [(name(RAW, bytes(LEAF)), LEAF, LEAF), (name(RAW, b"x"), 1, 1)]
SMALL = [(name(RAW, b"x"), 1, 1), (name(RAW, b"y"), 1, 1)]
DEEP = name(NODE, node(LEAVES))
HUGE = 2**62


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"\xff" * 40,
        b"\x0a",
        node(SMALL),
        node([*LEAVES, *LEAVES]),
        node([LEAVES[1], LEAVES[0]]),
        node([(DEEP, LEAF, LEAF), LEAVES[1]]),
        node([(LEAVES[0][0], HUGE, HUGE)] * 174),
        node(LEAVES) + field(1, b"again"),
        node(LEAVES).replace(field(1, 2), field(1, 1)),
        field(2, field(1, b"short")) + field(1, field(1, 2) + field(3, 1) + field(4, 1)),
        field(2, field(1, raw_bytes(LEAVES[0][0])))
        + field(1, field(1, 2) + field(2, b"data inside") + field(3, LEAF) + field(4, LEAF)),
        field(1, field(1, 2) + field(3, HUGE)),
    ],
    ids=[
        *("empty", "noise", "cut off", "small leaves", "too many bytes", "wrong order"),
        *("uneven depth", "endless", "two data fields", "a folder", "no CID", "inline data"),
        "no links",
    ],
)
def test_any_other_shape_is_refused_before_it_is_followed(block: bytes) -> None:
    cid = name(NODE, block)
    with pytest.raises(ForeignFile) as refusal:
        children(root_piece(cid, block), block)
    assert "danku" in refusal.value.what


@settings(max_examples=200, deadline=None)
@given(block=st.binary(max_size=300))
def test_noise_is_refused_or_read_within_bounds(block: bytes) -> None:
    cid = name(NODE, block)
    try:
        found = children(root_piece(cid, block), block)
    except ForeignFile:
        return
    assert sum(piece.size for piece in found) == root_piece(cid, block).size
