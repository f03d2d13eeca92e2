"""Both Merkle trees: what belongs verifies, nothing else does, and OpenZeppelin agrees."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.crypto.hashing import domain, from_hex, keccak, to_hex
from danku.crypto.merkle import (
    DataTree,
    PayoutLeaf,
    PayoutTree,
    hash_leaf,
    hash_node,
    verify_data,
    verify_payout,
)
from danku.errors import DataError

digests = st.binary(min_size=32, max_size=32)
lists_of_leaves = st.lists(digests, min_size=1, max_size=40)


def numbered(count: int) -> list[bytes]:
    return [keccak(b"leaf", i.to_bytes(4, "big")) for i in range(count)]


def naive_top(leaves: list[bytes]) -> bytes:
    """The same tree by recursion: the left half is the largest power of two below the size."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hash_node(naive_top(leaves[:half]), naive_top(leaves[half:]))


class TestDataTree:
    def test_leaf_is_the_stated_hash_however_it_is_cut(self) -> None:
        nonce, data = b"\7" * 32, bytes(range(256)) * 5
        expected = keccak(domain("data-leaf") + nonce + data)
        assert hash_leaf(nonce, [data]) == expected
        assert hash_leaf(nonce, (data[i : i + 100] for i in range(0, len(data), 100))) == expected
        assert hash_leaf(nonce, [memoryview(data), b""]) == expected

    def test_leaf_does_not_gather_its_chunks(self) -> None:
        chunk = bytes(2**20)

        def chunks() -> Iterator[bytes]:
            for _ in range(64):
                yield bytes(chunk)

        tracemalloc.start()
        hash_leaf(bytes(32), chunks())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * 2**20

    @pytest.mark.parametrize("length", [0, 31, 33])
    def test_a_nonce_of_another_length_is_refused(self, length: int) -> None:
        # Else its end could be passed off as the beginning of the data.
        with pytest.raises(DataError):
            hash_leaf(bytes(length), [b"data"])

    def test_golden_root(self) -> None:
        assert (
            DataTree(numbered(5)).root.hex()
            == "0bd2abb004c54f49989c149dc676841a2230f26d5c75e36a3fa646c6afcf0d1b"
        )

    @pytest.mark.parametrize("count", [*range(1, 34), 100])
    def test_every_leaf_of_every_size_verifies(self, count: int) -> None:
        leaves = numbered(count)
        tree = DataTree(leaves)
        size = count.to_bytes(32, "big")
        assert tree.root == keccak(domain("data-root"), size, naive_top(leaves))
        for index, leaf in enumerate(leaves):
            proof = tree.proof(index)
            assert verify_data(tree.root, count, index, leaf, proof)

    @pytest.mark.parametrize("count", range(1, 18))
    def test_no_other_place_or_size_verifies(self, count: int) -> None:
        leaves = numbered(count)
        tree = DataTree(leaves)
        for index, leaf in enumerate(leaves):
            proof = tree.proof(index)
            places = {
                (size, place)
                for size in range(-1, 36)
                for place in range(-1, 36)
                if verify_data(tree.root, size, place, leaf, proof)
            }
            assert places == {(count, index)}

    @given(lists_of_leaves, st.data())
    def test_missing_extra_and_swapped_siblings_are_refused(
        self, leaves: list[bytes], data: st.DataObject
    ) -> None:
        tree = DataTree(leaves)
        index = data.draw(st.integers(0, len(leaves) - 1))
        proof = tree.proof(index)

        def holds(proof: list[bytes]) -> bool:
            return verify_data(tree.root, len(leaves), index, leaves[index], proof)

        assert holds(proof)
        extra, place = data.draw(digests), data.draw(st.integers(0, len(proof)))
        assert not holds([*proof[:place], extra, *proof[place:]])
        for i in range(len(proof)):
            assert not holds(proof[:i] + proof[i + 1 :])
            assert not holds([*proof[:i], proof[i][:-1], *proof[i + 1 :]])
            flipped = bytes([proof[i][0] ^ 1]) + proof[i][1:]
            assert not holds([*proof[:i], flipped, *proof[i + 1 :]])
        if len(set(proof)) > 1:
            assert not holds(proof[::-1]) or proof == proof[::-1]

    @pytest.mark.parametrize("count", [2, 3, 4, 5, 8])
    def test_inner_nodes_do_not_pass_for_leaves(self, count: int) -> None:
        leaves = numbered(count)
        root = DataTree(leaves).root
        pair = hash_node(leaves[0], leaves[1])
        shorter = [pair, *leaves[2:]]
        for index in range(len(shorter)):
            proof = DataTree(shorter).proof(index)
            for size in (count, len(shorter)):
                assert not verify_data(root, size, index, shorter[index], proof)
        assert DataTree(shorter).root != root

    def test_no_data_hashes_to_an_inner_node(self) -> None:
        # A node's 64 bytes, given as a nonce and a group, make a leaf that is not the node.
        left, right = numbered(2)
        assert hash_leaf(left, [right]) != hash_node(left, right)

    def test_a_single_leaf_is_not_its_root(self) -> None:
        (leaf,) = numbered(1)
        assert DataTree([leaf]).root != leaf
        assert verify_data(DataTree([leaf]).root, 1, 0, leaf, [])
        assert not verify_data(leaf, 1, 0, leaf, [])

    @given(lists_of_leaves, lists_of_leaves)
    def test_different_lists_have_different_roots(
        self, one: list[bytes], other: list[bytes]
    ) -> None:
        assert (DataTree(one).root == DataTree(other).root) == (one == other)

    @pytest.mark.parametrize("count", range(1, 10))
    def test_repeating_the_last_leaf_changes_the_root(self, count: int) -> None:
        # The flaw of trees that pair a lone node with itself (CVE-2012-2459).
        leaves = numbered(count)
        assert DataTree(leaves).root != DataTree([*leaves, leaves[-1]]).root

    def test_malformed_input(self) -> None:
        leaves = numbered(3)
        for bad in ([], [b"short"], [*leaves, bytes(33)]):
            with pytest.raises(DataError):
                DataTree(bad)
        for index in (-1, 3):
            with pytest.raises(DataError):
                DataTree(leaves).proof(index)

    def test_huge_counts_are_answered_at_once(self) -> None:
        leaf = bytes(32)
        assert not verify_data(bytes(32), 2**64, 0, leaf, [])
        assert not verify_data(bytes(32), 10**1000, 5, leaf, [])
        assert not verify_data(bytes(32), 2**63, 2**62, leaf, [leaf] * 63)
        assert not verify_data(bytes(32), 2**300 + 1, 2**300, leaf, [leaf])


