"""One real node for all tests of a process; each test finds the chain as the first one did."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.ethereum.node import Node, NoNode, install, running_node


@pytest.fixture(scope="session")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The node; tests take `node` instead. Without npm they are skipped, and fail in CI."""
    try:
        install()
    except NoNode as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(reason))
    with running_node(tmp_path_factory.mktemp("anvil")) as node:
        yield node


@pytest.fixture
def node(shared_node: Node) -> Iterator[Node]:
    """The node with its first block alone, whatever other tests did to it."""
    before = shared_node.snapshot()
    yield shared_node
    shared_node.automine(True)
    shared_node.revert(before)
