"""Fixtures of `tests.ethereum.chain`, and a chain of their own for tests without twins."""

from __future__ import annotations

import pytest

from tests.ethereum.chain import rules_node
from tests.ethereum.node import Node
from tests.ethereum.twin import forget

__all__ = ["node", "rules_node"]


@pytest.fixture
def node(rules_node: Node) -> Node:
    """The node with nothing on its chain; transactions of anybody are taken unsigned."""
    forget(rules_node)
    return rules_node
