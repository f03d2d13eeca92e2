"""The table that tests of the contract play on, with everybody at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ethereum.both import KINDS_OF_ARENA, LEISURE, OPTIONS, Both, Table
from tests.ethereum.fixtures import need_node
from tests.ethereum.node import running_node
from tests.ethereum.random_play import ACTORS
from tests.protocol.staked import STAKERS

ETHER, TOKEN, DEAR, BARE = KINDS_OF_ARENA


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """One node with the arenas of all kinds."""
    need_node()
    with running_node(tmp_path_factory.mktemp("anvil"), *OPTIONS) as node:
        yield Table(node, (*ACTORS, *STAKERS))


@pytest.fixture
def both(table: Table) -> Both:
    """An empty ledger of ether, with a registry whose stakes are bound for long."""
    return table.begin(LEISURE)
