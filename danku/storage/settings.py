"""Where blobs are kept and looked for: the table ``[storage]`` of danku.toml, and environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from danku.errors import UsageError

Kind = Literal["embedded", "ipfs"]
KINDS: tuple[Kind, ...] = ("embedded", "ipfs")

DEFAULT_API = "/ip4/127.0.0.1/tcp/5001"

VARIABLES = {
    "kind": "DANKU_STORAGE",
    "api": "DANKU_IPFS_API",
    "peers": "DANKU_IPFS_PEERS",
    "gateways": "DANKU_IPFS_GATEWAYS",
    "cache": "DANKU_STORAGE_CACHE",
    "keep_days": "DANKU_STORAGE_KEEP_DAYS",
    "block_seconds": "DANKU_STORAGE_BLOCK_SECONDS",
}
"""The environment variable that stands above each setting; lists are separated by commas."""

Address = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class BadStorageSetting(UsageError):
    """A setting of the store is malformed."""


class StorageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a workspace stores blobs; see docs/storage.md."""

    kind: Kind = "embedded"
    """`embedded`: a folder that all share; `ipfs`: an IPFS node of one's own."""
    api: Address = DEFAULT_API
    """The multiaddr of the node's RPC API."""
    peers: Annotated[tuple[Address, ...], msgspec.Meta(max_length=100)] = ()
    """Multiaddrs of others' nodes, which one's own is connected to before it searches."""
    gateways: Annotated[tuple[Address, ...], msgspec.Meta(max_length=20)] = ()
    """URLs of HTTP gateways that serve raw blocks, asked in this order."""
    cache: Annotated[str, msgspec.Meta(min_length=1)] = ".cache/blobs"
    """The folder of blobs that were fetched, relative to the workspace."""
    keep_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 30
    """How long a challenge's blobs stay pinned after it is final."""
    block_seconds: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 30
    """How long a reader waits for one block of 256 KiB."""


def with_environment(settings: StorageSettings, environment: Mapping[str, str]) -> StorageSettings:
    """The settings, with what the environment says in their place.

    Raises:
        BadStorageSetting: a variable is malformed.
    """
    said: dict[str, Any] = {
        name: environment[variable]
        for name, variable in VARIABLES.items()
        if environment.get(variable)
    }
    for name in ("peers", "gateways"):
        if name in said:
            said[name] = [part.strip() for part in said[name].split(",") if part.strip()]
    if not said:
        return settings
    try:
        return msgspec.convert(
            {**msgspec.structs.asdict(settings), **said}, StorageSettings, strict=False
        )
    except msgspec.ValidationError as error:
        raise BadStorageSetting(
            f"the environment says something of the store that cannot be used: {error}",
            why="it was read from " + ", ".join(VARIABLES[name] for name in said),
            fix="docs/storage.md lists the variables and what they take",
        ) from None


def from_environment(settings: StorageSettings) -> StorageSettings:
    """The settings under this process's environment."""
    return with_environment(settings, os.environ)
