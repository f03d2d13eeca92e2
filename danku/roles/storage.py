"""Which blobs a challenge needs, for how long, and what an IPFS node of one's own keeps of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from danku.dataset.bundle import BUNDLE_BYTES, decode_bundle
from danku.dataset.groups import GROUP_BYTES
from danku.errors import DankuError, DataError, StorageError
from danku.protocol.manifest import MANIFEST_BYTES, Limits
from danku.protocol.result import RESULT_BYTES
from danku.protocol.state import Challenge
from danku.roles.progress import Progress, quiet
from danku.roles.workspace import Workspace
from danku.storage.port import BlobTooLarge, ForeignFile, NotFound

if TYPE_CHECKING:
    from danku.storage.network import NetworkStore

DAY = 86_400


@dataclass(frozen=True)
class Need:
    """A blob that a challenge needs, and how large it may be."""

    cid: str
    what: str
    limit: int


@dataclass(frozen=True)
class Obtained:
    """What came of fetching a challenge's blobs."""

    here: tuple[Need, ...]
    missing: tuple[tuple[Need, str], ...]
    """With the reason of each."""
    pinned: int = 0
    """How many were pinned that had not been."""


@dataclass(frozen=True)
class Collected:
    """What `collect` took back, or would."""

    unpinned: tuple[str, ...]
    removed: tuple[str, ...]
    """Files of the cache folder."""
    kept: int
    """Pins that stay."""


class NeedsUnknown(StorageError):
    """It cannot be said which blobs a challenge needs, so nothing is taken back."""


def needs(workspace: Workspace, challenge: Challenge) -> Iterator[Need]:
    """Every blob that the public record of a challenge names; bundles are read for their groups.

    A bundle that is no bundle names none.

    Raises:
        StorageError: a bundle cannot be had; it is the last one that was named.
    """
    yield Need(challenge.manifest, "manifest", MANIFEST_BYTES)
    for entry in challenge.submissions:
        if entry.opening is not None:
            what = f"model of submission {entry.number}"
            yield Need(entry.opening.cid, what, _model_bytes(workspace, challenge))
    for number, found in sorted(challenge.rounds.items()):
        for vote in found.votes.values():
            if vote.cid is not None:
                yield Need(vote.cid, f"result of round {number}", RESULT_BYTES)
    for part, cid in (("train", challenge.train), ("test", challenge.test)):
        if cid is not None:
            yield Need(cid, f"{part} bundle", BUNDLE_BYTES)
            with suppress(DataError, BlobTooLarge, ForeignFile):
                for group in decode_bundle(workspace.store.get(cid, BUNDLE_BYTES)).groups:
                    yield Need(group.cid, f"{part} group {group.index}", GROUP_BYTES)


def _model_bytes(workspace: Workspace, challenge: Challenge) -> int:
    try:
        return workspace.manifest(challenge).evaluation.limits.model_bytes
    except (StorageError, DataError):
        return Limits().model_bytes


def obtain(
    workspace: Workspace,
    store: NetworkStore,
    challenge: Challenge,
    progress: Progress = quiet,
    *,
    pin: bool = False,
) -> Obtained:
    """Have all that a challenge needs at hand, and pinned if asked for.

    Raises:
        StoreUnusable: no source works, or the node does not pin.
    """
    wanted: list[Need] = []
    missing: list[tuple[Need, str]] = []
    try:
        for need in needs(workspace, challenge):
            wanted.append(need)
    except NotFound as error:
        missing.append((wanted.pop(), error.why))
    found: list[Need] = []
    pinned = 0
    for limit in sorted({need.limit for need in wanted}):
        batch = [need for need in wanted if need.limit == limit]
        lost = store.obtain_each(
            [need.cid for need in batch],
            limit,
            lambda done, total: progress("fetching blobs", done, total),
        )
        for need in batch:
            if need.cid in lost:
                missing.append((need, lost[need.cid].why))
            elif store.is_here(need.cid):
                found.append(need)
            else:
                missing.append((need, "it is too large, or no file in the form that danku uses"))
    if pin:
        for done, need in enumerate(found, start=1):
            pinned += store.keep(need.cid)
            progress("pinning blobs", done, len(found))
    return Obtained(tuple(found), tuple(missing), pinned)


def collect(
    workspace: Workspace, store: NetworkStore, *, now: int, dry_run: bool = False
) -> Collected:
    """Take back our pins of blobs that no challenge needs any more, and their copies in the cache.

    A challenge needs its blobs until it is final, and ``keep_days`` longer. A pin of no
    challenge that the ledger knows stays for ``keep_days`` as well: its action may be on the way.

    Args:
        now: seconds since the epoch.

    Raises:
        NeedsUnknown: a bundle cannot be read that says what is needed; nothing was taken back.
    """
    kept_for = workspace.storage.keep_days * DAY
    needed: set[str] = set()
    for challenge in workspace.state().challenges.values():
        settled = challenge.settlement
        if settled is not None and settled.time + kept_for <= workspace.ledger.time():
            continue
        needed |= _needed(workspace, challenge)
    pins = store.pins.all()
    over = [cid for cid, since in pins.items() if cid not in needed and since + kept_for <= now]
    files = [
        path.name
        for path in store.cache.files()
        if path.name not in needed
        and path.name not in (pins.keys() - set(over))
        and path.stat().st_mtime + kept_for <= now
    ]
    if not dry_run:
        for cid in over:
            if store.node is not None:
                store.node.unpin(cid)
            store.pins.forget(cid)
        for name in files:
            (store.cache.folder / name).unlink(missing_ok=True)
    return Collected(tuple(over), tuple(files), len(pins) - len(over))


def _needed(workspace: Workspace, challenge: Challenge) -> set[str]:
    try:
        return {need.cid for need in needs(workspace, challenge)}
    except DankuError as error:
        raise NeedsUnknown(
            f"which blobs {challenge.id} needs cannot be said now, so nothing is taken back",
            why=error.what,
            fix=f"danku storage fetch {challenge.id}",
        ) from None
