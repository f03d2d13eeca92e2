"""A node whose chain is that of the rules' simulator, for all tests of a process that want it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.ethereum.node import Node, NoNode, install, running_node
from tests.protocol.simulator import CHAIN

OPTIONS = ("--chain-id", str(CHAIN), "--base-fee", "0", "--timestamp", "1600000000")
"""Its blocks cost nothing, so that balances tell what the rules moved."""


@pytest.fixture(scope="session")
def rules_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The node; without npm tests are skipped, and fail in CI."""
    try:
        install()
    except NoNode as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(reason))
    with running_node(tmp_path_factory.mktemp("anvil"), *OPTIONS, "--enable-tx-gas-limit") as node:
        yield node
