"""Fixtures of `tests.ethereum.fixtures` and `tests.ethereum.tables`."""

from __future__ import annotations

from tests.ethereum.fixtures import arenas, ethereum, node, shared_node
from tests.ethereum.tables import both, table

__all__ = ["arenas", "both", "ethereum", "node", "shared_node", "table"]
