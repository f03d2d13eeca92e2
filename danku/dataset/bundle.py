"""Bundles: the public record of the train or the test groups, for anyone to verify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import msgspec

from danku.crypto.hashing import from_hex, to_hex
from danku.crypto.merkle import DataTree, hash_leaf, verify_data
from danku.dataset.groups import GROUP_BYTES, GroupBroken, decode_group
from danku.dataset.private import GroupCommitment
from danku.dataset.table import Array
from danku.errors import DataError
from danku.protocol import records
from danku.protocol.manifest import Positive, Record
from danku.protocol.types import Cid, Digest
from danku.storage.cid import UnknownCid
from danku.storage.port import BlobTooLarge

BUNDLE_BYTES = 2**27
"""How large a bundle's record may be; readers take no larger one."""

Kind: TypeAlias = Literal["train", "test"]


class BundleBroken(DataError):
    """The bundle is not what its organizer committed to; the error names group and check."""


class BundledGroup(Record):
    """Where one group's bytes are, and what shows that they were committed to."""

    index: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
    nonce: Digest
    cid: Cid
    rows: Positive
    proof: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=32)]
    """Siblings on the way to the data root, from the bottom up."""


class Bundle(Record):
    """All train groups or all test groups of a challenge, by ascending index."""

    challenge: Digest
    kind: Kind
    groups: tuple[BundledGroup, ...]


@dataclass(frozen=True, slots=True)
class GroupForm:
    """What every group of a challenge has to look like; from the manifest's model contract."""

    dtype: str
    row_shape: tuple[int, ...]
    classes: int
    """How many; 0 if the target is a value."""


@dataclass(frozen=True, slots=True, eq=False)
class VerifiedGroup:
    """A group whose bytes are those committed to."""

    index: int
    features: Array
    """[rows, *row_shape]."""
    target: Array
    """[rows]."""


def build_bundle(
    challenge: str,
    kind: Kind,
    commitments: Sequence[GroupCommitment],
    indices: Sequence[int],
    cids: Mapping[int, str],
) -> Bundle:
    """The bundle of the groups ``indices``.

    Args:
        challenge: its id.
        kind: which part of the partition it is.
        commitments: of all groups of the data set, in order.
        indices: the groups to reveal, in any order.
        cids: for each of them, the name of its bytes in the store.

    Raises:
        DataError: there is no such group.
    """
    tree = DataTree([each.leaf for each in commitments])
    groups = tuple(
        BundledGroup(
            index=index,
            nonce=to_hex(commitments[index].nonce),
            cid=cids[index],
            rows=commitments[index].rows,
            proof=tuple(map(to_hex, proof)),
        )
        for index, proof in ((index, tree.proof(index)) for index in sorted(indices))
    )
    return Bundle(challenge=challenge, kind=kind, groups=groups)


def encode_bundle(bundle: Bundle) -> bytes:
    """The bundle's canonical bytes."""
    return records.encode(bundle)


def decode_bundle(data: bytes) -> Bundle:
    """Read a bundle's canonical bytes.

    Raises:
        BundleBroken: too large, malformed or not canonical.
    """
    if len(data) > BUNDLE_BYTES:
        raise BundleBroken(
            f"the bundle has {len(data):,} bytes, at most {BUNDLE_BYTES:,} are allowed"
        )
    try:
        return records.decode(data, Bundle, "the bundle")
    except DataError as error:
        raise BundleBroken(error.what, why=error.why) from None


def verify_bundle(
    bundle: Bundle,
    *,
    challenge: str,
    kind: Kind,
    data_root: bytes,
    count: int,
    expected: Sequence[int],
    form: GroupForm,
    fetch: Callable[[str], bytes],
) -> Iterator[VerifiedGroup]:
    """Check a bundle against the ledger; its groups follow, each checked as it is asked for.

    1. It is this challenge's, and of this kind (at once).
    2. Its indices are exactly the expected ones, ascending (at once).
    3. Each group's nonce, bytes and proof lead to the data root.
    4. Each group decodes to ``form`` and has the rows that the bundle says.

    The bundle is verified only when the iterator is exhausted.

    Args:
        bundle: from `decode_bundle`.
        challenge: the id on the ledger.
        kind: which part it has to be.
        data_root: the root on the ledger.
        count: how many groups there are in all.
        expected: the indices that the partition gives to this part.
        form: what the groups have to look like.
        fetch: gives the bytes under a CID, at most `GROUP_BYTES`; its errors pass through,
            but a `BlobTooLarge` or `UnknownCid` breaks the bundle.

    Raises:
        BundleBroken: a check fails.
    """
    if (bundle.challenge, bundle.kind) != (challenge, kind):
        raise BundleBroken(
            f"the bundle is the {bundle.kind} bundle of challenge {bundle.challenge}",
            why=f"expected is the {kind} bundle of challenge {challenge}",
        )
    _check_indices([group.index for group in bundle.groups], sorted(expected), kind)
    return (_verify_group(group, data_root, count, form, fetch) for group in bundle.groups)


def _check_indices(found: Sequence[int], expected: Sequence[int], kind: Kind) -> None:
    if not expected:
        raise BundleBroken(f"the partition has no {kind} group, so that nothing can be verified")
    if list(found) == list(expected):
        return
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing:
        what = f"the {kind} bundle lacks group {missing[0]} ({len(missing)} missing in all)"
    elif extra:
        what = f"the {kind} bundle has group {extra[0]}, which is not a {kind} group"
    elif len(found) > len(expected):
        repeated = next(index for index, times in Counter(found).items() if times > 1)
        what = f"the {kind} bundle has group {repeated} twice"
    else:
        what = f"the groups of the {kind} bundle are not in ascending order"
    raise BundleBroken(what, why="a bundle has exactly the groups that the partition gives it")


def _verify_group(
    group: BundledGroup,
    data_root: bytes,
    count: int,
    form: GroupForm,
    fetch: Callable[[str], bytes],
) -> VerifiedGroup:
    try:
        data = fetch(group.cid)
    except (BlobTooLarge, UnknownCid) as error:
        raise BundleBroken(f"group {group.index}: {error.what}", why=error.why) from None
    leaf = hash_leaf(from_hex(group.nonce), (data,))
    proof = [from_hex(node) for node in group.proof]
    if not verify_data(data_root, count, group.index, leaf, proof):
        raise BundleBroken(
            f"group {group.index} is not under the data root",
            why="its bytes, its nonce or its proof are not those committed to at the start",
        )
    try:
        features, target = decode_group(
            data, form.dtype, form.row_shape, classes=form.classes, max_bytes=GROUP_BYTES
        )
    except GroupBroken as error:
        raise BundleBroken(f"group {group.index}: {error.what}", why=error.why) from None
    if len(target) != group.rows:
        raise BundleBroken(
            f"group {group.index} has {len(target)} rows, the bundle says {group.rows}"
        )
    return VerifiedGroup(group.index, features, target)
