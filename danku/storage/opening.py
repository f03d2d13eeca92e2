"""From settings to a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from danku.storage.embedded import EmbeddedStore

if TYPE_CHECKING:
    from danku.storage.port import Store
    from danku.storage.settings import StorageSettings

PINS = "storage/pins"


def open_store(settings: StorageSettings, root: Path, shared: Path, private: Path) -> Store:
    """The store that a workspace's settings name.

    Without a node and without gateways it is the embedded store alone: nothing else is loaded.

    Args:
        root: the workspace, which a relative cache folder is in.
        shared: the folder of blobs that is shared as files.
        private: the private folder, where our pins are noted.

    Raises:
        UsageError: the address of a node or a gateway is none.
    """
    folder = EmbeddedStore(shared)
    if settings.kind == "embedded" and not settings.gateways:
        return folder
    from danku.storage.download import Sources
    from danku.storage.gateway import Gateway
    from danku.storage.network import NetworkStore, OwnNode, PeersNodes
    from danku.storage.node import Node
    from danku.storage.pins import Pins
    from danku.storage.source import Patience, Source

    patience = Patience(block=float(settings.block_seconds))
    node = Node(settings.api, patience) if settings.kind == "ipfs" else None
    order: list[Source] = []
    if node is not None:
        order += [OwnNode(node, patience), PeersNodes(node, settings.peers, patience)]
    order += [Gateway(address, patience) for address in settings.gateways]
    return NetworkStore(
        EmbeddedStore(root / settings.cache, durable=False),  # the node is what keeps blobs
        folder,
        node,
        Sources(order, patience),
        Pins(private / PINS),
    )
