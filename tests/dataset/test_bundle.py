"""Bundles: what was committed to verifies, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danku.crypto.hashing import keccak, to_hex
from danku.crypto.merkle import DataTree, hash_leaf
from danku.dataset import bundle as module
from danku.dataset.bundle import (
    Bundle,
    BundleBroken,
    GroupForm,
    VerifiedGroup,
    build_bundle,
    decode_bundle,
    encode_bundle,
    verify_bundle,
)
from danku.dataset.commit import commit_groups
from danku.dataset.groups import encode_group, plan_groups
from danku.dataset.private import GroupCommitment, PrivateGroups
from danku.dataset.table import Table
from danku.storage.cid import cid_of
from danku.storage.embedded import EmbeddedStore
from danku.storage.port import BlobTooLarge, NotFound

CHALLENGE = to_hex(keccak(b"a challenge"))
OTHER = to_hex(keccak(b"another challenge"))
TEST = (1, 4, 6)
TRAIN = (0, 2, 3, 5)
FORM = GroupForm("float32", (3,), 4)


@dataclass(frozen=True)
class World:
    """A committed data set of seven groups and the blobs of all of them."""

    table: Table
    plan: list[np.ndarray]
    commitments: list[GroupCommitment]
    root: bytes
    blobs: dict[str, bytes]
    cids: dict[int, str]

    def fetch(self, cid: str) -> bytes:
        if cid not in self.blobs:
            raise NotFound(f"no blob {cid}")
        return self.blobs[cid]

    def bundle(self, indices: Sequence[int] = TEST, kind: Any = "test") -> Bundle:
        return build_bundle(CHALLENGE, kind, self.commitments, indices, self.cids)

    def verify(self, bundle: Bundle, **changes: Any) -> list[VerifiedGroup]:
        options: dict[str, Any] = {
            "challenge": CHALLENGE,
            "kind": "test",
            "data_root": self.root,
            "count": 7,
            "expected": TEST,
            "form": FORM,
            "fetch": self.fetch,
        }
        return list(verify_bundle(bundle, **(options | changes)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("bundle") / "groups"
    features = np.arange(150, dtype=np.float32).reshape(50, 3)
    table = Table(features, np.arange(50) % 4, ("a", "b", "c"), None, "float32")
    plan = plan_groups(50, 8, bytes(32))
    nonces = iter(keccak(b"nonce %d" % number) for number in range(7))
    commitments = commit_groups(table, plan, folder, nonces=lambda: next(nonces))
    private = PrivateGroups(folder)
    datas = [private.read(index) for index in range(7)]
    blobs = {cid_of(data): data for data in datas}
    cids = {index: cid_of(data) for index, data in enumerate(datas)}
    root = DataTree([each.leaf for each in commitments]).root
    return World(table, plan, commitments, root, blobs, cids)


def changed(bundle: Bundle, place: int, **fields: Any) -> Bundle:
    groups = list(bundle.groups)
    groups[place] = msgspec.structs.replace(groups[place], **fields)
    return msgspec.structs.replace(bundle, groups=tuple(groups))


def rearranged(bundle: Bundle, order: Sequence[int]) -> Bundle:
    groups = tuple(bundle.groups[place] for place in order)
    return msgspec.structs.replace(bundle, groups=groups)


@pytest.mark.parametrize(("kind", "indices"), [("test", TEST), ("train", TRAIN)])
def test_what_was_committed_to_verifies(world: World, kind: str, indices: tuple[int, ...]) -> None:
    bundle = decode_bundle(encode_bundle(world.bundle(indices[::-1], kind)))
    groups = world.verify(bundle, kind=kind, expected=indices)
    assert tuple(group.index for group in groups) == indices
    for group in groups:
        rows = world.plan[group.index]
        assert group.features.tolist() == world.table.features[rows].tolist()
        assert group.target.tolist() == world.table.target[rows].tolist()


def test_through_a_store(world: World, tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    for data in world.blobs.values():
        store.put(data)
    cid = store.put(encode_bundle(world.bundle()))
    bundle = decode_bundle(store.get(cid, 10**6))
    assert len(world.verify(bundle, fetch=lambda name: store.get(name, 10**6))) == 3
    (store.folder / world.cids[4]).unlink()
    with pytest.raises(NotFound):
        world.verify(bundle, fetch=lambda name: store.get(name, 10**6))
    with pytest.raises(BundleBroken, match="group 1: the blob"):
        world.verify(bundle, fetch=lambda name: store.get(name, 10))


Change = Callable[[World, Bundle], Bundle]
NO_GROUPS: Change = lambda world, bundle: rearranged(bundle, [])  # noqa: E731
FALSIFIED: dict[str, tuple[Change, str]] = {
    "another challenge": (
        lambda world, bundle: msgspec.structs.replace(bundle, challenge=OTHER),
        f"challenge {OTHER}",
    ),
    "another kind": (
        lambda world, bundle: msgspec.structs.replace(bundle, kind="train"),
        "is the train bundle",
    ),
    "no groups": (NO_GROUPS, "lacks group 1 .3 missing"),
    "a group is missing": (lambda world, bundle: rearranged(bundle, [0, 2]), "lacks group 4 "),
    "a group is there twice": (
        lambda world, bundle: rearranged(bundle, [0, 1, 1, 2]),
        "has group 4 twice",
    ),
    "one twice, one missing": (
        lambda world, bundle: rearranged(bundle, [0, 1, 1]),
        "lacks group 6 ",
    ),
    "another order": (lambda world, bundle: rearranged(bundle, [1, 0, 2]), "ascending order"),
    "a train group is among them": (
        lambda world, bundle: world.bundle((1, 2, 4, 6)),
        "has group 2, which is not a test group",
    ),
    "a train group instead": (lambda world, bundle: world.bundle((1, 2, 6)), "lacks group 4 "),
    "a group that is not there": (
        lambda world, bundle: changed(bundle, 2, index=7),
        "lacks group 6 ",
    ),
    "wrong nonce": (
        lambda world, bundle: changed(bundle, 1, nonce=bundle.groups[0].nonce),
        "group 4 is not under the data root",
    ),
    "another group's bytes": (
        lambda world, bundle: changed(bundle, 1, cid=bundle.groups[0].cid),
        "group 4 is not under the data root",
    ),
    "another whole group": (
        lambda world, bundle: changed(
            bundle, 1, **{name: getattr(bundle.groups[0], name) for name in ("nonce", "cid")}
        ),
        "group 4 is not under the data root",
    ),
    "swapped indices": (
        lambda world, bundle: changed(
            changed(rearranged(bundle, [1, 0, 2]), 0, index=1), 1, index=4
        ),
        "group 1 is not under the data root",
    ),
    "swapped proofs": (
        lambda world, bundle: changed(
            changed(bundle, 0, proof=bundle.groups[1].proof), 1, proof=bundle.groups[0].proof
        ),
        "group 1 is not under the data root",
    ),
    "short proof": (
        lambda world, bundle: changed(bundle, 0, proof=bundle.groups[0].proof[:-1]),
        "group 1 is not under the data root",
    ),
    "long proof": (
        lambda world, bundle: changed(bundle, 0, proof=(*bundle.groups[0].proof, OTHER)),
        "group 1 is not under the data root",
    ),
    "wrong number of rows": (
        lambda world, bundle: changed(bundle, 2, rows=8),
        "group 6 has 2 rows, the bundle says 8",
    ),
}


@pytest.mark.parametrize(("change", "words"), FALSIFIED.values(), ids=FALSIFIED.keys())
def test_a_falsified_bundle_is_refused_by_group_and_check(
    world: World, change: Change, words: str
) -> None:
    falsified = change(world, world.bundle())
    assert falsified != world.bundle()
    with pytest.raises(BundleBroken, match=words) as refusal:
        world.verify(falsified)
    assert refusal.value.exit_code == 5
    assert refusal.value.why or "rows" in words


def test_the_ledgers_side_counts_too(world: World) -> None:
    bundle = world.bundle()
    for changes in (
        {"data_root": keccak(b"another root")},
        {"count": 8},
        {"count": 5},
        {"expected": (1, 4)},
        {"expected": (1, 4, 5, 6)},
        {"challenge": OTHER},
        {"form": replace(FORM, dtype="float64")},
        {"form": replace(FORM, row_shape=(3, 1))},
        {"form": replace(FORM, classes=3)},
        {"form": replace(FORM, classes=0)},
    ):
        with pytest.raises(BundleBroken):
            world.verify(bundle, **changes)


def test_an_empty_part_never_passes(world: World) -> None:
    with pytest.raises(BundleBroken, match="no test group"):
        world.verify(NO_GROUPS(world, world.bundle()), expected=())


def test_structure_is_checked_before_anything_is_fetched(world: World) -> None:
    with pytest.raises(BundleBroken):
        verify_bundle(
            world.bundle((1, 4)),
            challenge=CHALLENGE,
            kind="test",
            data_root=world.root,
            count=7,
            expected=TEST,
            form=FORM,
            fetch=lambda cid: pytest.fail("fetched"),
        )


def test_groups_are_fetched_one_at_a_time(world: World) -> None:
    fetched: list[str] = []

    def fetch(cid: str) -> bytes:
        fetched.append(cid)
        return world.fetch(cid)

    groups = verify_bundle(
        world.bundle(),
        challenge=CHALLENGE,
        kind="test",
        data_root=world.root,
        count=7,
        expected=TEST,
        form=FORM,
        fetch=fetch,
    )
    for seen, _ in enumerate(groups, start=1):
        assert len(fetched) == seen


def test_a_group_committed_to_but_malformed_breaks_the_bundle() -> None:
    bad = encode_group(np.zeros((2, 3), np.float32), np.array([0, 9]))
    good = encode_group(np.zeros((2, 3), np.float32), np.array([0, 1]))
    commitments = [
        GroupCommitment(index, bytes(32), hash_leaf(bytes(32), (data,)), 2, len(data))
        for index, data in enumerate((good, bad))
    ]
    bundle = build_bundle(CHALLENGE, "test", commitments, [1], {1: cid_of(bad)})
    with pytest.raises(BundleBroken, match="group 1: the group has a target"):
        list(
            verify_bundle(
                bundle,
                challenge=CHALLENGE,
                kind="test",
                data_root=DataTree([each.leaf for each in commitments]).root,
                count=2,
                expected=[1],
                form=FORM,
                fetch=lambda cid: bad,
            )
        )


def test_a_blob_that_is_too_large_is_the_organizers_fault(world: World) -> None:
    def fetch(cid: str) -> bytes:
        raise BlobTooLarge("the blob has a terabyte")

    with pytest.raises(BundleBroken, match="group 1: the blob has a terabyte"):
        world.verify(world.bundle(), fetch=fetch)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_the_bundle_is_refused(world: World, data: st.DataObject) -> None:
    encoded = bytearray(encode_bundle(world.bundle()))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((BundleBroken, NotFound)):
        world.verify(decode_bundle(bytes(encoded)))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_a_group_is_refused(world: World, data: st.DataObject) -> None:
    index = data.draw(st.sampled_from(TEST))
    group = bytearray(world.blobs[world.cids[index]])
    group[data.draw(st.integers(0, len(group) - 1))] ^= data.draw(st.integers(1, 255))
    blobs = world.blobs | {world.cids[index]: bytes(group)}
    with pytest.raises(BundleBroken, match=f"group {index} is not under the data root"):
        world.verify(world.bundle(), fetch=blobs.__getitem__)


def test_any_cut_or_added_byte_of_a_group_is_refused(world: World) -> None:
    group = world.blobs[world.cids[1]]
    for data in (group[:-1], group[1:], group + b"\0", b"\0" + group, b""):
        with pytest.raises(BundleBroken, match="group 1 is not under the data root"):
            world.verify(world.bundle(), fetch=(world.blobs | {world.cids[1]: data}).__getitem__)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"challenge":"0x00","groups":[],"kind":"test"}',
        b'{"challenge":"' + CHALLENGE.encode() + b'","groups":[],"kind":"other"}',
        b'{"challenge":"' + CHALLENGE.encode() + b'","extra":1,"groups":[],"kind":"test"}',
        b'{"challenge": "' + CHALLENGE.encode() + b'","groups":[],"kind":"test"}',
        b'{"groups":[],"challenge":"' + CHALLENGE.encode() + b'","kind":"test"}',
    ],
)
def test_bytes_that_are_no_bundle(data: bytes) -> None:
    with pytest.raises(BundleBroken, match="the bundle is"):
        decode_bundle(data)


def test_a_bundle_without_bound_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUNDLE_BYTES", 10)
    with pytest.raises(BundleBroken, match="at most 10 are allowed"):
        decode_bundle(b"x" * 11)


def test_the_bundles_bytes_are_frozen(world: World) -> None:
    text = encode_bundle(world.bundle((1,))).decode()
    group = world.bundle((1,)).groups[0]
    proof = ",".join(f'"{node}"' for node in group.proof)
    assert text == (
        f'{{"challenge":"{CHALLENGE}","groups":[{{"cid":"{group.cid}","index":1,'
        f'"nonce":"{group.nonce}","proof":[{proof}],"rows":8}}],"kind":"test"}}'
    )


def test_a_large_bundle_stays_within_its_bound(world: World) -> None:
    count = 4_000
    commitments = [
        GroupCommitment(index, keccak(b"%d" % index), keccak(b"leaf %d" % index), 5, 100)
        for index in range(count)
    ]
    cids = dict.fromkeys(range(count), world.cids[0])
    bundle = build_bundle(CHALLENGE, "train", commitments, range(count), cids)
    data = encode_bundle(bundle)
    assert decode_bundle(data) == bundle
    assert len(data) < module.BUNDLE_BYTES * count / 65_536
