"""Blobs of a challenge, fetched several at a time where the store looks beyond its own folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from danku.roles.progress import Progress, quiet

if TYPE_CHECKING:
    from danku.roles.workspace import Workspace
    from danku.storage.network import NetworkStore


def network_store(workspace: Workspace) -> NetworkStore | None:
    """The workspace's store, if it looks beyond its own folder."""
    if workspace.storage.kind == "embedded" and not workspace.storage.gateways:
        return None
    from danku.storage.network import NetworkStore

    store = workspace.store
    return store if isinstance(store, NetworkStore) else None


def prefetch(
    workspace: Workspace,
    cids: Sequence[str],
    limit: int,
    what: str,
    progress: Progress = quiet,
) -> None:
    """Have the blobs at hand; nothing to do for a store that is a folder.

    A blob that cannot be taken for what it is (too large, a foreign file, no CID) is left to
    whoever reads it.

    Raises:
        NotRetrieved, StoreUnusable: see `danku.storage.port`.
    """
    from danku.errors import DataError
    from danku.storage.port import BlobTooLarge, ForeignFile

    store = network_store(workspace)
    if store is None:
        return
    try:
        store.obtain_all(
            cids, limit, lambda done, total: progress(f"fetching {what} blobs", done, total)
        )
    except (DataError, BlobTooLarge, ForeignFile):
        return