def ledger(count: int) -> list[PayoutLeaf]:
    draw = random.Random(count)
    return [
        (i, to_hex(draw.randbytes(20)), draw.choice([1, 10**18, draw.randrange(2**96), 2**256 - 1]))
        for i in range(count)
    ]


GOLDEN_PAYOUT_ROOTS = {
    1: "5b4ea0dd274bd0a948ff44beda7af33d2e76fe44321c112e1266075703e60e65",
    2: "fdf97ca5b431c1c28f859944a93e1fc78ecb719d0f27382491c9190da88eecb4",
    3: "8ea80bc87f1324e3a520fb423cbbdbbdc9e4ee53e819e633038c56e21e2a402e",
    5: "5765a8ca67c6fdc467384b82a0717e50d0251a5739df3d2d97d214c299ab70d3",
    8: "2a6111f339fbc43b0ec0f8ac8b5bb2b67d24cd708cbf805e2f8b612d1e0b9394",
}

OPENZEPPELIN = """
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");
const types = ["uint256", "address", "uint256"];
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const answers = given.map(({ leaves, root, proofs }) => {
  const tree = StandardMerkleTree.of(leaves, types);
  return {
    root: tree.root,
    proofs: leaves.map((_, i) => tree.getProof(i)),
    accepted: leaves.map((leaf, i) => StandardMerkleTree.verify(root, types, leaf, proofs[i])),
  };
});
console.log(JSON.stringify(answers));
"""


