"""The networks of a workspace: which contracts it knows, which one it plays on, where nodes are.

What everybody may know is in `danku.toml`. The address of a node may hold a password, so it is in
the private folder, or in DANKU_RPC_URL.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from danku.ledger.ethereum.errors import BadNetwork, UnknownNetwork
from danku.ledger.ethereum.network import Network
from danku.storage.files import NewFile, make_folder

EMBEDDED = "embedded"
"""The network that is none: the ledger in a file."""
URL_VARIABLE = "DANKU_RPC_URL"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_HEADER = re.compile(r"\s*\[")


def check_name(name: str) -> None:
    """Refuse what cannot be a network's name.

    Raises:
        BadNetwork: it is none.
    """
    if not _NAME.fullmatch(name) or name == EMBEDDED:
        raise BadNetwork(
            f"{name!r} cannot be the name of a network",
            why=f"up to 31 of a-z, 0-9 and -, and not {EMBEDDED}, which is the ledger in a file",
            fix="danku network add sepolia --rpc URL --contract ADDRESS",
        )


def find(networks: Mapping[str, Network], name: str) -> Network:
    """The network of this name.

    Raises:
        UnknownNetwork: there is none.
    """
    if name not in networks:
        raise UnknownNetwork(
            f"no network {name!r} in this workspace",
            why=f"networks here: {', '.join(sorted(networks)) or 'none'}",
            fix=f"danku network add {name} --rpc URL --contract ADDRESS",
        )
    return networks[name]


def folder_of(private: Path, name: str) -> Path:
    """Where the private files of a network are."""
    return private / "networks" / name


def url_of(private: Path, name: str) -> str:
    """Where a node of a network is, by DANKU_RPC_URL or the private folder.

    Raises:
        UnknownNetwork: nobody said.
    """
    if os.environ.get(URL_VARIABLE, "").strip():
        return os.environ[URL_VARIABLE].strip()
    try:
        return (folder_of(private, name) / "url").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise UnknownNetwork(
            f"where a node of the network {name} is, this copy of the workspace does not know",
            why="the address of a node may hold a password, so it is not in danku.toml",
            fix=f"danku network add {name} --rpc URL, or set {URL_VARIABLE}",
        ) from None


def keep(config: Path, private: Path, name: str, network: Network, url: str) -> None:
    """Add a network to a workspace, or change it."""
    check_name(name)
    folder = folder_of(private, name)
    make_folder(folder, 0o700)
    with NewFile(folder, mode=0o600) as draft:
        draft.write(url.encode() + b"\n")
        draft.keep(folder / "url")
    _rewrite(config, with_network(config.read_text("utf-8"), name, network))


def use(config: Path, networks: Mapping[str, Network], name: str) -> None:
    """Have a workspace play on a network, or on the embedded ledger.

    Raises:
        UnknownNetwork: there is none of this name.
    """
    if name != EMBEDDED:
        find(networks, name)
    _rewrite(config, with_choice(config.read_text("utf-8"), name))


def with_choice(text: str, name: str) -> str:
    """A danku.toml that chooses a network; all else in it stays."""
    lines = text.splitlines()
    top = next((place for place, line in enumerate(lines) if _HEADER.match(line)), len(lines))
    kept = [line for line in lines[:top] if not re.match(r"\s*network\s*=", line)]
    while kept and not kept[-1].strip():
        kept.pop()
    tables = ["", *lines[top:]] if lines[top:] else []
    return "\n".join([*kept, f'network = "{name}"', *tables]) + "\n"


def with_network(text: str, name: str, network: Network) -> str:
    """A danku.toml that holds a network; all else in it stays."""
    kept, inside = [], False
    for line in text.splitlines():
        if _HEADER.match(line):
            inside = re.match(rf"\s*\[\s*networks\s*\.\s*{name}\s*\]", line) is not None
        if not inside:
            kept.append(line)
    while kept and not kept[-1].strip():
        kept.pop()
    values = [
        f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
        for key, value in msgspec.structs.asdict(network).items()
    ]
    return "\n".join([*kept, "", f"[networks.{name}]", *values]) + "\n"


def _rewrite(config: Path, text: str) -> None:
    with NewFile(config.parent) as draft:
        draft.write(text.encode())
        draft.keep(config)
