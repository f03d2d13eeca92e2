"""Every test of the rules, played on the contract as well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ethereum.node import Node, NoNode, install, running_node
from tests.ethereum.twin import OPTIONS, twins
from tests.protocol import (
    test_committee,
    test_money,
    test_rules_models,
    test_rules_payments,
    test_rules_registry,
    test_rules_seed,
    test_rules_votes,
    test_rules_windows,
    test_slashing,
)

MODULES = (
    test_committee,
    test_money,
    test_rules_models,
    test_rules_payments,
    test_rules_registry,
    test_rules_seed,
    test_rules_votes,
    test_rules_windows,
    test_slashing,
)

for module in MODULES:
    for name, function in list(vars(module).items()):
        if name.startswith("test_") and callable(function):
            globals()[f"{name}__{module.__name__.rpartition('.')[2]}"] = function


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    try:
        install()
    except NoNode as reason:
        pytest.skip(str(reason))
    with running_node(tmp_path_factory.mktemp("anvil"), *OPTIONS) as node:
        yield node


@pytest.fixture(autouse=True)
def both(chain: Node) -> Iterator[None]:
    with twins(chain):
        yield