@pytest.fixture(scope="session")
def openzeppelin(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    name, cache = "openzeppelin-merkle-tree", request.config.cache
    folder = tmp_path_factory.mktemp(name) if cache is None else Path(cache.mkdir(name))
    if not (folder / "installed").exists():
        install = [npm, "i", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
        subprocess.run([*install, "@openzeppelin/merkle-tree@1.0.8"], check=True, timeout=300)
        (folder / "installed").touch()

    def run(given: str) -> str:
        command = [node, "-e", OPENZEPPELIN]
        done = subprocess.run(
            command, cwd=folder, input=given, capture_output=True, text=True, check=True
        )
        return done.stdout

    return run


class TestPayoutTree:
    def test_openzeppelin_builds_the_same_trees(self, openzeppelin: Callable[[str], str]) -> None:
        ledgers = [ledger(count) for count in [*range(1, 34), 100, 257]]
        trees = [PayoutTree(leaves) for leaves in ledgers]
        asked = [
            {
                "leaves": [[str(i), address, str(amount)] for i, address, amount in leaves],
                "root": to_hex(tree.root),
                "proofs": [[to_hex(node) for node in tree.proof(i)] for i in range(len(leaves))],
            }
            for leaves, tree in zip(ledgers, trees, strict=True)
        ]
        answers = json.loads(openzeppelin(json.dumps(asked)))
        for leaves, question, answer in zip(ledgers, asked, answers, strict=True):
            assert question["root"] == answer["root"]
            assert question["proofs"] == answer["proofs"]
            assert all(answer["accepted"])
            for leaf, proof in zip(leaves, answer["proofs"], strict=True):
                assert verify_payout(from_hex(answer["root"]), leaf, list(map(from_hex, proof)))

    @pytest.mark.parametrize("count", GOLDEN_PAYOUT_ROOTS)
    def test_roots_that_openzeppelin_gave(self, count: int) -> None:
        assert PayoutTree(ledger(count)).root.hex() == GOLDEN_PAYOUT_ROOTS[count]

    @pytest.mark.parametrize("count", range(1, 20))
    def test_each_proof_holds_for_its_own_leaf_only(self, count: int) -> None:
        leaves = ledger(count)
        tree = PayoutTree(leaves)
        for place in range(count):
            proof = tree.proof(place)
            assert [verify_payout(tree.root, leaf, proof) for leaf in leaves] == [
                other == place for other in range(count)
            ]

    @settings(deadline=None)
    @given(st.integers(1, 30), st.data())
    def test_missing_extra_and_edited_siblings_are_refused(
        self, count: int, data: st.DataObject
    ) -> None:
        leaves = ledger(count)
        tree = PayoutTree(leaves)
        place = data.draw(st.integers(0, count - 1))
        leaf, proof = leaves[place], tree.proof(place)
        assert verify_payout(tree.root, leaf, proof)
        extra, where = data.draw(digests), data.draw(st.integers(0, len(proof)))
        assert not verify_payout(tree.root, leaf, [*proof[:where], extra, *proof[where:]])
        for i in range(len(proof)):
            assert not verify_payout(tree.root, leaf, proof[:i] + proof[i + 1 :])
            assert not verify_payout(
                tree.root, leaf, [*proof[:i], proof[i] + b"\0", *proof[i + 1 :]]
            )

    def test_changed_leaves_are_refused(self) -> None:
        leaves = ledger(6)
        tree = PayoutTree(leaves)
        index, address, amount = leaves[2]
        proof = tree.proof(2)
        for changed in [
            (index + 1, address, amount),
            (index, "0x" + "00" * 20, amount),
            (index, address, amount ^ 1),
        ]:
            assert not verify_payout(tree.root, changed, proof)

    @pytest.mark.parametrize(
        "leaf",
        [
            (-1, "0x" + "ab" * 20, 1),
            (2**256, "0x" + "ab" * 20, 1),
            (0, "0x" + "ab" * 19, 1),
            (0, "alice", 1),
            (0, "0x" + "ab" * 20, -1),
            (0, "0x" + "ab" * 20, 1.0),
            (0, "0x" + "ab" * 20),
            (),
        ],
    )
    def test_malformed_leaves(self, leaf: PayoutLeaf) -> None:
        with pytest.raises(DataError):
            PayoutTree([leaf])
        assert not verify_payout(PayoutTree(ledger(1)).root, leaf, [])

    def test_a_pair_of_nodes_does_not_pass_for_a_leaf(self) -> None:
        leaves = ledger(4)
        tree = PayoutTree(leaves)
        # Siblings of leaf 0, bottom up: the pair above them hashes to the root.
        proofs = [tree.proof(place) for place in range(4)]
        tops = {proof[-1] for proof in proofs}
        assert keccak(*sorted(tops)) == tree.root
        for left, right in [sorted(tops), sorted(tops, reverse=True)]:
            both = left + right
            for cut in range(len(both) - 20 + 1):
                leaf = (
                    int.from_bytes(both[:cut][-32:], "big"),
                    to_hex(both[cut : cut + 20]),
                    int.from_bytes(both[cut + 20 :][-32:], "big"),
                )
                assert not any(
                    verify_payout(tree.root, leaf, proof) for proof in ([], [left], [right])
                )

    def test_nothing_is_owed_under_an_empty_tree(self) -> None:
        tree = PayoutTree([])
        assert tree.root == bytes(32)
        with pytest.raises(DataError):
            tree.proof(0)
        for proof in ([], [bytes(32)]):
            assert not verify_payout(tree.root, ledger(1)[0], proof)

    def test_there_is_no_leaf_beyond_the_list(self) -> None:
        tree = PayoutTree(ledger(3))
        for place in (-1, 3):
            with pytest.raises(DataError):
                tree.proof(place)

    @given(st.permutations(range(9)))
    def test_the_root_does_not_depend_on_the_order_given(self, order: list[int]) -> None:
        leaves = ledger(9)
        tree = PayoutTree([leaves[place] for place in order])
        assert tree.root == PayoutTree(leaves).root
        assert all(
            verify_payout(tree.root, leaves[place], tree.proof(i)) for i, place in enumerate(order)
        )
