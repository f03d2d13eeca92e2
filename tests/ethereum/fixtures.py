"""One real node for all tests of a process; each test finds the chain as the first one did."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from danku.protocol.terms import RegistryTerms
from tests.ethereum.node import Node, NoNode, install, running_node
from tests.ethereum.world import FREE, Arenas, EthereumWorld

MakeWorld: TypeAlias = Callable[[RegistryTerms | None], EthereumWorld]


@pytest.fixture(scope="session")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The node; tests take `node` instead."""
    need_node()
    with running_node(tmp_path_factory.mktemp("anvil")) as node:
        yield node


def need_node() -> None:
    """Skip a test where there is no anvil and none can be installed; in CI, fail."""
    try:
        install()
    except NoNode as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(reason))


@pytest.fixture
def node(shared_node: Node) -> Iterator[Node]:
    """The node with its first block alone, whatever other tests did to it."""
    before = shared_node.snapshot()
    yield shared_node
    shared_node.automine(True)
    shared_node.revert(before)


@pytest.fixture(scope="session")
def arenas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arenas]:
    """A node whose gas is free, and its arenas; tests take `ethereum` instead."""
    need_node()
    with running_node(tmp_path_factory.mktemp("anvil"), *FREE) as node:
        yield Arenas(node)


@pytest.fixture
def ethereum(arenas: Arenas, tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes a world with the registry that it is given; the chain is then as it was."""
    snapshots = []

    def make(registry: RegistryTerms | None = None) -> EthereumWorld:
        network = arenas.of(registry)
        snapshots.append(arenas.node.snapshot())
        return EthereumWorld(tmp_path, arenas.node, network)

    yield make
    arenas.node.automine(True)
    for snapshot in reversed(snapshots):
        arenas.node.revert(snapshot)
    arenas.node.call("anvil_setNextBlockBaseFeePerGas", "0x0")
