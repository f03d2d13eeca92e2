"""What `danku storage status` tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from danku.errors import DankuError
from danku.storage.cid import cid_of
from danku.storage.source import Absent, SourceFault

if TYPE_CHECKING:
    from danku.roles.workspace import Workspace
    from danku.storage.network import NetworkStore

_KNOWN = cid_of(b"")
"""A blob that every node and gateway has."""


def report(workspace: Workspace, store: NetworkStore | None) -> dict[str, Any]:
    """Settings, counts, and for each source whether it works and what it says."""
    found: dict[str, Any] = dict(msgspec.to_builtins(workspace.storage))
    found |= {"blobs": 0, "unfinished_downloads": 0, "pins": 0, "sources": []}
    if store is None:
        return found
    files = store.cache.files()
    blobs = [path for path in files if not path.name.startswith(".")]
    found["blobs"] = len(blobs)
    found["cache_bytes"] = sum(path.stat().st_size for path in blobs)
    found["unfinished_downloads"] = len(files) - len(blobs)
    found["pins"] = len(store.pins.all())
    found["addresses"] = _addresses(store)
    found["sources"] = _sources(store)
    return found


def _addresses(store: NetworkStore) -> list[str]:
    """Under which others can name the own node as a peer."""
    try:
        return store.node.addresses() if store.node is not None else []
    except DankuError:
        return []


def _sources(store: NetworkStore) -> list[dict[str, Any]]:
    told = []
    if store.node is not None:
        try:
            peers = store.node.peers()
            detail = f"{store.node.version()} at {store.node.api}, connected to {peers} nodes"
            told.append({"name": "own node", "ok": True, "detail": detail})
        except DankuError as error:
            told.append({"name": "own node", "ok": False, "detail": error.why or error.what})
    for gateway in store.gateways:
        try:
            right = gateway.block(_KNOWN) == b""
            detail = "serves raw blocks" if right else "gives wrong bytes"
        except Absent:
            right, detail = True, "answers, and does not have the empty blob"
        except SourceFault as error:
            right, detail = False, str(error)
        told.append({"name": gateway.name, "ok": right, "detail": detail})
    return told
